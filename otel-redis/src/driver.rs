//! The only file that knows the driver's vocabulary: its addresses, its errors, and errors inside
//! of answers.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use otel_core::{Classify, Client, DbServer, Failure, MessagingServer};
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerError, Value};

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum Redis {}

impl Client for Redis {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// The first node that a client of a cluster is given; which one is contacted, nobody says.
#[cfg(feature = "cluster")]
pub(crate) fn seed(info: &ConnectionInfo) -> DbServer {
    // An empty one is none.
    server(info).peer("", None)
}

/// A server of which nothing is known.
pub(crate) fn unknown_server() -> DbServer {
    DbServer::new("redis")
}

/// The server that a client is configured for; nothing is asked from it. The node that is really
/// contacted is known where the address is one.
pub(crate) fn server(info: &ConnectionInfo) -> DbServer {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            let server = unknown_server().address(host.clone(), Some(*port));
            // As Python and URLs have them: `[::1]`.
            let address = host.trim_start_matches('[').trim_end_matches(']');
            if address.parse::<IpAddr>().is_ok() {
                return server.peer(address.to_owned(), Some(*port));
            }
            server
        }
        ConnectionAddr::Unix(path) => {
            let path = path.display().to_string();
            unknown_server().address(path.clone(), None).peer(path, None)
        }
        _ => unknown_server(),
    }
}

/// The same server as one that messages go through.
pub(crate) fn broker(server: &DbServer) -> MessagingServer {
    let mut broker = MessagingServer::new("redis");
    if let Some((address, port)) = server.server() {
        broker = broker.address(address.to_owned(), port);
    }
    if let Some((address, port)) = server.contacted() {
        broker = broker.peer(address.to_owned(), port);
    }
    broker
}

/// An answer of the driver, in which the server may have put errors.
pub(crate) trait Answer {
    /// The first error in it, which the driver gives to the user afterwards.
    fn error(&self) -> Option<&ServerError>;

    /// Whether what was asked for is done, if it is no error: a command of a transaction is queued,
    /// and one that somebody else was faster than is dropped.
    fn is_done(&self) -> bool;

    /// The answers to commands in it, as far as the driver has not read them itself.
    fn values(&self) -> &[Value] {
        &[]
    }

    /// The same, to be changed.
    fn values_mut(&mut self) -> &mut [Value] {
        &mut []
    }
}

impl Answer for Value {
    /// As `Value::extract_error` looks for them.
    fn error(&self) -> Option<&ServerError> {
        match self {
            Self::ServerError(error) => Some(error),
            Self::Array(values) | Self::Set(values) | Self::Push { data: values, .. } => {
                values.iter().find_map(Self::error)
            }
            Self::Map(pairs) => in_pairs(pairs),
            Self::Attribute { data, attributes } => data.error().or_else(|| in_pairs(attributes)),
            _ => None,
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::SimpleString(text) => text != "QUEUED",
            _ => true,
        }
    }

    fn values(&self) -> &[Value] {
        std::slice::from_ref(self)
    }

    fn values_mut(&mut self) -> &mut [Value] {
        std::slice::from_mut(self)
    }
}

fn in_pairs(pairs: &[(Value, Value)]) -> Option<&ServerError> {
    pairs.iter().find_map(|(key, value)| key.error().or_else(|| value.error()))
}

impl Answer for Vec<Value> {
    fn error(&self) -> Option<&ServerError> {
        self.iter().find_map(Value::error)
    }

    fn is_done(&self) -> bool {
        self.iter().all(Value::is_done)
    }

    fn values(&self) -> &[Value] {
        self
    }

    fn values_mut(&mut self) -> &mut [Value] {
        self
    }
}

/// An answer that the driver has looked through itself, or that is still to come.
impl Answer for () {
    fn error(&self) -> Option<&ServerError> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// The word that an error of the server begins with. What follows may quote data, so that is not
/// told.
pub(crate) fn failure(error: &ServerError) -> Failure {
    coded(error.code())
}

/// A script may answer what it wants: what is no word like a code's is text, and may quote data.
fn coded(code: &str) -> Failure {
    let is_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=crate::call::LONGEST).contains(&code.len()) && code.bytes().all(is_word) {
        Failure::code(code.to_owned())
    } else {
        Failure::default()
    }
}

impl Classify<ServerError> for Redis {
    fn classify(error: &ServerError) -> Failure {
        failure(error)
    }
}

impl Classify<RedisError> for Redis {
    fn classify(error: &RedisError) -> Failure {
        if let Some(code) = error.code() {
            return coded(code);
        }
        if error.is_timeout() {
            // A blocking read that is over in time is a `WouldBlock` to the system.
            return Failure::new("TimedOut");
        }
        Failure::new(match error.kind() {
            ErrorKind::Parse => "Parse",
            ErrorKind::AuthenticationFailed => "AuthenticationFailed",
            ErrorKind::UnexpectedReturnType => "UnexpectedReturnType",
            ErrorKind::InvalidClientConfig => "InvalidClientConfig",
            ErrorKind::Client => "Client",
            ErrorKind::Extension => "Extension",
            ErrorKind::MasterNameNotFoundBySentinel => "MasterNameNotFoundBySentinel",
            ErrorKind::NoValidReplicasFoundBySentinel => "NoValidReplicasFoundBySentinel",
            ErrorKind::EmptySentinelList => "EmptySentinelList",
            ErrorKind::ClusterConnectionNotFound => "ClusterConnectionNotFound",
            ErrorKind::RESP3NotSupported => "RESP3NotSupported",
            // The kind says more, and is of low cardinality too.
            ErrorKind::Io => {
                let kind = io_error(error).map(|error| format!("{:?}", error.kind()));
                return Failure::new(kind.unwrap_or_else(|| "Io".to_owned()));
            }
            _ => return Failure::default(),
        })
    }
}

/// What the driver made an error of, which it keeps to be shared.
fn io_error(error: &RedisError) -> Option<&io::Error> {
    let shared = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    shared.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `EVAL "return {err='…'}"` answers anything.
    #[test]
    fn a_code_that_is_none_is_not_told() {
        for code in ["ERR", "WRONGTYPE", "NOAUTH", "SEARCH_TIMEOUT", "E2"] {
            assert_eq!(coded(code), Failure::code(code.to_owned()));
        }
        for code in ["", "ada@example.com", "user:4711:locked", "hunter2SECRET", "CODE\twith"] {
            assert_eq!(coded(code), Failure::default(), "{code}");
        }
        assert_eq!(coded(&"A".repeat(65)), Failure::default());
    }
}

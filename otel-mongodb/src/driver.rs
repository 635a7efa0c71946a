//! The driver's vocabulary: its servers and its errors, and what they are to OpenTelemetry.

use std::fmt::{self, Write as _};

use mongodb::bson::{Bson, Document};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::ServerAddress;
use otel_core::{Classify, Client, DbServer, Failure};

/// The driver, as the core knows it.
#[derive(Debug)]
pub(crate) enum Mongo {}

impl Client for Mongo {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// A deployment of which no node is known yet.
pub(crate) fn deployment() -> DbServer {
    DbServer::new("mongodb")
}

/// One node of it.
pub(crate) fn node(address: &ServerAddress) -> DbServer {
    match address {
        ServerAddress::Tcp { host, port } => deployment().address(host.clone(), *port),
        #[cfg(unix)]
        ServerAddress::Unix { path } => {
            deployment().address(path.to_string_lossy().into_owned(), None)
        }
        _ => deployment(),
    }
}

/// The code of the server, else the name of the driver's variant. Never a message: it quotes keys.
impl Classify<Error> for Mongo {
    fn classify(error: &Error) -> Failure {
        match &*error.kind {
            ErrorKind::Command(error) => coded(error.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => coded(error.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => coded(error.code),
            ErrorKind::InsertMany(error) => {
                let write = error.write_errors.iter().flatten().next().map(|error| error.code);
                let concern = error.write_concern_error.as_ref().map(|error| error.code);
                write.or(concern).map_or_else(|| Failure::new("InsertMany"), coded)
            }
            ErrorKind::BulkWrite(error) => {
                let first = error.write_errors.iter().min_by_key(|(index, _)| **index);
                let write = first.map(|(_, error)| error.code);
                let concern = error.write_concern_errors.first().map(|error| error.code);
                write.or(concern).map_or_else(|| Failure::new("BulkWrite"), coded)
            }
            ErrorKind::Io(error) => Failure::new(format!("{:?}", error.kind())),
            kind => Failure::new(variant(kind)),
        }
    }
}

/// The name of a variant, of which some are there only with features of the driver: what `Debug`
/// says before it says anything else.
fn variant(kind: &ErrorKind) -> String {
    struct Name(String);

    impl fmt::Write for Name {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let name = text.find(|it: char| !it.is_alphanumeric()).unwrap_or(text.len());
            self.0.push_str(text.get(..name).unwrap_or_default());
            if name < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut name = Name(String::new());
    // It ends with the name, so an error is what is waited for.
    _ = write!(name, "{kind:?}");
    name.0
}

fn coded(code: i32) -> Failure {
    Failure::code(code.to_string())
}

/// What a document in a reply says of an error.
pub(crate) fn failure(error: &Document) -> Failure {
    match error.get("code") {
        Some(Bson::Int32(code)) => coded(*code),
        Some(Bson::Int64(code)) => Failure::code(code.to_string()),
        _ => Failure::default(),
    }
}

#[cfg(test)]
mod tests;

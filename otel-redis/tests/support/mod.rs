//! Connections to what answers as it is told to, and to the server of tests.
#![allow(clippy::panic, clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

pub(crate) mod stub;

use std::collections::VecDeque;
use std::net::IpAddr;

use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Connection, Messaging, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::{Capture, live};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisResult, Value};

use self::stub::{Answers, Stub};

/// Answers one after the other; without one left, nil.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue(VecDeque<RedisResult<Value>>);

impl Answers for Queue {
    const DATABASE: i64 = 2;

    fn one(&mut self, _: Option<&Cmd>) -> RedisResult<Value> {
        self.0.pop_front().unwrap_or(Ok(Value::Nil))
    }

    fn many(&mut self, _: Option<&Pipeline>) -> RedisResult<Vec<Value>> {
        self.one(None).map(|value| match value {
            Value::Array(values) => values,
            value => vec![value],
        })
    }
}

/// What a server sends.
#[expect(clippy::unnecessary_wraps, reason = "as the driver gives it")]
pub(crate) fn answer(bytes: &str) -> RedisResult<Value> {
    Ok(redis::parse_redis_value(bytes.as_bytes()).unwrap())
}

/// The bare connection.
pub(crate) fn stub(answers: impl IntoIterator<Item = RedisResult<Value>>) -> Stub<Queue> {
    Stub(Queue(answers.into_iter().collect()))
}

/// A connection that is told of at `capture`.
pub(crate) fn connection(
    capture: &Capture,
    answers: impl IntoIterator<Item = RedisResult<Value>>,
) -> Connection<Stub<Queue>> {
    let builder = Connection::builder(stub(answers)).server("cache.example", Some(6380));
    builder.telemetry(&capture.telemetry()).build()
}

/// A connection to the server of tests, which waits as long as it takes, and where that is.
pub(crate) struct Server {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) telemetry: Telemetry,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn connect(
        telemetry: &Telemetry,
        messaging: Option<Messaging>,
    ) -> Option<Self> {
        let builder = Client::builder(redis::Client::open(live::address("REDIS")?).unwrap());
        let builder = builder.telemetry(telemetry);
        let client = match messaging {
            Some(messaging) => builder.messaging(messaging).build(),
            None => builder.build(),
        };
        let redis::ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr().clone()
        else {
            panic!("the server of tests is reached by its address")
        };
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let settings = settings.set_connection_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        let connection = connecting.await.unwrap();
        Some(Self { connection, telemetry: telemetry.clone(), host, port })
    }

    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// As the driver has it.
    pub(crate) fn bare(&self) -> redis::aio::MultiplexedConnection {
        self.connection().into_inner()
    }

    /// With the server, as all spans have it.
    pub(crate) fn at(&self, span: ExpectedSpan) -> ExpectedSpan {
        let span = span.attribute("server.address", self.host.clone());
        span.attribute("server.port", i64::from(self.port))
    }

    /// And with what is contacted, where that is known.
    pub(crate) fn contacted(&self, span: ExpectedSpan) -> ExpectedSpan {
        if self.host.parse::<IpAddr>().is_err() {
            return span;
        }
        let span = span.attribute("network.peer.address", self.host.clone());
        span.attribute("network.peer.port", i64::from(self.port))
    }
}

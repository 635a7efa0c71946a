//! The scenarios that all database adapters share, on a real server.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::net::IpAddr;

use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Connection, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::{live, span};
use redis::aio::ConnectionLike as _;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, RedisResult, Value};

const KEY: &str = "conformance";

struct OnServer {
    connection: MultiplexedConnection,
    telemetry: Telemetry,
    host: String,
    port: u16,
}

/// Panics inside its calls.
struct Panicking;

#[expect(clippy::unused_async, reason = "the future of a driver")]
async fn panics() -> RedisResult<Value> {
    panic!("as the scenario wants it")
}

impl redis::aio::ConnectionLike for Panicking {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(panics())
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl OnServer {
    fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

impl Database for OnServer {
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Cancel, Capability::Panic, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let client = redis::Client::open(live::address("REDIS")?).unwrap();
        let client = Client::with(client, telemetry);
        let redis::ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr().clone()
        else {
            panic!("the server of tests is reached by its address")
        };
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let settings = settings.set_connection_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        let connection = connecting.await.unwrap();
        let set = redis::cmd("SET").arg(KEY).arg("text").take();
        set.exec_async(&mut connection.clone().into_inner()).await.unwrap();
        Some(Self { connection, telemetry: telemetry.clone(), host, port })
    }

    async fn succeed(&self) {
        let get = redis::cmd("GET").arg(KEY).query_async::<String>(&mut self.connection()).await;
        assert_eq!(get.unwrap(), "text");
    }

    async fn fail(&self) {
        let push = redis::cmd("RPUSH").arg(KEY).arg("secret").take();
        push.query_async::<i64>(&mut self.connection()).await.unwrap_err();
    }

    async fn hang(&self) {
        let wait = redis::cmd("BLPOP").arg("conformance-nothing").arg(0).take();
        wait.query_async::<Value>(&mut self.connection()).await.unwrap();
    }

    fn unpolled(&self) {
        drop(self.connection().req_packed_command(&redis::cmd("PING")));
    }

    async fn panic(&self) {
        let connection = Connection::builder(Panicking).telemetry(&self.telemetry);
        let _ = redis::cmd("PING").query_async::<Value>(&mut connection.build()).await;
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        let (name, text) = match call {
            Call::Succeed => ("GET", "GET conformance"),
            Call::Fail => ("RPUSH", "RPUSH conformance ?"),
            Call::Hang => ("BLPOP", "BLPOP conformance-nothing ?"),
            _ => ("PING", "PING"),
        };
        let expected = span(name).client().attributes([
            ("db.system.name", "redis"),
            ("db.namespace", "0"),
            ("db.operation.name", name),
            ("db.query.text", text),
        ]);
        let expected = match call {
            Call::Panic => return expected,
            Call::Fail => {
                let code = "WRONGTYPE";
                let expected = expected.attribute("db.response.status_code", code);
                expected.attribute("error.type", code).error("")
            }
            _ => expected,
        };
        let expected = expected.attribute("server.address", self.host.clone());
        let expected = expected.attribute("server.port", i64::from(self.port));
        if self.host.parse::<IpAddr>().is_err() {
            return expected;
        }
        let expected = expected.attribute("network.peer.address", self.host.clone());
        expected.attribute("network.peer.port", i64::from(self.port))
    }
}

otel_testing::database_scenarios!(OnServer);

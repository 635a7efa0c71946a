//! The scenarios that all database adapters share, on a real server.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use otel_redis::{Connection, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::span;
use redis::aio::ConnectionLike as _;
use redis::{Cmd, RedisFuture, Value};
use support::Server;
use support::stub::{Answers, Stub};

const KEY: &str = "conformance";

struct OnServer(Server);

/// Panics inside its calls.
struct Panicking;

impl Answers for Panicking {
    fn future(&mut self, _: &Cmd) -> RedisFuture<'static, Value> {
        Box::pin(async { panic!("as the scenario wants it") })
    }
}

impl Database for OnServer {
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Cancel, Capability::Panic, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let server = Server::connect(telemetry, None).await?;
        let set = redis::cmd("SET").arg(KEY).arg("text").take();
        set.exec_async(&mut server.bare()).await.unwrap();
        Some(Self(server))
    }

    async fn succeed(&self) {
        let get = redis::cmd("GET").arg(KEY).query_async::<String>(&mut self.0.connection()).await;
        assert_eq!(get.unwrap(), "text");
    }

    async fn fail(&self) {
        let push = redis::cmd("RPUSH").arg(KEY).arg("secret").take();
        push.query_async::<i64>(&mut self.0.connection()).await.unwrap_err();
    }

    async fn hang(&self) {
        let wait = redis::cmd("BLPOP").arg("conformance-nothing").arg(0).take();
        wait.query_async::<Value>(&mut self.0.connection()).await.unwrap();
    }

    fn unpolled(&self) {
        drop(self.0.connection().req_packed_command(&redis::cmd("PING")));
    }

    async fn panic(&self) {
        let connection = Connection::builder(Stub(Panicking)).telemetry(&self.0.telemetry);
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
        self.0.contacted(self.0.at(expected))
    }
}

otel_testing::database_scenarios!(OnServer);

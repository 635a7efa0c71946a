//! The scenarios that all database adapters share, on a driver that does nothing.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::future::{pending, ready};
use std::pin::pin;

use futures_util::stream::{BoxStream, StreamExt as _, iter};
use otel_core::{Db, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::span;
use support::{SELECT, SERVER, Stub, StubError, db, poll_once, select};

struct Client(Db<Stub>);

impl Database for Client {
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Cancel,
        Capability::Off,
        Capability::Panic,
        Capability::Stream,
        Capability::Unpolled,
    ];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        Some(Self(db(telemetry)))
    }

    async fn succeed(&self) {
        self.0.run((), |()| select(), |()| ready(Ok::<_, StubError>(()))).await.unwrap();
    }

    async fn fail(&self) {
        let call = self.0.run((), |()| select(), |()| ready(Err::<(), _>(StubError("42P01"))));
        assert_eq!(call.await, Err(StubError("42P01")));
    }

    async fn hang(&self) {
        let _ = self.0.run((), |()| select(), |()| pending::<Result<(), StubError>>()).await;
    }

    fn rows(&self) -> BoxStream<'_, ()> {
        let items = iter([Ok(1), Ok(2), Ok::<_, StubError>(3)]);
        self.0.stream((), |()| select(), |(), _| items, |_| true).map(|_| ()).boxed()
    }

    fn unpolled(&self) {
        drop(self.0.run((), |()| select(), |()| ready(Ok::<_, StubError>(()))));
        drop(self.rows());
    }

    async fn panic(&self) {
        let call = self.0.run((), |()| select(), |()| async { panic!("the driver's own") });
        let _: Result<(), StubError> = call.await;
    }

    fn off_call(&self) {
        let call = self.0.run((), |()| select(), |()| ready(Ok::<_, StubError>(())));
        assert!(poll_once(pin!(call)).is_ready());
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        let expected = span("SELECT users")
            .client()
            .attributes(SERVER)
            .attribute("server.port", 5433)
            .attribute("db.query.summary", "SELECT users")
            .attribute("db.query.text", SELECT);
        match call {
            Call::Fail => expected
                .attribute("error.type", "42P01")
                .attribute("db.response.status_code", "42P01")
                .error(""),
            _ => expected,
        }
    }
}

otel_testing::database_scenarios!(Client);

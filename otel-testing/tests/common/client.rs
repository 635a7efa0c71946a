//! A client of a database that is not there, instrumented with the core: right, or with one defect.
#![allow(clippy::panic, clippy::unwrap_used, reason = "outside of `#[test]` functions")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::mem::forget;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use opentelemetry::Context;
use otel_core::{Classify, Client, Db, DbCall, DbServer, Failure, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::span;

/// What is wrong with an [`Example`].
pub(crate) mod defect {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const ALLOCATES_WHEN_OFF: u8 = 1;
    pub(crate) const ATTACHES: u8 = 2;
    pub(crate) const CALLS_TWICE: u8 = 3;
    pub(crate) const ENDS_AT_ONCE: u8 = 4;
    pub(crate) const FORGETS_TO_END: u8 = 5;
    pub(crate) const HIDES_ERRORS: u8 = 6;
    pub(crate) const HIDES_PANICS: u8 = 7;
    pub(crate) const IGNORES_CONTEXT: u8 = 8;
    pub(crate) const IGNORES_TELEMETRY: u8 = 9;
    pub(crate) const LOSES_ROWS: u8 = 10;
    pub(crate) const STARTS_EAGERLY: u8 = 11;
}

pub(crate) struct Example<const DEFECT: u8>(Db<Marker>);

pub(crate) enum Marker {}

impl Client for Marker {
    const NAME: &'static str = "otel-example";
    const VERSION: &'static str = "1.2.3";
}

impl Classify<&'static str> for Marker {
    fn classify(error: &&'static str) -> Failure {
        Failure::code(*error)
    }
}

impl Classify<Infallible> for Marker {
    fn classify(error: &Infallible) -> Failure {
        match *error {}
    }
}

impl<const DEFECT: u8> Example<DEFECT> {
    fn call(name: &'static str) -> DbCall<'static> {
        DbCall::new().operation(name)
    }

    async fn run<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, &'static str>>,
    ) -> Result<T, &'static str> {
        self.0.run((), |()| Self::call(name), |()| call).await
    }
}

impl<const DEFECT: u8> Database for Example<DEFECT> {
    const CAPABILITIES: &'static [Capability] = {
        const ALL: [Capability; 5] = [
            Capability::Cancel,
            Capability::Panic,
            Capability::Stream,
            Capability::Unpolled,
            Capability::Off,
        ];
        // Allocations are counted only with the feature.
        if cfg!(feature = "allocations") { &ALL } else { ALL.split_at(4).0 }
    };

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let server = DbServer::new("example").address("localhost", None);
        let global = Telemetry::global();
        let ignore = DEFECT == defect::IGNORES_TELEMETRY;
        let client = Self(Db::new(if ignore { &global } else { telemetry }, server));
        // What connecting emits must not disturb the scenarios.
        client.succeed().await;
        Some(client)
    }

    async fn succeed(&self) {
        match DEFECT {
            defect::ATTACHES => forget(Context::current_with_value(()).attach()),
            defect::CALLS_TWICE => self.run("GET", ready(Ok(()))).await.unwrap(),
            defect::FORGETS_TO_END => return forget(self.0.start(|| Self::call("GET"))),
            defect::IGNORES_CONTEXT => {
                return self.0.start_in(&Context::new(), || Self::call("GET")).finish();
            }
            _ => {}
        }
        self.run("GET", tokio::task::yield_now().map(Ok)).await.unwrap();
    }

    async fn fail(&self) {
        let result = if DEFECT == defect::HIDES_ERRORS { Ok(()) } else { Err("E42") };
        _ = self.run("GET", ready(result)).await;
    }

    async fn hang(&self) {
        if DEFECT != defect::ENDS_AT_ONCE {
            _ = self.run::<()>("WAIT", pending()).await;
        }
    }

    fn rows(&self) -> BoxStream<'_, ()> {
        let rows = if DEFECT == defect::LOSES_ROWS { 2 } else { 4 };
        let rows = move |(), _: &_| stream::iter(vec![Ok::<_, Infallible>(()); rows]);
        self.0.stream((), |()| Self::call("SCAN"), rows, |()| true).map(|_| ()).boxed()
    }

    fn unpolled(&self) {
        if DEFECT == defect::STARTS_EAGERLY {
            self.0.start(|| Self::call("GET")).finish();
        }
        drop(self.0.run((), |()| Self::call("GET"), |()| ready(Ok::<_, Infallible>(()))));
        drop(self.rows());
    }

    async fn panic(&self) {
        if DEFECT != defect::HIDES_PANICS {
            _ = self.run::<()>("GET", async { panic!("on purpose") }).await;
        }
    }

    fn off_call(&self) {
        if DEFECT == defect::ALLOCATES_WHEN_OFF {
            drop(std::hint::black_box(Box::new(1)));
        }
        let run = self.0.run((), |()| Self::call("GET"), |()| ready(Ok::<_, Infallible>(())));
        assert!(run.now_or_never().is_some());
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        let name = match call {
            Call::Hang => "WAIT",
            Call::Rows(_) => "SCAN",
            _ => "GET",
        };
        let expected = span(format!("{name} localhost"))
            .client()
            .scope_version("otel-example", "1.2.3")
            .attributes([("db.system.name", "example"), ("server.address", "localhost")])
            .attribute("db.operation.name", name);
        match call {
            Call::Fail => {
                let code = [("error.type", "E42"), ("db.response.status_code", "E42")];
                expected.attributes(code).error("")
            }
            _ => expected,
        }
    }
}

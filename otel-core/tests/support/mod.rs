//! A client for tests: it has a driver's error and no driver.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod broker;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use opentelemetry_sdk::trace::SpanData;
use otel_core::{Classify, Client, Db, DbCall, DbServer, Failure, Telemetry};

/// The marker of the client.
#[derive(Debug)]
pub(crate) enum Stub {}

impl Client for Stub {
    const NAME: &'static str = "otel-stub";
    const VERSION: &'static str = "1.2.3";
}

/// The driver's error: a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StubError(pub(crate) &'static str);

impl Classify<StubError> for Stub {
    fn classify(error: &StubError) -> Failure {
        Failure::code(error.0)
    }
}

pub(crate) fn server() -> DbServer {
    DbServer::new("postgresql").namespace("shop").address("db.example", Some(5433))
}

pub(crate) fn db(telemetry: &Telemetry) -> Db<Stub> {
    Db::new(telemetry, server())
}

pub(crate) const SELECT: &str = "SELECT name FROM users WHERE id = $1";

pub(crate) fn select() -> DbCall<'static> {
    DbCall::statement(SELECT, true)
}

/// The attributes that every span and point of [`db`] and [`select`] carries.
pub(crate) const SERVER: [(&str, &str); 3] =
    [("db.system.name", "postgresql"), ("db.namespace", "shop"), ("server.address", "db.example")];

/// Polls a future once.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The value of a span's attribute as text; empty without one.
pub(crate) fn value(span: &SpanData, name: &str) -> String {
    let mut attributes = span.attributes.iter();
    let found = attributes.find(|attribute| attribute.key.as_str() == name);
    found.map_or_else(String::new, |attribute| attribute.value.to_string())
}

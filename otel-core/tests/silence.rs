//! A client that works for a while and finds no provider says so once, where operators look.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::env;
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use otel_core::{Telemetry, diagnostics};
use support::{db, select};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the messages of warnings.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "otel-core"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[test]
fn silence_is_explained_once() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let db = db(&Telemetry::global());
        (0..999).for_each(|_| db.start(select).finish());
        assert!(lines.0.lock().unwrap().is_empty(), "too early to tell");
        (0..5000).for_each(|_| db.start(select).finish());
    });
    let said = lines.0.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "{said:?}");
    for fact in ["otel-stub", "1000 calls", "opentelemetry 0.33", "`cargo tree -d`"] {
        assert!(said[0].contains(fact), "{fact} is missing in: {}", said[0]);
    }
    // The other tests' clients are there as well.
    let clients = diagnostics().clients;
    let told = clients.iter().filter(|client| client.silence.as_deref() == Some(&*said[0]));
    assert_eq!(told.map(|client| client.calls_without).collect::<Vec<_>>(), [5999]);
}

#[test]
fn a_client_that_is_switched_off_is_silent_on_purpose() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let db = db(&Telemetry::builder().enabled(false).build());
        (0..5000).for_each(|_| db.start(select).finish());
    });
    assert!(lines.0.lock().unwrap().is_empty());
}

/// Runs this binary again, because variables are the process's.
#[test]
fn who_wants_no_sdk_is_not_told_that_there_is_none() {
    const NAME: &str = "who_wants_no_sdk_is_not_told_that_there_is_none";
    const DISABLED: &str = "OTEL_SDK_DISABLED";
    const CHILD: &str = "OTEL_CORE_TEST_ROLE";
    if env::var_os(CHILD).is_none() {
        let test = |value| {
            let mut child = Command::new(env::current_exe().unwrap());
            child.args(["--exact", NAME]).env(CHILD, "").env(DISABLED, value);
            child.output().unwrap().status.success()
        };
        assert!(test("true") && test("TRUE"));
        assert!(!test("false"), "the warning is there otherwise");
        return;
    }
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let db = db(&Telemetry::global());
        (0..2000).for_each(|_| db.start(select).finish());
    });
    assert_eq!(lines.0.lock().unwrap().len(), 0);
}

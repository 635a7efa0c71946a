//! A provider that uses the very client that looks for it, and one that panics whenever it is asked.
//! One test: globals are the process's.
#![allow(clippy::panic, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};
use otel_core::{Db, Telemetry};
use otel_testing::Capture;
use support::{Stub, db, select};

static CLIENT: OnceLock<Db<Stub>> = OnceLock::new();
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Makes a call of the client before it hands out a meter; its size is not zero.
struct Reentrant(opentelemetry_sdk::metrics::SdkMeterProvider);

impl MeterProvider for Reentrant {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        ASKED.fetch_add(1, Ordering::Relaxed);
        CLIENT.get().into_iter().for_each(|client| client.start(select).finish());
        self.0.meter_with_scope(scope)
    }
}

struct Panicking(#[expect(dead_code, reason = "so that its size is not zero")] u8);

impl MeterProvider for Panicking {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        ASKED.fetch_add(1, Ordering::Relaxed);
        panic!("a provider panics whenever it is asked")
    }
}

#[test]
fn a_provider_that_calls_back_or_panics() {
    let client = CLIENT.get_or_init(|| db(&Telemetry::global()));
    let capture = Capture::new();
    global::set_meter_provider(Reentrant(capture.meter_provider()));
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        client.start(select).finish();
        client.start(select).finish();
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(60)).expect("the call hangs in its own provider");
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    capture.assert_metric("db.client.operation.duration");

    ASKED.store(0, Ordering::Relaxed);
    let telemetry = Telemetry::builder().meter_provider(Panicking(0)).build();
    let client = db(&telemetry);
    (0..100).for_each(|_| client.start(select).finish());
    assert_eq!(ASKED.load(Ordering::Relaxed), 1, "asked again after it panicked");
}

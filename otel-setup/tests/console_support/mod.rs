//! Spans with times that are the same in every run.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::{ExpectFile, expect_file};
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

pub(crate) const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

/// By a whole path: a relative one would depend on what lies in the folders above this workspace.
pub(crate) fn snapshot(name: &str) -> ExpectFile {
    expect_file![format!("{}/tests/snapshots/{name}.txt", env!("CARGO_MANIFEST_DIR"))]
}

pub(crate) fn time(microseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_micros(microseconds)
}

pub(crate) fn context(trace: u128, span: u64) -> SpanContext {
    let (trace, span) = (TraceId::from(trace), SpanId::from(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A span from one time to another, in microseconds; its parent may be 0.
pub(crate) fn span(id: u64, parent: u64, name: &str, from: u64, to: u64) -> SpanData {
    SpanData {
        span_context: context(TRACE, id),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.to_owned().into(),
        start_time: time(from),
        end_time: time(to),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("test").build(),
    }
}

pub(crate) trait Build {
    fn client(self) -> Self;
    fn kind(self, kind: SpanKind) -> Self;
    fn with(self, key: &'static str, value: impl Into<Value>) -> Self;
    fn fails(self, kind: &str, description: &str) -> Self;
    fn links(self, trace: u128, span: u64) -> Self;
}

impl Build for SpanData {
    fn client(self) -> Self {
        self.kind(SpanKind::Client)
    }

    fn kind(mut self, kind: SpanKind) -> Self {
        self.span_kind = kind;
        self
    }

    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    fn fails(self, kind: &str, description: &str) -> Self {
        let mut this = self.with("error.type", kind.to_owned());
        this.status = Status::error(description.to_owned());
        this
    }

    fn links(mut self, trace: u128, span: u64) -> Self {
        self.links.links.push(Link::with_context(context(trace, span)));
        self
    }
}

/// An order at the shop: two services, a transaction, an error that was handled.
pub(crate) fn order() -> Vec<SpanData> {
    let shop = |span: SpanData| span.with("service.name", "shop");
    vec![
        span(1, 0, "POST", 0, 12_345)
            .client()
            .with("service.name", "web")
            .with("http.request.method", "POST")
            .with("url.full", "http://shop.test/orders"),
        shop(span(2, 1, "POST /orders", 900, 11_800).kind(SpanKind::Server))
            .with("http.route", "/orders"),
        shop(span(3, 2, "BEGIN", 1_200, 1_700).client()),
        shop(span(4, 2, "SELECT stock", 1_900, 4_400).client())
            .with("db.system.name", "postgresql")
            .with("db.response.returned_rows", 3),
        shop(span(5, 2, "UPDATE stock", 4_600, 7_100).client())
            .fails("40001", "could not serialize access"),
        shop(span(6, 2, "UPDATE stock", 7_300, 9_600).client()),
        shop(span(7, 2, "audit", 2_000, 3_000)),
        shop(span(8, 2, "COMMIT", 9_700, 11_500).client()),
        shop(span(9, 2, "send orders", 11_600, 11_700).kind(SpanKind::Producer))
            .links(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0xa1)
            .links(TRACE, 8),
    ]
}

/// What was written, to be read while the writer is elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

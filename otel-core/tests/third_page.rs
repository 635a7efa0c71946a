//! A page of the conventions that the core does not have: object stores. Nothing of the two that it
//! has is touched.

mod support;

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::metrics::{Counter, Meter};
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};
use otel_core::page::{Ended, Instruments, Page, Site};
use otel_core::{Failure, Operation, Telemetry};
use otel_testing::{Capture, metric, point, span};
use support::{Stub, StubError};

struct Counted(Counter<u64>);

impl Instruments for Counted {
    type Before = ();

    fn new(meter: &Meter, _: &Arc<()>) -> Self {
        Self(meter.u64_counter("object_store.bytes").with_unit("By").build())
    }
}

/// What one call keeps while it runs.
struct Object {
    site: Site<Counted>,
    bucket: &'static str,
    bytes: u64,
    gave_up: bool,
}

impl Page for Object {
    type Instruments = Counted;

    fn site(&self) -> &Site<Counted> {
        &self.site
    }

    fn name(&self) -> Cow<'static, str> {
        "put".into()
    }

    fn knows(&self, _: &str) -> bool {
        false
    }

    fn tells_port(&self, port: u16) -> bool {
        port != 443
    }

    fn gave_up(&mut self) {
        self.gave_up = true;
    }

    fn tell(&mut self, _: Option<&mut Failure>, put: &mut dyn FnMut(KeyValue)) {
        put(KeyValue::new("object_store.gave_up", self.gave_up));
    }

    fn measure(&self, instruments: &Counted, ended: &Ended<'_>) {
        let bucket = KeyValue::new("object_store.bucket", self.bucket);
        let all: Vec<_> = std::iter::once(bucket).chain(ended.error_type()).collect();
        instruments.0.add(self.bytes, &all);
    }
}

struct Store(Site<Counted>);

impl Store {
    fn new(telemetry: &Telemetry) -> Self {
        Self(Site::new::<Stub>(telemetry))
    }

    fn put(&self, bucket: &'static str) -> Operation<Stub, Object> {
        if self.0.is_off() {
            return Operation::empty();
        }
        let object = Object { site: self.0.clone(), bucket, bytes: 0, gave_up: false };
        Operation::start(&Context::current(), object, |object| SpanBuilder {
            span_kind: Some(SpanKind::Client),
            attributes: Some(vec![KeyValue::new("object_store.bucket", object.bucket)]),
            ..SpanBuilder::default()
        })
    }
}

#[tokio::test]
async fn a_page_of_ones_own() {
    let capture = Capture::new();
    let store = Store::new(&capture.telemetry());
    let stored =
        store.put("backups").run_with(std::future::ready(Ok::<_, StubError>(7)), |bytes, put| {
            put.server("s3.example", Some(443));
            put.page_mut().unwrap().bytes = *bytes;
        });
    assert_eq!(stored.await, Ok(7));
    let failed = store.put("backups").call(|| Err::<(), _>(StubError("NoSuchBucket")));
    assert_eq!(failed, Err(StubError("NoSuchBucket")));
    drop(store.put("backups"));

    let told = |gave_up| {
        let put = span("put").client().attribute("object_store.bucket", "backups");
        put.attribute("object_store.gave_up", gave_up)
    };
    capture.assert_spans([
        told(false).attribute("server.address", "s3.example"),
        told(true).attribute("error.type", "NoSuchBucket").error(""),
        told(true).attribute("error.type", "cancelled").error(""),
    ]);
    let counted = |bytes| point().attribute("object_store.bucket", "backups").value(bytes);
    capture.assert_metric(
        metric("object_store.bytes")
            .point(counted(7))
            .point(counted(0).attribute("error.type", "NoSuchBucket"))
            .point(counted(0).attribute("error.type", "cancelled")),
    );
}

#[test]
fn nothing_when_off() {
    let store = Store::new(&Telemetry::builder().enabled(false).build());
    let put = store.put("backups");
    assert!(put.is_empty() && put.page().is_none());
}

#![doc = include_str!("../README.md")]
#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test kit fails by panicking, and tells by printing"
)]

pub mod assert;
mod attribute;
mod capture;
mod context;
mod export;
pub mod ledger;
pub mod live;
mod metric;
pub mod scenario;
mod tracer;

pub use opentelemetry;
pub use opentelemetry_sdk;
pub use otel_core;

pub use self::assert::{metric, point, span};
pub use self::attribute::Attribute;
pub use self::capture::{Capture, CaptureBuilder, Log};
pub use self::metric::{Metric, MetricKind, Point, PointValue};
pub use self::tracer::{CaptureSpan, CaptureTracer, CaptureTracerProvider};

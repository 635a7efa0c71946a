//! What the SDK fails at is told once, with what to do.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use support::{Receiver, run};

fn application() {
    let guard = otel_setup::init!();
    for _ in 0..3 {
        tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
        // They fail, as is the point.
        _ = guard.tracer_provider().unwrap().force_flush();
        _ = guard.logger_provider().unwrap().force_flush();
    }
}

/// An address at which nobody listens any more.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_collector_that_is_away_is_one_warning() {
    for protocol in ["http/protobuf", "grpc"] {
        let url = closed();
        let finished = run(
            "a_collector_that_is_away_is_one_warning",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                // No second attempt fits into it.
                ("OTEL_EXPORTER_OTLP_TIMEOUT", &"200"),
            ],
            application,
        );
        assert!(finished.success, "{finished:?}");
        assert_eq!(finished.warnings.len(), 1, "{protocol}: {:#?}", finished.warnings);
        let warning = &finished.warnings[0];
        for part in [
            "telemetry does not reach http://127.0.0.1:",
            "onnection refused",
            "Is a collector running there?",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ] {
            assert!(warning.contains(part), "{part} is not in {warning}");
        }
        assert!(finished.took < Duration::from_secs(10), "{finished:?}");
    }
}

fn flooding() {
    let _guard = otel_setup::init!();
    for _ in 0..2_000 {
        drop(tracing::info_span!("work").entered());
    }
}

#[test]
fn a_queue_that_is_full_is_one_warning() {
    let receiver = Receiver::start();
    let finished = run(
        "a_queue_that_is_full_is_one_warning",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()), ("OTEL_BSP_MAX_QUEUE_SIZE", &"1")],
        flooding,
    );
    assert!(finished.success, "{finished:?}");
    assert_eq!(finished.warnings.len(), 1, "{:#?}", finished.warnings);
    let warning = &finished.warnings[0];
    assert!(warning.starts_with("telemetry is dropped because a queue is full"), "{warning}");
    assert!(warning.contains("OTEL_BSP_MAX_QUEUE_SIZE"), "{warning}");
    assert!(receiver.span_names().len() < 2_000);
    assert_eq!(receiver.log_bodies(), Vec::<String>::new(), "what the SDK says is not exported");
}

fn on_a_subscriber_of_the_user() {
    use tracing_subscriber::prelude::*;

    tracing_subscriber::registry().with(otel_setup::layer()).init();
    application();
}

#[test]
fn the_layer_tells_it_on_a_subscriber_of_the_user() {
    let finished = run(
        "the_layer_tells_it_on_a_subscriber_of_the_user",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &closed()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", &"200"),
            ("RUST_LOG", &"off"),
        ],
        on_a_subscriber_of_the_user,
    );
    assert!(finished.success, "{finished:?}");
    assert_eq!(finished.warnings.len(), 1, "{:#?}", finished.warnings);
}

/// As the SDK says it.
fn told_by_the_sdk() {
    let _guard = otel_setup::init!();
    tracing::warn!(
        name: "TonicTracesClient.PartialSuccess",
        target: "opentelemetry-otlp",
        rejected_spans = 5,
        error_message = "\u{1b}[31mquota\notel-setup: forged"
    );
}

#[test]
fn spans_that_a_collector_refuses_are_told_of_in_one_line() {
    let test = "spans_that_a_collector_refuses_are_told_of_in_one_line";
    let exporters = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
    let variables = exporters.map(|name| (name, &"none" as &dyn ToString));
    let finished = run(test, &variables, told_by_the_sdk);
    assert_eq!(finished.warnings.len(), 1, "{finished:?}");
    assert!(finished.warnings[0].contains("rejected_spans=5"), "{finished:?}");
    assert!(finished.warnings[0].contains("quota"), "{finished:?}");
    assert!(!finished.errors.contains('\u{1b}'), "{finished:?}");
}

fn whose_name_begins_like_the_sdk() {
    let _guard = otel_setup::init!();
    tracing::info!(target: "opentelemetry_demo::orders", "shipped");
}

#[test]
fn an_application_may_be_called_like_the_sdk() {
    let receiver = Receiver::start();
    let test = "an_application_may_be_called_like_the_sdk";
    let variables: [(&str, &dyn ToString); 1] = [("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())];
    let finished = run(test, &variables, whose_name_begins_like_the_sdk);
    assert!(finished.errors.contains("shipped"), "{finished:?}");
    assert_eq!(receiver.log_bodies(), ["shipped"]);
}

/// As the SDK says it of metrics.
fn on_a_console_that_is_gone() {
    let _guard = otel_setup::init!();
    tracing::error!(
        name: "PeriodicReader.ExportError",
        target: "opentelemetry_sdk",
        error = "Operation failed: the console cannot be written to: Broken pipe (os error 32)"
    );
}

#[test]
fn a_console_that_is_gone_is_not_taken_for_a_collector() {
    let test = "a_console_that_is_gone_is_not_taken_for_a_collector";
    let exporters = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
    let variables = exporters.map(|name| (name, &"none" as &dyn ToString));
    let finished = run(test, &variables, on_a_console_that_is_gone);
    assert_eq!(finished.warnings.len(), 1, "{finished:?}");
    assert!(finished.warnings[0].starts_with("telemetry is lost: "), "{finished:?}");
    assert!(!finished.warnings[0].contains("collector"), "{finished:?}");
}

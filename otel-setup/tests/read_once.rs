//! Each variable is read by one party, by one rule: the exporters and the SDK know the same names.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::env;
use std::io::{Read as _, stdin};
use std::process::Stdio;

use opentelemetry::global;
use otel_setup::{Builder, Protocol};
use support::{Finished, Receiver, command, run, until};

const ALL: [&str; 3] = ["TRACES", "METRICS", "LOGS"];

/// What code says.
fn builder() -> Builder {
    let builder = otel_setup::builder();
    match env::var("IN_CODE").as_deref() {
        Ok("grpc") => builder.protocol(Protocol::Grpc),
        Ok("http") => builder.protocol(Protocol::HttpProtobuf),
        Ok(endpoint) => builder.endpoint(endpoint),
        Err(_) => builder,
    }
}

fn application() {
    let _guard = builder().init().unwrap();
    work();
}

fn work() {
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    global::meter("shop").u64_counter("orders").build().add(1, &[]);
}

type Variables = Vec<(String, String)>;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs the application, whose telemetry goes to this receiver unless the variables say otherwise.
fn against(receiver: &Receiver, test: &str, more: &Variables, application: fn()) -> Finished {
    let url = receiver.url();
    let mut all: Vec<(&str, &dyn ToString)> = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    all.extend(more.iter().map(|(name, value)| (name.as_str(), value as &dyn ToString)));
    let finished = run(test, &all, application);
    assert!(finished.success, "{more:?}: {finished:?}");
    finished
}

fn quiet(finished: &Finished) {
    assert_eq!(finished.warnings, Vec::<String>::new(), "{finished:?}");
}

/// Asserts that all three signals came, and by which protocol.
#[track_caller]
fn came(receiver: &Receiver, by_grpc: [bool; 3], context: &dyn std::fmt::Debug) {
    let got = receiver.got();
    for (signal, by_grpc) in ALL.into_iter().zip(by_grpc) {
        let of: Vec<_> = got.iter().filter(|got| got.is(&signal.to_lowercase())).collect();
        assert_eq!(of.len(), 1, "{context:?}: {signal}");
        assert_eq!(of[0].path.ends_with("/Export"), by_grpc, "{context:?}: {signal}");
    }
}

#[test]
fn a_protocol_has_no_letter_case() {
    for (value, grpc) in [
        ("grpc", true),
        ("gRPC", true),
        ("GRPC", true),
        ("http/protobuf", false),
        ("HTTP/Protobuf", false),
    ] {
        let test = "a_protocol_has_no_letter_case";
        let receiver = Receiver::start();
        let general = variables(&[("OTEL_EXPORTER_OTLP_PROTOCOL", value)]);
        quiet(&against(&receiver, test, &general, application));
        came(&receiver, [grpc; 3], &general);
        // And that of a signal wins.
        for index in 0..3 {
            let receiver = Receiver::start();
            let other = if grpc { "Http/Protobuf" } else { "Grpc" };
            let own = format!("OTEL_EXPORTER_OTLP_{}_PROTOCOL", ALL[index]);
            let pairs = [("OTEL_EXPORTER_OTLP_PROTOCOL", other), (own.as_str(), value)];
            let pairs = variables(&pairs);
            quiet(&against(&receiver, test, &pairs, application));
            let mut expected = [!grpc; 3];
            expected[index] = grpc;
            came(&receiver, expected, &pairs);
        }
    }
}

#[test]
fn a_protocol_in_code_wins_over_all_variables() {
    for (in_code, grpc) in [("grpc", true), ("http", false)] {
        for value in ["grpc", "http/protobuf", "http/json", "HTTP/JSON", "nonsense"] {
            let receiver = Receiver::start();
            let mut pairs = variables(&[("OTEL_EXPORTER_OTLP_PROTOCOL", value)]);
            let own = |signal| (format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"), value.to_owned());
            pairs.extend(ALL.map(own));
            pairs.push(("IN_CODE".to_owned(), in_code.to_owned()));
            let test = "a_protocol_in_code_wins_over_all_variables";
            quiet(&against(&receiver, test, &pairs, application));
            came(&receiver, [grpc; 3], &pairs);
        }
    }
}

/// By the specification, a value that cannot be used is as one that is not set.
#[test]
fn a_bad_value_of_a_signal_leaves_the_general_one_in_force() {
    let receiver = Receiver::start();
    let pairs = variables(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "gRPC"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "7000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "-1"),
    ]);
    let test = "a_bad_value_of_a_signal_leaves_the_general_one_in_force";
    let mut finished = against(&receiver, test, &pairs, application);
    finished.warnings.sort();
    let expected = [
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=\"udp\" is unknown or out of range; gRPC is used",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=\"-1\" is unknown or out of range; 7000 is used",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=\"zip\" is unknown or out of range; GZIP is used",
    ];
    assert_eq!(finished.warnings, expected);
    came(&receiver, [true; 3], &pairs);
    for got in receiver.got() {
        assert_ne!(got.length, got.body.len(), "packed: {got:?}");
    }
}

#[test]
fn other_names_have_no_letter_case_either() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let pairs = variables(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_TRACES_EXPORTER", "OTLP"),
            ("OTEL_METRICS_EXPORTER", "Otlp,None"),
            ("OTEL_LOGS_EXPORTER", "Console,oTLP"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "NONE"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA"),
            ("OTEL_TRACES_SAMPLER", "ALWAYS_ON"),
            ("OTEL_SDK_DISABLED", "False"),
            ("OTEL_PROPAGATORS", "TraceContext,NONE"),
        ]);
        let test = "other_names_have_no_letter_case_either";
        quiet(&against(&receiver, test, &pairs, application));
        came(&receiver, [protocol == "grpc"; 3], &pairs);
        for got in receiver.got() {
            assert_eq!(got.length < got.body.len(), !got.is("logs"), "{protocol}: {got:?}");
        }
        let metrics = format!("{:?}", receiver.metrics());
        assert!(metrics.contains("aggregation_temporality: Delta"), "{metrics}");
    }
}

#[test]
fn a_sampler_has_no_letter_case() {
    for (name, kept) in [
        ("ALWAYS_OFF", 0),
        ("Always_On", 1),
        ("ParentBased_Always_Off", 0),
        ("PARENTBASED_ALWAYS_ON", 1),
        ("TraceIdRatio", 0),
        ("ParentBased_TraceIdRatio", 0),
    ] {
        let receiver = Receiver::start();
        let pairs = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", "0.0")];
        let pairs = variables(&pairs);
        quiet(&against(&receiver, "a_sampler_has_no_letter_case", &pairs, application));
        assert_eq!(receiver.span_names().len(), kept, "{name}");
    }
}

#[test]
fn of_a_list_of_exporters_the_known_ones_are_used() {
    for (index, signal) in ALL.into_iter().enumerate() {
        for (list, expected) in [("zipkin,otlp", 1), ("prometheus,console", 0), ("x,none", 0)] {
            let receiver = Receiver::start();
            let name = format!("OTEL_{signal}_EXPORTER");
            let pairs = variables(&[(&name, list)]);
            let test = "of_a_list_of_exporters_the_known_ones_are_used";
            let finished = against(&receiver, test, &pairs, application);
            let [warning] = &*finished.warnings else { panic!("{finished:?}") };
            let unknown = list.split(',').next().unwrap();
            assert!(warning.contains(&format!("names {unknown:?}")), "{warning}");
            let signal = signal.to_lowercase();
            let count = receiver.got().iter().filter(|got| got.is(&signal)).count();
            assert_eq!(count, expected, "{index} {pairs:?}");
        }
    }
}

/// It is read once, so it is decoded once, also where the signal's own is empty.
#[test]
fn a_header_is_decoded_once() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let pairs = variables(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20a%253D"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", ""),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "  "),
        ]);
        quiet(&against(&receiver, "a_header_is_decoded_once", &pairs, application));
        came(&receiver, [protocol == "grpc"; 3], &pairs);
        for got in receiver.got() {
            let found = got.headers.get("authorization").map(|value| value.to_str().unwrap());
            assert_eq!(found, Some("Basic a%3D"), "{protocol} {}", got.path);
        }
    }
}

fn zeros(names: &[&str]) -> Variables {
    names.iter().map(|name| ((*name).to_owned(), "0".to_owned())).collect()
}

#[test]
fn a_timeout_of_zero_is_no_limit() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let mut pairs = zeros(&[
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
            "OTEL_BSP_EXPORT_TIMEOUT",
            "OTEL_BLRP_EXPORT_TIMEOUT",
            "OTEL_METRIC_EXPORT_TIMEOUT",
        ]);
        pairs.extend(variables(&[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]));
        quiet(&against(&receiver, "a_timeout_of_zero_is_no_limit", &pairs, application));
        came(&receiver, [protocol == "grpc"; 3], &pairs);
    }
}

fn waiting() {
    let _guard = otel_setup::init!();
    work();
    // Until the test has seen enough.
    _ = stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_delay_of_zero_waits_for_nothing() {
    let receiver = Receiver::start();
    let url = receiver.url();
    let variables: [(&str, &dyn ToString); 4] = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_BSP_SCHEDULE_DELAY", &"0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", &"0"),
        ("OTEL_METRICS_EXPORTER", &"none"),
    ];
    let mut child = command("a_delay_of_zero_waits_for_nothing", &variables, waiting);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    until("spans and log records", || {
        let got = receiver.got();
        ["traces", "logs"].iter().all(|signal| got.iter().any(|got| got.is(signal))).then_some(())
    });
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("otel-setup: "), "{errors}");
}

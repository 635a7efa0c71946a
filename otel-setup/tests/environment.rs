//! Each variable of the specification does what the README says, and a bad value does no harm.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::collections::HashMap;
use std::io::{Read as _, stdin};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{KeyValue, global};
use support::{Finished, Receiver, command, run, text, until};

fn application() {
    let _guard = otel_setup::init!();
    work();
}

fn work() {
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    global::meter("shop").u64_counter("orders").build().add(1, &[]);
}

type Variables<'a> = Vec<(&'a str, &'a dyn ToString)>;

/// Runs `application` against a receiver that all signals go to, unless `variables` say otherwise.
fn against(
    receiver: &Receiver,
    test: &str,
    variables: &[(&str, &str)],
    application: fn(),
) -> Finished {
    let url = receiver.url();
    let mut all: Variables<'_> = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    all.extend(variables.iter().map(|(name, value)| (*name, value as &dyn ToString)));
    let finished = run(test, &all, application);
    assert!(finished.success, "{finished:?}");
    finished
}

/// How many requests came, of traces, metrics and logs.
fn counts(receiver: &Receiver) -> [usize; 3] {
    let got = receiver.got();
    ["traces", "metrics", "logs"].map(|signal| got.iter().filter(|got| got.is(signal)).count())
}

fn quiet(finished: &Finished) {
    assert_eq!(finished.warnings, Vec::<String>::new(), "{finished:?}");
}

#[test]
fn an_endpoint_and_a_protocol_for_each_signal() {
    let receivers = [Receiver::start(), Receiver::start(), Receiver::start()];
    let finished = run(
        "an_endpoint_and_a_protocol_for_each_signal",
        &[
            // As it is, with HTTP.
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                &format!("{}/own/v1/traces", receivers[0].url()),
            ),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &receivers[1].url()),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", &"grpc"),
            // An empty one is none, so the general one holds, with the signal's path.
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &""),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/base/", receivers[2].url())),
        ],
        application,
    );
    assert!(finished.success, "{finished:?}");
    quiet(&finished);
    let paths = receivers
        .map(|receiver| receiver.got().into_iter().map(|got| got.path).collect::<Vec<_>>());
    let service = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    assert_eq!(paths, [["/own/v1/traces"], [service], ["/base/v1/logs"]]);
}

#[test]
fn headers() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20a%3Db, x-tenant=general"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-tenant=logs"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", ""),
        ];
        quiet(&against(&receiver, "headers", &variables, application));
        assert_eq!(counts(&receiver), [1, 1, 1], "{protocol}");
        for got in receiver.got() {
            let header = |name| got.headers.get(name).map(|value| value.to_str().unwrap());
            let expected = if got.is("logs") {
                (None, Some("logs"))
            } else {
                (Some("Basic a=b"), Some("general"))
            };
            let found = (header("authorization"), header("x-tenant"));
            assert_eq!(found, expected, "{protocol} {}", got.path);
        }
    }
}

/// How long the application takes whose collector never answers.
fn hanging(test: &str, variables: &[(&str, &str)]) -> Finished {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    let mut all: Variables<'_> = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    all.extend(variables.iter().map(|(name, value)| (*name, value as &dyn ToString)));
    let finished = run(test, &all, application);
    assert!(finished.success, "{finished:?}");
    finished
}

#[test]
fn timeouts() {
    // Without any of them, the shutdown gives up after 5 seconds.
    let sets: [&[_]; 3] = [
        &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")],
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "300"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "300"),
        ],
        &[
            ("OTEL_BSP_EXPORT_TIMEOUT", "300"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "300"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "300"),
        ],
    ];
    for protocol in ["grpc", "http/protobuf"] {
        for set in sets {
            let variables = [set, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]].concat();
            let finished = hanging("timeouts", &variables);
            assert!(finished.took < Duration::from_secs(4), "{variables:?}: {finished:?}");
        }
    }
}

#[test]
fn none_of_a_signal() {
    for (index, signal) in ["TRACES", "METRICS", "LOGS"].into_iter().enumerate() {
        let receiver = Receiver::start();
        let name = format!("OTEL_{signal}_EXPORTER");
        quiet(&against(&receiver, "none_of_a_signal", &[(&name, "none")], application));
        let mut expected = [1; 3];
        expected[index] = 0;
        assert_eq!(counts(&receiver), expected, "{signal}");
    }
}

#[test]
fn console_instead_of_and_beside_otlp() {
    for (list, expected) in [("console", [0, 1, 1]), ("console,otlp", [1, 1, 1])] {
        let receiver = Receiver::start();
        let variables = [("OTEL_TRACES_EXPORTER", list)];
        let test = "console_instead_of_and_beside_otlp";
        let finished = against(&receiver, test, &variables, application);
        quiet(&finished);
        assert_eq!(counts(&receiver), expected, "{list}");
        // The log line on standard error names the span too, but not on a line without "hello".
        let printed = finished.output.lines().chain(finished.errors.lines());
        assert!(
            printed.into_iter().any(|line| line.contains("work") && !line.contains("hello")),
            "{finished:?}"
        );
    }
}

#[test]
fn disabled() {
    let receiver = Receiver::start();
    let variables = [("OTEL_SDK_DISABLED", "TRUE")];
    let finished = against(&receiver, "disabled", &variables, || {
        application();
        assert_eq!(fields(), ["baggage", "traceparent", "tracestate"], "these stay");
    });
    quiet(&finished);
    assert_eq!(counts(&receiver), [0, 0, 0]);
    assert!(finished.errors.contains("hello"), "logging goes on: {finished:?}");
}

fn fields() -> Vec<String> {
    let mut fields = global::get_text_map_propagator(|propagator| {
        propagator.fields().map(ToOwned::to_owned).collect::<Vec<_>>()
    });
    fields.sort();
    fields
}

#[test]
fn propagators() {
    let receiver = Receiver::start();
    let variables = [("OTEL_PROPAGATORS", "b3,xray")];
    quiet(&against(&receiver, "propagators", &variables, || {
        application();
        assert_eq!(fields(), ["b3", "x-amzn-trace-id"]);
    }));
}

#[test]
fn the_sampler_and_its_argument() {
    let many = || {
        let _guard = otel_setup::init!();
        for _ in 0..400 {
            drop(tracing::info_span!("work").entered());
        }
    };
    let test = "the_sampler_and_its_argument";
    let kept = |name: &str, ratio: &str| {
        let receiver = Receiver::start();
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", ratio)];
        quiet(&against(&receiver, test, &variables, many));
        receiver.span_names().len()
    };
    assert_eq!(kept("", ""), 400);
    assert_eq!(kept("always_off", ""), 0);
    let some = kept("parentbased_traceidratio", "0.5");
    // Beyond ten standard deviations.
    assert!((100..300).contains(&some), "{some}");
}

#[test]
fn who_it_is() {
    let receiver = Receiver::start();
    let variables = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test"),
    ];
    quiet(&against(&receiver, "who_it_is", &variables, application));
    let resources = [receiver.spans().remove(0).0, receiver.logs().remove(0).0];
    for resource in resources {
        assert_eq!(text(&resource, "service.name"), Some("shop"));
        assert_eq!(text(&resource, "deployment.environment.name"), Some("test"));
        assert_eq!(text(&resource, "service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert!(text(&resource, "host.name").is_some());
        assert!(text(&resource, "service.instance.id").is_some());
    }
}

#[test]
fn the_size_of_a_batch() {
    let receiver = Receiver::start();
    let variables =
        [("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"), ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1")];
    quiet(&against(&receiver, "the_size_of_a_batch", &variables, || {
        let _guard = otel_setup::init!();
        (0..4).for_each(|_| work());
    }));
    assert_eq!(counts(&receiver), [4, 1, 4]);
}

fn waiting() {
    let _guard = otel_setup::init!();
    work();
    // Until the test has seen enough.
    _ = stdin().read_to_end(&mut Vec::new());
}

#[test]
fn delays_and_the_interval() {
    let receiver = Receiver::start();
    let url = receiver.url();
    let variables: Variables<'_> = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_BSP_SCHEDULE_DELAY", &"10"),
        ("OTEL_METRIC_EXPORT_INTERVAL", &"10"),
        ("OTEL_BLRP_SCHEDULE_DELAY", &"10"),
    ];
    let mut child = command("delays_and_the_interval", &variables, waiting);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    until("all three signals", || {
        counts(&receiver).into_iter().all(|count| count > 0).then_some(())
    });
    // The defaults are 5 seconds, a minute and a second.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_temporality_of_metrics() {
    let temporality = |value: &str| {
        let receiver = Receiver::start();
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        quiet(&against(&receiver, "the_temporality_of_metrics", &[(name, value)], application));
        let metric = receiver.metrics().remove(0);
        format!("{:?}", metric.data).contains("aggregation_temporality: Delta")
    };
    assert!(!temporality(""));
    assert!(temporality("delta"));
}

fn large() {
    let _guard = otel_setup::init!();
    let mut span = global::tracer("shop").start("large");
    let attributes = || (0..10).map(|i| KeyValue::new(format!("key{i}"), "0123456789"));
    span.set_attributes(attributes());
    for _ in 0..10 {
        span.add_event("event", attributes().collect());
        let context = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        span.add_link(context, attributes().collect());
    }
    span.end();
}

#[test]
fn limits() {
    let receiver = Receiver::start();
    let variables = [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "4"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7"),
    ];
    quiet(&against(&receiver, "limits", &variables, large));
    let (_, span) = receiver.spans().remove(0);
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (5, 5));
    assert_eq!((span.events.len(), span.dropped_events_count), (4, 6));
    assert_eq!((span.links.len(), span.dropped_links_count), (3, 7));
    assert_eq!(span.events[0].attributes.len(), 2);
    assert_eq!(span.links[0].attributes.len(), 1);
    assert_eq!(text(&span.attributes, "key0"), Some("0123456"));
    assert_eq!(text(&span.events[0].attributes, "key0"), Some("0123456"));
    assert_eq!(text(&span.links[0].attributes, "key0"), Some("0123456"));
}

#[test]
fn general_limits() {
    let receiver = Receiver::start();
    let variables =
        [("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7")];
    quiet(&against(&receiver, "general_limits", &variables, large));
    let (_, span) = receiver.spans().remove(0);
    assert_eq!(span.attributes.len(), 5);
    assert_eq!(text(&span.attributes, "key0"), Some("0123456"));
}

/// Variable, a value that makes no sense, and the default that the warning names.
const BAD: [(&str, &str, &str); 34] = [
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many", "128"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "no limit"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "-1", "30000"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "0", "512"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "0", "2048"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "1s", "1000"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "-1", "30000"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "x", "512"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "2048"),
    ("OTEL_BSP_SCHEDULE_DELAY", "5.5", "5000"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "-1", "128"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli", "none"),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "never", "10000"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both", "cumulative"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "10000"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip", "none"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp", "http/protobuf"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "-1", "128"),
    ("OTEL_LOGS_EXPORTER", "file", "otlp"),
    ("OTEL_METRICS_EXPORTER", "prometheus", "otlp"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "0", "60000"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "soon", "30000"),
    ("OTEL_PROPAGATORS", "jaeger", "tracecontext,baggage"),
    ("OTEL_RESOURCE_ATTRIBUTES", "nonsense", "nothing of it"),
    ("OTEL_SDK_DISABLED", "yes", "false"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "128"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "long", "no limit"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", "128"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1", "128"),
    ("OTEL_TRACES_EXPORTER", "jaeger", "otlp"),
    ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_always_on"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "nowhere", "http://localhost:4318"),
    ("RUST_LOG", "shop=loud", "info"),
];

#[test]
fn a_bad_value_is_one_warning_and_the_default() {
    let receiver = Receiver::start();
    let variables: Vec<_> = BAD.iter().map(|(name, value, _)| (*name, *value)).collect();
    let test = "a_bad_value_is_one_warning_and_the_default";
    let finished = against(&receiver, test, &variables, application);
    let mut warnings: HashMap<&str, &str> = HashMap::new();
    for warning in finished.warnings.iter().filter(|warning| warning.contains('=')) {
        // The default endpoint, at which nobody listens, is told of by another one.
        let Some((name, rest)) = warning.split_once('=') else { continue };
        if !name.contains(' ') {
            assert_eq!(warnings.insert(name, rest), None, "twice: {warning}");
        }
    }
    for (name, value, default) in BAD {
        let warning = warnings.remove(name).unwrap_or_else(|| panic!("{name}: {finished:?}"));
        assert!(warning.starts_with(&format!("{value:?} ")), "{name}: {warning}");
        assert!(warning.ends_with(&format!("; {default} is used")), "{name}: {warning}");
    }
    assert_eq!(warnings, HashMap::new());
    assert_eq!(receiver.span_names(), ["work"]);
    assert_eq!(receiver.log_bodies(), ["hello"]);
}

#[test]
fn a_secret_is_not_in_a_warning() {
    let receiver = Receiver::start();
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=geheim,geheim"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://user:geheim@host"),
    ];
    let test = "a_secret_is_not_in_a_warning";
    let finished = against(&receiver, test, &variables, application);
    assert_eq!(finished.warnings.len(), 3, "{finished:?}");
    assert!(finished.warnings[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS "), "{finished:?}");
    assert!(
        finished.warnings[1].starts_with("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=\"ftp://…@host\""),
        "{finished:?}"
    );
    assert!(!finished.errors.contains("geheim"), "{finished:?}");
    let headers = &receiver.got()[0].headers;
    assert_eq!(headers.get("authorization").unwrap(), "geheim", "the good part is used");
}

#[test]
fn the_word_of_the_argument_of_a_sampler() {
    let receiver = Receiver::start();
    let variables = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "half")];
    let test = "the_word_of_the_argument_of_a_sampler";
    let finished = against(&receiver, test, &variables, application);
    let warning = r#"OTEL_TRACES_SAMPLER_ARG="half" is no number from 0 to 1; 1 is used"#;
    assert_eq!(finished.warnings, [warning]);
    assert_eq!(receiver.span_names(), ["work"]);
}

#[test]
fn a_certificate_that_cannot_be_read() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/proc/self/status"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
    ];
    let all: Variables<'_> =
        variables.iter().map(|(name, value)| (*name, value as &dyn ToString)).collect();
    let finished = run("a_certificate_that_cannot_be_read", &all, application);
    assert!(finished.success, "{finished:?}");
    for name in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
        let start = format!("OTEL_EXPORTER_OTLP_{name}=");
        let told = finished.warnings.iter().filter(|warning| warning.starts_with(&start));
        assert_eq!(told.count(), 1, "{name}: {finished:?}");
    }
}

#[cfg(feature = "aws")]
#[test]
fn metadata_is_not_waited_for_long() {
    let receiver = Receiver::start();
    against(&receiver, "metadata_is_not_waited_for_long", &[], || {
        let start = Instant::now();
        let _guard = otel_setup::builder().cloud_metadata(true).init().unwrap();
        // A second for the metadata, and as much again for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        work();
    });
    assert_eq!(receiver.span_names(), ["work"]);
}

/// The exporters do not send them, and at `debug` their libraries show the URL.
#[test]
fn credentials_in_a_url_are_not_shown_at_any_level() {
    let receiver = Receiver::start();
    let url = format!("http://user:geheim@{}/otlp?key=verraten", receiver.address);
    let wrong = "http://user:ge/heim@host";
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", wrong),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let test = "credentials_in_a_url_are_not_shown_at_any_level";
    let finished = against(&receiver, test, &variables, application);
    let told = |part: &str| finished.warnings.iter().any(|warning| warning.contains(part));
    assert!(told("OTEL_EXPORTER_OTLP_ENDPOINT holds credentials"), "{finished:?}");
    assert!(told("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=\"http://…@host\" is no URL"), "{finished:?}");
    assert!(!told("verraten"), "{finished:?}");
    assert!(receiver.got().iter().any(|got| got.path == "/otlp/v1/traces"), "{finished:?}");
    let variables = [("RUST_LOG", "trace"), variables[0]];
    let finished = against(&receiver, test, &variables, application);
    assert!(!finished.errors.contains("geheim"), "{finished:?}");
    assert!(!finished.errors.contains("heim@"), "{finished:?}");
}

#[test]
fn a_header_that_cannot_be_sent_is_told_of_and_takes_no_other_with_it() {
    let receiver = Receiver::start();
    let test = "a_header_that_cannot_be_sent_is_told_of_and_takes_no_other_with_it";
    let mut variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=geheim%0A,x-tenant=general"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    for protocol in ["http/protobuf", "grpc"] {
        variables[1].1 = protocol;
        let finished = against(&receiver, test, &variables, application);
        assert_eq!(finished.warnings.len(), 1, "{finished:?}");
        assert!(finished.warnings[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS "), "{finished:?}");
        assert!(!finished.errors.contains("geheim"), "{finished:?}");
        for got in receiver.take() {
            assert_eq!(got.headers.get("x-tenant").unwrap(), "general", "{protocol}");
            assert_eq!(got.headers.get("authorization"), None, "{protocol}");
        }
    }
}

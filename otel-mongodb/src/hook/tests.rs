//! The events of several nodes, in each order that they may come in.

use mongodb::bson::doc;
use mongodb::event::cmap::{
    ConnectionCheckedInEvent, ConnectionCheckedOutEvent, ConnectionCheckoutFailedEvent,
    ConnectionClosedEvent, ConnectionReadyEvent, PoolClosedEvent, PoolCreatedEvent,
};
use otel_core::opentelemetry::trace::Tracer as _;
use otel_testing::assert::ExpectedSpan;
use otel_testing::{Capture, metric, point, span};
use serde_json::json;

use super::*;

const TOOK: Duration = Duration::from_millis(1500);

fn address(host: &str) -> ServerAddress {
    ServerAddress::Tcp { host: host.into(), port: Some(27018) }
}

fn key(host: &str, connection: u32) -> Key<u32> {
    (address(host), connection)
}

fn start(hook: &Hook, host: &str, connection: u32, body: &Document) {
    let name = body.keys().next().unwrap();
    hook.started(key(host, connection), Command { name, database: "shop", body });
}

fn succeed(hook: &Hook, host: &str, connection: u32, command: &str, reply: &Document) {
    hook.succeeded(&key(host, connection), command, TOOK, reply);
}

fn expected(host: &'static str, command: &'static str) -> ExpectedSpan {
    span(format!("{command} users"))
        .client()
        .attribute("db.system.name", "mongodb")
        .attribute("db.namespace", "shop")
        .attribute("db.operation.name", command)
        .attribute("db.collection.name", "users")
        .attribute("server.address", host)
        .attribute("server.port", 27018)
}

/// The events of connections can be read, all but their addresses and durations.
fn event<T: serde::de::DeserializeOwned>(event: serde_json::Value) -> T {
    serde_json::from_value(event).unwrap()
}

macro_rules! told {
    ($hook:expr, $event:ident, $json:expr $(, $field:ident = $value:expr)*) => {{
        let mut event: $event = event($json);
        event.address = address("a.example");
        $(event.$field = $value;)*
        $hook.connection(&event.into());
    }};
}

/// Ids of connections are counted per node.
#[test]
fn two_nodes_have_connections_of_one_id() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    start(&hook, "b.example", 1, &doc! { "insert": "users" });
    succeed(&hook, "b.example", 1, "insert", &doc! { "writeErrors": [{ "code": 11000 }] });
    succeed(&hook, "a.example", 1, "find", &doc! { "cursor": { "firstBatch": [], "id": 0_i64 } });
    let failed = expected("b.example", "insert")
        .attribute("error.type", "11000")
        .attribute("db.response.status_code", "11000")
        .error("");
    capture.assert_spans([failed, expected("a.example", "find")]);
    assert!(hook.running.is_empty());
}

/// The driver's own time: what it copies for us is not the server's.
#[test]
fn a_command_lasts_as_long_as_the_driver_says() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    succeed(&hook, "a.example", 1, "find", &doc! {});
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    hook.failed(
        &key("a.example", 1),
        TOOK,
        &std::io::Error::from(std::io::ErrorKind::BrokenPipe).into(),
    );
    for span in capture.spans() {
        let lasted = span.end_time.duration_since(span.start_time).unwrap();
        assert!(lasted >= TOOK && lasted < 2 * TOOK, "{lasted:?}");
    }
    let failed = expected("a.example", "find").attribute("error.type", "BrokenPipe").error("");
    capture.assert_spans([expected("a.example", "find"), failed]);
}

#[test]
fn what_never_ends_ends_with_its_connection() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    for connection in [1, 2, 3] {
        start(&hook, "a.example", connection, &doc! { "find": "users" });
    }
    told!(hook, ConnectionCheckedInEvent, json!({ "connectionId": 1 }));
    told!(hook, ConnectionClosedEvent, json!({ "connectionId": 2, "reason": "dropped" }));
    // Its connection runs another one.
    start(&hook, "a.example", 3, &doc! { "count": "users" });
    succeed(&hook, "a.example", 3, "count", &doc! {});
    let cancelled = expected("a.example", "find").attribute("error.type", "cancelled").error("");
    let cancelled = [cancelled.clone(), cancelled.clone(), cancelled];
    capture.assert_spans(cancelled.into_iter().chain([expected("a.example", "count")]));
    // Nobody knows of them any more.
    succeed(&hook, "a.example", 3, "count", &doc! {});
    hook.left(&key("a.example", 9));
    assert_eq!(capture.spans().len(), 4);
}

#[test]
fn a_cursor_that_nobody_awaits_belongs_to_what_opened_it() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    let more = |id: i64| doc! { "cursor": { "nextBatch": [{}], "id": id } };
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    succeed(&hook, "a.example", 1, "find", &doc! { "cursor": { "firstBatch": [{}], "id": 7_i64 } });
    let find = capture.spans()[0].span_context.clone();
    let get_more = doc! { "getMore": 7_i64, "collection": "users" };
    start(&hook, "a.example", 1, &get_more);
    succeed(&hook, "a.example", 1, "getMore", &more(7));
    // Below a span of the caller's own it is that one's, as the find is.
    capture.tracer("caller").in_span("request", |_| {
        start(&hook, "a.example", 1, &get_more);
        succeed(&hook, "a.example", 1, "getMore", &more(7));
    });
    let request = capture.spans_named("request")[0].span_context.clone();
    // A cursor of the same number on another node is another one.
    start(&hook, "b.example", 1, &get_more);
    succeed(&hook, "b.example", 1, "getMore", &more(7));
    let kill = doc! { "killCursors": "users", "cursors": [7_i64] };
    start(&hook, "a.example", 1, &kill);
    succeed(&hook, "a.example", 1, "killCursors", &doc! {});
    // It is no more.
    start(&hook, "a.example", 1, &kill);
    succeed(&hook, "a.example", 1, "killCursors", &doc! {});
    capture.assert_spans([
        expected("a.example", "find"),
        expected("a.example", "getMore").child_of(find.clone()),
        expected("a.example", "getMore").child_of(request),
        span("request"),
        expected("b.example", "getMore"),
        expected("a.example", "killCursors").child_of(find),
        expected("a.example", "killCursors"),
    ]);
    assert!(hook.cursors.is_empty());
}

#[test]
fn a_cursor_below_nothing_has_no_span_where_a_parent_is_required() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry_builder().require_parent(true).build());
    let get_more = doc! { "getMore": 7_i64, "collection": "users" };
    let open = doc! { "cursor": { "firstBatch": [{}], "id": 7_i64 } };
    let last = doc! { "cursor": { "nextBatch": [], "id": 0_i64 } };
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    succeed(&hook, "a.example", 1, "find", &open);
    start(&hook, "a.example", 1, &get_more);
    succeed(&hook, "a.example", 1, "getMore", &last);
    capture.assert_no_spans();
    capture.tracer("caller").in_span("request", |_| {
        start(&hook, "a.example", 1, &doc! { "find": "users" });
        succeed(&hook, "a.example", 1, "find", &open);
    });
    let find = capture.spans_named("find users")[0].span_context.clone();
    start(&hook, "a.example", 1, &get_more);
    succeed(&hook, "a.example", 1, "getMore", &last);
    let request = capture.spans_named("request")[0].span_context.clone();
    capture.assert_spans([
        expected("a.example", "find").child_of(request),
        span("request"),
        expected("a.example", "getMore").child_of(find),
    ]);
}

#[test]
fn several_documents_are_a_batch_by_itself() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    start(&hook, "a.example", 1, &doc! { "insert": "users", "documents": [{}, {}, {}] });
    succeed(&hook, "a.example", 1, "insert", &doc! {});
    capture.assert_spans([expected("a.example", "insert").attribute("db.operation.batch.size", 3)]);
}

#[test]
fn returned_documents_are_measured_and_told_where_asked_for() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry_builder().returned_rows(true).build());
    let reply = doc! { "cursor": { "firstBatch": [{}, {}, {}], "id": 0_i64 } };
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    succeed(&hook, "a.example", 1, "find", &reply);
    capture.assert_spans([expected("a.example", "find").attribute("db.response.returned_rows", 3)]);
    let rows = capture.assert_metric("db.client.response.returned_rows");
    assert!((rows.points[0].sum() - 3.0).abs() < 0.1, "{rows:?}");
}

#[test]
fn a_text_is_there_where_one_is_asked_for() {
    use otel_core::QueryText;
    let find = doc! { "find": "users", "filter": { "name": "secret" } };
    let text = r#"{"find": "users", "filter": {"name": "?"}}"#;
    for (wanted, expected) in [
        (QueryText::Auto, None),
        (QueryText::Off, None),
        (QueryText::Sanitized, Some(text)),
        (QueryText::Verbatim, Some(text)),
    ] {
        let capture = Capture::new();
        let hook = Hook::new(&capture.telemetry_builder().query_text(wanted).build());
        start(&hook, "a.example", 1, &find);
        succeed(&hook, "a.example", 1, "find", &doc! {});
        // Redacted by the driver.
        hook.started(
            key("a.example", 1),
            Command { name: "saslStart", database: "admin", body: &doc! {} },
        );
        succeed(&hook, "a.example", 1, "saslStart", &doc! {});
        let spans = capture.spans();
        let told = |at: usize| {
            let mut facts = spans[at].attributes.iter();
            facts
                .find(|fact| fact.key.as_str() == "db.query.text")
                .map(|fact| fact.value.to_string())
        };
        assert_eq!((told(0).as_deref(), told(1)), (expected, None), "{wanted:?}");
    }
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().query_text(QueryText::Sanitized);
    let hook = Hook::new(&telemetry.query_text_max_length(17).build());
    start(&hook, "a.example", 1, &find);
    succeed(&hook, "a.example", 1, "find", &doc! {});
    capture.assert_spans([
        expected("a.example", "find").attribute("db.query.text", r#"{"find": "users","#)
    ]);
}

/// Of a command and a reply that are not as they should be, something is told, and nothing breaks.
#[test]
fn hostile_commands_and_replies() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    let long = "x".repeat(1 << 20);
    let bodies = [
        doc! { "find": long.as_str() },
        doc! { long.as_str(): "users" },
        doc! { "find": "" },
        doc! { "find": "\u{0}\n?" },
        doc! { "bulkWrite": 1, "nsInfo": [{ "ns": "none" }], "ops": [] },
        doc! { "getMore": i64::MIN, "collection": 7 },
    ];
    let replies = [
        doc! {},
        doc! { "cursor": 7, "writeErrors": "secret", "writeConcernError": [] },
        doc! { "cursor": { "id": i64::MAX, "firstBatch": 7 }, "writeErrors": [{ "code": {} }] },
        doc! { "cursor": { "id": "7", "nextBatch": [[[]]] } },
    ];
    for body in &bodies {
        for reply in &replies {
            start(&hook, "a.example", 1, body);
            succeed(&hook, "a.example", 1, body.keys().next().unwrap(), reply);
        }
    }
    assert_eq!(capture.spans().len(), bodies.len() * replies.len());
    assert!(hook.running.is_empty());
}

#[test]
fn nobody_listens() {
    let hook = Hook::new(&Telemetry::builder().build());
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    assert!(hook.running.is_empty() && hook.nodes.read().unwrap().is_empty());
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    let suppressed = Context::new().with_telemetry_suppressed().attach();
    start(&hook, "a.example", 1, &doc! { "find": "users" });
    drop(suppressed);
    succeed(&hook, "a.example", 1, "find", &doc! {});
    capture.assert_silent();
}

fn connections(capture: &Capture, idle: i32, used: i32) {
    let point = |state: &'static str, count: i32| {
        point()
            .attribute("db.client.connection.pool.name", "a.example:27018")
            .attribute("db.client.connection.state", state)
            .value(count)
    };
    capture.assert_metric(
        metric("db.client.connection.count").points([point("idle", idle), point("used", used)]),
    );
}

#[test]
fn the_connections_of_a_pool_are_counted() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    let named = || point().attribute("db.client.connection.pool.name", "a.example:27018");
    let one = |id: u32| json!({ "connectionId": id });
    told!(hook, PoolCreatedEvent, json!({ "options": { "maxPoolSize": 7, "minPoolSize": 2 } }));
    connections(&capture, 0, 0);
    for id in [1, 2, 3] {
        told!(hook, ConnectionReadyEvent, one(id), duration = TOOK);
    }
    told!(hook, ConnectionCheckedOutEvent, one(1), duration = TOOK);
    told!(hook, ConnectionCheckedOutEvent, one(2), duration = TOOK);
    connections(&capture, 1, 2);
    told!(hook, ConnectionCheckedInEvent, one(1));
    connections(&capture, 2, 1);
    // One that is in use, one that is not, and one that was never ready.
    for id in [2, 3, 4] {
        told!(hook, ConnectionClosedEvent, json!({ "connectionId": id, "reason": "error" }));
    }
    connections(&capture, 1, 0);
    let timeout = json!({ "reason": "timeout" });
    told!(hook, ConnectionCheckoutFailedEvent, timeout, duration = TOOK);
    let other = json!({ "reason": "connectionError" });
    told!(hook, ConnectionCheckoutFailedEvent, other, duration = TOOK);
    for (name, value) in [("max", 7), ("idle.min", 2), ("timeouts", 1)] {
        let name = format!("db.client.connection.{name}");
        capture.assert_metric(metric(name).point(named().value(value)));
    }
    for (name, count) in [("create_time", 3), ("wait_time", 2), ("use_time", 2)] {
        let name = format!("db.client.connection.{name}");
        capture.assert_metric(metric(name).histogram().unit("s").point(named().count(count)));
    }
    // Nobody learns of a request that is given up, so that a number would be wrong soon.
    capture.assert_no_metric("db.client.connection.pending_requests");
    capture.assert_no_metric("db.client.connection.idle.max");
    told!(hook, PoolClosedEvent, json!({}));
    capture.assert_no_metric("db.client.connection.count");
    assert!(hook.nodes.read().unwrap().is_empty());
}

#[test]
fn a_pool_of_which_nothing_is_said_has_the_drivers_size() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    told!(hook, PoolCreatedEvent, json!({}));
    let named = point().attribute("db.client.connection.pool.name", "a.example:27018");
    capture.assert_metric(metric("db.client.connection.max").point(named.value(10)));
    capture.assert_no_metric("db.client.connection.idle.min");
}

/// A node left and came back before its old pool had ended.
#[test]
fn the_end_of_an_old_pool_is_not_that_of_the_new_one() {
    let capture = Capture::new();
    let hook = Hook::new(&capture.telemetry());
    told!(hook, PoolCreatedEvent, json!({}));
    told!(hook, PoolCreatedEvent, json!({}));
    told!(hook, PoolClosedEvent, json!({}));
    told!(hook, ConnectionReadyEvent, json!({ "connectionId": 1 }));
    let count = capture.assert_metric("db.client.connection.count");
    let open: f64 = count.points.iter().map(otel_testing::Point::sum).sum();
    assert!((open - 1.0).abs() < 0.1, "{count:?}");
    told!(hook, PoolClosedEvent, json!({}));
    // One that was not known.
    told!(hook, PoolClosedEvent, json!({}));
    told!(hook, ConnectionReadyEvent, json!({ "connectionId": 1 }));
    capture.assert_no_metric("db.client.connection.count");
}

//! What the conventions make of a server and a call: exact names and attribute sets, as a table.

mod support;

use otel_core::{Db, DbCall, DbServer, Failure, QueryText};
use otel_testing::{Capture, metric, point, span};
use support::{SELECT, SERVER, Stub, StubError, db, select};

#[test]
fn span_names() {
    let bare = || DbServer::new("postgresql");
    let namespace = || bare().namespace("shop");
    let address = || bare().address("db.example", Some(5433));
    let call = DbCall::new;
    let cases: Vec<(DbServer, DbCall<'_>, &str)> = vec![
        (support::server(), select(), "SELECT users"),
        (namespace(), call().summary("get user by id"), "get user by id"),
        (namespace(), call().operation("COMMIT"), "COMMIT shop"),
        (namespace(), call().operation("INSERT").collection("users"), "INSERT users"),
        (namespace(), call().operation("EXEC").stored_procedure("pay"), "EXEC pay"),
        (namespace(), call().operation("GET").namespace("3"), "GET 3"),
        (address(), call().operation("PING"), "PING db.example:5433"),
        (bare().address("/run/db", None), call().operation("PING"), "PING /run/db"),
        (bare(), call().operation("COMMIT"), "COMMIT"),
        (namespace(), call().collection("users"), "users"),
        (namespace(), call(), "shop"),
        (bare(), call(), "postgresql"),
        (bare(), DbCall::statement("?!", true), "postgresql"),
        (bare(), DbCall::statement(SELECT, true).prefix("PREPARE"), "PREPARE SELECT users"),
    ];
    for (server, call, name) in cases {
        let capture = Capture::new();
        Db::<Stub>::new(&capture.telemetry(), server).start(|| call).finish();
        assert_eq!(capture.spans()[0].name, name);
    }
}

#[test]
fn a_default_port_is_left_out_and_another_is_told() {
    let ports = [
        ("postgresql", 5432),
        ("mysql", 3306),
        ("mariadb", 3306),
        ("mongodb", 27017),
        ("redis", 6379),
    ];
    for (system, default) in ports {
        for (port, told) in [(default, false), (default + 1, true)] {
            let capture = Capture::new();
            let server = DbServer::new(system).address("db.example", Some(port));
            Db::<Stub>::new(&capture.telemetry(), server).start(DbCall::new).finish();
            let spans = capture.spans();
            let is_told = spans[0].attributes.iter().any(|fact| fact.key.as_str() == "server.port");
            assert_eq!(is_told, told, "{system} {port}");
        }
    }
}

#[test]
fn a_batch_of_one_is_no_batch() {
    for (size, told) in [(0, Some("0")), (1, None), (2, Some("2"))] {
        let capture = Capture::new();
        db(&capture.telemetry()).start(|| select().batch(size)).finish();
        let spans = capture.spans();
        let mut facts = spans[0].attributes.iter();
        let batch = facts.find(|fact| fact.key.as_str() == "db.operation.batch.size");
        assert_eq!(batch.map(|fact| fact.value.as_str().into_owned()).as_deref(), told);
    }
}

#[test]
fn a_failure_is_the_same_on_span_and_point() {
    let capture = Capture::new();
    db(&capture.telemetry()).start(select).fail(&StubError("23505"));
    capture.assert_spans([span("SELECT users")
        .client()
        .root()
        .attributes(SERVER)
        .attribute("server.port", 5433)
        .attribute("db.query.summary", "SELECT users")
        .attribute("db.query.text", SELECT)
        .attribute("error.type", "23505")
        .attribute("db.response.status_code", "23505")
        .error("")
        .scope("otel-stub")
        .scope_version("otel-stub", "1.2.3")]);
    let measured = capture.assert_metric(
        metric("db.client.operation.duration")
            .histogram()
            .unit("s")
            .scope("otel-stub")
            .bounds([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0])
            .point(
                point()
                    .count(1)
                    .attributes(SERVER)
                    .attribute("server.port", 5433)
                    .attribute("db.query.summary", "SELECT users")
                    .attribute("error.type", "23505")
                    .attribute("db.response.status_code", "23505"),
            ),
    );
    let spans = capture.spans();
    let took = spans[0].end_time.duration_since(spans[0].start_time).unwrap();
    let difference = (measured.points[0].sum() - took.as_secs_f64()).abs();
    assert!(difference < 1e-9, "one duration: {took:?}, {measured:?}");
}

#[test]
fn a_failure_with_a_description_and_a_code_of_its_own() {
    let capture = Capture::new();
    let failure = Failure::new("Conflict").status_code("409").description("version conflict");
    db(&capture.telemetry()).start(DbCall::new).fail_with(failure);
    capture.assert_spans([span("shop")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 5433)
        .attribute("error.type", "Conflict")
        .attribute("db.response.status_code", "409")
        .error("version conflict")]);
}

#[test]
fn query_text_by_option() {
    const LITERAL: &str = "SELECT name FROM users WHERE id = 7 /* by Ada */";
    let cases = [
        (QueryText::Auto, false, Some("SELECT name FROM users WHERE id = ? ")),
        (QueryText::Auto, true, Some("SELECT name FROM users WHERE id = 7 ")),
        (QueryText::Sanitized, true, Some("SELECT name FROM users WHERE id = ? ")),
        (QueryText::Verbatim, false, Some(LITERAL)),
        (QueryText::Off, false, None),
    ];
    for (option, parameterized, text) in cases {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().query_text(option).build();
        let db = db(&telemetry);
        // The third time the text comes from the cache.
        for _ in 0..3 {
            db.start(|| DbCall::statement(LITERAL, parameterized)).finish();
        }
        for span in capture.spans() {
            let mut facts = span.attributes.iter();
            let shown = facts.find(|fact| fact.key.as_str() == "db.query.text");
            assert_eq!(shown.map(|fact| fact.value.as_str().into_owned()).as_deref(), text);
            assert_eq!(span.name, "SELECT users");
        }
    }
}

#[test]
fn a_text_that_cannot_be_analysed_is_left_out() {
    let capture = Capture::new();
    let unclosed = "SELECT name FROM users WHERE name = 'Ada";
    db(&capture.telemetry()).start(|| DbCall::statement(unclosed, false)).finish();
    let spans = capture.spans();
    assert_eq!(spans[0].name, "SELECT users");
    assert!(!format!("{spans:?}").contains("Ada"));
    assert!(!spans[0].attributes.iter().any(|fact| fact.key.as_str() == "db.query.text"));
}

#[test]
fn the_users_own_summary_wins() {
    let capture = Capture::new();
    let hook = |text: &str| text.contains("users").then_some("users by id".into());
    let telemetry = capture.telemetry_builder().query_summary(hook).build();
    db(&telemetry).start(select).finish();
    db(&telemetry).start(|| DbCall::statement("SELECT 1", false)).finish();
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.clone()).collect();
    assert_eq!(names, ["users by id", "SELECT"]);
}

/// The cache keeps the literal form and the parameterized form of one text apart.
#[test]
fn one_text_bound_and_unbound() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    for parameterized in [true, false].repeat(3) {
        db.start(|| DbCall::statement("SELECT 7", parameterized)).finish();
    }
    let texts: Vec<_> = capture
        .spans()
        .iter()
        .flat_map(|span| span.attributes.clone())
        .filter(|fact| fact.key.as_str() == "db.query.text")
        .map(|fact| fact.value.as_str().into_owned())
        .collect();
    assert_eq!(texts, ["SELECT 7", "SELECT ?"].repeat(3));
}

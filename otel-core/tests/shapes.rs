//! The shapes of drivers that come, one small adapter each: the core carries them as it is.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _, Tracer as _};
use otel_core::db::fact;
use otel_core::db::pool::PoolState;
use otel_core::{Db, DbCall, DbOperation, DbServer, Failure, Pending, QueryText, Telemetry};
use otel_testing::{Capture, metric, point, span};
use support::{Stub, StubError};

/// Events on other threads, keyed by an id, that may never finish: a driver that tells of its
/// commands by callbacks.
mod events {
    use super::*;

    pub(super) enum Event {
        Started { id: u32, command: &'static str },
        Failed { id: u32, code: &'static str },
        Succeeded { id: u32 },
    }

    pub(super) struct Listener {
        db: Db<Stub>,
        running: Pending<u32, DbOperation<Stub>>,
    }

    impl Listener {
        pub(super) fn new(telemetry: &Telemetry, capacity: usize) -> Self {
            let server = DbServer::new("mongodb").namespace("shop");
            Self { db: Db::new(telemetry, server), running: Pending::new(capacity) }
        }

        pub(super) fn hear(&self, event: &Event, caller: &Context) {
            match *event {
                Event::Started { id, command } => {
                    let describe = || DbCall::new().operation(command).collection("orders");
                    self.running.insert(id, self.db.start_in(caller, describe));
                }
                Event::Failed { id, code } => {
                    if let Some(operation) = self.running.take(&id) {
                        operation.fail(&StubError(code));
                    }
                }
                Event::Succeeded { id } => {
                    self.running.take(&id).into_iter().for_each(DbOperation::finish);
                }
            }
        }
    }
}

#[test]
fn events_on_other_threads_that_may_never_finish() {
    use events::{Event, Listener};
    let capture = Capture::new();
    let listener = Arc::new(Listener::new(&capture.telemetry(), 2));
    let (events, heard) = mpsc::channel::<(Event, Context)>();
    let thread = thread::spawn({
        let listener = Arc::clone(&listener);
        move || heard.iter().for_each(|(event, caller)| listener.hear(&event, &caller))
    });
    capture.tracer("application").in_span("request", |caller| {
        for event in [
            Event::Started { id: 1, command: "find" },
            Event::Started { id: 2, command: "insert" },
            Event::Succeeded { id: 1 },
            Event::Failed { id: 2, code: "11000" },
            Event::Started { id: 3, command: "ping" },
            Event::Started { id: 4, command: "count" },
            Event::Started { id: 5, command: "find" },
            Event::Succeeded { id: 3 },
        ] {
            events.send((event, caller.clone())).unwrap();
        }
    });
    drop(events);
    thread.join().unwrap();
    drop(listener);
    let mut ended: Vec<_> = capture
        .spans()
        .iter()
        .filter(|span| span.name != "request")
        .map(|span| {
            let request = &capture.spans_named("request")[0];
            assert_eq!(span.parent_span_id, request.span_context.span_id());
            let mut facts = span.attributes.iter();
            let error = facts.find(|fact| fact.key.as_str() == "error.type");
            format!("{} {}", span.name, error.map_or("-".into(), |fact| fact.value.as_str()))
        })
        .collect();
    ended.sort();
    let expected = [
        "count orders cancelled",
        "find orders -",
        "find orders cancelled",
        "insert orders 11000",
        "ping orders cancelled",
    ];
    assert_eq!(ended, expected);
}

/// A client that blocks the thread.
#[test]
fn a_blocking_client() {
    let capture = Capture::new();
    let db = support::db(&capture.telemetry());
    let seen = db
        .start(|| DbCall::new().operation("GET"))
        .call(|| Ok::<_, StubError>(Context::current().span().span_context().span_id()));
    let failed =
        db.start(|| DbCall::new().operation("SET")).call(|| Err::<(), _>(StubError("OOM")));
    assert_eq!(failed, Err(StubError("OOM")));
    let spans = capture.spans();
    assert_eq!(spans[0].span_context.span_id(), seen.unwrap());
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["GET shop", "SET shop"]);
}

/// Pages that arrive on a worker, and a pager that is neither a future nor a stream.
mod pages {
    use super::*;

    pub(super) struct Pager {
        pages: mpsc::Receiver<Result<Vec<u32>, StubError>>,
        page: std::vec::IntoIter<u32>,
        rows: u64,
        operation: Option<DbOperation<Stub>>,
    }

    impl Pager {
        pub(super) fn start(db: &Db<Stub>, answers: Vec<Result<Vec<u32>, StubError>>) -> Self {
            // Captured where the call is made: the worker has no context of its own.
            let operation = db.start(|| DbCall::statement("SELECT id FROM users", true));
            let (worker, pages) = mpsc::channel();
            let context = operation.context();
            thread::spawn(move || {
                let _below = context.attach();
                for page in answers {
                    drop(worker.send(page));
                }
            });
            Self { pages, page: Vec::new().into_iter(), rows: 0, operation: Some(operation) }
        }

        pub(super) fn next(&mut self) -> Option<Result<u32, StubError>> {
            loop {
                if let Some(row) = self.page.next() {
                    self.rows += 1;
                    return Some(Ok(row));
                }
                match self.pages.recv() {
                    Ok(Ok(page)) => self.page = page.into_iter(),
                    Ok(Err(error)) => {
                        self.operation.take()?.fail(&error);
                        return Some(Err(error));
                    }
                    Err(_) => {
                        let mut operation = self.operation.take()?;
                        operation.rows(self.rows);
                        operation.finish();
                        return None;
                    }
                }
            }
        }
    }
}

#[test]
fn pages_that_arrive_on_a_worker() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().returned_rows(true).build();
    let db = support::db(&telemetry);
    let mut pager = pages::Pager::start(&db, vec![Ok(vec![1, 2]), Ok(vec![]), Ok(vec![3])]);
    let rows: Vec<_> = std::iter::from_fn(|| pager.next()).map(Result::unwrap).collect();
    assert_eq!(rows, [1, 2, 3]);
    let mut pager = pages::Pager::start(&db, vec![Ok(vec![1]), Err(StubError("1200"))]);
    assert_eq!(pager.next(), Some(Ok(1)));
    assert_eq!(pager.next(), Some(Err(StubError("1200"))));
    assert_eq!(pager.next(), None);
    let expected = || {
        span("SELECT users")
            .client()
            .attributes(support::SERVER)
            .attribute("server.port", 5433)
            .attribute("db.query.summary", "SELECT users")
            .attribute("db.query.text", "SELECT id FROM users")
    };
    capture.assert_spans([
        expected().attribute("db.response.returned_rows", 3),
        expected()
            .attribute("error.type", "1200")
            .attribute("db.response.status_code", "1200")
            .error(""),
    ]);
}

/// An `Ok` that is a failure: an HTTP answer of 404, a batch that succeeded in part.
#[tokio::test]
async fn an_ok_that_is_a_failure() {
    let capture = Capture::new();
    let db = support::db(&capture.telemetry());
    let get = |status: u16| {
        db.run_with(
            (),
            |()| DbCall::new().operation("get").collection("users"),
            move |(), _| std::future::ready(Ok::<_, StubError>(status)),
            |status, operation: &mut DbOperation<Stub>| {
                if *status >= 400 {
                    operation.failed(Failure::code(status.to_string()));
                }
            },
        )
    };
    assert_eq!(get(200).await, Ok(200));
    assert_eq!(get(404).await, Ok(404));
    let expected = || {
        span("get users")
            .client()
            .attributes(support::SERVER)
            .attribute("server.port", 5433)
            .attribute("db.collection.name", "users")
            .attribute("db.operation.name", "get")
    };
    capture.assert_spans([
        expected(),
        expected()
            .attribute("error.type", "404")
            .attribute("db.response.status_code", "404")
            .error(""),
    ]);
}

/// A server that is known only after the call, and a node that changes with a retry.
#[tokio::test]
async fn a_server_that_is_known_only_after_the_call() {
    let capture = Capture::new();
    let db = Db::<Stub>::new(&capture.telemetry(), DbServer::new("cassandra"));
    let call = db.run_with(
        (),
        |()| DbCall::new().operation("SELECT").collection("users"),
        |(), _| std::future::ready(Ok::<_, StubError>(())),
        |(), operation: &mut DbOperation<Stub>| {
            operation.server("seed.example", Some(9042));
            operation.server("node.example", Some(9043));
            operation.peer("10.0.0.1", Some(9042));
            operation.peer("10.0.0.2", Some(9042));
        },
    );
    call.await.unwrap();
    let facts = [
        ("db.system.name", "cassandra"),
        ("db.collection.name", "users"),
        ("db.operation.name", "SELECT"),
        ("server.address", "node.example"),
        ("network.peer.address", "10.0.0.2"),
    ];
    let ports = [("server.port", 9043), ("network.peer.port", 9042)];
    capture.assert_spans([span("SELECT users").client().attributes(facts).attributes(ports)]);
    capture.assert_metric(
        metric("db.client.operation.duration")
            .point(point().count(1).attributes(facts).attributes(ports)),
    );
}

/// A server that was configured stays: the conventions want the logical host.
#[test]
fn a_configured_server_is_not_replaced() {
    let capture = Capture::new();
    let mut operation = support::db(&capture.telemetry()).start(DbCall::new);
    operation.server("node.example", Some(1));
    operation.finish();
    capture.assert_spans([span("shop")
        .client()
        .attributes(support::SERVER)
        .attribute("server.port", 5433)]);
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, StubError>> + Send>>;

/// A trait of a driver whose futures are boxed.
fn boxed(db: &Db<Stub>, driver: fn() -> Boxed<u8>) -> Boxed<u8> {
    if db.is_off() {
        return driver();
    }
    Box::pin(db.run((), |()| DbCall::new().operation("GET"), move |()| driver()))
}

#[test]
fn a_boxed_future_is_passed_through_when_off() {
    // A future of no size needs no allocation, so that any would be the instrumentation's.
    let driver: fn() -> Boxed<u8> = || Box::pin(std::future::ready(Ok(7)));
    let bare = allocation_counter::measure(|| drop(driver())).count_total;
    let off = support::db(&Telemetry::builder().enabled(false).build());
    let call = || {
        let mut future = pin!(boxed(&off, driver));
        assert_eq!(support::poll_once(future.as_mut()), Poll::Ready(Ok(7)));
    };
    call();
    assert_eq!(allocation_counter::measure(call).count_total, bare);

    let capture = Capture::new();
    let on = support::db(&capture.telemetry());
    let mut future = pin!(boxed(&on, driver));
    assert_eq!(support::poll_once(future.as_mut()), Poll::Ready(Ok(7)));
    assert_eq!(capture.spans().len(), 1);
}

/// A driver that tells of a call only when it is over.
#[test]
fn a_call_that_is_told_of_afterwards() {
    let capture = Capture::new();
    let db = support::db(&capture.telemetry());
    let took = Duration::from_millis(1500);
    let result = Err::<(), _>(StubError("57014"));
    db.record(&Context::new(), took, &result, support::select);
    let spans = capture.spans();
    assert_eq!(spans[0].end_time.duration_since(spans[0].start_time).unwrap(), took);
    let measured = capture.metrics();
    let duration = measured.iter().find(|metric| metric.name == "db.client.operation.duration");
    assert!((duration.unwrap().points[0].sum() - 1.5).abs() < 1e-9);
}

/// A fact that is known at the start, and others that only the answer tells.
#[tokio::test]
async fn facts_of_an_answer() {
    let capture = Capture::new();
    let db = Db::<Stub>::new(&capture.telemetry(), DbServer::new("cassandra"));
    let call = db.run_with(
        (),
        |()| {
            let call = DbCall::new().operation("SELECT").collection("users");
            call.with(fact::CASSANDRA_CONSISTENCY_LEVEL, "local_quorum")
        },
        |(), _| std::future::ready(Ok::<_, StubError>(())),
        |(), operation: &mut DbOperation<Stub>| {
            operation.learn(fact::CASSANDRA_COORDINATOR_DC, "east");
            operation.learn(fact::CASSANDRA_COORDINATOR_DC, "west");
            operation.learn(fact::CASSANDRA_SPECULATIVE_EXECUTION_COUNT, 1);
            operation.learn(fact::Fact::<bool>::new("acme.cached"), true);
        },
    );
    call.await.unwrap();
    let facts = [
        ("db.system.name", "cassandra"),
        ("db.collection.name", "users"),
        ("db.operation.name", "SELECT"),
    ];
    capture.assert_spans([span("SELECT users")
        .client()
        .attributes(facts)
        .attribute("cassandra.consistency.level", "local_quorum")
        .attribute("cassandra.coordinator.dc", "west")
        .attribute("cassandra.speculative_execution.count", 1)
        .attribute("acme.cached", true)]);
    // None of them is on points: each would multiply the series.
    capture.assert_metric(
        metric("db.client.operation.duration").point(point().count(1).attributes(facts)),
    );
}

/// A system that answers with a code in any case.
#[test]
fn the_code_of_a_success() {
    let capture = Capture::new();
    let db = Db::<Stub>::new(&capture.telemetry(), DbServer::new("elasticsearch"));
    let call = || DbCall::new().operation("search");
    let mut found = db.start(call);
    found.status_code("200");
    found.finish();
    let mut failed = db.start(call);
    failed.status_code("200");
    failed.fail(&StubError("503"));
    // The answer came, and its body could not be read.
    let mut unread = db.start(call);
    unread.status_code("200");
    unread.fail_with(Failure::new("Json"));
    let facts = [("db.system.name", "elasticsearch"), ("db.operation.name", "search")];
    let code = "db.response.status_code";
    let told = || span("search").client().attributes(facts);
    capture.assert_spans([
        told().attribute(code, "200"),
        told().attribute(code, "503").attribute("error.type", "503").error(""),
        told().attribute(code, "200").attribute("error.type", "Json").error(""),
    ]);
    let measured = || point().count(1).attributes(facts);
    capture.assert_metric(
        metric("db.client.operation.duration")
            .point(measured().attribute(code, "200"))
            .point(measured().attribute(code, "503").attribute("error.type", "503"))
            .point(measured().attribute(code, "200").attribute("error.type", "Json")),
    );
}

/// A driver that picks a node for each call, and says which before it sends.
#[test]
fn one_client_and_many_servers() {
    let capture = Capture::new();
    let telemetry =
        capture.telemetry_builder().span_filter(|name| name != "ping b.example:27017").build();
    let seeds = Db::<Stub>::new(&telemetry, DbServer::new("mongodb"));
    let node = |host| seeds.with_server(DbServer::new("mongodb").address(host, Some(27017)));
    let nodes = [node("a.example"), node("b.example")];
    for _ in 0..3 {
        for node in &nodes {
            node.start(|| DbCall::new().operation("find").collection("orders")).finish();
            node.start(|| DbCall::new().operation("ping")).finish();
        }
    }
    let finds = capture.spans_named("find orders");
    let hosts: Vec<_> = finds.iter().map(|span| support::value(span, "server.address")).collect();
    assert_eq!(hosts, ["a.example", "b.example"].repeat(3));
    // The server is known when the span starts: a filter sees it.
    assert_eq!(capture.spans_named("ping a.example:27017").len(), 3);
    assert_eq!(capture.spans_named("ping b.example:27017").len(), 0);
    // One scope, one set of instruments, one cache.
    let measured = |host, operation| {
        let facts = [("db.system.name", "mongodb"), ("server.address", host)];
        point().count(3).attributes(facts).attribute("db.operation.name", operation)
    };
    let find = |host| measured(host, "find").attribute("db.collection.name", "orders");
    capture.assert_metric(
        metric("db.client.operation.duration")
            .point(find("a.example"))
            .point(find("b.example"))
            .point(measured("a.example", "ping"))
            .point(measured("b.example", "ping")),
    );
    assert_eq!(nodes[0].memory(), nodes[1].memory());
    assert_eq!(nodes[0].memory(), seeds.memory());
    assert!(nodes[0].memory().0 > 0);
}

struct Idle;

impl PoolState for Idle {
    fn size(&self) -> u64 {
        0
    }

    fn idle(&self) -> u64 {
        0
    }
}

/// A pool that tells by events what is over.
#[test]
fn a_pool_that_tells_afterwards() {
    let capture = Capture::new();
    let state = Arc::new(Idle);
    let pool = support::db(&capture.telemetry()).pool("orders", &state);
    pool.created(Duration::from_millis(250));
    pool.waited(Duration::from_millis(500));
    pool.used(Duration::from_secs(2));
    pool.timed_out();
    let measured = capture.metrics();
    let named = || point().attribute("db.client.connection.pool.name", "orders");
    for (name, sum) in [("create", 0.25), ("wait", 0.5), ("use", 2.0)] {
        let name = format!("db.client.connection.{name}_time");
        let times = measured.iter().find(|metric| *metric.name == *name).unwrap();
        assert!((times.points[0].sum() - sum).abs() < 1e-9, "{name}");
        capture.assert_metric(metric(name).point(named().count(1)));
    }
    capture.assert_metric(metric("db.client.connection.timeouts").point(named().value(1)));
    capture.assert_metric(metric("db.client.connection.pending_requests").point(named().value(0)));
}

/// Blocking work that a pool of threads does, while a future waits for it.
#[tokio::test]
async fn blocking_work_on_another_thread() {
    let capture = Capture::new();
    let db = support::db(&capture.telemetry());
    let ran = |code: fn() -> SpanId| {
        let call = move |(), operation: &DbOperation<Stub>| {
            let carried = operation.carried();
            async move {
                let done = tokio::task::spawn_blocking(move || carried.run(code)).await;
                done.map_err(|_| StubError("panicked"))
            }
        };
        db.run_with((), |()| DbCall::new().operation("GET"), call, |_, _| ())
    };
    let current = || Context::current().span().span_context().span_id();
    let inside = ran(current).await.unwrap();
    assert_eq!(ran(|| panic!("in the closure")).await, Err(StubError("panicked")));
    let spans = capture.spans();
    assert_eq!(spans[0].span_context.span_id(), inside);
    assert_eq!(support::value(&spans[1], "error.type"), "panicked");
    // Nothing stays on the thread.
    let after = tokio::task::spawn_blocking(current).await.unwrap();
    assert_eq!(after, SpanId::INVALID);
}

/// What a cursor's drop sends belongs where the cursor was opened, if that is still known.
#[test]
fn commands_that_nobody_waits_for() {
    let capture = Capture::new();
    let db = support::db(&capture.telemetry());
    let opened = Pending::<u64, Context>::new(2);
    let caller = capture.tracer("application").in_span("request", |caller| {
        for cursor in 0..3 {
            let find = db.start(|| DbCall::new().operation("find"));
            opened.insert(cursor, caller.clone());
            find.finish();
        }
        caller.span().span_context().span_id()
    });
    let kill = |cursor| {
        let known = opened.get(&cursor);
        let parent = known.clone().unwrap_or_default();
        db.start_in(&parent, || DbCall::new().operation("killCursors")).finish();
        known.is_some()
    };
    // The oldest made room; the others may be asked for again.
    assert_eq!([0, 1, 2, 2].map(kill), [false, true, true, true]);
    let parents: Vec<_> =
        capture.spans_named("killCursors shop").iter().map(|span| span.parent_span_id).collect();
    assert_eq!(parents, [SpanId::INVALID, caller, caller, caller]);
}

/// A system whose texts the adapter makes, whose spans are named by commands alone, and whose node is
/// known from the start.
#[test]
fn a_command_with_a_text_of_its_own() {
    let capture = Capture::new();
    let server = DbServer::new("redis").namespace("0").address("127.0.0.1", Some(6380));
    let server = server.peer("127.0.0.1", Some(6380));
    let start = |telemetry: &Telemetry, operation: &'static str| {
        let db = Db::<Stub>::new(telemetry, server.clone());
        assert!(!db.is_off());
        let mut call = DbCall::new().operation(operation).namespace("3");
        if operation == "FCALL" {
            call = call.stored_procedure("check");
        }
        let wanted = db.text_wanted();
        if let Some(wanted) = wanted {
            assert!(wanted.longest > 0);
            call = call.sanitized_text(if wanted.keys { "GET key" } else { "GET ?" });
        }
        let mut operation = db.start(|| call);
        // The node that was configured stays.
        operation.peer("127.0.0.2", Some(1));
        operation.finish();
        wanted.map(|wanted| wanted.verbatim)
    };
    let options = || capture.telemetry_builder();
    assert_eq!(start(&options().build(), "GET"), Some(false));
    assert_eq!(start(&options().keys(false).build(), "FCALL"), Some(false));
    assert_eq!(start(&options().query_text(QueryText::Off).build(), "GET"), None);
    assert_eq!(start(&options().query_text(QueryText::Verbatim).build(), "GET"), Some(true));
    let facts = |operation: &'static str| {
        let texts = [
            ("db.system.name", "redis"),
            ("db.namespace", "3"),
            ("db.operation.name", operation),
            ("server.address", "127.0.0.1"),
            ("network.peer.address", "127.0.0.1"),
        ];
        let span = span(if operation == "FCALL" { "FCALL check" } else { operation });
        let span = span.client().attributes(texts);
        span.attribute("server.port", 6380).attribute("network.peer.port", 6380)
    };
    let procedure = facts("FCALL").attribute("db.stored_procedure.name", "check");
    capture.assert_spans([
        facts("GET").attribute("db.query.text", "GET key"),
        procedure.attribute("db.query.text", "GET ?"),
        facts("GET"),
        facts("GET").attribute("db.query.text", "GET key"),
    ]);
}

/// A driver of documents: an operation that is itself the word for several, and texts that the
/// adapter makes where the user asks for them.
#[test]
fn a_batch_by_itself_and_a_text_where_one_is_wanted() {
    let capture = Capture::new();
    for (wanted, asked) in
        [(QueryText::Auto, Some(false)), (QueryText::Off, None), (QueryText::Sanitized, Some(true))]
    {
        let telemetry = capture.telemetry_builder().query_text(wanted).query_text_max_length(7);
        let db = Db::<Stub>::new(&telemetry.build(), DbServer::new("mongodb"));
        let told = db.text_wanted();
        assert!(told.is_none_or(|told| told.longest == 7));
        assert_eq!(told.map(|told| told.asked), asked, "{wanted:?}");
    }
    let db = Db::<Stub>::new(&capture.telemetry(), DbServer::new("mongodb"));
    let call = |size| DbCall::new().operation("insert").collection("users").batch_by_itself(size);
    assert_eq!(db.span_name(&call(3)), "insert users");
    for size in [0, 1, 3] {
        db.start(|| call(size)).finish();
    }
    let expected = || {
        span("insert users")
            .client()
            .attribute("db.system.name", "mongodb")
            .attribute("db.operation.name", "insert")
            .attribute("db.collection.name", "users")
    };
    let sized = |size: i64| expected().attribute("db.operation.batch.size", size);
    capture.assert_spans([sized(0), expected(), sized(3)]);
}

/// A hook that costs something by being there is not installed.
#[test]
fn a_client_that_is_switched_off_says_so() {
    let capture = Capture::new();
    for enabled in [true, false] {
        let telemetry = capture.telemetry_builder().enabled(enabled).build();
        assert_eq!(support::db(&telemetry).is_disabled(), !enabled);
    }
    assert!(!support::db(&Telemetry::builder().build()).is_disabled());
}

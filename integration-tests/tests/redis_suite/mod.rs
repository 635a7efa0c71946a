//! What calls to one server emit, by the blocking and the asynchronous handles.

use std::net::IpAddr;
use std::time::Duration;

use integration_tests::{assert_nowhere, unique_name};
use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::ledger::Traced;
use otel_testing::{Capture, metric, point, span};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Commands as _, Script, Value, cmd};

/// All of this file, for a macro that takes their names.
macro_rules! scenarios {
    ($each:ident) => {
        $each! {
            each_way_to_ask_is_one_span_and_one_measurement
            the_namespace_is_the_database_that_the_connection_works_in
            errors_of_the_server_are_told_by_their_code
            what_is_no_error_is_none
            a_megabyte_goes_there_and_back
            subscriptions_are_calls_and_end_when_they_are_confirmed
            timeouts_and_dropped_futures_are_told_apart
        }
    };
}
pub(crate) use scenarios;

/// A client, and what all of its spans have.
pub(crate) struct Live {
    pub(crate) client: Client,
    pub(crate) capture: Capture,
    telemetry: Telemetry,
    url: String,
}

impl Live {
    /// What is told is noted for a ledger, too.
    pub(crate) fn watched(url: &str, traced: &Traced) -> Self {
        let capture = Capture::new();
        let watched = traced.watch(capture.tracer_provider());
        let telemetry = capture.telemetry_builder().tracer_provider(watched).build();
        let client = Client::with(redis::Client::open(url).unwrap(), &telemetry);
        Self { client, capture, telemetry, url: url.to_owned() }
    }

    /// Another client of the same server.
    fn also(&self, rest: &str) -> Client {
        let client = redis::Client::open(format!("{}{rest}", self.url)).unwrap();
        Client::with(client, &self.telemetry)
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let settings = settings.set_connection_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
    }

    fn server(&self) -> Vec<(&'static str, opentelemetry::Value)> {
        let redis::ConnectionAddr::Tcp(host, port) = self.client.get_connection_info().addr()
        else {
            panic!("the servers of tests are reached by their addresses")
        };
        let port = i64::from(*port);
        let mut server: Vec<(_, opentelemetry::Value)> =
            vec![("db.system.name", "redis".into()), ("server.address", host.clone().into())];
        if port != 6379 {
            server.push(("server.port", port.into()));
        }
        if host.parse::<IpAddr>().is_ok() {
            server.push(("network.peer.address", host.clone().into()));
            server.push(("network.peer.port", port.into()));
        }
        server
    }

    /// A command in the first database.
    pub(crate) fn command(&self, name: &'static str, text: impl Into<String>) -> ExpectedSpan {
        let span = span(name).client().attributes(self.server());
        let span = span.attribute("db.namespace", "0").attribute("db.operation.name", name);
        span.attribute("db.query.text", text.into())
    }

    fn batch(&self, name: &'static str, text: String, size: i64) -> ExpectedSpan {
        self.command(name, text).attribute("db.operation.batch.size", size)
    }
}

pub(crate) fn failed(span: ExpectedSpan, code: &'static str) -> ExpectedSpan {
    span.attribute("db.response.status_code", code).attribute("error.type", code).error("")
}

pub(crate) async fn each_way_to_ask_is_one_span_and_one_measurement(live: &Live) {
    let key = unique_name();
    let mut connection = live.connection().await;
    connection.set::<_, _, ()>(&key, "secret").await.unwrap();
    assert_eq!(connection.get::<_, String>(&key).await.unwrap(), "secret");
    assert_eq!(connection.get::<_, Option<String>>("live_none").await.unwrap(), None);
    let mut pipeline = redis::pipe();
    pipeline.get(&key).strlen(&key);
    let both: (String, usize) = pipeline.query_async(&mut connection).await.unwrap();
    assert_eq!(both, ("secret".to_owned(), 6));
    let both: (String, usize) = pipeline.atomic().query_async(&mut connection).await.unwrap();
    assert_eq!(both, ("secret".to_owned(), 6));
    cmd("DEL").arg(&key).exec_async(&mut connection).await.unwrap();
    let (get, both) = (format!("GET {key}"), format!("GET {key}; STRLEN {key}"));
    let expected = || {
        [
            live.command("SET", format!("SET {key} ?")),
            live.command("GET", get.clone()),
            live.command("GET", "GET live_none"),
            live.batch("PIPELINE", both.clone(), 2),
            live.batch("MULTI", both.clone(), 2),
            live.command("DEL", format!("DEL {key}")),
        ]
    };
    live.capture.assert_spans(expected());
    let measured = |name: &'static str, count| {
        let point = point().count(count).attributes(live.server());
        point.attribute("db.namespace", "0").attribute("db.operation.name", name)
    };
    live.capture.assert_metric(
        metric("db.client.operation.duration")
            .point(measured("SET", 1))
            .point(measured("GET", 2))
            .point(measured("PIPELINE", 1))
            .point(measured("MULTI", 1))
            .point(measured("DEL", 1)),
    );
    live.capture.clear();

    // The same, blocking.
    let mut connection = live.client.get_connection().unwrap();
    connection.set::<_, _, ()>(&key, "secret").unwrap();
    assert_eq!(connection.get::<_, String>(&key).unwrap(), "secret");
    assert_eq!(connection.get::<_, Option<String>>("live_none").unwrap(), None);
    let mut pipeline = redis::pipe();
    pipeline.get(&key).strlen(&key).query::<(String, usize)>(&mut connection).unwrap();
    pipeline.atomic().query::<(String, usize)>(&mut connection).unwrap();
    cmd("DEL").arg(&key).exec(&mut connection).unwrap();
    live.capture.assert_spans(expected());
    assert_nowhere(&live.capture, "secret");
}

pub(crate) async fn the_namespace_is_the_database_that_the_connection_works_in(live: &Live) {
    let namespaces = || -> Vec<Option<String>> {
        let spans = live.capture.spans();
        let of = |span: &otel_testing::opentelemetry_sdk::trace::SpanData| {
            let found = span.attributes.iter().find(|it| it.key.as_str() == "db.namespace");
            found.map(|it| it.value.to_string())
        };
        let found = spans.iter().map(of).collect();
        live.capture.clear();
        found
    };
    let is = |numbers: &[i64]| -> Vec<Option<String>> {
        numbers.iter().map(|it| (*it >= 0).then(|| it.to_string())).collect()
    };
    let mut connection = live.connection().await;
    let mut clone = connection.clone();
    cmd("SELECT").arg(3).exec_async(&mut connection).await.unwrap();
    cmd("PING").exec_async(&mut clone).await.unwrap();
    // What the server refuses changes nothing.
    cmd("SELECT").arg(99).exec_async(&mut connection).await.unwrap_err();
    cmd("PING").exec_async(&mut clone).await.unwrap();
    let mut pipeline = redis::pipe();
    pipeline.cmd("SELECT").arg(4).cmd("PING").exec_async(&mut connection).await.unwrap();
    pipeline.clear();
    cmd("PING").exec_async(&mut clone).await.unwrap();
    pipeline.atomic().cmd("SELECT").arg(5).exec_async(&mut connection).await.unwrap();
    cmd("PING").exec_async(&mut clone).await.unwrap();
    assert_eq!(namespaces(), is(&[0, 3, 3, 3, 3, 4, 4, 5]));
    // Which of them failed, nobody knows.
    let mut pipeline = redis::pipe();
    pipeline.cmd("SELECT").arg(6).cmd("NOSUCH").exec_async(&mut connection).await.unwrap_err();
    cmd("PING").exec_async(&mut clone).await.unwrap();
    assert_eq!(namespaces(), is(&[5, -1]));
    // One of its own connects as it was configured.
    let client = live.also("/7");
    let mut blocking = client.get_connection().unwrap();
    cmd("PING").exec(&mut blocking).unwrap();
    cmd("SELECT").arg(1).exec(&mut blocking).unwrap();
    cmd("PING").exec(&mut blocking).unwrap();
    assert_eq!(namespaces(), is(&[7, 7, 1]));
    // What was sent, and answered later, is not known to have succeeded.
    let select = cmd("SELECT").arg(99).get_packed_command();
    blocking.send_packed_command(&select).unwrap();
    let refused = blocking.recv_response().and_then(Value::extract_error);
    refused.unwrap_err();
    cmd("PING").exec(&mut blocking).unwrap();
    assert_eq!(namespaces(), is(&[1, -1]));
    // One that may have connected anew is no longer known.
    let mut manager = client.get_connection_manager().await.unwrap();
    cmd("PING").exec_async(&mut manager).await.unwrap();
    cmd("SELECT").arg(1).exec_async(&mut manager).await.unwrap();
    cmd("PING").exec_async(&mut manager).await.unwrap();
    assert_eq!(namespaces(), is(&[7, 7, -1]));
}

pub(crate) async fn errors_of_the_server_are_told_by_their_code(live: &Live) {
    let key = unique_name();
    let mut connection = live.connection().await;
    connection.rpush::<_, _, ()>(&key, "secret").await.unwrap();
    live.capture.clear();

    connection.incr::<_, _, i64>(&key, 1).await.unwrap_err();
    cmd("NOSUCH").arg("secret").query_async::<Value>(&mut connection).await.unwrap_err();
    let mut group = cmd("XGROUP");
    group.arg("CREATE").arg("live_none").arg("g").arg("0");
    group.query_async::<Value>(&mut connection).await.unwrap_err();
    cmd("EVALSHA")
        .arg("f".repeat(40))
        .arg(0)
        .query_async::<Value>(&mut connection)
        .await
        .unwrap_err();
    let evaluated = cmd("EVAL").arg("return redis.error_reply('OWN secret')").arg(0).take();
    evaluated.query_async::<Value>(&mut connection).await.unwrap_err();
    let sha = "f".repeat(40);
    live.capture.assert_spans([
        failed(live.command("INCRBY", format!("INCRBY {key} ?")), "WRONGTYPE"),
        failed(live.command("NOSUCH", "NOSUCH ?"), "ERR"),
        failed(live.command("XGROUP", "XGROUP CREATE live_none ? ?"), "ERR"),
        // Which the driver's `Script` would load now.
        span(format!("EVALSHA {sha}"))
            .client()
            .attributes(live.server())
            .attribute("db.namespace", "0")
            .attribute("db.operation.name", "EVALSHA")
            .attribute("db.stored_procedure.name", sha.clone())
            .attribute("db.query.text", format!("EVALSHA {sha} 0")),
        failed(live.command("EVAL", "EVAL ? 0"), "OWN"),
    ]);
    live.capture.clear();

    // Of several commands: one of them, all of a transaction, and one in it.
    let mut pipeline = redis::pipe();
    pipeline.llen(&key).incr(&key, 1);
    pipeline.query_async::<(i64, i64)>(&mut connection).await.unwrap_err();
    pipeline.atomic().query_async::<(i64, i64)>(&mut connection).await.unwrap_err();
    let mut aborted = redis::pipe();
    aborted.atomic().cmd("NOSUCH").llen(&key);
    aborted.query_async::<(i64, i64)>(&mut connection).await.unwrap_err();
    let text = format!("LLEN {key}; INCRBY {key} ?");
    live.capture.assert_spans([
        failed(live.batch("PIPELINE", text.clone(), 2), "WRONGTYPE"),
        failed(live.batch("MULTI", text, 2), "WRONGTYPE"),
        failed(live.batch("MULTI", format!("NOSUCH; LLEN {key}"), 2), "EXECABORT"),
    ]);
    assert_nowhere(&live.capture, "secret");
    connection.del::<_, ()>(&key).await.unwrap();
}

pub(crate) async fn what_is_no_error_is_none(live: &Live) {
    let key = unique_name();
    let mut connection = live.connection().await;
    // A transaction that somebody else was faster than.
    let mut other = live.connection().await;
    cmd("WATCH").arg(&key).exec_async(&mut connection).await.unwrap();
    other.set::<_, _, ()>(&key, 1).await.unwrap();
    let lost: Option<(i64, i64)> = redis::pipe()
        .atomic()
        .decr(&key, 1)
        .decr(&key, 1)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(lost, None);
    // A script that is loaded first.
    cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await.unwrap();
    let script = Script::new("return 2");
    assert_eq!(script.key(&key).invoke_async::<i64>(&mut connection).await.unwrap(), 2);
    // A command whose answer nobody wants.
    let mut quiet = cmd("INCR");
    quiet.arg(&key).set_no_response(true);
    quiet.exec_async(&mut connection).await.unwrap();
    let names: Vec<_> = live.capture.spans().iter().map(|span| span.name.to_string()).collect();
    let sha = script.get_hash();
    let evalsha = format!("EVALSHA {sha}");
    let expected = ["WATCH", "SET", "MULTI DECRBY", "SCRIPT", &evalsha, "SCRIPT", &evalsha, "INCR"];
    assert_eq!(names, expected);
    for span in live.capture.spans() {
        assert!(!span.attributes.iter().any(|it| it.key.as_str() == "error.type"), "{span:?}");
    }
    live.capture.check();
    connection.del::<_, ()>(&key).await.unwrap();
}

pub(crate) async fn a_megabyte_goes_there_and_back(live: &Live) {
    let (key, value) = (unique_name(), vec![b'v'; 1 << 20]);
    let long = format!("{key}{}", "k".repeat(1 << 20));
    let mut connection = live.connection().await;
    for key in [&key, &long] {
        connection.set::<_, _, ()>(key, &value).await.unwrap();
        assert_eq!(connection.get::<_, Vec<u8>>(key).await.unwrap(), value);
        connection.del::<_, ()>(key).await.unwrap();
    }
    let mut blocking = live.client.get_connection().unwrap();
    let mut pipeline = redis::pipe();
    pipeline.set(&key, &value).get(&key).del(&key);
    let (_, found, _): (Value, Vec<u8>, i64) = pipeline.query(&mut blocking).unwrap();
    assert_eq!(found, value);
    for span in live.capture.spans() {
        for attribute in &span.attributes {
            assert!(attribute.value.as_str().len() <= 4096, "{}", attribute.key);
        }
    }
    assert_eq!(live.capture.spans().len(), 7);
    assert_nowhere(&live.capture, "vvvv");
}

pub(crate) async fn subscriptions_are_calls_and_end_when_they_are_confirmed(live: &Live) {
    let client = live.also("/?protocol=resp3");
    let channel = unique_name();
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let settings = AsyncConnectionConfig::new().set_push_sender(sender);
    let connecting = client.get_multiplexed_async_connection_with_config(&settings);
    let mut connection = connecting.await.unwrap();
    connection.subscribe(&[&channel, "live_other"]).await.unwrap();
    connection.publish::<_, _, i64>(&channel, "secret").await.unwrap();
    while pushed.recv().await.unwrap().kind != redis::PushKind::Message {}
    connection.unsubscribe(&[&channel, "live_other"]).await.unwrap();
    let both = format!("{channel} live_other");
    live.capture.assert_spans([
        live.command("SUBSCRIBE", format!("SUBSCRIBE {both}")),
        live.command("PUBLISH", format!("PUBLISH {channel} ?")),
        live.command("UNSUBSCRIBE", format!("UNSUBSCRIBE {both}")),
    ]);
}

pub(crate) async fn timeouts_and_dropped_futures_are_told_apart(live: &Live) {
    let waits = || cmd("BLPOP").arg("live_none").arg(0).take();
    let short = Duration::from_millis(20);
    let settings = AsyncConnectionConfig::new().set_response_timeout(Some(short));
    let settings = settings.set_connection_timeout(None);
    let connecting = live.client.get_multiplexed_async_connection_with_config(&settings);
    let error = waits().query_async::<Value>(&mut connecting.await.unwrap()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let mut connection = live.connection().await;
    let dropped = waits();
    let given_up = tokio::time::timeout(short, dropped.query_async::<Value>(&mut connection));
    given_up.await.unwrap_err();
    let mut blocking = live.client.get_connection().unwrap();
    blocking.set_read_timeout(Some(short)).unwrap();
    assert!(waits().query::<Value>(&mut blocking).unwrap_err().is_timeout());
    let waited =
        |error| live.command("BLPOP", "BLPOP live_none ?").attribute("error.type", error).error("");
    live.capture.assert_spans([waited("TimedOut"), waited("cancelled"), waited("TimedOut")]);
}

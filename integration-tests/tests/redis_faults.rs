//! `otel-redis` with servers that die, that are silent, and that come back; and a cluster.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use integration_tests::{PATIENCE, eventually, private, unique_name};
use native::{Extra, Server};
use otel_redis::Client;
use otel_redis::aio::{ConnectionManager, ConnectionManagerConfig};
use otel_redis::cluster::{ClusterClient, ClusterClientBuilder};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, live};
use redis::{AsyncCommands, Commands as _, RedisResult, cmd};
use tokio::task::block_in_place;

fn text_of(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key.as_str() == name);
    found.map(|it| it.value.to_string())
}

async fn manager(client: &Client) -> ConnectionManager {
    let settings = ConnectionManagerConfig::new().set_max_delay(Duration::from_millis(50));
    let settings = settings.set_response_timeout(Some(PATIENCE));
    let settings = settings.set_connection_timeout(Some(PATIENCE));
    client.get_connection_manager_with_config(settings).await.unwrap()
}

/// Counts, whatever comes, until something that began after the server was back has succeeded: what, and
/// how far. Of a manager's calls not all fail: some wait until it is connected again.
async fn until_it_is_back(
    mut connection: impl AsyncCommands,
    key: String,
    is_back: Arc<AtomicBool>,
) -> (String, i64) {
    let mut acknowledged = 0;
    loop {
        let was_back = is_back.load(Ordering::Relaxed);
        let result: RedisResult<i64> = connection.incr(&key, 1).await;
        match result {
            Ok(_) => acknowledged += 1,
            Err(error) => {
                // A server that is started again answers before it has read its data.
                assert!(matches!(error.code(), None | Some("LOADING")), "{error:?}");
                tokio::task::yield_now().await;
                continue;
            }
        }
        if was_back {
            return (key, acknowledged);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_under_load_there_are_errors_then_answers_and_nothing_is_left_open() {
    let extra = Extra::new().argument("--appendfsync").argument("always");
    let Some(mut server) = block_in_place(|| private(Server::redis(), extra)) else { return };
    let capture = Capture::new();
    let raw = redis::Client::open(server.url()).unwrap();
    let client = Client::with(raw, &capture.telemetry());
    let ours = manager(&client).await;
    // Both managers go through the same.
    let bare = manager(&client).await.into_inner();
    let is_back = Arc::new(AtomicBool::new(false));
    let tasks = (0..50).flat_map(|number| {
        let [for_ours, for_bare] = [&is_back, &is_back].map(Arc::clone);
        let (ours, bare) = (ours.clone(), bare.clone());
        let ours = tokio::spawn(until_it_is_back(ours, format!("ours:{number}"), for_ours));
        let bare = tokio::spawn(until_it_is_back(bare, format!("bare:{number}"), for_bare));
        [ours, bare]
    });
    let tasks: Vec<_> = tasks.collect();
    eventually("all are under way", async || capture.spans().len() > 500).await;
    block_in_place(|| server.kill()).unwrap();
    eventually("it is seen", async || {
        let failed = |span: &SpanData| text_of(span, "error.type").is_some();
        capture.spans().iter().filter(|span| failed(span)).count() >= 50
    })
    .await;
    block_in_place(|| server.restart()).unwrap();
    is_back.store(true, Ordering::Relaxed);
    let mut bare = bare;
    for task in join_all(tasks).await {
        let (key, acknowledged) = task.unwrap();
        assert!(bare.get::<_, i64>(&key).await.unwrap() >= acknowledged, "{key} lost something");
    }
    capture.check();
    for span in capture.spans() {
        assert_eq!(span.name, "INCRBY");
        let code = text_of(&span, "db.response.status_code");
        if let Some(error) = text_of(&span, "error.type") {
            let network =
                ["BrokenPipe", "ConnectionRefused", "ConnectionReset", "UnexpectedEof", "TimedOut"];
            let expected = if error == "LOADING" { Some(error.clone()) } else { None };
            assert!(expected.is_some() || network.contains(&&*error), "{error}");
            assert_eq!(code, expected);
        } else {
            assert_eq!(code, None);
        }
    }
    let measured = integration_tests::count(&capture, "db.client.operation.duration");
    assert_eq!(measured, capture.spans().len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_a_timeout_and_answers_afterwards() {
    let Some(mut server) = block_in_place(|| private(Server::redis(), Extra::new())) else {
        return;
    };
    let capture = Capture::new();
    let raw = redis::Client::open(server.url()).unwrap();
    let client = Client::with(raw, &capture.telemetry());
    let mut connection = client.get_connection().unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut manager = manager(&client).await;
    block_in_place(|| server.pause()).unwrap();
    assert!(connection.get::<_, Option<i64>>("key").unwrap_err().is_timeout());
    let patient = tokio::spawn(async move { manager.get::<_, Option<i64>>("key").await });
    block_in_place(|| server.resume()).unwrap();
    assert_eq!(patient.await.unwrap().unwrap(), None);
    let mut errors: Vec<_> =
        capture.spans().iter().map(|span| text_of(span, "error.type")).collect();
    errors.sort();
    assert_eq!(errors, [None, Some("TimedOut".to_owned())]);
}

fn cluster(capture: &Capture) -> Option<ClusterClient> {
    let url = live::address("REDIS_CLUSTER")?;
    let builder = ClusterClientBuilder::new([url]).telemetry(&capture.telemetry());
    let builder = builder.response_timeout(PATIENCE).connection_timeout(PATIENCE);
    Some(builder.build().unwrap())
}

/// The node that was configured is told, and no other: the driver does not say where a command goes.
#[tokio::test]
async fn a_cluster_is_told_by_its_first_node() {
    let capture = Capture::new();
    let Some(client) = cluster(&capture) else { return };
    let (mut connection, key) = (client.get_async_connection().await.unwrap(), unique_name());
    let (here, there) = (format!("{{a}}{key}"), format!("{{b}}{key}"));
    connection.set::<_, _, ()>(&here, 1).await.unwrap();
    // The driver asks each node for its part.
    connection.mset::<_, _, ()>(&[(&here, 1), (&there, 2)]).await.unwrap();
    assert_eq!(connection.mget::<_, (i64, i64)>(&[&here, &there]).await.unwrap(), (1, 2));
    let mut pipeline = redis::pipe();
    pipeline.get(&here).get(&here);
    pipeline.query_async::<(i64, i64)>(&mut connection).await.unwrap();
    connection.rename::<_, _, ()>(&here, &there).await.unwrap_err();
    let mut blocking = client.get_connection().unwrap();
    assert_eq!(blocking.get::<_, i64>(&here).unwrap(), 1);
    let mut several = otel_redis::cluster::cluster_pipe();
    several.get(&here).get(&there);
    assert_eq!(blocking.query::<(i64, i64)>(&several).unwrap(), (1, 2));
    let slots = redis::cluster_routing::RoutingInfo::MultiNode((
        redis::cluster_routing::MultipleNodeRoutingInfo::AllMasters,
        None,
    ));
    connection.route_command(cmd("DBSIZE"), slots).await.unwrap();
    connection.del::<_, ()>(&[&here, &there]).await.unwrap();
    let told: Vec<_> = capture
        .spans()
        .iter()
        .map(|span| (span.name.to_string(), text_of(span, "error.type")))
        .collect();
    let is = |name: &str, error: Option<&str>| (name.to_owned(), error.map(str::to_owned));
    let expected = [
        is("SET", None),
        is("MSET", None),
        is("MGET", None),
        is("PIPELINE GET", None),
        is("RENAME", Some("CROSSSLOT")),
        is("GET", None),
        is("PIPELINE GET", None),
        is("DBSIZE", None),
        is("DEL", None),
    ];
    assert_eq!(told, expected);
    for span in capture.spans() {
        assert_eq!(text_of(&span, "server.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(text_of(&span, "network.peer.address"), None);
        assert_eq!(text_of(&span, "db.namespace").as_deref(), Some("0"));
    }
    capture.check();
}

/// One node that is asked for what another has.
#[tokio::test]
async fn a_redirection_that_the_user_gets_is_an_error() {
    let Some(url) = live::address("REDIS_CLUSTER") else { return };
    let capture = Capture::new();
    let client = Client::with(redis::Client::open(url).unwrap(), &capture.telemetry());
    let mut connection = client.get_connection().unwrap();
    let mut moved = 0;
    for _ in 0..60 {
        moved += usize::from(connection.get::<_, Option<i64>>(unique_name()).is_err());
    }
    assert!(moved > 0);
    let spans = capture.spans();
    let told = spans.iter().filter(|span| text_of(span, "error.type").as_deref() == Some("MOVED"));
    assert_eq!(told.count(), moved);
}

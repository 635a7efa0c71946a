//! `otel-redis` by way of a sentinel: two servers, of which the one that is written to changes.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use integration_tests::{eventually, private};
use native::{Extra, Private, Server};
use otel_redis::Messaging;
use otel_redis::sentinel::{Sentinel, SentinelClientBuilder, SentinelServerType};
use otel_testing::Capture;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncCommands as _, Commands as _, ConnectionAddr, IntoConnectionInfo as _, cmd};
use tokio::task::block_in_place;

const NAME: &str = "primary";

struct Servers {
    primary: Private,
    replica: Private,
    sentinel: Private,
    asked: MultiplexedConnection,
}

fn address(server: &Private) -> (String, u16) {
    match server.url().into_connection_info().unwrap().addr() {
        ConnectionAddr::Tcp(host, port) => (host.clone(), *port),
        other => panic!("the servers of tests are reached by their addresses, not by {other}"),
    }
}

impl Servers {
    async fn start() -> Option<Self> {
        let start = |extra| block_in_place(|| private(Server::redis(), extra));
        let primary = start(Extra::new())?;
        let (host, port) = address(&primary);
        let follows = Extra::new().argument("--replicaof").argument(&host);
        let replica = start(follows.argument(port.to_string()))?;
        let sentinel = start(Extra::new().argument("--sentinel"))?;
        let client = redis::Client::open(sentinel.url()).unwrap();
        let mut asked = client.get_multiplexed_async_connection().await.unwrap();
        let mut watch = cmd("SENTINEL");
        watch.arg("MONITOR").arg(NAME).arg(host).arg(port).arg(1);
        watch.exec_async(&mut asked).await.unwrap();
        Some(Self { primary, replica, sentinel, asked })
    }
}

/// The commands that were told of, each with the port of its server.
fn told(capture: &Capture) -> Vec<(String, String)> {
    let port = |span: &SpanData| {
        let found = span.attributes.iter().find(|it| it.key.as_str() == "server.port");
        found.map_or_else(String::new, |it| it.value.to_string())
    };
    let spans = capture.spans();
    spans.iter().map(|span| (span.name.to_string(), port(span))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_told_with_the_server_that_the_sentinel_named() {
    let Some(mut servers) = Servers::start().await else { return };
    let [(host, sentinel), (_, primary), (_, replica)] =
        [&servers.sentinel, &servers.primary, &servers.replica].map(address);
    let capture = Capture::new();
    let sentinel = ConnectionAddr::Tcp(host, sentinel);
    let builder = SentinelClientBuilder::new([sentinel], NAME, SentinelServerType::Master).unwrap();
    let mut client = builder.telemetry(&capture.telemetry()).build().unwrap();

    let mut connection = client.get_async_connection().await.unwrap();
    connection.set::<_, _, ()>("key", 1).await.unwrap();
    let mut blocking = block_in_place(|| client.get_connection()).unwrap();
    assert_eq!(blocking.get::<_, i64>("key").unwrap(), 1);
    let is = |name: &str, port: u16| (name.to_owned(), port.to_string());
    assert_eq!(told(&capture), [is("SET", primary), is("GET", primary)]);
    capture.clear();

    // As messaging, where that is asked for; what one connection reads, another one handles.
    let mut client = client.messaging(Messaging::new().stream_fields(true));
    let mut connection = client.get_async_connection().await.unwrap();
    let id: String = connection.xadd("orders", "*", &[("item", 1)]).await.unwrap();
    let read: StreamReadReply = connection.xread(&["orders"], &["0"]).await.unwrap();
    assert_eq!(read.keys[0].ids[0].map.len(), 1);
    let other = block_in_place(|| client.get_connection()).unwrap();
    other.received("orders", &id).process_blocking(|| Ok::<_, ()>(())).unwrap();
    let all = ["XADD orders", "XREAD orders", "process orders"].map(|name| is(name, primary));
    assert_eq!(told(&capture), all);
    let spans = capture.spans();
    assert_eq!(spans[2].links[0].span_context.span_id(), spans[0].span_context.span_id());
    capture.clear();

    // The others' clients, as soon as the sentinel knows of them.
    let nodes = redis::sentinel::Sentinel::build(vec![servers.sentinel.url()]).unwrap();
    let mut nodes = Sentinel::with(nodes, &capture.telemetry());
    let mut copies = None;
    eventually("the sentinel knows of the replica", async || {
        copies = nodes.async_replica_for(NAME, None).await.ok();
        copies.is_some()
    })
    .await;
    let mut copy = copies.unwrap().get_multiplexed_async_connection().await.unwrap();
    eventually("it has what was written", async || {
        copy.get::<_, Option<i64>>("key").await.unwrap() == Some(1)
    })
    .await;
    copy.set::<_, _, ()>("key", 2).await.unwrap_err();
    assert!(told(&capture).iter().all(|(_, port)| *port == replica.to_string()));
    capture.clear();

    let failover = cmd("SENTINEL").arg("FAILOVER").arg(NAME).take();
    eventually("the sentinel begins to change the two", async || {
        failover.exec_async(&mut servers.asked).await.is_ok()
    })
    .await;
    eventually("the other one is written to", async || {
        capture.clear();
        let Ok(mut connection) = client.get_async_connection().await else { return false };
        let written = connection.set::<_, _, ()>("key", 2).await;
        written.is_ok() && told(&capture) == [is("SET", replica)]
    })
    .await;
}

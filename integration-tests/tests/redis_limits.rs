//! What `otel-redis` does not see, as its README says.
#![allow(clippy::unwrap_used, reason = "a test")]

use futures_util::StreamExt as _;
use integration_tests::{soon, unique_name};
use otel_redis::{Client, Messaging};
use otel_testing::{Capture, live};
use redis::streams::StreamReadReply;
use redis::{AsyncCommands as _, Script};

fn client(url: &str, capture: &Capture) -> Client {
    let builder = Client::builder(redis::Client::open(url).unwrap());
    let builder = builder.messaging(Messaging::new().stream_fields(true));
    builder.telemetry(&capture.telemetry()).build()
}

fn names(capture: &Capture) -> Vec<String> {
    capture.spans().iter().map(|span| span.name.to_string()).collect()
}

/// What a script adds carries nothing, and what looks past the entries shows all of their fields.
#[tokio::test]
async fn scripts_and_tools_see_entries_as_they_are() {
    let Some(url) = live::address("REDIS") else { return };
    let (capture, stream) = (Capture::new(), unique_name());
    let mut connection = client(&url, &capture).get_multiplexed_async_connection().await.unwrap();
    let add = Script::new("return redis.call('XADD', KEYS[1], '5-1', 'a', 1)");
    let _: String = add.key(&stream).invoke_async(&mut connection).await.unwrap();
    let _: String = connection.xadd(&stream, "5-2", &[("a", 1)]).await.unwrap();
    let read: StreamReadReply = connection.xread(&[&stream], &["0"]).await.unwrap();
    let links = capture.spans().pop().unwrap().links;
    assert_eq!((read.keys[0].ids.len(), links.iter().count()), (2, 1));
    let info: redis::streams::StreamInfoStreamReply =
        connection.xinfo_stream(&stream).await.unwrap();
    assert!(info.last_entry.map.contains_key("otel.fields"));
    let () = connection.del(&stream).await.unwrap();
}

/// A monitor is the driver's own.
#[tokio::test]
async fn a_monitor_has_no_spans() {
    let Some(url) = live::address("REDIS") else { return };
    let (capture, key) = (Capture::new(), unique_name());
    let client = client(&url, &capture);
    let mut monitor = client.get_async_monitor().await.unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = connection.del(&key).await.unwrap();
    let mut seen = monitor.on_message::<String>();
    while !soon("it is seen", seen.next()).await.unwrap().contains(&key) {}
    assert_eq!(names(&capture), ["DEL"]);
}

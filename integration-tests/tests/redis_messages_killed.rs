//! Streams and pub/sub of `otel-redis` with servers that die and come back.
#![allow(clippy::unwrap_used, reason = "a test")]

mod redis_messages;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::{eventually, private, soon};
use native::{Extra, Server};
use redis::streams::StreamReadReply;
use redis::{AsyncCommands as _, RedisResult};
use tokio::task::block_in_place;

use crate::redis_messages::{GROUP, Side, read_group, text_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_trace_of_what_it_kept() {
    let extra = Extra::new().argument("--appendonly").argument("yes");
    let extra = extra.argument("--appendfsync").argument("always");
    let Some(mut server) = block_in_place(|| private(Server::redis(), extra)) else { return };
    let (from, to) = (Side::new(server.url()), Side::new(server.url()));
    let mut producer = from.client.get_connection_manager().await.unwrap();
    let mut consumer = to.client.get_connection_manager().await.unwrap();
    let _: bool = consumer.xgroup_create_mkstream("orders", GROUP, 0).await.unwrap();
    let adding = tokio::spawn(async move {
        let (mut kept, mut failed, mut after) = (Vec::new(), 0, 0);
        while failed == 0 || after < 50 {
            let added: RedisResult<String> = producer.xadd("orders", "*", &[("n", 1)]).await;
            if let Ok(id) = added {
                kept.push(id);
                after += usize::from(failed > 0);
            } else {
                failed += 1;
                tokio::task::yield_now().await;
            }
        }
        kept
    });
    eventually("entries flow", async || from.capture.spans().len() > 100).await;
    // Some are read, and the server dies before they are acknowledged.
    let first: RedisResult<StreamReadReply> =
        read_group("orders", ">").query_async(&mut consumer).await;
    let pending: Vec<_> = first.unwrap().keys[0].ids.iter().map(|it| it.id.clone()).collect();
    block_in_place(|| server.kill()).unwrap();
    let acknowledged: RedisResult<i64> = consumer.xack("orders", GROUP, &pending).await;
    acknowledged.unwrap_err();
    block_in_place(|| server.restart()).unwrap();
    let kept = adding.await.unwrap();
    let mut consumer = to.client.get_connection_manager().await.unwrap();
    let mut read: HashSet<_> = pending.iter().cloned().collect();
    let rest: StreamReadReply = read_group("orders", ">").query_async(&mut consumer).await.unwrap();
    read.extend(rest.keys.into_iter().flat_map(|key| key.ids).map(|it| it.id));
    assert!(kept.iter().all(|id| read.contains(id)), "an acknowledged entry was lost");
    to.capture.clear();
    // Acknowledged after all: what was noted before is still known.
    let done: i64 = consumer.xack("orders", GROUP, &pending).await.unwrap();
    assert_eq!(done, i64::try_from(pending.len()).unwrap());
    let span = to.capture.spans().pop().unwrap();
    assert_eq!(span.links.len(), pending.len().min(128));
    let known: HashSet<_> =
        from.capture.spans().iter().map(|span| span.span_context.span_id()).collect();
    for id in &read {
        let span = to.client.received("orders", id).delivery().span_context();
        assert!(pending.contains(id) || known.contains(&span.unwrap().span_id()), "{id}");
    }
    from.capture.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_ends_a_subscription() {
    let Some(mut server) = block_in_place(|| private(Server::redis(), Extra::new())) else {
        return;
    };
    let side = Side::new(server.url());
    let mut pubsub = side.client.get_async_pubsub().await.unwrap();
    pubsub.subscribe("news").await.unwrap();
    let mut blocking = side.client.get_connection().unwrap();
    let mut listener = blocking.as_pubsub();
    block_in_place(|| listener.subscribe("news")).unwrap();
    listener.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    side.capture.clear();
    // What does not come in time is nothing.
    assert!(block_in_place(|| listener.get_message()).unwrap_err().is_timeout());
    side.capture.assert_no_spans();
    listener.set_read_timeout(None).unwrap();
    block_in_place(|| server.kill()).unwrap();
    assert!(soon("it ends", pubsub.on_message().next()).await.is_none());
    side.capture.assert_no_spans();
    block_in_place(|| listener.get_message()).unwrap_err();
    let spans = side.capture.spans();
    assert_eq!(spans.len(), 1);
    let error = text_of(&spans[0], "error.type").unwrap();
    assert!(["UnexpectedEof", "ConnectionReset", "BrokenPipe"].contains(&&*error), "{error}");
}

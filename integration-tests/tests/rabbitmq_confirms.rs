//! A publish of otel-rabbitmq ends with the broker's word, whoever waits for it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_support;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use integration_tests::{PATIENCE, eventually, private, soon, total, unique_name};
use native::{Extra, Server};
use otel_rabbitmq::BasicProperties;
use otel_rabbitmq::lapin;
use otel_rabbitmq::options::{BasicPublishOptions, ConfirmSelectOptions};
use otel_rabbitmq::types::ShortString;
use otel_testing::{Capture, live};
use tokio::runtime::Builder;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::rabbitmq_support::{
    MANDATORY, captured, confirming, error_type, outcomes, publish, published, queue, send, store,
};

const SENT: &str = "messaging.client.sent.messages";

#[tokio::test(flavor = "multi_thread")]
async fn held_or_dropped_it_ends_when_the_broker_has_it() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let url = server.url().to_owned();
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    server.pause().unwrap();
    let mut held = publish(&channel, &queue, b"held").await;
    drop(publish(&channel, &queue, b"dropped").await);
    let polled = publish(&channel, &queue, b"polled").await;
    let awaiting = tokio::spawn(polled);
    let abandoned = tokio::spawn(publish(&channel, &queue, b"abandoned").await);
    tokio::task::yield_now().await;
    abandoned.abort();
    abandoned.await.unwrap_err();
    assert!((&mut held).now_or_never().is_none());
    capture.assert_no_spans();
    server.resume().unwrap();
    assert!(soon("it is confirmed", awaiting).await.unwrap().unwrap().is_ack());
    assert!(soon("it is confirmed", held).await.unwrap().is_ack());
    assert!(soon("all are", channel.wait_for_confirms()).await.unwrap().is_empty());
    capture.assert_spans(vec![published(&url, &queue).producer(); 4]);
    // By the moment of the confirm, whenever that was looked at.
    let late = publish(&channel, &queue, b"late").await;
    store(&channel, &queue, b"after it").await;
    let looked = std::time::SystemTime::now();
    late.await.unwrap();
    let ends: Vec<_> = capture.spans().iter().map(|span| span.end_time).collect();
    assert!(ends[4] < looked);
    assert_eq!(total(&capture, SENT), 6);
}

/// What lapin wakes is told under locks that a poll takes again.
struct PollsInWaker<F>(Mutex<Option<F>>);

impl<F: Future + Unpin + Send + 'static> Wake for PollsInWaker<F> {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut confirm = self.0.lock().unwrap();
        if let Some(confirm) = &mut *confirm {
            let _output = Pin::new(confirm).poll(&mut Context::from_waker(&waker));
        }
    }
}

/// Whether a connection is alive after a confirm was polled so: what this crate must not do, and
/// watches messages without.
async fn is_alive(url: String, watched: bool) -> bool {
    // What hangs does so for good.
    let patience = if watched { PATIENCE } else { Duration::from_secs(3) };
    let capture = Capture::new();
    let (_keeps, channel) = if watched {
        let connection = rabbitmq_support::connect(&url, &capture.telemetry()).await;
        let channel = confirming(&connection).await;
        let queue = queue(&channel).await;
        drop(publish(&channel, &queue, b"order").await);
        (Some(connection), channel.raw().clone())
    } else {
        let properties = lapin::ConnectionProperties::default();
        let connection = lapin::Connection::connect(&url, properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        std::mem::forget(connection);
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let options = BasicPublishOptions::default();
        let sent = channel
            .basic_publish(
                "".into(),
                unique_name().into(),
                options,
                b"order",
                BasicProperties::default(),
            )
            .await
            .unwrap();
        let waker = Arc::new(PollsInWaker(Mutex::new(Some(sent))));
        Arc::clone(&waker).wake();
        (None, channel)
    };
    let waits = timeout(patience, channel.wait_for_confirms()).await;
    let asks = timeout(patience, channel.confirm_select(ConfirmSelectOptions::default())).await;
    waits.is_ok() && asks.is_ok()
}

/// On a runtime that is left behind: a thread of it hangs.
#[test]
fn to_poll_in_the_waker_ends_a_connection() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let alive = |watched| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let alive = runtime.block_on(is_alive(url.clone(), watched));
        runtime.shutdown_background();
        alive
    };
    assert!(alive(true));
    // One that is confirmed before it is polled at all does not hang.
    assert!((0..20).any(|_| !alive(false)));
}

/// A channel that the broker closes fails what was not confirmed, held or dropped; what comes then fails
/// at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_closed() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let (capture, connection) = captured(server.url()).await;
    let channel = confirming(&connection).await;
    let nowhere = ShortString::from(unique_name());
    let options = BasicPublishOptions::default();
    let send = || {
        let (exchange, properties) = (nowhere.clone(), BasicProperties::default());
        channel.basic_publish(exchange, "key".into(), options, b"lost", properties)
    };
    server.pause().unwrap();
    let held = send().await.unwrap();
    drop(send().await.unwrap());
    server.resume().unwrap();
    let error = soon("the channel is closed", held).await.unwrap_err();
    assert!(error.is_amqp_soft_error(), "{error:?}");
    eventually("it is closed", async || !channel.status().connected()).await;
    send().await.unwrap_err();
    assert_eq!(channel.wait_for_confirms().await.unwrap_err(), error);
    assert!(channel.wait_for_confirms().await.unwrap().is_empty());
    let errors: Vec<_> = capture.spans().iter().map(|span| error_type(span).unwrap()).collect();
    assert_eq!(errors, ["NOT_FOUND", "NOT_FOUND", "InvalidChannelState"]);
}

/// Of what nobody holds this crate keeps so many; what is older lapin has back, and tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn of_very_many_that_nobody_holds_the_oldest_end() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let (capture, connection) = captured(server.url()).await;
    let channel = confirming(&connection).await;
    let nowhere = ShortString::from(unique_name());
    server.pause().unwrap();
    for number in 0..1030 {
        drop(send(&channel, &nowhere, MANDATORY, number).await);
    }
    assert_eq!(outcomes(&capture).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    server.resume().unwrap();
    let returned = soon("all are confirmed", channel.wait_for_confirms()).await.unwrap();
    assert_eq!(returned.len(), 1030);
    let outcomes = outcomes(&capture);
    assert_eq!(outcomes.len(), 1030);
    let failed = outcomes.values().filter(|error| error.as_deref() == Some("NO_ROUTE")).count();
    assert_eq!(failed, 1024);
}

/// The last handle of a channel looks once more; what is not confirmed by then is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_dropped() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let url = server.url().to_owned();
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    drop(publish(&channel, &queue, b"confirmed").await);
    soon("it is there", channel.raw().wait_for_confirms()).await.unwrap();
    server.pause().unwrap();
    drop(publish(&channel, &queue, b"not yet").await);
    drop(channel);
    capture.assert_spans(vec![published(&url, &queue).producer(); 2]);
    server.resume().unwrap();
}

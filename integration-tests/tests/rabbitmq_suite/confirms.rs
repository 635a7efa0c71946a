//! What becomes of confirms: one's own, those of messages that came back, and what was refused.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use integration_tests::{eventually, soon, total, unique_name};
use otel_rabbitmq::Confirmation;
use otel_rabbitmq::lapin;
use otel_rabbitmq::types::{AMQPValue, ShortString};

use crate::rabbitmq_suite::Live;
use crate::rabbitmq_support::{
    MANDATORY, confirming, failed, outcomes, publish, published, queue, queue_with, send, store,
    text,
};

const SENT: &str = "messaging.client.sent.messages";

const ROUNDS: usize = 12;
const MESSAGES: usize = 200;

/// Every other message comes back. lapin gives some of them to other messages' confirms, by chance (the
/// tests of the crate play each way): the spans that fail are those of what came back, and what lapin gave
/// is given on as it is.
pub async fn what_came_back_is_told_of_the_right_message(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let (queue, nowhere) = (queue(&channel).await, ShortString::from(unique_name()));
    for round in 0..ROUNDS {
        capture.clear();
        let mut confirms = Vec::new();
        for number in 0..MESSAGES {
            let key = if number % 2 == 0 { &queue } else { &nowhere };
            confirms.push(send(&channel, key, MANDATORY, number).await);
        }
        let mut returned = BTreeSet::new();
        let mut note = |message: lapin::message::BasicReturnMessage| {
            let number: usize =
                String::from_utf8(message.delivery.data.clone()).unwrap().parse().unwrap();
            assert!(returned.insert(number));
        };
        for (number, confirm) in confirms.into_iter().enumerate() {
            // All are held, or some, or none.
            if round % 3 == 1 || (round % 3 == 2 && number % 3 == 0) {
                drop(confirm);
                continue;
            }
            let confirmed = soon("it is confirmed", confirm).await.unwrap();
            if let Some(message) = confirmed.take_message() {
                note(message);
            }
        }
        // It waits for the last one, and others may be told right then: they end when it is looked again.
        let told = async || {
            for message in soon("all are", channel.wait_for_confirms()).await.unwrap() {
                note(message);
            }
            capture.spans().len() == MESSAGES
        };
        eventually("all are told", told).await;
        // Each that came back was given to somebody, once.
        assert_eq!(returned, (0..MESSAGES).filter(|number| number % 2 == 1).collect());
        let error = |number| (number % 2 == 1).then(|| "NO_ROUTE".to_owned());
        let expected = (0..MESSAGES).map(|number| (number, error(number))).collect();
        assert_eq!(outcomes(&capture), expected, "round {round}");
        assert_eq!(total(&capture, SENT), i64::try_from(MESSAGES).unwrap());
    }
}

/// A queue that is full refuses, which is `Ok` to lapin.
pub async fn what_the_broker_refuses_fails(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let full = [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    let queue = queue_with(&channel, &full).await;
    store(&channel, &queue, b"first").await;
    capture.clear();
    let confirm = publish(&channel, &queue, b"second").await;
    let confirmed = soon("it is refused", confirm).await.unwrap();
    assert_eq!(confirmed, Confirmation::Nack(None));
    drop(publish(&channel, &queue, b"third").await);
    channel.wait_for_confirms().await.unwrap();
    capture.assert_spans(vec![failed(published(url, &queue).producer(), "nack"); 2]);
}

/// Once it was had, it says so, as the driver's.
pub async fn a_confirm_that_was_had(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let mut confirm = publish(&channel, &queue, b"order").await;
    assert!((&mut confirm).await.unwrap().is_ack());
    let again = poll_fn(|task| Poll::Ready(Pin::new(&mut confirm).poll(task))).await;
    let Poll::Ready(Err(error)) = again else { panic!("{again:?}") };
    assert!(matches!(error.kind(), otel_rabbitmq::ErrorKind::FutureCompleted));
    assert_eq!(capture.spans().len(), 1);
}

/// To close a channel is to look once more at what nobody holds.
pub async fn a_channel_that_the_application_closes(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    drop(publish(&channel, &queue, b"order").await);
    soon("it is there", channel.raw().wait_for_confirms()).await.unwrap();
    channel.close(200, "done".into()).await.unwrap();
    capture.assert_spans([published(&live.url, &queue).producer()]);
}

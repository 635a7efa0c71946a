//! Many tasks at once, and what is over.

use integration_tests::crowd::{Crowd, TASKS};
use integration_tests::{error_type, soon};
use otel_rabbitmq::ErrorKind;
use otel_rabbitmq::options::{BasicAckOptions, BasicGetOptions};
use otel_testing::opentelemetry_sdk::trace::SpanData;

use crate::rabbitmq_suite::Live;
use crate::rabbitmq_support::{confirming, publish, queue, store};

/// Nothing that is dropped is taken back.
pub async fn each_span_is_below_its_tasks_own(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let crowd = Crowd::run(&capture, |number| {
        let (channel, queue, body) = (channel.clone(), queue.clone(), number.to_string());
        async move {
            if number % 3 == 2 {
                let got = channel.basic_get(queue, BasicGetOptions::default()).await;
                if let Some(got) = got.unwrap() {
                    got.ack(BasicAckOptions::default()).await.unwrap();
                }
                return;
            }
            let confirm = publish(&channel, &queue, body.as_bytes()).await;
            if number % 3 == 1 {
                assert!(confirm.await.unwrap().is_ack());
            }
        }
    })
    .await;
    soon("all are confirmed", channel.wait_for_confirms()).await.unwrap();
    let calls = crowd.calls(&capture);
    for (number, span) in &calls {
        let operations = if number % 3 == 2 { &["get", "ack"][..] } else { &["publish"] };
        let name = operations.iter().map(|it| format!("{it} {queue}")).find(|it| *it == span.name);
        assert!(name.is_some(), "{} of {number}", span.name);
        assert_eq!(error_type(span), None);
    }
    assert!(calls.len() > TASKS / 2, "{}", calls.len());
    capture.check();
}

/// lapin's own words for what it refuses by itself.
pub async fn what_is_closed_fails_at_once(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    store(&channel, &queue, b"order").await;
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap().unwrap();
    channel.close(200, "done".into()).await.unwrap();
    capture.clear();
    let error = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidChannelState(..)), "{error:?}");
    // What was not settled is not forgotten.
    for _ in 0..2 {
        let ack = channel.basic_ack(got.delivery_tag, BasicAckOptions::default());
        ack.await.unwrap_err();
    }
    let error = || Some("InvalidChannelState".to_owned());
    let told = |it: &SpanData| (it.name.to_string(), error_type(it), it.links.len());
    let told: Vec<_> = capture.spans().iter().map(told).collect();
    let ack = || (format!("ack {queue}"), error(), 1);
    assert_eq!(told, [(format!("get {queue}"), error(), 0), ack(), ack()]);
    connection.close(200, "done".into()).await.unwrap();
}

//! Many tasks at once, and what is over.

use integration_tests::crowd::{Crowd, TASKS};
use integration_tests::{error_type, soon};
use otel_rabbitmq::ErrorKind;
use otel_rabbitmq::options::{BasicAckOptions, BasicGetOptions};

use crate::rabbitmq_suite::Live;
use crate::rabbitmq_support::{confirming, publish, queue};

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
    channel.close(200, "done".into()).await.unwrap();
    let error = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidChannelState(..)), "{error:?}");
    channel.basic_ack(1, BasicAckOptions::default()).await.unwrap_err();
    let told: Vec<_> = capture.spans().iter().map(|it| (it.name.clone(), error_type(it))).collect();
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().all(|(_, error)| error.as_deref() == Some("InvalidChannelState")),
        "{told:?}"
    );
    connection.close(200, "done".into()).await.unwrap();
}

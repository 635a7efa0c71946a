//! NATS between languages: what we write into messages is what Python's propagators read out of those of
//! nats-py, and the other way round.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_support;

use std::convert::Infallible;

use integration_tests::foreign::{
    FORMATS, MESSAGES, Task, assert_current, assert_goes_on, assert_read, outgoing, play,
};
use integration_tests::roles::order;
use integration_tests::unique_name;
use native::Foreign;
use otel_testing::live;
use otel_testing::opentelemetry::trace::FutureExt as _;

use crate::nats_support::{captured, jetstream, next, stream, worker};

#[tokio::test(flavor = "multi_thread")]
async fn nats_py_reads_what_we_write() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let (context, name) = (jetstream(client), unique_name());
    stream(&context, &name).await;
    let subject = format!("{name}.new");
    for number in 1..=MESSAGES {
        let publishing = context.publish(subject.clone(), number.to_string().into());
        publishing.with_context(order(number)).await.unwrap().await.unwrap();
    }
    let sent = capture.spans();
    let group = unique_name();
    let task = Task::Consume { address: url, destination: subject, group, count: MESSAGES };
    let Some(heard) = play(Foreign::nats_py(), &task, FORMATS).await else { return };
    for carried in assert_read(&heard, &sent) {
        let process = heard.spans.iter().find(|process| process.parent == carried.1).unwrap();
        assert_eq!(process.links, [carried]);
    }
    context.delete_stream(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_py_sends_goes_on_with_us() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let (context, name) = (jetstream(client), unique_name());
    let consumer = worker(&stream(&context, &name).await).await;
    let destination = format!("{name}.new");
    let task = Task::Produce { address: url, destination, messages: outgoing() };
    let Some(heard) = play(Foreign::nats_py(), &task, FORMATS).await else { return };
    assert_eq!(heard.spans.len() as u64, MESSAGES);
    let mut messages = consumer.messages().await.unwrap();
    for (number, send) in (1..).zip(&heard.spans) {
        capture.clear();
        let message = next(&mut messages).await.unwrap();
        let handled = message.process(async |message| {
            assert_current(number, &message.payload, send);
            Ok::<_, Infallible>(())
        });
        handled.await.unwrap();
        message.ack().await.unwrap();
        assert_goes_on(&capture.spans(), send);
    }
    context.delete_stream(&name).await.unwrap();
}

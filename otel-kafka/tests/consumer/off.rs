//! Nobody listens: nothing is allocated beside what rdkafka does.

use otel_kafka::consumer::{CommitMode, Consumer as _};
use otel_kafka::message::OwnedHeaders;
use otel_testing::Capture;

use crate::support::{BOUND, Broker, TOPIC, base, header};

/// The least of a few tries: librdkafka's log is handled in between.
fn least(mut one: impl FnMut()) -> u64 {
    let tries = (0..5).map(|_| allocation_counter::measure(&mut one).count_total);
    tries.min().unwrap()
}

#[tokio::test]
async fn as_many_allocations_as_without() {
    let capture = Capture::new();
    let broker = Broker::new();
    for _ in 0..20 {
        broker.send_with(0, OwnedHeaders::new().insert(header("own", b"x"))).await;
    }
    let telemetry = capture.telemetry_builder().enabled(false).build();
    let consumer = base(&telemetry, &broker.config());
    // What is done but once is done.
    let first = consumer.poll(BOUND).unwrap().unwrap();
    first.process_blocking(|_| Ok::<_, ()>(())).unwrap();

    let raw = consumer.raw();
    let bare = least(|| drop(raw.poll(BOUND).unwrap().unwrap()));
    assert_eq!(least(|| drop(consumer.poll(BOUND).unwrap().unwrap())), bare);
    let handled = || first.process_blocking(|_| Ok::<_, ()>(())).unwrap();
    assert_eq!(least(handled), 0);
    let bare = least(|| raw.commit_message(&first, CommitMode::Async).unwrap());
    let ours = least(|| consumer.commit_message(&first, CommitMode::Async).unwrap());
    assert_eq!(ours, bare);
    let bare = least(|| raw.commit_consumer_state(CommitMode::Async).unwrap());
    let ours = least(|| consumer.commit_consumer_state(CommitMode::Async).unwrap());
    assert_eq!(ours, bare);
    assert_eq!(raw.assignment().unwrap().elements()[0].topic(), TOPIC);
    capture.assert_silent();
}

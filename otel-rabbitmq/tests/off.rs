//! Nobody listens: what is allocated is the driver's own.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use futures_util::{FutureExt as _, StreamExt as _};
use otel_rabbitmq::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::{BasicProperties, Telemetry};
use otel_testing::live;
use support::{channel, connect, queue};

const CALLS: usize = 32;

/// Of a call, where nothing grows meanwhile.
fn allocated(mut call: impl FnMut()) -> u64 {
    let counts = (0..CALLS).map(|_| allocation_counter::measure(&mut call).count_total);
    counts.min().unwrap()
}

/// One thread, so that the connection is not at work meanwhile. Publishes and acknowledgements are sent
/// with the first poll, and then wait until they are written.
#[tokio::test]
async fn publish_receive_process_and_ack() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let off = Telemetry::builder().enabled(false).build();
    let connection = connect(&url, &off).await;
    let ours = channel(&connection).await;
    let bare = ours.raw().clone();
    let queue = queue(&ours).await;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default;
    let key = || ("".into(), queue.clone());
    let publish = || {
        let (exchange, key): (ShortString, _) = key();
        drop(bare.basic_publish(exchange, key, options, b"{}", properties()).now_or_never());
    };
    let expected = allocated(publish);
    let publish = || {
        let (exchange, key): (ShortString, _) = key();
        drop(ours.basic_publish(exchange, key, options, b"{}", properties()).now_or_never());
    };
    assert_eq!(allocated(publish), expected);

    let empty = support::queue(&ours).await;
    let get = || drop(bare.basic_get(empty.clone(), BasicGetOptions::default()).now_or_never());
    let expected = allocated(get);
    let get = || drop(ours.basic_get(empty.clone(), BasicGetOptions::default()).now_or_never());
    assert_eq!(allocated(get), expected);

    // Two queues with as many messages, of which each consumer has its own in its memory.
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let queue = support::queue(&ours).await;
        for _ in 0..=CALLS {
            let sent = ours.basic_publish("".into(), queue.clone(), options, b"{}", properties());
            sent.await.unwrap().await.unwrap();
        }
        let options = BasicConsumeOptions::default();
        let consuming = ours.basic_consume(queue, "".into(), options, FieldTable::default());
        consumers.push(consuming.await.unwrap());
    }
    let [mut messages, bare_messages] = <[_; 2]>::try_from(consumers).unwrap();
    let mut bare_messages = bare_messages.into_inner();
    messages.next().await.unwrap().unwrap();
    bare_messages.next().await.unwrap().unwrap();
    // The broker sends in order, and answers after that.
    ours.basic_qos(0, BasicQosOptions::default()).await.unwrap();
    let receive = || {
        let message = bare_messages.next().now_or_never().unwrap().unwrap().unwrap();
        drop(message.ack(BasicAckOptions::default()).now_or_never());
    };
    let expected = allocated(receive);
    let receive = || {
        let message = messages.next().now_or_never().unwrap().unwrap().unwrap();
        message.process(async |_| Ok::<_, ()>(())).now_or_never().unwrap().unwrap();
        drop(message.ack(BasicAckOptions::default()).now_or_never());
    };
    assert_eq!(allocated(receive), expected);
}

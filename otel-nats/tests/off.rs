//! Nobody listens: what is allocated is the driver's own.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::future::IntoFuture as _;

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use otel_nats::jetstream::consumer::PullConsumer;
use otel_nats::jetstream::{self, stream};
use otel_nats::{Telemetry, async_nats};
use otel_testing::live;
use support::{connect, unique_name};
use tokio::task::{unconstrained, yield_now};

/// The room of a block of tokio's channels: each is one allocation.
const BLOCK: usize = 32;

fn allocated(mut call: impl FnMut()) -> u64 {
    // What a thread needs is made at its first calls, and blocks begin anew.
    (0..BLOCK).for_each(|_| call());
    allocation_counter::measure(|| (0..BLOCK).for_each(|_| call())).count_total
}

/// What a future gives that has not to wait, also where tokio would let others go on.
fn now<T>(future: impl Future<Output = T>) -> T {
    unconstrained(future).now_or_never().unwrap()
}

/// Returns once the server has done all that this client asked for.
async fn heard(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    echo.next().await.unwrap();
}

/// One thread, so that the connection is not at work meanwhile.
#[tokio::test]
async fn publish_receive_process_and_ack() {
    let Some(url) = live::address("NATS") else { return };
    let off = Telemetry::builder().enabled(false).build();
    let subject: &'static str = unique_name().leak();
    let ours = connect(&url, &off).await;
    let bare = connect(&url, &off).await.into_inner();
    ours.flush().await.unwrap();
    bare.flush().await.unwrap();
    let publish = || now(bare.publish(subject, "{}".into())).unwrap();
    let expected = allocated(publish);
    let publish = || now(ours.publish(subject, "{}".into())).unwrap();
    assert_eq!(allocated(publish), expected);

    let mut bare_messages = bare.subscribe(subject).await.unwrap();
    let mut messages = ours.subscribe(subject).await.unwrap();
    heard(&bare).await;
    heard(ours.raw()).await;
    for _ in 0..2 * BLOCK {
        ours.publish(subject, "{}".into()).await.unwrap();
    }
    heard(ours.raw()).await;
    heard(&bare).await;
    let expected = allocated(|| drop(now(bare_messages.next()).unwrap()));
    let receive = || {
        let message = now(messages.next()).unwrap();
        now(message.process(async |_| Ok::<_, ()>(()))).unwrap();
    };
    assert_eq!(allocated(receive), expected);
}

/// Takes so many messages and hands them on; answers what that allocated, without what the connection
/// did meanwhile.
async fn allocated_by<S: Stream + Unpin>(mut messages: S, mut handle: impl FnMut(S::Item)) -> u64 {
    let (mut allocated, mut taken) = (0, 0);
    while taken < BLOCK {
        let before = taken;
        let counted = allocation_counter::measure(|| {
            if let Some(message) = unconstrained(messages.next()).now_or_never() {
                handle(message.unwrap());
                taken += 1;
            }
        });
        if taken == before {
            yield_now().await;
        } else {
            allocated += counted.count_total;
        }
    }
    allocated
}

/// The same of what is stored: receipts, messages of a consumer, and how they are settled.
#[tokio::test]
async fn publish_await_fetch_process_and_ack() {
    let Some(url) = live::address("NATS") else { return };
    let off = Telemetry::builder().enabled(false).build();
    let name = unique_name();
    let ours = jetstream::new(connect(&url, &off).await);
    let bare = async_nats::jetstream::new(connect(&url, &off).await.into_inner());
    let subject: &'static str = format!("{name}.new").leak();
    let subjects = vec![subject.to_owned()];
    let config = stream::Config { name: name.clone(), subjects, ..stream::Config::default() };
    let stream = ours.create_stream(config).await.unwrap();

    let mut receipts = Vec::with_capacity(2 * BLOCK);
    let expected = allocated(|| receipts.push(now(bare.publish(subject, "{}".into())).unwrap()));
    let mut our_receipts = Vec::with_capacity(2 * BLOCK);
    let publish = || our_receipts.push(now(ours.publish(subject, "{}".into())).unwrap());
    assert_eq!(allocated(publish), expected);
    // They are answered one after another.
    bare.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    ours.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    let expected = allocated(|| drop(now(receipts.pop().unwrap().into_future()).unwrap()));
    let receive = || drop(now(our_receipts.pop().unwrap().into_future()).unwrap());
    assert_eq!(allocated(receive), expected);

    let consumer: PullConsumer = stream.create_consumer(<_>::default()).await.unwrap();
    let (mut of_bare, mut of_ours) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let batch = consumer.raw().fetch().max_messages(BLOCK).messages().await.unwrap();
    let expected = allocated_by(batch, |message| of_bare.push(message.unwrap())).await;
    let batch = consumer.fetch().max_messages(BLOCK).messages().await.unwrap();
    let handle = |message: Result<jetstream::Message, _>| {
        let message = message.unwrap();
        now(message.process(async |_| Ok::<_, ()>(()))).unwrap();
        of_ours.push(message);
    };
    assert_eq!(allocated_by(batch, handle).await, expected);
    let (ack_bare, ack_ours) =
        (|| now(of_bare[0].ack()).unwrap(), || now(of_ours[0].ack()).unwrap());
    // Blocks that the connection gave back meanwhile, at most three, are used up.
    (0..3 * BLOCK).for_each(|_| (ack_bare(), ack_ours()).0);
    assert_eq!(allocated(ack_ours), allocated(ack_bare));
    ours.delete_stream(&name).await.unwrap();
}

//! Nobody listens: what is allocated is the driver's own.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use futures_util::{FutureExt as _, StreamExt as _};
use otel_nats::Telemetry;
use otel_testing::live;
use support::{connect, unique_name};
use tokio::task::unconstrained;

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

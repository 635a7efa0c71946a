//! Code as async-nats's users write it: in the manner of its own examples, against both names. What
//! ours is beside the driver's is the name alone.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::uninlined_format_args,
    clippy::duplicate_mod,
    clippy::items_after_statements,
    clippy::large_futures,
    clippy::match_bool,
    clippy::print_stdout,
    clippy::similar_names,
    reason = "as in async-nats's examples"
)]

mod bare;
mod generic;
mod ours;
#[path = "../support/mod.rs"]
mod support;

use std::any::type_name;

use otel_testing::live;

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_do_the_same_by_both_names() {
    let Some(url) = live::address("NATS") else { return };
    let bare = bare::examples::all(&url, "bare").await.unwrap();
    let ours = ours::examples::all(&url, "ours").await.unwrap();
    assert_eq!(ours, bare);
    assert!(ours.len() > 20, "{ours:?}");
}

fn is_like<T: Send + Sync + Unpin>() -> &'static str {
    type_name::<T>()
}

fn futures_are_send<T: Send>(_: T) {}

/// As the driver's are. Compiled, not run.
#[test]
fn types_are_as_the_drivers() {
    use otel_nats::jetstream::consumer::{Consumer, pull, push};
    use otel_nats::jetstream::{self, context, stream};
    is_like::<otel_nats::Client>();
    is_like::<otel_nats::ConnectOptions>();
    is_like::<otel_nats::Subscriber>();
    is_like::<otel_nats::Message>();
    is_like::<jetstream::Context>();
    is_like::<jetstream::Message>();
    is_like::<jetstream::message::Acker>();
    is_like::<context::PublishAckFuture>();
    is_like::<stream::Stream>();
    is_like::<Consumer<pull::Config>>();
    is_like::<pull::Batch>();
    is_like::<otel_nats::service::Service>();
    is_like::<otel_nats::service::Request>();
    fn send_and_unpin<T: Send + Unpin>() {}
    send_and_unpin::<pull::Stream>();
    send_and_unpin::<pull::Sequence>();
    send_and_unpin::<pull::Ordered>();
    send_and_unpin::<push::Messages>();
    send_and_unpin::<push::Ordered>();
    send_and_unpin::<otel_nats::service::endpoint::Endpoint>();
    let compiled = async |client: otel_nats::Client, message: jetstream::Message| {
        futures_are_send(client.publish("a", "b".into()));
        futures_are_send(client.publish_with_reply("a", "b", "c".into()));
        futures_are_send(client.request("a", "b".into()));
        futures_are_send(client.subscribe("a"));
        futures_are_send(message.ack());
        futures_are_send(message.double_ack());
        futures_are_send(message.process(async |message| message.ack().await));
        let context = jetstream::new(client);
        futures_are_send(context.publish("a", "b".into()));
        futures_are_send(async move { context.publish("a", "b".into()).await?.await });
    };
    let _ = compiled;
}

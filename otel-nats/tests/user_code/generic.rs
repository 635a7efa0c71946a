//! Helpers of users that are generic over async-nats's traits take ours.

use std::time::Duration;

use async_nats::client::traits as core;
use async_nats::jetstream::context::traits as stored;
use async_nats::message::OutboundMessage;
use async_nats::{HeaderMap, Request};
use futures_util::{SinkExt as _, StreamExt as _};
use otel_testing::{Capture, live};

use crate::support::{connect, unique_name};

async fn announce(publisher: &impl core::Publisher, subject: String) {
    let message = OutboundMessage {
        subject: subject.into(),
        reply: None,
        payload: "order".into(),
        headers: Some(HeaderMap::new()),
    };
    publisher.publish_message(message).await.unwrap();
}

async fn ask(requester: &impl core::Requester, subject: String) -> async_nats::Message {
    let request = Request::new().payload("price".into());
    requester.send_request(subject, request).await.unwrap()
}

fn patience(client: &impl core::TimeoutProvider) -> Option<Duration> {
    client.timeout()
}

async fn store(publisher: &impl stored::Publisher, subject: String) -> u64 {
    publisher.publish(subject, "order".into()).await.unwrap().await.unwrap().sequence
}

async fn account<C: stored::Requester + stored::TimeoutProvider>(context: &C) -> usize {
    assert_eq!(context.timeout(), Duration::from_secs(5));
    let account: serde_json::Value = context.request("INFO", &()).await.unwrap();
    account.as_object().unwrap().len()
}

#[tokio::test]
async fn traits_of_the_driver_are_implemented() {
    let Some(url) = live::address("NATS") else { return };
    let capture = Capture::new();
    let client = connect(&url, &capture.telemetry()).await;
    let subject = unique_name();
    let mut subscriber = client.subscribe(subject.clone()).await.unwrap();

    announce(&client, subject.clone()).await;
    let context = otel_nats::jetstream::new(client.clone());
    announce(&context, subject.clone()).await;
    let message = OutboundMessage {
        subject: subject.clone().into(),
        reply: None,
        payload: "order".into(),
        headers: None,
    };
    client.clone().send(message).await.unwrap();
    for _ in 0..3 {
        assert!(subscriber.next().await.unwrap().delivery().span_context().is_some());
    }
    assert_eq!(capture.spans_named(&format!("publish {subject}")).len(), 3);

    let responder = client.clone();
    let answering = tokio::spawn(async move {
        for _ in 0..2 {
            let request = subscriber.next().await.unwrap();
            responder.publish(request.reply.unwrap(), "7".into()).await.unwrap();
        }
    });
    assert_eq!(ask(&client, subject.clone()).await.payload, "7");
    assert_eq!(ask(&context, subject.clone()).await.payload, "7");
    answering.await.unwrap();
    assert_eq!(capture.spans_named(&format!("request {subject}")).len(), 2);
    assert_eq!(patience(&client), Some(Duration::from_secs(10)));

    let name = unique_name();
    let config = async_nats::jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![name.clone()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    assert_eq!(store(&context, name.clone()).await, 1);
    assert_eq!(capture.spans_named(&format!("publish {name}")).len(), 1);
    assert!(account(&context).await > 3);
    context.delete_stream(&name).await.unwrap();
}

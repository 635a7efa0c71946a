//! The core alone, on SQS: batches that fail in part, attributes that are no map of strings and have
//! a limit, deliveries that are settled later. What an adapter of it will be made of.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::HashMap;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    SendMessageBatchRequestEntry,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use integration_tests::unique_name;
use opentelemetry::propagation::{Extractor, Injector};
use otel_core::messaging::{Delivery, Destination, MessageFacts, fact};
use otel_core::propagation::Carrier;
use otel_core::{
    Classify, Client, Failure, Messaging, MessagingCall, MessagingOperation, MessagingServer,
    Telemetry,
};
use otel_testing::assert::ExpectedSpan;
use otel_testing::{Capture, live, metric, point, span};

enum Sqs {}

impl Client for Sqs {
    const NAME: &'static str = "spike-sqs";
    const VERSION: &'static str = "0";
}

impl<E: ProvideErrorMetadata, R> Classify<SdkError<E, R>> for Sqs {
    fn classify(error: &SdkError<E, R>) -> Failure {
        Failure::new(error.code().unwrap_or("_OTHER").to_owned())
    }
}

/// The attributes of a message, of which there may be ten.
struct Attributes<'m>(&'m mut HashMap<String, MessageAttributeValue>);

const MOST: usize = 10;

fn text<'m>(attributes: &'m HashMap<String, MessageAttributeValue>, name: &str) -> Option<&'m str> {
    attributes.get(name)?.string_value()
}

impl Injector for Attributes<'_> {
    fn set(&mut self, name: &str, value: String) {
        if self.0.len() < MOST || self.0.contains_key(name) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value);
            self.0.extend(value.build().ok().map(|value| (name.to_owned(), value)));
        }
    }
}

impl Extractor for Attributes<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        text(self.0, name)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Carrier for Attributes<'_> {
    fn takes_headers(&self) -> bool {
        self.0.len() < MOST
    }
}

/// The attributes of a message that came.
struct Received<'m>(&'m Message);

impl Extractor for Received<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        text(self.0.message_attributes()?, name)
    }

    fn keys(&self) -> Vec<&str> {
        let attributes = self.0.message_attributes().into_iter();
        attributes.flat_map(|attributes| attributes.keys().map(String::as_str)).collect()
    }
}

struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    name: String,
    messaging: Messaging<Sqs>,
}

impl Queue {
    async fn new(telemetry: &Telemetry) -> Option<Self> {
        let endpoint = live::address("MOTO")?;
        let tls = Provider::Rustls(CryptoMode::Ring);
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(Builder::new().tls_provider(tls).build_https())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&endpoint);
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let name = unique_name();
        let made = client.create_queue().queue_name(&name).send().await.unwrap();
        let server = MessagingServer::new("aws_sqs").address("127.0.0.1", None);
        let messaging = Messaging::new(telemetry, server);
        Some(Self { client, url: made.queue_url.unwrap(), name, messaging })
    }

    fn call(&self, operation: &'static str) -> MessagingCall<'_> {
        MessagingCall::new(operation, Destination::named(&self.name))
            .with(fact::AWS_SQS_QUEUE_URL, self.url.clone())
    }

    /// The ids of those that failed.
    async fn send(&self, mut entries: Vec<SendMessageBatchRequestEntry>) -> Vec<String> {
        let messages = entries.iter_mut().map(|entry| {
            let size = i64::try_from(entry.message_body.len()).unwrap();
            let attributes = Attributes(entry.message_attributes.get_or_insert_default());
            (attributes, move || MessageFacts::new().with(fact::BODY_SIZE, size))
        });
        let sending = self.messaging.send_batch(messages, || self.call("SendMessageBatch"));
        let request = self.client.send_message_batch().queue_url(&self.url);
        let call = request.set_entries(Some(entries)).send();
        let told = sending.run_with(call, |answer, sending| tell(answer.failed(), sending));
        told.await.map_or_else(|_| Vec::new(), |answer| ids(answer.failed()))
    }

    async fn receive(&self) -> Vec<(Message, Delivery)> {
        let poll = self.messaging.poll();
        let request = self.client.receive_message().queue_url(&self.url);
        let request = request.max_number_of_messages(10).message_attribute_names("All");
        match request.send().await {
            Ok(answer) => {
                let messages = answer.messages.unwrap_or_default();
                let facts = |message: &Message| {
                    let id = message.message_id().unwrap_or_default().to_owned();
                    MessageFacts::new().with(fact::MESSAGE_ID, id)
                };
                let read = messages.iter().map(|it| (Received(it), move || facts(it)));
                let deliveries = poll.received_batch(read, || self.call("ReceiveMessage"));
                messages.into_iter().zip(deliveries).collect()
            }
            Err(error) => {
                poll.failed(&error, || self.call("ReceiveMessage"));
                Vec::new()
            }
        }
    }

    /// The ids of those that failed.
    async fn delete(&self, messages: &[(Message, Delivery)], handles: &[&str]) -> Vec<String> {
        let deliveries = messages.iter().map(|(_, delivery)| delivery);
        let describe = || self.call("DeleteMessageBatch").batch(handles.len());
        let deleting = self.messaging.settle(deliveries, describe);
        let entries = handles.iter().enumerate().map(|(id, handle)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
            entry.receipt_handle(*handle).build().unwrap()
        });
        let request = self.client.delete_message_batch().queue_url(&self.url);
        let call = request.set_entries(Some(entries.collect())).send();
        let told = deleting.run_with(call, |answer, deleting| tell(answer.failed(), deleting));
        told.await.map_or_else(|_| Vec::new(), |answer| ids(answer.failed()))
    }

    fn span(&self, operation: &'static str) -> ExpectedSpan {
        span(format!("{operation} {}", self.name))
            .attribute("messaging.system", "aws_sqs")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.destination.name", self.name.clone())
            .attribute("server.address", "127.0.0.1")
            .attribute("aws.sqs.queue.url", self.url.clone())
    }
}

/// The answer tells each that failed, with its code.
fn tell(failed: &[BatchResultErrorEntry], operation: &mut MessagingOperation<Sqs>) {
    for one in failed {
        operation.failed_messages(1, Failure::new(one.code().to_owned()));
    }
}

fn ids(failed: &[BatchResultErrorEntry]) -> Vec<String> {
    failed.iter().map(|failed| failed.id().to_owned()).collect()
}

fn entry(id: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(id).build().unwrap()
}

/// A message whose attributes are all taken.
fn full(id: &str) -> SendMessageBatchRequestEntry {
    let mut full = entry(id);
    let value = MessageAttributeValue::builder().data_type("String").string_value("own");
    let value = value.build().unwrap();
    full.message_attributes =
        Some((0..MOST).map(|at| (format!("own-{at}"), value.clone())).collect());
    full
}

#[tokio::test]
async fn a_batch_is_sent_received_and_deleted_in_part() {
    let capture = Capture::new();
    let Some(queue) = Queue::new(&capture.telemetry()).await else { return };
    let mut late = entry("late");
    // Nobody may wait longer than a quarter of an hour.
    late.delay_seconds = Some(901);
    assert_eq!(queue.send(vec![entry("first"), full("full"), late]).await, ["late"]);

    let created = capture.spans_named(&format!("create {}", queue.name));
    let contexts: Vec<_> = created.iter().map(|span| span.span_context.clone()).collect();
    assert_eq!(contexts.len(), 2, "the one that takes no attributes carries no span");
    let create = || {
        span(format!("create {}", queue.name))
            .producer()
            .attribute("messaging.system", "aws_sqs")
            .attribute("messaging.operation.name", "create")
            .attribute("messaging.operation.type", "create")
            .attribute("messaging.destination.name", queue.name.clone())
            .attribute("server.address", "127.0.0.1")
    };
    let links = contexts.iter().cloned();
    let sending = queue
        .span("SendMessageBatch")
        .client()
        .attribute("messaging.operation.type", "send")
        .attribute("messaging.batch.message_count", 3)
        .attribute("error.type", "InvalidParameterValue")
        .error("");
    capture.assert_spans([create(), create(), links.fold(sending, ExpectedSpan::link)]);
    let sent = || {
        point()
            .attribute("messaging.system", "aws_sqs")
            .attribute("messaging.operation.name", "SendMessageBatch")
            .attribute("messaging.destination.name", queue.name.clone())
            .attribute("server.address", "127.0.0.1")
    };
    let failed = sent().attribute("error.type", "InvalidParameterValue").value(1);
    let expected = metric("messaging.client.sent.messages").point(sent().value(2)).point(failed);
    capture.assert_metric(expected);

    capture.clear();
    let messages = queue.receive().await;
    let received = capture.spans();
    assert_eq!((messages.len(), received.len()), (2, 1));
    // Its own attributes came through, and nothing else.
    let own = |(message, _): &&(Message, Delivery)| message.body() == Some("full");
    let full = messages.iter().find(own).unwrap().0.message_attributes().unwrap();
    assert!(full.len() == MOST && full.keys().all(|name| name.starts_with("own-")), "{full:?}");
    let links: Vec<_> = received[0].links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [contexts[0].span_id()]);

    capture.clear();
    let handle = messages[0].0.receipt_handle().unwrap();
    assert_eq!(queue.delete(&messages, &[handle, "of nothing"]).await, ["1"]);
    let deleted = capture.spans();
    let deleting = queue
        .span("DeleteMessageBatch")
        .client()
        .attribute("messaging.operation.type", "settle")
        .attribute("messaging.batch.message_count", 2)
        .attribute("error.type", "ReceiptHandleIsInvalid")
        .error("");
    let links = deleted[0].links.iter().map(|link| link.span_context.clone());
    capture.assert_spans([links.clone().fold(deleting, ExpectedSpan::link)]);
    assert_eq!(links.map(|link| link.span_id()).collect::<Vec<_>>(), [contexts[0].span_id()]);
}

#[tokio::test]
async fn a_queue_that_nobody_made_fails_every_message() {
    let capture = Capture::new();
    let Some(mut queue) = Queue::new(&capture.telemetry()).await else { return };
    queue.url.push_str("-not-made");
    queue.send(vec![entry("first"), entry("second")]).await;
    assert!(queue.receive().await.is_empty());
    let failed = capture.spans().into_iter().filter(|span| {
        let error = span.attributes.iter().find(|it| it.key.as_str() == "error.type");
        error.is_some_and(|error| error.value.as_str().contains("NonExistentQueue"))
    });
    let names: Vec<_> = failed.map(|span| span.name.to_string()).collect();
    let name = |operation| format!("{operation} {}", queue.name);
    assert_eq!(names, [name("SendMessageBatch"), name("ReceiveMessage")]);
    let error = "AWS.SimpleQueueService.NonExistentQueue";
    let point = point()
        .attribute("messaging.system", "aws_sqs")
        .attribute("messaging.operation.name", "SendMessageBatch")
        .attribute("messaging.destination.name", queue.name.clone())
        .attribute("server.address", "127.0.0.1")
        .attribute("error.type", error);
    capture.assert_metric(metric("messaging.client.sent.messages").point(point.value(2)));
}

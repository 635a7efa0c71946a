//! The AWS SDK's SQS and SNS on moto, without instrumentation: what an adapter of them may rely on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::HashMap;

use aws_sdk_sns::types::PublishBatchRequestEntry;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_sdk_sqs::{
    Client as Sqs, operation::receive_message::builders::ReceiveMessageFluentBuilder,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use integration_tests::{eventually, private, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use serde_json::Value;
use tokio::task::block_in_place;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A client of this endpoint; both services are set up alike, but have no type in common.
macro_rules! client {
    ($service:ident, $endpoint:expr) => {{
        let tls = Provider::Rustls(CryptoMode::Ring);
        let config = $service::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            // Any will do.
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(Builder::new().tls_provider(tls).build_https())
            // What happens to one attempt.
            .retry_config(RetryConfig::disabled())
            .endpoint_url($endpoint)
            .build();
        $service::Client::from_conf(config)
    }};
}

fn sqs(endpoint: &str) -> Sqs {
    client!(aws_sdk_sqs, endpoint)
}

fn sns(endpoint: &str) -> aws_sdk_sns::Client {
    client!(aws_sdk_sns, endpoint)
}

/// The URL of a queue of one test's own.
async fn queue(sqs: &Sqs) -> String {
    let made = sqs.create_queue().queue_name(unique_name()).send().await.unwrap();
    made.queue_url.unwrap()
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

/// What is there for the next consumer, with all that comes with it; whoever comes then sees it too.
fn peek(sqs: &Sqs, queue: &str) -> ReceiveMessageFluentBuilder {
    sqs.receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .visibility_timeout(0)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
}

async fn peeked(sqs: &Sqs, queue: &str) -> Vec<Message> {
    peek(sqs, queue).send().await.unwrap().messages.unwrap_or_default()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    let number =
        MessageAttributeValue::builder().data_type("Number").string_value("1.50").build().unwrap();
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.other")
        .binary_value(Blob::new([0, 0xff]))
        .build()
        .unwrap();
    let sent = HashMap::from([
        ("traceparent".to_owned(), text(TRACEPARENT)),
        ("number".to_owned(), number),
        ("binary".to_owned(), binary),
    ]);
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let system = MessageSystemAttributeValue::builder().data_type("String").string_value(header);
    let answer = sqs
        .send_message()
        .queue_url(&queue)
        .message_body("{\"order\": 7}")
        .set_message_attributes(Some(sent.clone()))
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            system.build().unwrap(),
        )
        .send()
        .await
        .unwrap();

    let [message] = &peeked(&sqs, &queue).await[..] else { panic!("not one message") };
    assert_eq!(message.body(), Some("{\"order\": 7}"));
    assert_eq!(message.message_attributes(), Some(&sent));
    assert_eq!(message.message_id(), answer.message_id());
    let system = message.attributes().unwrap();
    assert_eq!(
        system.get(&MessageSystemAttributeName::AwsTraceHeader).map(String::as_str),
        Some(header)
    );
}

#[tokio::test]
async fn attributes_that_nobody_asked_for_do_not_come() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    let message = sqs.send_message().queue_url(&queue).message_body("order");
    let message = message.message_attributes("traceparent", text(TRACEPARENT));
    message.message_attributes("other", text("value")).send().await.unwrap();

    let receive = || sqs.receive_message().queue_url(&queue).visibility_timeout(0);
    let [message] = &receive().send().await.unwrap().messages.unwrap()[..] else { panic!() };
    assert_eq!((message.message_attributes(), message.attributes()), (None, None));
    let asked = receive().message_attribute_names("traceparent").send().await.unwrap();
    let [message] = asked.messages() else { panic!("not one message") };
    let expected = HashMap::from([("traceparent".to_owned(), text(TRACEPARENT))]);
    assert_eq!(message.message_attributes(), Some(&expected));
}

#[tokio::test]
async fn only_what_was_deleted_is_not_delivered_again() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    for body in ["deleted", "not deleted"] {
        sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    }
    let messages = peeked(&sqs, &queue).await;
    assert_eq!(bodies(&messages), ["deleted", "not deleted"]);
    let handle = messages[0].receipt_handle().unwrap();
    sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await.unwrap();
    let messages = peeked(&sqs, &queue).await;
    assert_eq!(bodies(&messages), ["not deleted"]);
    let count = &messages[0].attributes().unwrap();
    let count = &count[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "2");
}

#[tokio::test]
async fn what_somebody_has_is_not_delivered_to_others() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    sqs.send_message().queue_url(&queue).message_body("order").send().await.unwrap();
    let taken = peek(&sqs, &queue).visibility_timeout(600).send().await.unwrap();
    assert_eq!(bodies(taken.messages()), ["order"]);
    assert_eq!(bodies(&peeked(&sqs, &queue).await), [""; 0]);
    let handle = taken.messages()[0].receipt_handle().unwrap();
    let given_back = sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle);
    given_back.visibility_timeout(0).send().await.unwrap();
    assert_eq!(bodies(&peeked(&sqs, &queue).await), ["order"]);
}

#[tokio::test]
async fn a_queue_that_nobody_made_is_an_error_with_its_code() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = format!("{endpoint}/123456789012/{}", unique_name());
    let sent = sqs.send_message().queue_url(&queue).message_body("lost").send().await;
    let error = sent.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
    // For the sake of clients of the older protocol, the code is not the name of the error.
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    let error = sqs.receive_message().queue_url(&queue).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn a_batch_to_send_fails_in_part() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(id);
    let batch = sqs.send_message_batch().queue_url(&queue);
    let batch = batch.entries(entry("good").build().unwrap());
    // Nobody may wait longer than a quarter of an hour.
    let batch = batch.entries(entry("bad").delay_seconds(901).build().unwrap());
    let answer = batch.send().await.unwrap();
    let sent: Vec<_> = answer.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(sent, ["good"]);
    let [failed] = answer.failed() else { panic!("{answer:?}") };
    assert_eq!((failed.id(), failed.code()), ("bad", "InvalidParameterValue"));
    assert!(failed.sender_fault());
    assert_eq!(bodies(&peeked(&sqs, &queue).await), ["good"]);
}

#[tokio::test]
async fn a_batch_to_delete_fails_in_part() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sqs = sqs(&endpoint);
    let queue = queue(&sqs).await;
    sqs.send_message().queue_url(&queue).message_body("order").send().await.unwrap();
    let taken = peeked(&sqs, &queue).await;
    let handle = taken[0].receipt_handle().unwrap();
    let entry = |id: &str, handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.build().unwrap()
    };
    let batch = sqs.delete_message_batch().queue_url(&queue);
    let batch = batch.entries(entry("good", handle)).entries(entry("bad", "of nothing"));
    let answer = batch.send().await.unwrap();
    let deleted: Vec<_> = answer.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(deleted, ["good"]);
    let [failed] = answer.failed() else { panic!("{answer:?}") };
    assert_eq!((failed.id(), failed.code()), ("bad", "ReceiptHandleIsInvalid"));
    assert_eq!(bodies(&peeked(&sqs, &queue).await), [""; 0]);
}

/// A topic whose messages come into the queue.
async fn topic(sns: &aws_sdk_sns::Client, sqs: &Sqs, queue: &str, raw: bool) -> String {
    let topic = sns.create_topic().name(unique_name()).send().await.unwrap().topic_arn.unwrap();
    let asked = sqs.get_queue_attributes().queue_url(queue);
    let asked = asked.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = &asked.attributes().unwrap()[&QueueAttributeName::QueueArn];
    let subscription = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
    let subscription = subscription.attributes("RawMessageDelivery", raw.to_string());
    subscription.send().await.unwrap();
    topic
}

fn sns_text(value: &str) -> aws_sdk_sns::types::MessageAttributeValue {
    let value = aws_sdk_sns::types::MessageAttributeValue::builder().string_value(value);
    value.data_type("String").build().unwrap()
}

#[tokio::test]
async fn what_is_published_comes_to_a_queue_as_it_was_sent() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let (sns, sqs) = (sns(&endpoint), sqs(&endpoint));
    let queue = queue(&sqs).await;
    let topic = topic(&sns, &sqs, &queue, true).await;
    let message = sns.publish().topic_arn(topic).message("{\"order\": 7}");
    let message = message.message_attributes("traceparent", sns_text(TRACEPARENT));
    message.send().await.unwrap();
    let [message] = &peeked(&sqs, &queue).await[..] else { panic!("not one message") };
    assert_eq!(message.body(), Some("{\"order\": 7}"));
    let expected = HashMap::from([("traceparent".to_owned(), text(TRACEPARENT))]);
    assert_eq!(message.message_attributes(), Some(&expected));
}

#[tokio::test]
async fn what_is_published_comes_to_a_queue_in_an_envelope() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let (sns, sqs) = (sns(&endpoint), sqs(&endpoint));
    let queue = queue(&sqs).await;
    let topic = topic(&sns, &sqs, &queue, false).await;
    let message = sns.publish().topic_arn(&topic).message("{\"order\": 7}").subject("orders");
    let message = message.message_attributes("traceparent", sns_text(TRACEPARENT));
    let answer = message.send().await.unwrap();
    let [message] = &peeked(&sqs, &queue).await[..] else { panic!("not one message") };
    assert_eq!(message.message_attributes(), None);
    let envelope: Value = serde_json::from_str(message.body().unwrap()).unwrap();
    assert_eq!(envelope["Message"], "{\"order\": 7}");
    assert_eq!(envelope["Subject"], "orders");
    assert_eq!(envelope["TopicArn"], *topic);
    assert_eq!(envelope["MessageId"].as_str(), answer.message_id());
    let attribute = &envelope["MessageAttributes"]["traceparent"];
    assert_eq!((&attribute["Type"], &attribute["Value"]), (&"String".into(), &TRACEPARENT.into()));
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_an_error_with_its_code() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let sns = sns(&endpoint);
    let topic = format!("arn:aws:sns:us-east-1:123456789012:{}", unique_name());
    let error = sns.publish().topic_arn(topic).message("lost").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotFound"));
    assert!(error.as_service_error().unwrap().is_not_found_exception());
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn a_batch_to_publish_fails_in_part() {
    let Some(endpoint) = live::address("MOTO") else { return };
    let (sns, sqs) = (sns(&endpoint), sqs(&endpoint));
    let queue = queue(&sqs).await;
    let topic = topic(&sns, &sqs, &queue, true).await;
    let entry = |id: &str| PublishBatchRequestEntry::builder().id(id).message(id);
    let batch = sns.publish_batch().topic_arn(topic);
    let batch = batch.publish_batch_request_entries(entry("good").build().unwrap());
    let bad = entry("bad").message("longer than 256 KiB ".repeat(16_384)).build().unwrap();
    let answer = batch.publish_batch_request_entries(bad).send().await.unwrap();
    let sent: Vec<_> = answer.successful().iter().map(|entry| entry.id().unwrap()).collect();
    assert_eq!(sent, ["good"]);
    let [failed] = answer.failed() else { panic!("{answer:?}") };
    assert_eq!((failed.id(), failed.code()), ("bad", "InvalidParameter"));
    assert_eq!(bodies(&peeked(&sqs, &queue).await), ["good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_error_without_a_code_and_the_client_goes_on_after_it() {
    let server = block_in_place(|| private(Server::moto(), Extra::new()));
    let Some(mut server) = server else { return };
    let sqs = sqs(server.url());
    let queue = queue(&sqs).await;
    let send = || sqs.send_message().queue_url(&queue).message_body("order").send();
    send().await.unwrap();

    block_in_place(|| server.kill()).unwrap();
    let error = send().await.unwrap_err();
    let SdkError::DispatchFailure(failure) = &error else { panic!("{error:?}") };
    assert!(failure.is_io(), "{failure:?}");
    assert_eq!(error.code(), None);

    block_in_place(|| server.restart()).unwrap();
    // It keeps nothing.
    let error = send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
    let name = queue.rsplit('/').next().unwrap();
    sqs.create_queue().queue_name(name).send().await.unwrap();
    send().await.unwrap();
    eventually("the message is there", async || bodies(&peeked(&sqs, &queue).await) == ["order"])
        .await;
}

//! The scenarios that all adapters of brokers share, on a broker in memory.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::future::{pending, ready};
use std::pin::pin;

use opentelemetry::KeyValue;
use otel_core::Telemetry;
use otel_core::propagation::ByteCarrier;
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{Capability, Messaging, Step};
use otel_testing::span;
use support::broker::{Client, Received, Record, SERVER, orders};
use support::{StubError, poll_once};

struct Stub(Client);

fn record(headers: &[(&str, &str)]) -> Record {
    let bytes = |value: &str| value.as_bytes().to_vec();
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), bytes(value)));
    Record { headers: headers.collect(), offset: 0 }
}

impl Messaging for Stub {
    type Message = Received;

    const CAPABILITIES: &'static [Capability] = &[
        Capability::Batch,
        Capability::Cancel,
        Capability::Off,
        Capability::Settle,
        Capability::Unpolled,
    ];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        Some(Self(Client::new(telemetry)))
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        self.0.send(record(headers)).await.unwrap();
    }

    async fn fail(&self) {
        let refused = Record { offset: -1, ..Record::default() };
        assert!(self.0.send(refused).await.is_err());
    }

    async fn receive(&self) -> Received {
        self.0.receive().unwrap()
    }

    async fn receive_nothing(&self) {
        assert!(self.0.receive().is_none());
    }

    fn headers(message: &Received) -> HashMap<String, String> {
        let headers = message.record.headers.iter();
        headers
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect()
    }

    async fn process<'m>(
        &'m self,
        message: &'m Received,
        handler: Handler<'m>,
    ) -> Result<(), HandlerFailed> {
        let messaging = &self.0.messaging;
        messaging.handle(&message.delivery, message, |_| orders("process"), |_| handler).await
    }

    async fn settle(&self, message: &Received) {
        self.0.messaging.settle([&message.delivery], || orders("commit")).finish();
    }

    async fn send_batch(&self, messages: usize, failing: usize) {
        self.0.send_batch(vec![Record::default(); messages], failing);
    }

    async fn receive_batch(&self, messages: usize) -> Vec<Received> {
        self.0.receive_batch(messages)
    }

    async fn hang(&self) {
        let mut record = Record::default();
        let mut carrier = ByteCarrier::new(&mut record.headers);
        let operation = self.0.messaging.send(&mut carrier, || orders("send"));
        let _ = operation.run(pending::<Result<(), StubError>>()).await;
    }

    fn unpolled(&self) {
        drop(self.0.send(Record::default()));
        let received = Received { record: Record::default(), delivery: <_>::default() };
        drop(self.process(&received, Box::pin(async { Ok(()) })));
        drop(self.0.messaging.stream(futures_util::stream::iter([1]), |_, _| ()));
    }

    fn off_call(&self) {
        // Room for the queue's one record is made once.
        assert!(poll_once(pin!(self.0.send(Record::default()))).is_ready());
        let received = self.0.receive().unwrap();
        let handled = self.0.messaging.handle(
            &received.delivery,
            &received,
            |_| orders("process"),
            |_| ready(Ok::<_, StubError>(())),
        );
        assert!(poll_once(pin!(handled)).is_ready());
        self.0.messaging.settle([&received.delivery], || orders("commit")).finish();
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        let call = |name: &'static str, kind: &'static str| {
            span(format!("{name} orders"))
                .attributes(SERVER)
                .attribute("server.port", 9092)
                .attribute("messaging.destination.name", "orders")
                .attribute("messaging.operation.name", name)
                .attribute("messaging.operation.type", kind)
        };
        let ours = |expected: ExpectedSpan| expected.attribute("messaging.client.id", "stub-1");
        let partition =
            |expected: ExpectedSpan| expected.attribute("messaging.destination.partition.id", "0");
        let size = |size: usize| i64::try_from(size).unwrap();
        match step {
            Step::Create(_) => call("create", "create").producer(),
            Step::Send => partition(ours(call("send", "send")))
                .producer()
                .any_attribute("messaging.kafka.offset"),
            Step::Hang => ours(call("send", "send")).producer(),
            Step::Fail => ours(call("send", "send"))
                .producer()
                .attribute("error.type", "UNKNOWN_TOPIC_OR_PARTITION")
                .error(""),
            Step::SendBatch(messages, failing) => {
                let expected = ours(call("send", "send")).client();
                let expected = expected.attribute("messaging.batch.message_count", size(messages));
                match failing {
                    0 => expected,
                    _ => expected.attribute("error.type", "TOO_LARGE").error(""),
                }
            }
            Step::Receive => partition(ours(call("poll", "receive")))
                .client()
                .attribute("messaging.consumer.group.name", "warehouse")
                .any_attribute("messaging.kafka.offset"),
            Step::ReceiveBatch(messages) => ours(call("poll", "receive"))
                .client()
                .attribute("messaging.batch.message_count", size(messages)),
            Step::Process => ours(call("process", "process")).consumer(),
            Step::Settle => ours(call("commit", "settle")).client(),
            _ => panic!("a step that this test does not know"),
        }
    }

    fn link(&self, step: Step, place: usize) -> Vec<KeyValue> {
        match step {
            Step::ReceiveBatch(size) => {
                let offset = if size == 1 { 0 } else { 1 + i64::try_from(place).unwrap() };
                vec![KeyValue::new("messaging.kafka.offset", offset)]
            }
            _ => Vec::new(),
        }
    }
}

otel_testing::messaging_scenarios!(Stub);

//! A client of a broker for tests: the broker is a queue in memory.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use otel_core::messaging::{
    Deliveries, Delivery, Destination, MessageFacts, MessagingCall, MessagingServer, fact,
};
use otel_core::propagation::{ByteCarrier, ByteHeaders as _};
use otel_core::{Messaging, Telemetry};

use super::{Stub, StubError};

pub(crate) const SERVER: [(&str, &str); 2] =
    [("messaging.system", "kafka"), ("server.address", "broker.example")];

pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// A message of the driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) headers: Headers,
    /// Given by the broker; it refuses a record that has a negative one.
    pub(crate) offset: i64,
}

/// The driver.
#[derive(Debug, Default)]
pub(crate) struct Broker(Mutex<(VecDeque<Record>, i64)>);

impl Broker {
    pub(crate) fn send(&self, mut record: Record) -> Result<i64, StubError> {
        if record.offset < 0 {
            return Err(StubError("UNKNOWN_TOPIC_OR_PARTITION"));
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.offset = state.1;
        state.1 += 1;
        let offset = record.offset;
        state.0.push_back(record);
        Ok(offset)
    }

    pub(crate) fn poll(&self) -> Option<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }
}

/// A received message of the adapter.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) record: Record,
    pub(crate) delivery: Delivery,
}

pub(crate) fn messaging(telemetry: &Telemetry) -> Messaging<Stub> {
    let server = MessagingServer::new("kafka").address("broker.example", Some(9092));
    Messaging::new(telemetry, server.client_id("stub-1"))
}

pub(crate) fn orders(operation: &'static str) -> MessagingCall<'static> {
    MessagingCall::new(operation, Destination::named("orders"))
}

/// The adapter.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) messaging: Messaging<Stub>,
    pub(crate) broker: Broker,
}

impl Client {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self { messaging: messaging(telemetry), broker: Broker::default() }
    }

    pub(crate) async fn send(&self, mut record: Record) -> Result<(), StubError> {
        let mut carrier = ByteCarrier::new(&mut record.headers);
        let operation = self.messaging.send(&mut carrier, || orders("send"));
        let sending = std::future::ready(self.broker.send(record));
        let sent = operation.run_with(sending, |offset, operation| {
            operation.learn(fact::KAFKA_OFFSET, *offset);
            operation.learn(fact::PARTITION_ID, "0");
        });
        sent.await.map(drop)
    }

    pub(crate) fn receive(&self) -> Option<Received> {
        let poll = self.messaging.poll();
        let record = self.broker.poll()?;
        let delivery = poll.received(&ByteCarrier::new(&record.headers), || {
            let call = orders("poll").consumer_group("warehouse").partition(0);
            call.with(fact::KAFKA_OFFSET, record.offset)
        });
        Some(Received { record, delivery })
    }

    pub(crate) fn send_batch(&self, mut records: Vec<Record>, failing: usize) {
        let carriers = records
            .iter_mut()
            .map(|record| (ByteCarrier::new(&mut record.headers), MessageFacts::new));
        let mut operation = self.messaging.send_batch(carriers, || orders("send"));
        operation.failed_messages(failing, otel_core::Failure::new("TOO_LARGE"));
        for record in records {
            let _ = self.broker.send(record);
        }
        operation.finish();
    }

    pub(crate) fn receive_batch(&self, messages: usize) -> Vec<Received> {
        let poll = self.messaging.poll();
        let records: Vec<Record> = (0..messages).map_while(|_| self.broker.poll()).collect();
        let facts = |record: &Record| MessageFacts::new().with(fact::KAFKA_OFFSET, record.offset);
        let read =
            records.iter().map(|record| (ByteCarrier::new(&record.headers), move || facts(record)));
        let deliveries: Deliveries = poll.received_batch(read, || orders("poll"));
        assert_eq!(deliveries.len(), records.len());
        let all = records.into_iter().zip(deliveries);
        all.map(|(record, delivery)| Received { record, delivery }).collect()
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.record.headers.entries().filter(|(known, _)| *known == name);
        std::str::from_utf8(named.next()?.1).ok()
    }
}

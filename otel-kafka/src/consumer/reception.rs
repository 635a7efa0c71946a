//! What becomes of a received message, from the poll to the commit; the same for all consumers.

use std::fmt;
use std::sync::Arc;

use otel_core::messaging::{Delivery, Destination, MessagingCall, Poll, Settling, Unsettled, fact};
use otel_core::propagation::ByteCarrier;
use otel_core::{Messaging, Telemetry};
use rdkafka::TopicPartitionList;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{self, Message as _};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::util::Timeout;

use super::unsettled::{Covered, Delivered};
use crate::carrier::Incoming;
use crate::driver::{Facts, Instrumentation, Kafka, body_size, key_text};
use crate::message::BorrowedMessage;

/// The telemetry of one consumer: shared with its queues, its messages, and the callbacks of its
/// context.
pub(crate) struct Reception {
    instrumentation: Instrumentation,
    pub(crate) facts: Facts,
    unsettled: Unsettled<Delivered>,
}

/// Without the messages that it remembers: a message shows this as well.
impl fmt::Debug for Reception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reception").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Reception {
    pub(crate) fn new(telemetry: &Telemetry, facts: Facts) -> Arc<Self> {
        let instrumentation = Instrumentation::new(&facts, telemetry);
        Arc::new(Self { instrumentation, facts, unsettled: Unsettled::default() })
    }

    pub(crate) fn messaging(&self) -> &Messaging<Kafka> {
        &self.instrumentation.messaging
    }

    fn call<'c>(&'c self, operation: &'static str, place: Destination<'c>) -> MessagingCall<'c> {
        let call = MessagingCall::new(operation, place);
        match &self.facts.group {
            Some(group) => call.consumer_group(&**group),
            None => call,
        }
    }

    /// To handle a message, where its consumer may be gone.
    pub(crate) fn processing<'c>(
        &'c self,
        message: &'c impl message::Message,
    ) -> MessagingCall<'c> {
        self.instrumentation.in_known_cluster(self.about("process", message))
    }

    fn about<'c>(
        &'c self,
        operation: &'static str,
        message: &'c impl message::Message,
    ) -> MessagingCall<'c> {
        let call = self
            .call(operation, Destination::named(message.topic()))
            .partition(message.partition())
            .with(fact::KAFKA_OFFSET, message.offset())
            .with(fact::KAFKA_MESSAGE_TOMBSTONE, message.payload().is_none())
            .with(fact::BODY_SIZE, body_size(message.payload()));
        match message.key().and_then(key_text) {
            Some(key) => call.with(fact::KAFKA_MESSAGE_KEY, key),
            None => call,
        }
    }

    /// Before a call that asks for a message. One without a bound is looked at once it is over.
    pub(crate) fn ask(&self, timeout: Timeout) -> Option<Poll<Kafka>> {
        (timeout != Timeout::Never).then(|| self.messaging().poll())
    }

    /// Once it has answered. The end of a partition is no failure, and no message.
    pub(crate) fn answered<'c, C: ClientContext>(
        self: &'c Arc<Self>,
        poll: Option<Poll<Kafka>>,
        answer: KafkaResult<message::BorrowedMessage<'c>>,
        client: &Client<C>,
    ) -> KafkaResult<BorrowedMessage<'c>> {
        if let Err(KafkaError::PartitionEOF(_)) = answer {
            return answer.map(|message| BorrowedMessage::new(message, <_>::default(), self));
        }
        let poll = poll.unwrap_or_else(|| self.messaging().arrival());
        match answer {
            Ok(message) => {
                let headers = Incoming(message.headers());
                let describe =
                    || self.instrumentation.in_cluster(self.about("poll", &message), client);
                let delivery = poll.received(&ByteCarrier::new(&headers), describe);
                // In this order: to ask whether somebody listens may cost an allocation.
                if delivery.span_context().is_some() && !self.messaging().is_off() {
                    self.note(&message, &delivery);
                }
                Ok(BorrowedMessage::new(message, delivery, self))
            }
            Err(error) => {
                poll.failed(&error, || self.call("poll", Destination::none()));
                Err(error)
            }
        }
    }

    fn note(&self, message: &impl message::Message, delivery: &Delivery) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let order = |known: &Delivered| known.order(topic, partition, offset);
        self.unsettled
            .note(delivery, order, |last| Delivered::after(last, topic, partition, offset));
    }

    pub(crate) fn commit(
        &self,
        list: &TopicPartitionList,
        commit: impl FnOnce() -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        if self.messaging().is_off() {
            return commit();
        }
        let elements = list.elements();
        let covered = Covered::by(&elements);
        let taken = self.unsettled.take(|message| covered.covers(message));
        self.settle(taken, None, || self.commit_of(&covered), commit)
    }

    /// Commits what is stored: all that was delivered, or what the application stored itself.
    pub(crate) fn commit_state(
        &self,
        assignment: impl FnOnce() -> KafkaResult<TopicPartitionList>,
        commit: impl FnOnce() -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        if self.messaging().is_off() {
            return commit();
        }
        // Of partitions that another consumer has by now, nothing is committed.
        let known = !self.unsettled.is_empty();
        let assigned = known.then(assignment).and_then(Result::ok).unwrap_or_default();
        let elements = assigned.elements();
        let covered = Covered::all_of(&elements);
        let taken = self
            .unsettled
            .take(|it| (it.stored || self.facts.stores_delivered) && covered.covers(it));
        self.settle(taken, None, || self.call("commit", Destination::none()), commit)
    }

    pub(crate) fn commit_message(
        &self,
        message: &message::BorrowedMessage<'_>,
        commit: impl FnOnce() -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        if self.messaging().is_off() {
            return commit();
        }
        let offset = message.offset();
        let next = offset.saturating_add(1);
        let covered = Covered::before(message.topic(), message.partition(), next);
        let taken = self.unsettled.take(|message| covered.covers(message));
        // The message itself may have been forgotten; its headers have not.
        let is_known = taken.messages().any(|message| message.offset == offset);
        let headers = Incoming(message.headers());
        let own = (!is_known).then(|| self.messaging().delivery(&ByteCarrier::new(&headers)));
        let describe = || self.commit_of(&covered).with(fact::KAFKA_OFFSET, offset);
        self.settle(taken, own, describe, commit)
    }

    fn settle<'c>(
        &'c self,
        taken: Settling<Delivered>,
        own: Option<Delivery>,
        describe: impl FnOnce() -> MessagingCall<'c>,
        commit: impl FnOnce() -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        let describe = || self.instrumentation.in_known_cluster(describe());
        let result = self.messaging().settle(&taken.deliveries(own), describe).call(commit);
        // What is not committed may be once more.
        if result.is_err() {
            self.unsettled.put_back(taken);
        }
        result
    }

    /// A commit that librdkafka made by itself.
    pub(crate) fn committed(&self, result: &KafkaResult<()>, list: &TopicPartitionList) {
        if self.messaging().is_off() {
            return;
        }
        let elements = list.elements();
        let covered = Covered::by(&elements);
        let mut taken = self.unsettled.take(|message| covered.covers(message));
        let describe = || self.instrumentation.in_known_cluster(self.commit_of(&covered));
        let settling = self.messaging().settled(&taken.deliveries(None), describe);
        // The whole may have succeeded where a partition has not.
        let failed = |element: &&TopicPartitionListElem<'_>| element.error().is_err();
        let of_partition = elements.iter().find(failed).map(TopicPartitionListElem::error);
        settling.finish_with(&result.clone().and(of_partition.unwrap_or(Ok(()))));
        let failed = Covered::by(elements.iter().filter(failed));
        taken.retain(|message| result.is_err() || failed.covers(message));
        self.unsettled.put_back(taken);
    }

    fn commit_of<'c>(&'c self, covered: &Covered<'c>) -> MessagingCall<'c> {
        let (topic, partition) = covered.place();
        let call = self.call("commit", topic.map_or_else(Destination::none, Destination::named));
        match partition {
            Some(partition) => call.partition(partition),
            None => call,
        }
    }

    pub(crate) fn stored(&self, topic: &str, partition: i32, next: i64) {
        self.store(&Covered::before(topic, partition, next));
    }

    pub(crate) fn stored_all(&self, list: &TopicPartitionList) {
        let elements = list.elements();
        let stored = elements.iter().filter(|element| element.error().is_ok());
        self.store(&Covered::by(stored));
    }

    fn store(&self, stored: &Covered<'_>) {
        self.unsettled.update(|message| message.store(stored));
    }
}

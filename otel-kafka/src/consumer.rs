//! Consumers: rdkafka's module `consumer`, with the instrumented types in place of its own.

pub mod base_consumer;
pub(crate) mod reception;
pub mod stream_consumer;
mod unsettled;

/// rdkafka's own `BaseConsumer`, which a [`ConsumerContext`] gets in its callbacks.
pub use rdkafka::consumer::BaseConsumer as RawBaseConsumer;
pub use rdkafka::consumer::{
    CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata, DefaultConsumerContext,
    Rebalance, RebalanceProtocol,
};

pub use self::base_consumer::BaseConsumer;
pub use self::stream_consumer::{MessageStream, StreamConsumer};

/// Forwards to rdkafka's consumer.
macro_rules! delegate_to_raw {
    ($(fn $method:ident $(<$timeout:ident>)? ($($argument:ident: $type:ty),*) $(-> $output:ty)?;)*) => {
        $(fn $method $(<$timeout: Into<Timeout>>)? (&self, $($argument: $type),*) $(-> $output)? {
            self.raw.$method($($argument),*)
        })*
    };
}

/// What both consumers have, and rdkafka's trait `Consumer`: for a type with a `raw` consumer and a
/// `reception`.
macro_rules! implement_consumer {
    ($consumer:ident<C $(, $runtime:ident)?>) => {
        crate::builder::handle!([C: ConsumerContext $(, $runtime)?] $consumer<C $(, $runtime)?>,
            raw::$consumer<C $(, $runtime)?>, Arc<raw::$consumer<C $(, $runtime)?>>);

        impl<C: ConsumerContext $(, $runtime)?> $consumer<C $(, $runtime)?> {
            /// Instruments a consumer whose context has callbacks: what these report then links to
            /// the messages that the consumer delivered. Telemetry and configuration are those of
            /// the callbacks.
            pub fn with_callbacks(
                consumer: raw::$consumer<C $(, $runtime)?>,
                callbacks: &crate::callbacks::Callbacks,
            ) -> Self {
                Self { raw: Arc::new(consumer), reception: callbacks.reception() }
            }
        }

        impl<C: ConsumerContext $(, $runtime)?> crate::Builder<raw::$consumer<C $(, $runtime)?>> {
            /// Makes the instrumented consumer.
            pub fn build(self) -> $consumer<C $(, $runtime)?> {
                let (raw, telemetry, facts) = self.into_parts();
                $consumer { raw: Arc::new(raw), reception: Reception::new(&telemetry, facts) }
            }
        }

        crate::builder::debug!([C: ConsumerContext $(, $runtime)?] $consumer
            $consumer<C $(, $runtime)?>, reception);

        impl<C: ConsumerContext $(, $runtime)?> Consumer<C> for $consumer<C $(, $runtime)?> {
            super::delegate_to_raw! {
                fn client() -> &Client<C>;
                fn group_metadata() -> Option<ConsumerGroupMetadata>;
                fn subscribe(topics: &[&str]) -> KafkaResult<()>;
                fn unsubscribe();
                fn assign(assignment: &TopicPartitionList) -> KafkaResult<()>;
                fn unassign() -> KafkaResult<()>;
                fn incremental_assign(assignment: &TopicPartitionList) -> KafkaResult<()>;
                fn incremental_unassign(assignment: &TopicPartitionList) -> KafkaResult<()>;
                fn assignment_lost() -> bool;
                fn seek<T>(topic: &str, partition: i32, offset: Offset, timeout: T) -> KafkaResult<()>;
                fn seek_partitions<T>(list: TopicPartitionList, timeout: T) -> KafkaResult<TopicPartitionList>;
                fn subscription() -> KafkaResult<TopicPartitionList>;
                fn assignment() -> KafkaResult<TopicPartitionList>;
                fn committed<T>(timeout: T) -> KafkaResult<TopicPartitionList>;
                fn committed_offsets<T>(list: TopicPartitionList, timeout: T) -> KafkaResult<TopicPartitionList>;
                fn offsets_for_timestamp<T>(timestamp: i64, timeout: T) -> KafkaResult<TopicPartitionList>;
                fn offsets_for_times<T>(timestamps: TopicPartitionList, timeout: T) -> KafkaResult<TopicPartitionList>;
                fn position() -> KafkaResult<TopicPartitionList>;
                fn fetch_metadata<T>(topic: Option<&str>, timeout: T) -> KafkaResult<Metadata>;
                fn fetch_watermarks<T>(topic: &str, partition: i32, timeout: T) -> KafkaResult<(i64, i64)>;
                fn fetch_group_list<T>(group: Option<&str>, timeout: T) -> KafkaResult<GroupList>;
                fn pause(partitions: &TopicPartitionList) -> KafkaResult<()>;
                fn resume(partitions: &TopicPartitionList) -> KafkaResult<()>;
                fn rebalance_protocol() -> RebalanceProtocol;
            }

            fn commit(&self, list: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()> {
                self.reception.commit(list, || self.raw.commit(list, mode))
            }

            fn commit_consumer_state(&self, mode: CommitMode) -> KafkaResult<()> {
                let commit = || self.raw.commit_consumer_state(mode);
                self.reception.commit_state(|| self.raw.assignment(), commit)
            }

            fn commit_message(
                &self,
                message: &BorrowedMessage<'_>,
                mode: CommitMode,
            ) -> KafkaResult<()> {
                self.reception.commit_message(message, || self.raw.commit_message(message, mode))
            }

            fn store_offset(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
                self.raw.store_offset(topic, partition, offset)?;
                self.reception.stored(topic, partition, offset.saturating_add(1));
                Ok(())
            }

            fn store_offset_from_message(&self, message: &BorrowedMessage<'_>) -> KafkaResult<()> {
                self.raw.store_offset_from_message(message)?;
                let next = message.offset().saturating_add(1);
                self.reception.stored(message.topic(), message.partition(), next);
                Ok(())
            }

            fn store_offsets(&self, list: &TopicPartitionList) -> KafkaResult<()> {
                self.raw.store_offsets(list)?;
                self.reception.stored_all(list);
                Ok(())
            }
        }
    };
}

pub(crate) use {delegate_to_raw, implement_consumer};

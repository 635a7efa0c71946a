//! async-nats's module of this name, with the instrumented stream in place of its own.

use std::sync::Arc;

use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::{
    self, FromConsumer, Info as ConsumerInfo, IntoConsumerConfig,
};
use async_nats::jetstream::context::ConsumerInfoError;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream as raw;

pub use async_nats::jetstream::stream::*;

use super::consumer::Consumer;
use crate::client::Link;
use crate::forward::{forward, leads_to_raw};

/// An instrumented handle of a stream: async-nats's `Stream`. It makes instrumented consumers; to
/// read single messages of the stream is no delivery, and has no spans.
#[derive(Clone, Debug)]
pub struct Stream<T = Info> {
    raw: raw::Stream<T>,
    link: Link,
    /// What the stream stores, where that is known.
    subjects: Arc<[String]>,
}

leads_to_raw!([T] Stream<T>, raw::Stream<T>);

impl Stream<Info> {
    pub(super) fn informed(raw: raw::Stream<Info>, link: &Link) -> Self {
        let subjects = raw.cached_info().config.subjects.clone().into();
        Self { raw, link: link.clone(), subjects }
    }

    forward! { "Stream"
        async fn info[](&mut self) -> Result<&Info, InfoError>;
        fn cached_info[](&self) -> &Info;
    }
}

impl<T> Stream<T> {
    pub(super) fn new(raw: raw::Stream<T>, link: &Link) -> Self {
        Self { raw, link: link.clone(), subjects: Arc::default() }
    }

    fn consumer<C: IntoConsumerConfig>(&self, raw: consumer::Consumer<C>) -> Consumer<C> {
        Consumer::linked(raw, &self.link, &self.subjects)
    }

    forward! { "Stream"
        async fn create_consumer[C: IntoConsumerConfig + FromConsumer](&self, config: C) -> Result<Consumer<C>, ConsumerError> => consumer;
        async fn update_consumer[C: IntoConsumerConfig + FromConsumer](&self, config: C) -> Result<Consumer<C>, ConsumerUpdateError> => consumer;
        async fn create_consumer_strict[C: IntoConsumerConfig + FromConsumer](&self, config: C) -> Result<Consumer<C>, ConsumerCreateStrictError> => consumer;
        async fn get_consumer[C: FromConsumer + IntoConsumerConfig](&self, name: &str) -> Result<Consumer<C>, async_nats::Error> => consumer;
        async fn get_or_create_consumer[C: FromConsumer + IntoConsumerConfig](&self, name: &str, config: C) -> Result<Consumer<C>, ConsumerError> => consumer;
    }

    forward! { "Stream"
        async fn get_info[](&self) -> Result<Info, InfoError>;
        async fn info_with_subjects[F: AsRef<str>](&self, subjects_filter: F) -> Result<InfoWithSubjects, InfoError>;
        fn info_builder[](&self) -> StreamInfoBuilder;
        fn direct_get_builder[](&self) -> DirectGetBuilder<WithHeaders>;
        async fn direct_get_next_for_subject[S: Into<String>](&self, subject: S, sequence: Option<u64>) -> Result<StreamMessage, DirectGetError>;
        async fn direct_get_first_for_subject[S: Into<String>](&self, subject: S) -> Result<StreamMessage, DirectGetError>;
        async fn direct_get[](&self, sequence: u64) -> Result<StreamMessage, DirectGetError>;
        async fn direct_get_last_for_subject[S: Into<String>](&self, subject: S) -> Result<StreamMessage, DirectGetError>;
        fn raw_message_builder[](&self) -> RawMessageBuilder<WithHeaders>;
        async fn get_raw_message[](&self, sequence: u64) -> Result<StreamMessage, RawMessageError>;
        async fn get_first_raw_message_by_subject[S: AsRef<str>](&self, subject: S, sequence: u64) -> Result<StreamMessage, RawMessageError>;
        async fn get_next_raw_message_by_subject[S: AsRef<str>](&self, subject: S) -> Result<StreamMessage, RawMessageError>;
        async fn get_last_raw_message_by_subject[](&self, stream_subject: &str) -> Result<StreamMessage, LastRawMessageError>;
        async fn delete_message[](&self, sequence: u64) -> Result<bool, DeleteMessageError>;
        fn purge[](&self) -> Purge<No, No>;
        #[deprecated = "`purge().filter(subject)` does the same, as async-nats says"]
        #[expect(deprecated, reason = "as async-nats's")]
        async fn purge_subject[S: Into<String>](&self, subject: S) -> Result<PurgeResponse, PurgeError>;
        async fn consumer_info[S: AsRef<str>](&self, name: S) -> Result<ConsumerInfo, ConsumerInfoError>;
        async fn delete_consumer[](&self, name: &str) -> Result<DeleteStatus, ConsumerError>;
        async fn pause_consumer[](&self, name: &str, pause_until: DateTime) -> Result<PauseResponse, ConsumerError>;
        async fn resume_consumer[](&self, name: &str) -> Result<PauseResponse, ConsumerError>;
        async fn unpin_consumer[](&self, name: &str, group: &str) -> Result<(), ConsumerError>;
        async fn reset_consumer[](&self, name: &str, seq: Option<u64>) -> Result<ConsumerResetResponse, ConsumerResetError>;
        fn consumer_names[](&self) -> ConsumerNames;
        fn consumers[](&self) -> Consumers;
    }
}

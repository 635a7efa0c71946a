//! async-nats's module of this name, with the instrumented context in place of its own.

use std::borrow::Borrow;
use std::fmt;
use std::time::Duration;

use async_nats::client::traits as core_traits;
use async_nats::jetstream::account::Account;
use async_nats::jetstream::consumer::{FromConsumer, IntoConsumerConfig};
use async_nats::jetstream::message::{OutboundMessage, PublishMessage};
use async_nats::jetstream::stream::{
    Config, ConsumerCreateStrictError, ConsumerError, ConsumerUpdateError, DeleteStatus, Info,
};
use async_nats::{HeaderMap, ToSubject, jetstream as raw, message};
use bytes::Bytes;
use otel_core::MessagingOperation;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use async_nats::jetstream::context::*;

use super::consumer::Consumer;
pub use super::publish_ack::PublishAckFuture;
use super::stream::Stream;
use crate::client::{Client, Link};
use crate::driver::{Nats, Sent};
use crate::forward::{forward, leads_to_raw};

/// An instrumented handle of JetStream: async-nats's `Context`.
///
/// What needs async-nats's own is one call away, at [`raw`](Self::raw), and is not traced.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) raw: raw::Context,
    pub(super) link: Link,
}

leads_to_raw!([] Context, raw::Context);

impl Context {
    pub(super) fn linked(raw: raw::Context, link: Link) -> Self {
        Self { raw, link }
    }

    /// As async-nats's `Context::client`, instrumented.
    pub fn client(&self) -> Client {
        Client::linked(self.raw.client(), self.link.clone())
    }

    /// As async-nats's `Context::publish`.
    pub async fn publish<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> Result<PublishAckFuture, PublishError> {
        self.store(OutboundMessage { subject: subject.to_subject(), payload, headers: None }).await
    }

    /// As async-nats's `Context::publish_with_headers`.
    pub async fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAckFuture, PublishError> {
        let headers = Some(headers);
        self.store(OutboundMessage { subject: subject.to_subject(), payload, headers }).await
    }

    /// As async-nats's `Context::send_publish`.
    pub async fn send_publish<S: ToSubject>(
        &self,
        subject: S,
        publish: PublishMessage,
    ) -> Result<PublishAckFuture, PublishError> {
        self.store(publish.outbound_message(subject)).await
    }

    async fn store(&self, message: OutboundMessage) -> Result<PublishAckFuture, PublishError> {
        let (raw, operation, has_id) = self.hand_over(message).await?;
        Ok(PublishAckFuture::new(raw, operation, has_id))
    }

    /// With whether the application gave the message an id.
    async fn hand_over(
        &self,
        mut message: OutboundMessage,
    ) -> Result<(raw::context::PublishAckFuture, MessagingOperation<Nats>, bool), PublishError>
    {
        let OutboundMessage { subject, payload, headers } = &mut message;
        let operation = self.link.start(Sent::publish(subject, None, payload.len()), headers);
        let has_id = crate::driver::message_id(headers.as_ref()).is_some();
        let sending = traits::Publisher::publish_message(&self.raw, message);
        let (raw, operation) = operation.run_part(sending).await?;
        Ok((raw, operation, has_id))
    }

    fn stream<T>(&self, raw: raw::stream::Stream<T>) -> Stream<T> {
        Stream::new(raw, &self.link)
    }

    fn informed(&self, raw: raw::stream::Stream) -> Stream {
        Stream::informed(raw, &self.link)
    }

    fn consumer<T: IntoConsumerConfig>(&self, raw: raw::consumer::Consumer<T>) -> Consumer<T> {
        Consumer::linked(raw, &self.link, &[])
    }

    /// As async-nats's `Context::create_stream`.
    pub async fn create_stream<S>(
        &self,
        stream_config: S,
    ) -> Result<Stream<Info>, CreateStreamError>
    where
        Config: From<S>,
    {
        Ok(self.informed(self.raw.create_stream(stream_config).await?))
    }

    forward! { "Context"
        async fn get_stream_no_info[T: AsRef<str>](&self, stream: T) -> Result<Stream<()>, GetStreamError> => stream;
        async fn get_stream[T: AsRef<str>](&self, stream: T) -> Result<Stream, GetStreamError> => informed;
        async fn get_or_create_stream[S: Into<Config>](&self, stream_config: S) -> Result<Stream, CreateStreamError> => informed;
        async fn get_consumer_from_stream[T: FromConsumer + IntoConsumerConfig, C: AsRef<str>, S: AsRef<str>](&self, consumer: C, stream: S) -> Result<Consumer<T>, ConsumerError> => consumer;
        async fn create_consumer_on_stream[C: IntoConsumerConfig + FromConsumer, S: AsRef<str>](&self, config: C, stream: S) -> Result<Consumer<C>, ConsumerError> => consumer;
        async fn update_consumer_on_stream[C: IntoConsumerConfig + FromConsumer, S: AsRef<str>](&self, config: C, stream: S) -> Result<Consumer<C>, ConsumerUpdateError> => consumer;
        async fn create_consumer_strict_on_stream[C: IntoConsumerConfig + FromConsumer, S: AsRef<str>](&self, config: C, stream: S) -> Result<Consumer<C>, ConsumerCreateStrictError> => consumer;
    }

    forward! { "Context"
        fn set_timeout[](&mut self, timeout: Duration);
        async fn wait_for_acks[](&self);
        async fn query_account[](&self) -> Result<Account, AccountError>;
        async fn delete_stream[T: AsRef<str>](&self, stream: T) -> Result<DeleteStatus, DeleteStreamError>;
        async fn update_stream[S: Borrow<Config>](&self, config: S) -> Result<Info, UpdateStreamError>;
        async fn create_or_update_stream[](&self, config: Config) -> Result<Info, CreateStreamError>;
        async fn stream_by_subject[T: Into<String>](&self, subject: T) -> Result<String, GetStreamByNameError>;
        fn stream_names[](&self) -> StreamNames;
        fn streams[](&self) -> Streams;
        async fn delete_consumer_from_stream[C: AsRef<str>, S: AsRef<str>](&self, consumer: C, stream: S) -> Result<DeleteStatus, ConsumerError>;
        async fn request[S: ToSubject, T: ?Sized + Serialize, V: DeserializeOwned](&self, subject: S, payload: &T) -> Result<V, RequestError>;
        async fn send_request[S: ToSubject](&self, subject: S, request: async_nats::Request) -> Result<(), async_nats::PublishError>;
    }

    #[cfg(feature = "kv")]
    forward! { "Context"
        async fn get_key_value[T: Into<String>](&self, bucket: T) -> Result<raw::kv::Store, KeyValueError>;
        async fn create_key_value[](&self, config: raw::kv::Config) -> Result<raw::kv::Store, CreateKeyValueError>;
        async fn update_key_value[](&self, config: raw::kv::Config) -> Result<raw::kv::Store, UpdateKeyValueError>;
        async fn create_or_update_key_value[](&self, config: raw::kv::Config) -> Result<raw::kv::Store, CreateKeyValueError>;
        async fn delete_key_value[T: AsRef<str>](&self, bucket: T) -> Result<DeleteStatus, KeyValueError>;
    }

    #[cfg(feature = "object-store")]
    forward! { "Context"
        async fn create_object_store[](&self, config: raw::object_store::Config) -> Result<raw::object_store::ObjectStore, CreateObjectStoreError>;
        async fn get_object_store[T: AsRef<str>](&self, bucket_name: T) -> Result<raw::object_store::ObjectStore, ObjectStoreError>;
        async fn delete_object_store[T: AsRef<str>](&self, bucket_name: T) -> Result<(), DeleteObjectStore>;
    }
}

/// What goes out has a span; what comes back is async-nats's own, as the trait has it.
impl core_traits::Requester for Context {
    async fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: async_nats::Request,
    ) -> Result<async_nats::Message, async_nats::RequestError> {
        self.link.ask(&self.raw, subject.to_subject(), request).await
    }
}

impl core_traits::Publisher for Context {
    async fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> Result<(), async_nats::PublishError> {
        self.client().publish_with_reply(subject, reply, payload).await
    }

    async fn publish_message(
        &self,
        msg: message::OutboundMessage,
    ) -> Result<(), async_nats::PublishError> {
        self.link.publish(&self.raw, msg).await
    }
}

impl traits::Requester for Context {
    fn request<S, T, V>(
        &self,
        subject: S,
        payload: &T,
    ) -> impl Future<Output = Result<V, RequestError>>
    where
        S: ToSubject,
        T: ?Sized + Serialize,
        V: DeserializeOwned,
    {
        self.request(subject, payload)
    }
}

impl traits::RequestSender for Context {
    fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: async_nats::Request,
    ) -> impl Future<Output = Result<(), async_nats::PublishError>> {
        self.send_request(subject, request)
    }
}

impl traits::TimeoutProvider for Context {
    fn timeout(&self) -> Duration {
        traits::TimeoutProvider::timeout(&self.raw)
    }
}

/// Ends with the message in the client's queue: the receipt is async-nats's own, as the trait has
/// it.
impl traits::Publisher for Context {
    async fn publish<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> Result<raw::context::PublishAckFuture, PublishError> {
        let message = OutboundMessage { subject: subject.to_subject(), payload, headers: None };
        traits::Publisher::publish_message(self, message).await
    }

    async fn publish_message(
        &self,
        message: OutboundMessage,
    ) -> Result<raw::context::PublishAckFuture, PublishError> {
        let (raw, operation, _) = self.hand_over(message).await?;
        operation.finish();
        Ok(raw)
    }
}

/// How a [`Context`] is made: async-nats's `ContextBuilder`.
pub struct ContextBuilder<PREFIX: ToAssign>(raw::context::ContextBuilder<PREFIX>);

impl<PREFIX: ToAssign> fmt::Debug for ContextBuilder<PREFIX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ContextBuilder").finish_non_exhaustive()
    }
}

impl Default for ContextBuilder<Yes> {
    fn default() -> Self {
        Self(raw::context::ContextBuilder::default())
    }
}

impl ContextBuilder<Yes> {
    /// As async-nats's `ContextBuilder::new`.
    pub fn new() -> Self {
        Self::default()
    }

    /// As async-nats's `ContextBuilder::api_prefix`.
    pub fn api_prefix<T: Into<String>>(self, prefix: T) -> ContextBuilder<No> {
        ContextBuilder(self.0.api_prefix(prefix))
    }

    /// As async-nats's `ContextBuilder::domain`.
    pub fn domain<T: Into<String>>(self, domain: T) -> ContextBuilder<No> {
        ContextBuilder(self.0.domain(domain))
    }
}

/// Forwards to the method of the same name.
macro_rules! forward_settings {
    ($($name:ident($type:ty);)*) => {$(
        #[doc = concat!("As async-nats's `ContextBuilder::", stringify!($name), "`.")]
        pub fn $name(self, value: $type) -> ContextBuilder<Yes> {
            ContextBuilder(self.0.$name(value))
        }
    )*};
}

impl<PREFIX: ToAssign> ContextBuilder<PREFIX> {
    forward_settings! {
        timeout(Duration);
        ack_timeout(Duration);
        max_ack_inflight(usize);
        backpressure_on_inflight(bool);
        concurrency_limit(Option<usize>);
    }

    /// As async-nats's `ContextBuilder::build`.
    pub fn build(self, client: Client) -> Context {
        let link = client.link.clone();
        Context::linked(self.0.build(client.into_inner()), link)
    }
}

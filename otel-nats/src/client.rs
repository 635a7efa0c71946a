//! The instrumented client: async-nats's module of this name, with it in place of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use async_nats::client::traits::{Publisher, Requester, TimeoutProvider};
use async_nats::connection::State;
use async_nats::message::OutboundMessage;
use async_nats::{HeaderMap, Server, ServerInfo, Subject, ToServerAddrs, ToSubject};
use bytes::Bytes;
use futures_sink::Sink;
use otel_core::{Messaging, Telemetry};

pub use async_nats::client::*;

use crate::builder::Builder;
use crate::driver::{Connection, Facts, Instrumentation, Nats, Sent, answered};
use crate::forward::{forward, leads_to_raw};
use crate::message::Message;
use crate::reception::Reception;
use crate::subscriber::Subscriber;

/// An instrumented client: async-nats's `Client`. A clone is another handle of the same connection.
///
/// What needs async-nats's own is one call away, at [`raw`](Self::raw), and is not traced.
#[derive(Clone, Debug)]
pub struct Client {
    raw: async_nats::Client,
    pub(crate) link: Link,
}

/// What the handles of one connection share.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// How answers are received; it also has what all others are made of.
    pub(crate) reception: Arc<Reception>,
    pub(crate) connection: Arc<Connection>,
}

impl Link {
    pub(crate) fn instrumentation(&self) -> &Instrumentation {
        &self.reception.instrumentation
    }
}

leads_to_raw!([] Client, async_nats::Client);

impl Client {
    /// Instruments a client, reporting to the global providers.
    pub fn new(raw: async_nats::Client) -> Self {
        Self::builder(raw).build()
    }

    /// Instruments a client, reporting to `telemetry`.
    pub fn with(raw: async_nats::Client, telemetry: &Telemetry) -> Self {
        Self::builder(raw).telemetry(telemetry).build()
    }

    /// Instruments a client, with what it does not tell of itself.
    pub fn builder(raw: async_nats::Client) -> Builder {
        Builder::of(raw)
    }

    pub(crate) fn from_parts(
        raw: async_nats::Client,
        messaging: Messaging<Nats>,
        facts: &Facts,
    ) -> Self {
        let instrumentation = Instrumentation::new(messaging, &raw.new_inbox(), facts);
        let reception = Arc::new(Reception::of(instrumentation));
        let connection = Connection::new(&raw);
        Self { raw, link: Link { reception, connection } }
    }

    #[cfg(feature = "jetstream")]
    pub(crate) fn linked(raw: async_nats::Client, link: Link) -> Self {
        Self { raw, link }
    }

    /// As async-nats's `Client::publish`.
    pub async fn publish<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        self.send(OutboundMessage {
            subject: subject.to_subject(),
            payload,
            reply: None,
            headers: None,
        })
        .await
    }

    /// As async-nats's `Client::publish_with_headers`.
    pub async fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let (subject, headers) = (subject.to_subject(), Some(headers));
        self.send(OutboundMessage { subject, payload, reply: None, headers }).await
    }

    /// As async-nats's `Client::publish_with_reply`.
    pub async fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        self.send_with_reply(subject.to_subject(), reply.to_subject(), None, payload).await
    }

    /// As async-nats's `Client::publish_with_reply_and_headers`.
    pub async fn publish_with_reply_and_headers<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let headers = Some(headers);
        self.send_with_reply(subject.to_subject(), reply.to_subject(), headers, payload).await
    }

    /// As async-nats's `Client::request`.
    pub async fn request<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> Result<Message, RequestError> {
        self.send_request(subject, Request::new().payload(payload)).await
    }

    /// As async-nats's `Client::request_with_headers`.
    pub async fn request_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, RequestError> {
        self.send_request(subject, Request::new().headers(headers).payload(payload)).await
    }

    /// As async-nats's `Client::send_request`.
    pub async fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> Result<Message, RequestError> {
        let answer = self.link.ask(&self.raw, subject.to_subject(), request).await?;
        Ok(self.link.reception.delivered(answer))
    }

    /// As async-nats's `Client::subscribe`.
    pub async fn subscribe<S: ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        let subject = subject.to_subject();
        let raw = self.raw.subscribe(subject.clone()).await?;
        Ok(Subscriber::from_parts(raw, self.receiving(&subject, None)))
    }

    /// As async-nats's `Client::queue_subscribe`.
    pub async fn queue_subscribe<S: ToSubject>(
        &self,
        subject: S,
        queue_group: String,
    ) -> Result<Subscriber, SubscribeError> {
        let subject = subject.to_subject();
        let reception = self.receiving(&subject, Some(&queue_group));
        let raw = self.raw.queue_subscribe(subject, queue_group).await?;
        Ok(Subscriber::from_parts(raw, reception))
    }

    fn receiving(&self, subject: &str, group: Option<&str>) -> Arc<Reception> {
        let reception = Reception::of(self.link.instrumentation().clone());
        Arc::new(reception.patterns([subject]).group(group))
    }

    forward! { "Client"
        fn timeout[](&self) -> Option<Duration>;
        fn try_server_info[](&self) -> Option<ServerInfo>;
        fn server_info[](&self) -> ServerInfo;
        fn max_payload[](&self) -> usize;
        fn is_server_compatible[](&self, major: i64, minor: i64, patch: i64) -> bool;
        fn new_inbox[](&self) -> String;
        async fn flush[](&self) -> Result<(), FlushError>;
        async fn drain[](&self) -> Result<(), DrainError>;
        fn connection_state[](&self) -> State;
        async fn force_reconnect[](&self) -> Result<(), ReconnectError>;
        async fn set_server_pool[A: ToServerAddrs](&self, addrs: A) -> Result<(), SetServerPoolError>;
        async fn server_pool[](&self) -> Result<Vec<Server>, ServerPoolError>;
        fn statistics[](&self) -> Arc<Statistics>;
    }

    async fn send(&self, message: OutboundMessage) -> Result<(), PublishError> {
        self.link.publish(&self.raw, message).await
    }

    /// By async-nats's own methods, which look at the reply's subject as well.
    async fn send_with_reply(
        &self,
        subject: Subject,
        reply: Subject,
        mut headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let sent = Sent::publish(&subject, Some(&reply), payload.len());
        let operation = self.link.start(sent, &mut headers);
        match headers {
            Some(headers) => {
                let raw = &self.raw;
                operation
                    .run(raw.publish_with_reply_and_headers(subject, reply, headers, payload))
                    .await
            }
            None => operation.run(self.raw.publish_with_reply(subject, reply, payload)).await,
        }
    }
}

impl Link {
    /// Starts to send a message: see [`Instrumentation::send`].
    pub(crate) fn start(
        &self,
        message: Sent<'_>,
        headers: &mut Option<HeaderMap>,
    ) -> otel_core::MessagingOperation<Nats> {
        self.instrumentation().send(&self.connection, message, headers)
    }

    /// Publishes by whatever of async-nats can.
    pub(crate) async fn publish(
        &self,
        raw: &impl Publisher,
        mut message: OutboundMessage,
    ) -> Result<(), PublishError> {
        let OutboundMessage { subject, reply, payload, headers } = &mut message;
        let sent = Sent::publish(subject, reply.as_deref(), payload.len());
        let operation = self.start(sent, headers);
        operation.run(raw.publish_message(message)).await
    }

    /// Asks by whatever of async-nats can.
    pub(crate) async fn ask(
        &self,
        raw: &impl Requester,
        subject: Subject,
        mut request: Request,
    ) -> Result<async_nats::Message, RequestError> {
        let Request { payload, headers, inbox, .. } = &mut request;
        let sent = Sent {
            operation: "request",
            subject: &subject,
            reply: inbox.as_deref(),
            payload: payload.as_ref().map_or(0, Bytes::len),
            others: 0,
        };
        let operation = self.start(sent, headers);
        let learn = |answer: &async_nats::Message, operation: &mut _| {
            answered(operation, answer);
        };
        operation.run_with(raw.send_request(subject, request), learn).await
    }
}

/// What goes out has a span; what comes back is async-nats's own, as the trait has it.
impl Requester for Client {
    async fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> Result<async_nats::Message, RequestError> {
        self.link.ask(&self.raw, subject.to_subject(), request).await
    }
}

impl TimeoutProvider for Client {
    fn timeout(&self) -> Option<Duration> {
        self.timeout()
    }
}

impl Publisher for Client {
    fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), PublishError>> {
        self.publish_with_reply(subject, reply, payload)
    }

    async fn publish_message(&self, msg: OutboundMessage) -> Result<(), PublishError> {
        self.send(msg).await
    }
}

/// A message counts as sent once it is in the client's queue.
impl Sink<OutboundMessage> for Client {
    type Error = PublishError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), PublishError>> {
        Pin::new(&mut self.raw).poll_ready(task)
    }

    fn start_send(
        mut self: Pin<&mut Self>,
        mut message: OutboundMessage,
    ) -> Result<(), PublishError> {
        let OutboundMessage { subject, reply, payload, headers } = &mut message;
        let sent = Sent::publish(subject, reply.as_deref(), payload.len());
        let operation = self.link.start(sent, headers);
        operation.call(|| Pin::new(&mut self.raw).start_send(message))
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), PublishError>> {
        Pin::new(&mut self.raw).poll_flush(task)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), PublishError>> {
        Pin::new(&mut self.raw).poll_close(task)
    }
}

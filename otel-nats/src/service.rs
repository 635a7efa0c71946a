//! Services: async-nats's module of this name, with the instrumented types in place of its own.
//!
//! What a service answers to `$SRV.PING` and its like is async-nats's own, and has no spans.
#![expect(clippy::needless_pass_by_value, reason = "as async-nats's")]

use std::any::type_name;
use std::collections::HashMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task;

use async_nats::service::{self as raw, ServiceExt as _};
use async_nats::{Error, HeaderMap, PublishError};
use bytes::Bytes;
use futures_core::Stream;
use otel_core::{Failure, MessagingOperation};

pub use async_nats::service::*;

use crate::client::{Client, Link};
use crate::driver::{Nats, Sent, service_error, service_headers};
use crate::forward::{debug, forward, leads_to_raw};
use crate::message::Message;
use crate::reception::Reception;

/// async-nats's module of this name.
pub mod endpoint {
    pub use async_nats::service::endpoint::*;

    pub use super::Endpoint;
}

/// What async-nats takes where none is given.
const QUEUE_GROUP: &str = "q";

/// What makes a service of a client: async-nats's `ServiceExt`.
pub trait ServiceExt {
    /// What [`add_service`](Self::add_service) answers.
    type Output: Future<Output = Result<Service, Error>>;

    /// As async-nats's `ServiceExt::add_service`.
    fn add_service(&self, config: Config) -> Self::Output;

    /// As async-nats's `ServiceExt::service_builder`.
    fn service_builder(&self) -> ServiceBuilder;
}

impl ServiceExt for Client {
    type Output = Pin<Box<dyn Future<Output = Result<Service, Error>> + Send>>;

    fn add_service(&self, config: Config) -> Self::Output {
        let group = config.queue_group.clone();
        let (adding, link) = (self.raw().add_service(config), self.link.clone());
        Box::pin(async { Ok(Service::linked(adding.await?, link, group)) })
    }

    fn service_builder(&self) -> ServiceBuilder {
        let raw = self.raw().service_builder();
        ServiceBuilder { raw, link: self.link.clone(), group: None }
    }
}

/// How a service is made: async-nats's `ServiceBuilder`.
pub struct ServiceBuilder {
    raw: raw::ServiceBuilder,
    link: Link,
    group: Option<String>,
}

debug!([] ServiceBuilder ServiceBuilder, link);

impl ServiceBuilder {
    forward! { "ServiceBuilder"
        set description[S: ToString](description: S);
        set stats_handler[F: FnMut(String, endpoint::Stats) -> serde_json::Value + Send + Sync + 'static](handler: F);
        set metadata[](metadata: HashMap<String, String>);
    }

    /// As async-nats's `ServiceBuilder::queue_group`.
    pub fn queue_group<S: ToString>(self, queue_group: S) -> Self {
        let group = queue_group.to_string();
        Self { raw: self.raw.queue_group(&group), group: Some(group), ..self }
    }

    /// As async-nats's `ServiceBuilder::start`.
    pub async fn start<N: ToString, V: ToString>(
        self,
        name: N,
        version: V,
    ) -> Result<Service, Error> {
        Ok(Service::linked(self.raw.start(name, version).await?, self.link, self.group))
    }
}

/// A service: async-nats's `Service`.
#[derive(Debug)]
pub struct Service {
    raw: raw::Service,
    link: Link,
    group: String,
}

leads_to_raw!([] Service, raw::Service);

impl Service {
    fn linked(raw: raw::Service, link: Link, group: Option<String>) -> Self {
        Self { raw, link, group: group.unwrap_or_else(|| QUEUE_GROUP.to_owned()) }
    }

    /// As async-nats's `Service::stop`.
    pub async fn stop(self) -> Result<(), Error> {
        self.raw.stop().await
    }

    /// As async-nats's `Service::group`.
    pub fn group<S: ToString>(&self, prefix: S) -> Group {
        self.group_with_queue_group(prefix, self.group.clone())
    }

    /// As async-nats's `Service::group_with_queue_group`.
    pub fn group_with_queue_group<S: ToString, Z: ToString>(
        &self,
        prefix: S,
        queue_group: Z,
    ) -> Group {
        let (prefix, group) = (prefix.to_string(), queue_group.to_string());
        let raw = self.raw.group_with_queue_group(&prefix, &group);
        Group { raw, link: self.link.clone(), prefix, members: group }
    }

    /// As async-nats's `Service::endpoint_builder`.
    pub fn endpoint_builder(&self) -> EndpointBuilder {
        let (raw, link) = (self.raw.endpoint_builder(), self.link.clone());
        EndpointBuilder { raw, link, prefix: None, group: self.group.clone() }
    }

    /// As async-nats's `Service::endpoint`.
    pub async fn endpoint<S: ToString>(&self, subject: S) -> Result<Endpoint, Error> {
        self.endpoint_builder().add(subject).await
    }

    forward! { "Service"
        async fn reset[](&mut self);
        async fn stats[](&self) -> HashMap<String, endpoint::Stats>;
        async fn info[](&self) -> Info;
    }
}

/// Endpoints with a prefix in common: async-nats's `Group`.
pub struct Group {
    raw: raw::Group,
    link: Link,
    prefix: String,
    /// The queue group.
    members: String,
}

debug!([] Group Group, prefix);

impl Group {
    /// As async-nats's `Group::group`.
    pub fn group<S: ToString>(&self, prefix: S) -> Self {
        self.group_with_queue_group(prefix, self.members.clone())
    }

    /// As async-nats's `Group::group_with_queue_group`.
    pub fn group_with_queue_group<S: ToString, Z: ToString>(
        &self,
        prefix: S,
        queue_group: Z,
    ) -> Self {
        let (prefix, group) = (prefix.to_string(), queue_group.to_string());
        let raw = self.raw.group_with_queue_group(&prefix, &group);
        let prefix = format!("{}.{prefix}", self.prefix);
        Self { raw, link: self.link.clone(), prefix, members: group }
    }

    /// As async-nats's `Group::endpoint`.
    pub async fn endpoint<S: ToString>(&self, subject: S) -> Result<Endpoint, Error> {
        self.endpoint_builder().add(subject).await
    }

    /// As async-nats's `Group::endpoint_builder`.
    pub fn endpoint_builder(&self) -> EndpointBuilder {
        let (raw, link) = (self.raw.endpoint_builder(), self.link.clone());
        EndpointBuilder {
            raw,
            link,
            prefix: Some(self.prefix.clone()),
            group: self.members.clone(),
        }
    }
}

/// How an endpoint is made: async-nats's `EndpointBuilder`.
#[derive(Debug)]
pub struct EndpointBuilder {
    raw: raw::EndpointBuilder,
    link: Link,
    prefix: Option<String>,
    group: String,
}

impl EndpointBuilder {
    forward! { "EndpointBuilder"
        set name[S: ToString](name: S);
        set metadata[](metadata: HashMap<String, String>);
    }

    /// As async-nats's `EndpointBuilder::queue_group`.
    pub fn queue_group<S: ToString>(self, queue_group: S) -> Self {
        let group = queue_group.to_string();
        Self { raw: self.raw.queue_group(&group), group, ..self }
    }

    /// As async-nats's `EndpointBuilder::add`.
    pub async fn add<S: ToString>(self, subject: S) -> Result<Endpoint, Error> {
        let Self { raw, link, prefix, group } = self;
        let subject = subject.to_string();
        let whole = prefix.map(|prefix| format!("{prefix}.{subject}"));
        let reception = Reception::of(link.instrumentation().clone());
        let reception = reception.patterns([whole.as_ref().unwrap_or(&subject).as_str()]);
        let reception = Arc::new(reception.group(Some(&group)));
        Ok(Endpoint { raw: raw.add(subject).await?, link, reception })
    }
}

/// The requests of an endpoint: async-nats's `Endpoint`. Each has a span that begins when the request
/// is there.
pub struct Endpoint {
    raw: raw::endpoint::Endpoint,
    link: Link,
    reception: Arc<Reception>,
}

debug!([] Endpoint Endpoint, reception);
leads_to_raw!([] Endpoint, raw::endpoint::Endpoint);

impl Endpoint {
    forward! { "Endpoint"
        async fn stop[](&mut self) -> Result<(), std::io::Error>;
    }

    fn request(&self, mut raw: raw::Request) -> Request {
        let reply = raw.message.reply.clone();
        // What async-nats answers by is the reply alone.
        let left = async_nats::Message {
            subject: async_nats::Subject::from_static(""),
            reply,
            payload: Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        };
        let message = mem::replace(&mut raw.message, left);
        let message = self.reception.received(self.reception.messaging().arrival(), message);
        Request { message, raw, link: self.link.clone(), failed: OnceLock::new() }
    }
}

impl Stream for Endpoint {
    type Item = Request;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> task::Poll<Option<Request>> {
        let polled = Pin::new(&mut self.raw).poll_next(task);
        polled.map(|request| Some(self.request(request?)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.raw.size_hint()
    }
}

/// A request to a service: async-nats's `Request`.
#[derive(Debug)]
pub struct Request {
    /// As async-nats's `Request::message`.
    pub message: Message,
    raw: raw::Request,
    link: Link,
    /// The code that it was answered with, if that was an error.
    failed: OnceLock<usize>,
}

impl Request {
    /// As async-nats's `Request::respond`.
    pub async fn respond(&self, response: Result<Bytes, error::Error>) -> Result<(), PublishError> {
        self.respond_with_headers(response, HeaderMap::new()).await
    }

    /// As async-nats's `Request::respond_with_headers`.
    pub async fn respond_with_headers(
        &self,
        response: Result<Bytes, error::Error>,
        headers: HeaderMap,
    ) -> Result<(), PublishError> {
        let mut headers = Some(headers).filter(|headers| !headers.is_empty());
        let reply = self.raw.message.reply.as_deref();
        let (payload, others) = match &response {
            Ok(payload) => (payload.len(), 0),
            Err(error) => (0, service_headers(&error.status, error.code)),
        };
        if let Err(error) = &response {
            self.failed.get_or_init(|| error.code);
        }
        let sent = Sent { others, ..Sent::publish(reply.unwrap_or_default(), reply, payload) };
        let operation = self.link.start(sent, &mut headers);
        let headers = headers.unwrap_or_default();
        operation.run(self.raw.respond_with_headers(response, headers)).await
    }

    /// Handles the request, in a span that ends with the handler's result, or with the code of the
    /// error that it was answered with. Otherwise as [`Message::process`].
    pub async fn process<'m, H, F, T, E>(&'m self, handler: H) -> Result<T, E>
    where
        H: FnOnce(&'m Self) -> F,
        F: Future<Output = Result<T, E>>,
    {
        // In a future of its own, so that the handler is called within the context.
        let handling = async move { handler(self).await };
        let end = |operation, result: &Result<T, E>| self.end(operation, result);
        self.message.start().run_to_end(handling, end).await
    }

    /// As [`process`](Self::process), for a handler that blocks.
    pub fn process_blocking<T, E>(
        &self,
        handler: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let operation = self.message.start();
        let result = operation.carried().run(|| handler(self));
        self.end(operation, &result);
        result
    }

    fn end<T, E>(&self, operation: MessagingOperation<Nats>, result: &Result<T, E>) {
        match (result, self.failed.get()) {
            (Err(_), _) => operation.fail_with(Failure::new(type_name::<E>())),
            (Ok(_), Some(code)) => operation.fail_with(service_error(&code.to_string())),
            (Ok(_), None) => operation.finish(),
        }
    }
}

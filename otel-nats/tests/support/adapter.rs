//! The client of this crate as the shared scenarios use it, on a real server.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use otel_nats::client::Request;
use otel_nats::{Client, Message, Subscriber, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::live;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{self, Capability, Step};
use tokio::sync::Mutex;

use crate::support::{call, connect, unique_name};

pub(crate) struct Core {
    url: String,
    subject: String,
    client: Client,
    subscriber: Mutex<Subscriber>,
}

impl scenario::Messaging for Core {
    type Message = Message;

    const CAPABILITIES: &'static [Capability] = &[Capability::Cancel, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let url = live::address("NATS")?;
        let (client, subject) = (connect(&url, telemetry).await, unique_name());
        let subscriber = Mutex::new(client.subscribe(subject.clone()).await.unwrap());
        client.flush().await.unwrap();
        Some(Self { url, subject, client, subscriber })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        let (client, subject) = (&self.client, self.subject.clone());
        let payload = "{}".into();
        client.publish_with_headers(subject, own(headers), payload).await.unwrap();
    }

    async fn fail(&self) {
        let payload = vec![b' '; self.client.max_payload() + 1];
        self.client.publish(self.subject.clone(), payload.into()).await.unwrap_err();
    }

    async fn receive(&self) -> Message {
        self.subscriber.lock().await.next().await.unwrap()
    }

    async fn receive_nothing(&self) {
        assert!(self.subscriber.lock().await.next().now_or_never().is_none());
    }

    fn headers(message: &Message) -> HashMap<String, String> {
        texts(message.headers.as_ref())
    }

    fn process<'m>(
        &'m self,
        message: &'m Message,
        handler: Handler<'m>,
    ) -> impl Future<Output = Result<(), HandlerFailed>> + Send + 'm {
        let processed: BoxFuture<'m, _> = Box::pin(message.process(|_| handler));
        processed
    }

    async fn hang(&self) {
        let request = Request::new().payload("{}".into()).timeout(None);
        self.client.send_request(self.subject.clone(), request).await.unwrap();
    }

    fn unpolled(&self) {
        drop(self.client.publish(self.subject.clone(), "{}".into()));
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        let expected = |name, step| {
            let expected = call(&self.url, name, step, &self.subject);
            expected.attribute("messaging.destination.name", self.subject.clone())
        };
        match step {
            Step::Send => expected("publish", "send").producer(),
            // No room for a trace, so it does not claim to be what the message carries.
            Step::Fail => expected("publish", "send")
                .client()
                .error("")
                .attribute("error.type", "MaxPayloadExceeded"),
            Step::Hang => expected("request", "send").producer(),
            Step::Receive => expected("receive", "receive").client(),
            Step::Process => expected("process", "process").consumer(),
            _ => panic!("a step that this test does not know"),
        }
    }
}

/// Headers that are text, by their last value.
pub(crate) fn texts(headers: Option<&otel_nats::HeaderMap>) -> HashMap<String, String> {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    let last = |values: &[otel_nats::HeaderValue]| values.last().unwrap().to_string();
    headers.map(|(name, values)| (name.to_string(), last(values))).collect()
}

pub(crate) fn own(headers: &[(&str, &str)]) -> otel_nats::HeaderMap {
    let mut own = otel_nats::HeaderMap::new();
    for (name, value) in headers {
        own.append(*name, *value);
    }
    own
}

//! The scenarios that all adapters of brokers share, with the client and with JetStream of this crate
//! on a real server. async-nats has no calls that send a batch.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

/// Headers that are text, by their last value.
fn texts(headers: Option<&otel_nats::HeaderMap>) -> std::collections::HashMap<String, String> {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    let last = |values: &[otel_nats::HeaderValue]| values.last().unwrap().to_string();
    headers.map(|(name, values)| (name.to_string(), last(values))).collect()
}

fn own(headers: &[(&str, &str)]) -> otel_nats::HeaderMap {
    let mut own = otel_nats::HeaderMap::new();
    headers.iter().for_each(|(name, value)| own.append(*name, *value));
    own
}

mod core {
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
    use crate::{own, texts};

    struct Core {
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

    otel_testing::messaging_scenarios!(Core);
}

mod jetstream {
    use std::collections::HashMap;

    use futures_util::future::BoxFuture;
    use futures_util::{FutureExt as _, StreamExt as _};
    use otel_nats::Telemetry;
    use otel_nats::jetstream::consumer::pull;
    use otel_nats::jetstream::{self, Context, Message, stream};
    use otel_testing::assert::ExpectedSpan;
    use otel_testing::live;
    use otel_testing::scenario::messaging::{Handler, HandlerFailed};
    use otel_testing::scenario::{self, Capability, Step};
    use tokio::sync::Mutex;

    use crate::support::{call, connect, unique_name};
    use crate::{own, texts};

    struct Stored {
        url: String,
        name: String,
        context: Context,
        messages: Mutex<pull::Stream>,
    }

    impl scenario::Messaging for Stored {
        type Message = Message;

        const CAPABILITIES: &'static [Capability] = &[Capability::Settle, Capability::Unpolled];

        async fn connect(telemetry: &Telemetry) -> Option<Self> {
            let url = live::address("NATS")?;
            let (client, name) = (connect(&url, telemetry).await, unique_name());
            let context = jetstream::new(client);
            let subjects = vec![format!("{name}.*")];
            let config = stream::Config { name: name.clone(), subjects, ..Default::default() };
            let stream = context.create_stream(config).await.unwrap();
            let durable_name = Some("worker".to_owned());
            let config = pull::Config { durable_name, ..Default::default() };
            let consumer = stream.create_consumer(config).await.unwrap();
            let messages = Mutex::new(consumer.messages().await.unwrap());
            Some(Self { url, name, context, messages })
        }

        async fn send(&self, headers: &[(&str, &str)]) {
            let subject = format!("{}.order", self.name);
            let publishing = self.context.publish_with_headers(subject, own(headers), "{}".into());
            publishing.await.unwrap().await.unwrap();
        }

        async fn fail(&self) {
            let publishing = self.context.publish(format!("{}.no.stream", self.name), "{}".into());
            publishing.await.unwrap().await.unwrap_err();
        }

        async fn receive(&self) -> Message {
            self.messages.lock().await.next().await.unwrap().unwrap()
        }

        async fn receive_nothing(&self) {
            assert!(self.messages.lock().await.next().now_or_never().is_none());
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

        async fn settle(&self, message: &Message) {
            message.ack().await.unwrap();
        }

        fn unpolled(&self) {
            drop(self.context.publish(self.name.clone(), "{}".into()));
        }

        fn expected(&self, step: Step) -> ExpectedSpan {
            let subject = format!("{}.order", self.name);
            let sent = |subject: &str| {
                let expected = call(&self.url, "publish", "send", subject);
                expected.attribute("messaging.destination.name", subject.to_owned()).producer()
            };
            let received = |name, step| {
                let pattern = format!("{}.*", self.name);
                call(&self.url, name, step, &pattern)
                    .attribute("messaging.destination.template", pattern)
                    .attribute("messaging.destination.name", subject.clone())
                    .attribute("messaging.destination.subscription.name", "worker")
                    .any_attribute("messaging.message.id")
            };
            match step {
                Step::Send => sent(&subject).any_attribute("messaging.message.id"),
                Step::Fail => {
                    let expected = sent(&format!("{}.no.stream", self.name));
                    expected.error("").attribute("error.type", "StreamNotFound")
                }
                Step::Receive => received("receive", "receive").client(),
                Step::Process => received("process", "process").consumer(),
                Step::Settle => received("ack", "settle").client(),
                _ => panic!("a step that this test does not know"),
            }
        }
    }

    otel_testing::messaging_scenarios!(Stored);
}

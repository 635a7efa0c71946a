//! The scenarios that all adapters of brokers share, with the client and with JetStream of this crate
//! on a real server. async-nats has no calls that send a batch.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

#[path = "support/adapter.rs"]
mod adapter;
mod support;

mod core {
    use crate::adapter::Core;

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

    use crate::adapter::{own, texts};
    use crate::support::{call, connect, unique_name};

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

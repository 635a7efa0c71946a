//! The client of this crate as the shared scenarios use it, on a real server.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use otel_rabbitmq::message::Delivery;
use otel_rabbitmq::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions};
use otel_rabbitmq::types::{AMQPValue, FieldTable, ShortString};
use otel_rabbitmq::{BasicProperties, Channel, Connection, Consumer, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::live;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{self, Capability, Step};
use tokio::sync::Mutex;

use crate::support::{call, channel, connect, queue, unique_name};

pub(crate) struct RabbitMq {
    url: String,
    queue: ShortString,
    nowhere: String,
    channel: Channel,
    consumer: Mutex<Consumer>,
    _connection: Connection,
}

impl scenario::Messaging for RabbitMq {
    type Message = Delivery;

    const CAPABILITIES: &'static [Capability] = &[Capability::Settle, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let url = live::address("RABBITMQ")?;
        let connection = connect(&url, telemetry).await;
        let channel = channel(&connection).await;
        let queue = queue(&channel).await;
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.clone(), "worker".into(), options, FieldTable::default());
        let consumer = Mutex::new(consumer.await.unwrap());
        let nowhere = unique_name();
        Some(Self { url, queue, nowhere, channel, consumer, _connection: connection })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        let options = BasicPublishOptions::default();
        let (exchange, queue) = (ShortString::default(), self.queue.clone());
        let sent = self.channel.basic_publish(exchange, queue, options, b"{}", own(headers));
        assert!(sent.await.unwrap().await.unwrap().is_ack());
    }

    async fn fail(&self) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (ShortString::default(), self.nowhere.as_str().into());
        let sent = self.channel.basic_publish(exchange, key, options, b"{}", own(&[]));
        sent.await.unwrap().await.unwrap().take_message().unwrap();
    }

    async fn receive(&self) -> Delivery {
        self.consumer.lock().await.next().await.unwrap().unwrap()
    }

    async fn receive_nothing(&self) {
        assert!(self.consumer.lock().await.next().now_or_never().is_none());
    }

    fn headers(message: &Delivery) -> HashMap<String, String> {
        let headers = message.properties.headers().iter().flat_map(FieldTable::inner);
        let text = |(name, value): (&ShortString, &AMQPValue)| match value {
            AMQPValue::LongString(text) => Some((name.to_string(), text.to_string())),
            _ => None,
        };
        headers.filter_map(text).collect()
    }

    fn process<'m>(
        &'m self,
        message: &'m Delivery,
        handler: Handler<'m>,
    ) -> impl Future<Output = Result<(), HandlerFailed>> + Send + 'm {
        let processed: BoxFuture<'m, _> = Box::pin(message.process(|_| handler));
        processed
    }

    async fn settle(&self, message: &Delivery) {
        assert!(message.ack(BasicAckOptions::default()).await.unwrap());
    }

    fn unpolled(&self) {
        let (exchange, queue) = (ShortString::default(), self.queue.clone());
        let options = BasicPublishOptions::default();
        drop(self.channel.basic_publish(exchange, queue, options, b"{}", own(&[])));
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        const KEY: &str = "messaging.rabbitmq.destination.routing_key";
        const TAG: &str = "messaging.rabbitmq.message.delivery_tag";
        let queue = self.queue.as_str();
        let sent = |key: &str| {
            call(&self.url, "publish", "send", key).attribute(KEY, key.to_owned()).producer()
        };
        match step {
            Step::Send => sent(queue),
            Step::Fail => sent(&self.nowhere).error("").attribute("error.type", "NO_ROUTE"),
            Step::Receive => call(&self.url, "consume", "receive", queue)
                .client()
                .attribute(KEY, queue.to_owned())
                .any_attribute(TAG),
            Step::Process => call(&self.url, "process", "process", queue)
                .consumer()
                .attribute(KEY, queue.to_owned())
                .any_attribute(TAG),
            Step::Settle => call(&self.url, "ack", "settle", queue).client().any_attribute(TAG),
            _ => panic!("a step that this test does not know"),
        }
    }
}

/// Without a header there is no table either, as with most programs.
fn own(headers: &[(&str, &str)]) -> BasicProperties {
    if headers.is_empty() {
        return BasicProperties::default();
    }
    let text = |(name, value): &(&str, &str)| {
        (ShortString::from(*name), AMQPValue::LongString((*value).into()))
    };
    let table = headers.iter().map(text).collect::<BTreeMap<_, _>>();
    BasicProperties::default().with_headers(table.into())
}

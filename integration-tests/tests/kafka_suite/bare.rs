//! rdkafka as it is.

pub use rdkafka as driver;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, StreamConsumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, FutureProducer, ProducerContext, ThreadedProducer};

use super::World;

#[path = "scenarios.rs"]
pub mod scenarios;

fn producer<C: ClientContext + 'static>(
    _: &World,
    config: &ClientConfig,
    context: C,
) -> FutureProducer<C> {
    config.create_with_context(context).unwrap()
}

fn base_producer<C: ProducerContext>(
    _: &World,
    config: &ClientConfig,
    context: C,
) -> BaseProducer<C> {
    config.create_with_context(context).unwrap()
}

fn threaded_producer<C: ProducerContext + 'static>(
    _: &World,
    config: &ClientConfig,
    context: C,
) -> ThreadedProducer<C> {
    config.create_with_context(context).unwrap()
}

fn stream_consumer<C: ConsumerContext + 'static>(
    _: &World,
    config: &ClientConfig,
    context: C,
) -> StreamConsumer<C> {
    config.create_with_context(context).unwrap()
}

fn base_consumer(_: &World, config: &ClientConfig) -> BaseConsumer {
    config.create().unwrap()
}

async fn handle<T, E>(
    message: OwnedMessage,
    handler: impl AsyncFnOnce(&OwnedMessage) -> Result<T, E>,
) -> Result<T, E> {
    handler(&message).await
}

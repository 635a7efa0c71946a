//! rdkafka instrumented.

pub use otel_kafka as driver;
use otel_kafka::ClientConfig;
use otel_kafka::client::ClientContext;
use otel_kafka::consumer::{BaseConsumer, ConsumerContext, StreamConsumer};
use otel_kafka::message::OwnedMessage;
use otel_kafka::producer::{
    BaseProducer, DeliveryContext, FutureProducer, ProducerContext, ThreadedProducer,
};

use super::World;

#[path = "scenarios.rs"]
pub mod scenarios;

fn producer<C: ClientContext + 'static>(
    world: &World,
    config: &ClientConfig,
    context: C,
) -> FutureProducer<C> {
    let raw: rdkafka::producer::FutureProducer<C> = config.create_with_context(context).unwrap();
    FutureProducer::builder(raw).config(config).telemetry(&world.telemetry).build()
}

fn base_producer<C: ProducerContext>(
    world: &World,
    config: &ClientConfig,
    context: C,
) -> BaseProducer<C> {
    let raw: rdkafka::producer::BaseProducer<_> =
        config.create_with_context(DeliveryContext::new(context)).unwrap();
    BaseProducer::builder(raw).config(config).telemetry(&world.telemetry).build()
}

fn threaded_producer<C: ProducerContext + 'static>(
    world: &World,
    config: &ClientConfig,
    context: C,
) -> ThreadedProducer<C> {
    let raw: rdkafka::producer::ThreadedProducer<_> =
        config.create_with_context(DeliveryContext::new(context)).unwrap();
    ThreadedProducer::builder(raw).config(config).telemetry(&world.telemetry).build()
}

fn stream_consumer<C: ConsumerContext + 'static>(
    world: &World,
    config: &ClientConfig,
    context: C,
) -> StreamConsumer<C> {
    let raw: rdkafka::consumer::StreamConsumer<C> = config.create_with_context(context).unwrap();
    StreamConsumer::builder(raw).config(config).telemetry(&world.telemetry).build()
}

fn base_consumer(world: &World, config: &ClientConfig) -> BaseConsumer {
    let raw: rdkafka::consumer::BaseConsumer = config.create().unwrap();
    BaseConsumer::builder(raw).config(config).telemetry(&world.telemetry).build()
}

async fn handle<T, E>(
    message: OwnedMessage,
    handler: impl AsyncFnOnce(&OwnedMessage) -> Result<T, E>,
) -> Result<T, E> {
    message.process(async |message| handler(message).await).await
}

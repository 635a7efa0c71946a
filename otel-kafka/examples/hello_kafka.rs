//! rdkafka's hello world with a producer and a consumer of this crate: one trace, from the send to the
//! commit, which it shows on the terminal.
//!
//! ```sh
//! cargo xtask services up kafka
//! cargo run -p otel-kafka --example hello_kafka
//! ```
#![expect(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;
use std::time::Duration;

use otel_kafka::ClientConfig; // was: use rdkafka::ClientConfig;
use otel_kafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use otel_kafka::client::DefaultClientContext;
use otel_kafka::consumer::{CommitMode, Consumer, StreamConsumer};
use otel_kafka::message::{BorrowedMessage, Message};
use otel_kafka::producer::{FutureProducer, FutureRecord};
use otel_setup::Exporter;

const TOPIC: &str = "greetings";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", otel_testing::live::find("KAFKA")?);
    // If it is there already, that is as good.
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await?;

    let producer: FutureProducer = config.create()?;
    let record = FutureRecord::to(TOPIC).key("150").payload("hello");
    let sent = producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;

    config.set("group.id", "hello").set("auto.offset.reset", "earliest");
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&[TOPIC])?;
    loop {
        let message = consumer.recv().await?;
        // What is new: the handler runs in the message's trace.
        message.process(greet).await?;
        consumer.commit_message(&message, CommitMode::Sync)?;
        // Another run may have left some before.
        if message.offset() >= sent.offset {
            return Ok(());
        }
    }
}

async fn greet(message: &BorrowedMessage<'_>) -> Result<(), Box<dyn Error>> {
    println!("{}", message.payload_view::<str>().ok_or("no text")??);
    Ok(())
}

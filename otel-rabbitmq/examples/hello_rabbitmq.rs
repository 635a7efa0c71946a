//! lapin's hello world with a connection of this crate: one trace, from the publish to the
//! acknowledgement, which it shows on the terminal.
//!
//! ```sh
//! cargo xtask services up rabbitmq
//! cargo run -p otel-rabbitmq --example hello_rabbitmq
//! ```
#![expect(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use futures_util::TryStreamExt as _;
use otel_rabbitmq as lapin; // was: the driver itself
use otel_setup::Exporter;

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

const QUEUE: &str = "hello";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let url = otel_testing::live::find("RABBITMQ")?;
    let properties = ConnectionProperties::default().with_connection_name("hello".into());
    let connection = Connection::connect(&url, properties).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), options, FieldTable::default()).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;

    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let confirm = channel.basic_publish("".into(), QUEUE.into(), options, b"hello", properties);
    confirm.await?.await?;

    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await?;
    if let Some(delivery) = consumer.try_next().await? {
        // What is new: the handler runs in the message's trace.
        delivery.process(greet).await?;
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

async fn greet(delivery: &Delivery) -> Result<(), std::str::Utf8Error> {
    println!("{}", std::str::from_utf8(&delivery.data)?);
    Ok(())
}

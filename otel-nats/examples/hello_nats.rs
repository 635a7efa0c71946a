//! async-nats's hello world with a client and a consumer of JetStream of this crate: one trace, from the
//! publish to the acknowledgement, which it shows on the terminal.
//!
//! ```sh
//! cargo xtask services up nats
//! cargo run -p otel-nats --example hello_nats
//! ```
#![expect(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use futures_util::TryStreamExt as _;
use otel_nats as async_nats; // was: the driver itself
use otel_nats::ServerAddr;
use otel_nats::jetstream::consumer::pull;
use otel_nats::jetstream::{self, stream};
use otel_setup::Exporter;

const SUBJECT: &str = "greetings.hello";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let server: ServerAddr = otel_testing::live::find("NATS")?.parse()?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (user, password) = (text(server.username()), text(server.password()));
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    let client = options.name("hello").connect(server).await?;

    let jetstream = jetstream::new(client);
    let config = stream::Config {
        name: "greetings".to_owned(),
        subjects: vec!["greetings.*".to_owned()],
        ..stream::Config::default()
    };
    let stream = jetstream.get_or_create_stream(config).await?;
    let config = pull::Config { durable_name: Some("reader".to_owned()), ..Default::default() };
    let consumer = stream.get_or_create_consumer("reader", config).await?;
    let stored = jetstream.publish(SUBJECT, "hello".into()).await?.await?;

    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.try_next().await? {
        // What is new: the handler runs in the message's trace.
        message.process(greet).await?;
        message.double_ack().await?;
        // Another run may have left some before.
        if message.info()?.stream_sequence >= stored.sequence {
            break;
        }
    }
    Ok(())
}

async fn greet(message: &jetstream::Message) -> Result<(), std::str::Utf8Error> {
    println!("{}", std::str::from_utf8(&message.payload)?);
    Ok(())
}

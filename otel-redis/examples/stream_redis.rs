//! A producer and a consumer of a stream, as messaging: one trace, from the `XADD` to the `XACK`, which
//! it shows on the terminal.
//!
//! ```sh
//! cargo xtask services up redis
//! cargo run -p otel-redis --example stream_redis
//! ```
#![expect(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use otel_redis::aio::MultiplexedConnection; // was: use redis::aio::MultiplexedConnection;
use otel_redis::{AsyncCommands as _, Client, Messaging, RedisResult}; // was: use redis::{…};
use otel_setup::Exporter;
use redis::streams::{StreamId, StreamReadOptions, StreamReadReply};

const STREAM: &str = "hello:orders";
const GROUP: &str = "packers";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let client = redis::Client::open(otel_testing::live::find("REDIS")?)?;
    // What is new: entries carry their trace.
    let client = Client::builder(client).messaging(Messaging::new().stream_fields(true)).build();
    let mut con = client.get_multiplexed_async_connection().await?;
    order(&mut con).await?;
    pack_all(&mut con).await?;
    Ok(())
}

#[tracing::instrument(skip_all)]
async fn order(con: &mut MultiplexedConnection) -> RedisResult<()> {
    let _: String = con.xadd(STREAM, "*", &[("item", "book")]).await?;
    Ok(())
}

async fn pack_all(con: &mut MultiplexedConnection) -> Result<(), Box<dyn Error>> {
    // If it is there already, that is as good.
    let _ = con.xgroup_create::<_, _, _, bool>(STREAM, GROUP, 0).await;
    let options = StreamReadOptions::default().group(GROUP, "one");
    let read: StreamReadReply = con.xread_options(&[STREAM], &[">"], &options).await?;
    for entry in read.keys.into_iter().flat_map(|key| key.ids) {
        // What is new: the handler runs in the entry's trace.
        con.received(STREAM, &entry.id).process(async || pack(&entry)).await?;
        let _: i64 = con.xack(STREAM, GROUP, &[&entry.id]).await?;
    }
    let () = con.del(STREAM).await?;
    Ok(())
}

fn pack(entry: &StreamId) -> Result<(), &'static str> {
    println!("packed: {}", entry.get::<String>("item").ok_or("it has no item")?);
    Ok(())
}

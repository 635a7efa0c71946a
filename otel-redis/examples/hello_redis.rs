//! The driver's hello world with a client of this crate: it shows its trace on the terminal.
//!
//! ```sh
//! cargo xtask services up redis
//! cargo run -p otel-redis --example hello_redis
//! ```

use std::error::Error;

use otel_redis::aio::MultiplexedConnection; // was: use redis::aio::MultiplexedConnection;
use otel_redis::{AsyncCommands as _, Client, RedisResult, pipe}; // was: use redis::{…};
use otel_setup::Exporter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let client = Client::open(otel_testing::live::find("REDIS")?)?;
    let mut con = client.get_multiplexed_async_connection().await?;
    greet(&mut con).await?;
    Ok(())
}

#[tracing::instrument(skip_all)]
async fn greet(con: &mut MultiplexedConnection) -> RedisResult<()> {
    let () = con.set("hello:name", "world").await?;
    let name: String = con.get("hello:name").await?;

    let mut transaction = pipe();
    transaction.atomic().incr("hello:visits", 1).expire("hello:visits", 60).ignore();
    let (visits,): (i64,) = transaction.query_async(con).await?;
    let _: i64 = con.del(&["hello:name", "hello:visits"]).await?;

    tracing::info!("hello, {name}, for the {visits}. time");
    Ok(())
}

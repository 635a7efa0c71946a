//! The warehouse: takes each order from the broker, ships it, and says that it is done.

use std::pin::pin;

use anyhow::Result;
use otel_kafka::StreamConsumer;
use otel_kafka::consumer::{CommitMode, Consumer as _};
use otel_kafka::message::{BorrowedMessage, Message as _};
use otel_sqlx::AnyPool;

use crate::service::Order;

/// Works until it shall stop. What it has not committed by then comes again.
pub(crate) async fn work(
    consumer: &StreamConsumer,
    pool: &AnyPool,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let mut stop = pin!(stop);
    loop {
        let message = tokio::select! {
            () = &mut stop => return Ok(()),
            message = consumer.recv() => message,
        };
        // librdkafka connects again by itself, and a span tells what failed.
        let Ok(message) = message else { continue };
        // In the trace that came with the message: without it, the commit would be a trace of its own.
        message.instrument(handle(consumer, pool, &message)).await?;
    }
}

async fn handle(
    consumer: &StreamConsumer,
    pool: &AnyPool,
    message: &BorrowedMessage<'_>,
) -> Result<()> {
    // A span around the handler, with its error.
    let shipped = message.process(|message| ship(pool, message)).await;
    // What is no order never becomes one, and is passed over. At any other failure the warehouse ends
    // without the commit: started again, it gets the message again.
    shipped.or_else(|error| if error.is::<serde_json::Error>() { Ok(()) } else { Err(error) })?;
    Ok(consumer.commit_message(message, CommitMode::Async)?)
}

/// No line of it is for telemetry.
async fn ship(pool: &AnyPool, message: &BorrowedMessage<'_>) -> Result<()> {
    let order: Order = serde_json::from_slice(message.payload().unwrap_or_default())?;
    let mut transaction = pool.begin().await?;
    // A message may come twice: what is shipped already is not shipped again.
    let insert = "INSERT INTO shop_shipments (number) VALUES ($1) ON CONFLICT DO NOTHING";
    let insert = sqlx::query(insert).bind(order.number).execute(&mut *transaction).await?;
    if insert.rows_affected() == 1 {
        let update = sqlx::query("UPDATE shop_shelves SET units = units - $1 WHERE item = $2");
        let update = update.bind(i64::from(order.quantity.get())).bind(order.item);
        update.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

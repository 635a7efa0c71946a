//! The warehouse: takes each order from the broker, ships it, and says that it is done.

use std::collections::HashSet;
use std::pin::pin;

use anyhow::{Context as _, Result};
use otel_kafka::StreamConsumer;
use otel_kafka::consumer::{CommitMode, Consumer as _};
use otel_kafka::message::{BorrowedMessage, Message as _};
use otel_sqlx::AnyPool;
use tokio::{select, sync::watch::Sender, task::spawn_blocking};

use crate::service::Order;

/// Numbers of the orders that were sent and not yet shipped, where one process does both.
pub(crate) type UnderWay = Sender<HashSet<String>>;

/// Until it shall stop. Nothing is lost then: what it has not committed comes again.
pub(crate) async fn work(
    consumer: StreamConsumer,
    pool: &AnyPool,
    under_way: &UnderWay,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let mut stop = pin!(stop);
    loop {
        let message = select! {
            () = &mut stop => break,
            message = consumer.recv() => message,
        };
        // librdkafka connects again by itself, and a span tells what failed.
        let Ok(message) = message else { continue };
        // In the trace of the order, which came with the message; without this line, the commit
        // would be a trace of its own.
        message.instrument(handle(&consumer, pool, &message)).await?;
        under_way.send_modify(|numbers| _ = numbers.remove(number(&message)));
    }
    // Leaves its group, for which it waits.
    Ok(spawn_blocking(|| drop(consumer)).await?)
}

async fn handle(
    consumer: &StreamConsumer,
    pool: &AnyPool,
    message: &BorrowedMessage<'_>,
) -> Result<()> {
    // The span of the order's processing: around the handler, and with its error.
    let shipped = message.process(|message| ship(pool, message)).await;
    // What is no order never becomes one, so it is passed over. After any other failure the warehouse
    // ends without the commit: started again, it gets this message again.
    shipped.or_else(|error| if error.is::<serde_json::Error>() { Ok(()) } else { Err(error) })?;
    consumer.commit_message(message, CommitMode::Async).context("what was shipped is not committed")
}

/// No line of it is for telemetry.
async fn ship(pool: &AnyPool, message: &BorrowedMessage<'_>) -> Result<()> {
    let order: Order = serde_json::from_slice(message.payload().unwrap_or_default())?;
    let mut transaction = pool.begin().await?;
    // A message may come twice; the same order is not shipped twice.
    let insert = "INSERT INTO shop_shipments (number) VALUES ($1) ON CONFLICT DO NOTHING";
    let insert = sqlx::query(insert).bind(number(message)).execute(&mut *transaction).await?;
    if insert.rows_affected() == 1 {
        let update = sqlx::query("UPDATE shop_shelves SET units = units - $1 WHERE item = $2");
        let update = update.bind(i64::from(order.quantity.get())).bind(order.item);
        update.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

fn number<'m>(message: &'m BorrowedMessage<'_>) -> &'m str {
    message.key_view::<str>().and_then(Result::ok).unwrap_or_default()
}

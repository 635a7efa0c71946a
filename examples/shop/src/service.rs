//! The shop: an HTTP service over a database and a broker, with sqlx and rdkafka as everybody writes
//! them.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Result;
use axum::extract::{Json, State};
use axum::{Router, http::StatusCode, routing::post};
use opentelemetry_instrumentation_tower::http::server::Layer;
use otel_kafka::FutureProducer;
use otel_kafka::producer::FutureRecord;
use otel_sqlx::AnyPool;
use serde::{Deserialize, Serialize};

use crate::broker::TOPIC;

#[derive(Deserialize, Serialize)]
pub(crate) struct Order {
    /// Given by the shop: a warehouse that is told of an order twice knows it by that.
    #[serde(default)]
    pub(crate) number: String,
    pub(crate) item: String,
    pub(crate) quantity: NonZeroU32,
}

type Shop = (AnyPool, FutureProducer);

pub(crate) fn routes(shop: Shop) -> Router {
    // Opens a span of kind SERVER for each request, as a child of the one in its headers, and keeps
    // it current while the handler runs: there the spans of database and broker find their parent.
    // Added after the routes, it names the span by the route.
    Router::new().route("/orders", post(order)).with_state(shop).layer(Layer::new())
}

async fn order(
    State((pool, producer)): State<Shop>,
    Json(mut order): Json<Order>,
) -> (StatusCode, String) {
    order.number = uuid::Uuid::new_v4().to_string();
    let total = match sell(&pool, &order).await {
        Ok(total) => total,
        Err(sqlx::Error::RowNotFound) => return (StatusCode::NOT_FOUND, "no such item".into()),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
            return (StatusCode::CONFLICT, "not enough in stock".into());
        }
        Err(_) => return (StatusCode::INTERNAL_SERVER_ERROR, "the database failed".into()),
    };
    // Accepted is what is in the database and has its message at the broker: the customer waits for
    // that, a round trip more. The message comes last, because it cannot be rolled back. If the broker
    // fails, the order is kept and the customer told; who has to deliver it all the same writes the
    // message into the transaction, too, to be sent by somebody else: an outbox.
    match tell_warehouse(&producer, &order).await {
        Ok(()) => (StatusCode::CREATED, format!("sold for {total}")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the warehouse cannot be told".into()),
    }
}

/// No line of it is for telemetry. Dropped at a `?`, a transaction is rolled back, and that is a span
/// too; so is the statement that failed, with the code of the database.
async fn sell(pool: &AnyPool, Order { item, quantity, .. }: &Order) -> sqlx::Result<i64> {
    let quantity = i64::from(quantity.get());
    let mut transaction = pool.begin().await?;
    let select = sqlx::query_scalar("SELECT price FROM shop_stock WHERE item = $1").bind(item);
    let price: i64 = select.fetch_one(&mut *transaction).await?;
    let total = price * quantity;
    let update = sqlx::query("UPDATE shop_stock SET units = units - $1 WHERE item = $2");
    update.bind(quantity).bind(item).execute(&mut *transaction).await?;
    let insert = sqlx::query("INSERT INTO shop_orders (item, quantity, total) VALUES ($1, $2, $3)");
    insert.bind(item).bind(quantity).bind(total).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(total)
}

/// Nor of this one: the headers of the message take the trace along.
async fn tell_warehouse(producer: &FutureProducer, order: &Order) -> Result<()> {
    let payload = serde_json::to_string(order)?;
    let record = FutureRecord::to(TOPIC).key(&order.number).payload(&payload);
    producer.send(record, Duration::ZERO).await.map_err(|(error, _)| error)?;
    Ok(())
}

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
use uuid::Uuid;

use crate::broker::TOPIC;
use crate::warehouse::UnderWay;

#[derive(serde::Deserialize, serde::Serialize)]
pub(crate) struct Order {
    pub(crate) item: String,
    pub(crate) quantity: NonZeroU32,
}

#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) pool: AnyPool,
    pub(crate) producer: FutureProducer,
    pub(crate) under_way: UnderWay,
}

pub(crate) fn routes(shop: Shop) -> Router {
    // Opens a span of kind SERVER for each request, as a child of the one in its headers, and keeps
    // it current while the handler runs: there the spans of database and broker find their parent.
    // Added after the routes, it names the span by the route.
    Router::new().route("/orders", post(order)).with_state(shop).layer(Layer::new())
}

async fn order(State(shop): State<Shop>, Json(order): Json<Order>) -> (StatusCode, String) {
    let total = match sell(&shop.pool, &order).await {
        Ok(total) => total,
        Err(sqlx::Error::RowNotFound) => return (StatusCode::NOT_FOUND, "no such item".into()),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
            return (StatusCode::CONFLICT, "not enough in stock".into());
        }
        Err(_) => return (StatusCode::INTERNAL_SERVER_ERROR, "the database failed".into()),
    };
    // An order is accepted when it is in the database and the broker has its message: the customer
    // waits for both, for a round trip more. In this order, because what is sent cannot be rolled
    // back. If the broker fails in between, the customer hears of it, and the order is kept: a shop
    // that has to deliver it all the same writes the message into the database as well (an outbox),
    // and lets somebody else send it.
    match tell_warehouse(&shop, &order).await {
        Ok(()) => (StatusCode::CREATED, format!("sold for {total}")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the warehouse cannot be told".into()),
    }
}

/// No line of it is for telemetry. Dropped at a `?`, a transaction is rolled back, and that is a span
/// too; so is the statement that failed, with the code of the database.
async fn sell(pool: &AnyPool, Order { item, quantity }: &Order) -> sqlx::Result<i64> {
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

/// Nor of this one: the trace goes along in the headers of the message.
async fn tell_warehouse(shop: &Shop, order: &Order) -> Result<()> {
    let number = Uuid::new_v4().to_string();
    let payload = serde_json::to_string(order)?;
    shop.under_way.send_modify(|numbers| _ = numbers.insert(number.clone()));
    let record = FutureRecord::to(TOPIC).key(&number).payload(&payload);
    let sent = shop.producer.send(record, Duration::ZERO).await;
    sent.inspect_err(|_| shop.under_way.send_modify(|numbers| _ = numbers.remove(&number)))
        .map_err(|(error, _)| error)?;
    Ok(())
}

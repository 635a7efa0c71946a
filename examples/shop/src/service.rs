//! The shop: an HTTP service over a database, with sqlx as everybody writes it.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context as _, Error, anyhow};
use axum::extract::{Json, State};
use axum::{Router, http::StatusCode, routing::post};
use opentelemetry_instrumentation_tower::http::server::Layer;
// sqlx's name, from otel-sqlx. With one kind of database it would be `PgPool` or `SqlitePool`.
use otel_sqlx::{AnyPool, Telemetry};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};

#[derive(serde::Deserialize)]
struct Order {
    item: String,
    quantity: NonZeroU32,
}

/// Tables of names that nobody else uses, and the same stock at each start.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS shop_stock (
        item TEXT PRIMARY KEY, price BIGINT NOT NULL, units BIGINT NOT NULL CHECK (units >= 0));
    CREATE TABLE IF NOT EXISTS shop_orders (
        item TEXT NOT NULL, quantity BIGINT NOT NULL, total BIGINT NOT NULL);
    INSERT INTO shop_stock (item, price, units) VALUES ('lamp', 42, 10), ('chair', 99, 4)
        ON CONFLICT (item) DO UPDATE SET price = excluded.price, units = excluded.units;";

pub(crate) async fn open(url: &str) -> Result<AnyPool, Error> {
    install_default_drivers();
    let schemes = ["postgres", "postgresql", "sqlite"];
    let known = |options: &AnyConnectOptions| schemes.contains(&options.database_url.scheme());
    let options = url.parse().ok().filter(known).context(UNKNOWN)?;
    // One connection, because a database in memory is that of its connection.
    let pool = AnyPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(3));
    let pool = pool.connect_with(options).await.map_err(explain)?;
    // Done with sqlx's own pool, so that the traces are of orders and of nothing else.
    sqlx::raw_sql(TABLES).execute(&pool).await.map_err(explain)?;
    // From here on, what is done with the pool is traced. `AnyPool::new(pool)` is enough for that;
    // this option adds a span over each transaction, around its statements.
    let telemetry = Telemetry::builder().transaction_spans(true).build();
    Ok(AnyPool::with(pool, &telemetry))
}

pub(crate) fn routes(pool: AnyPool) -> Router {
    // Opens a span of kind SERVER for each request, as a child of the one in its headers, and keeps
    // it current while the handler runs: there the spans of the database find their parent. Added
    // after the routes, it names the span by the route.
    Router::new().route("/orders", post(order)).with_state(pool).layer(Layer::new())
}

async fn order(State(pool): State<AnyPool>, Json(order): Json<Order>) -> (StatusCode, String) {
    match sell(&pool, &order).await {
        Ok(total) => (StatusCode::CREATED, format!("sold for {total}")),
        Err(sqlx::Error::RowNotFound) => (StatusCode::NOT_FOUND, "no such item".into()),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
            (StatusCode::CONFLICT, "not enough in stock".into())
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the database failed".into()),
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

const UNKNOWN: &str = "--database is not understood: give a URL like \
    postgres://user:password@localhost:5432/name or sqlite:file.db?mode=rwc";

/// What to do. Neither the URL nor the driver's text is shown: both may hold credentials.
fn explain(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::Configuration(_) => anyhow!(UNKNOWN),
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => anyhow!(
            "no server answers at the address in --database: start it, or correct host and port"
        ),
        sqlx::Error::Database(error) => anyhow!(
            "the database refuses us (error {}): correct the URL in --database, and let its user \
             create tables; a new SQLite file needs ?mode=rwc",
            error.code().unwrap_or_default().escape_debug()
        ),
        _ => anyhow!("what answers at --database is no PostgreSQL that does without TLS: use one"),
    }
}

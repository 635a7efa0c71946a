//! The shop: an HTTP service over a database, with sqlx as everybody writes it.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use opentelemetry_instrumentation_tower::http::server::Layer;
// The names are those of sqlx, so that only this import differs from an untraced service. With one
// kind of database it would be `PgPool` or `SqlitePool`; this shop takes either.
use otel_sqlx::{AnyConnection, AnyPool, Telemetry};
use serde::Deserialize;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};

#[derive(Deserialize)]
struct Order {
    item: String,
    quantity: NonZeroU32,
}

/// Tables that nobody else has, and the same stock at each start.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS shop_stock (
        item TEXT PRIMARY KEY, price BIGINT NOT NULL, units BIGINT NOT NULL CHECK (units >= 0));
    CREATE TABLE IF NOT EXISTS shop_orders (
        item TEXT NOT NULL, quantity BIGINT NOT NULL, total BIGINT NOT NULL);
    INSERT INTO shop_stock (item, price, units) VALUES ('lamp', 42, 10), ('chair', 99, 4)
        ON CONFLICT (item) DO UPDATE SET price = excluded.price, units = excluded.units;";

pub(crate) async fn open(url: &str) -> anyhow::Result<AnyPool> {
    sqlx::any::install_default_drivers();
    let known = |options: &AnyConnectOptions| {
        ["postgres", "postgresql", "sqlite"].contains(&options.database_url.scheme())
    };
    let options = url.parse().ok().filter(known).context(UNKNOWN_URL)?;
    // One customer needs one connection, and a database in memory lives as long as it does.
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(3))
        .connect_with(options)
        .await
        .map_err(|error| explain(&error))?;
    // Done with the pool of sqlx itself, so that the traces are of orders and of nothing else.
    sqlx::raw_sql(TABLES).execute(&pool).await.map_err(|error| explain(&error))?;
    // From here on everything done with the pool is traced. The option is for taste: one span over
    // each transaction, around its statements. Without it, `AnyPool::new(pool)` is all it takes.
    let telemetry = Telemetry::builder().transaction_spans(true).build();
    Ok(AnyPool::with(pool, &telemetry))
}

pub(crate) fn routes(pool: AnyPool) -> Router {
    // The layer makes a SERVER span per request, child of the span in the request's headers, and
    // keeps it current while the handler runs: so the database's spans find their parent. It comes
    // after the routes, to name the span by the route and not by the path.
    Router::new().route("/orders", post(order)).with_state(pool).layer(Layer::new())
}

/// Nothing here is for telemetry: BEGIN, each statement, and COMMIT or ROLLBACK have their spans.
async fn order(
    State(pool): State<AnyPool>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, String), Refusal> {
    let mut transaction = pool.begin().await?;
    match sell(&mut transaction, &order).await {
        Ok(total) => {
            transaction.commit().await?;
            Ok((StatusCode::CREATED, format!("sold for {total}")))
        }
        Err(error) => {
            transaction.rollback().await?;
            Err(error.into())
        }
    }
}

/// Takes the units out of the stock; that there are enough is the database's to check.
async fn sell(connection: &mut AnyConnection, order: &Order) -> sqlx::Result<i64> {
    let quantity = i64::from(order.quantity.get());
    let price: i64 = sqlx::query_scalar("SELECT price FROM shop_stock WHERE item = $1")
        .bind(&order.item)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE shop_stock SET units = units - $1 WHERE item = $2")
        .bind(quantity)
        .bind(&order.item)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO shop_orders (item, quantity, total) VALUES ($1, $2, $3)")
        .bind(&order.item)
        .bind(quantity)
        .bind(price * quantity)
        .execute(&mut *connection)
        .await?;
    Ok(price * quantity)
}

/// Why there was no sale.
struct Refusal(sqlx::Error);

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let database = self.0.as_database_error();
        let (status, text) = match &self.0 {
            sqlx::Error::RowNotFound => (StatusCode::NOT_FOUND, "no such item"),
            _ if database.is_some_and(|error| error.is_check_violation()) => {
                (StatusCode::CONFLICT, "not enough in stock")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "the shop is closed"),
        };
        (status, text).into_response()
    }
}

const UNKNOWN_URL: &str = "--database is not understood: give it a URL like \
    postgres://user:password@localhost:5432/name or sqlite:file.db?mode=rwc";

/// What to do about a database that cannot be used. The URL and the text of the driver's error may
/// hold credentials: neither is shown.
fn explain(error: &sqlx::Error) -> anyhow::Error {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    match error {
        sqlx::Error::Configuration(_) => anyhow!(UNKNOWN_URL),
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => anyhow!(
            "no database answers at the address in --database: start the server, or correct the \
             host and the port"
        ),
        sqlx::Error::Tls(_) => anyhow!(
            "the server of --database demands TLS, which this example leaves out: use one that \
             takes plain connections"
        ),
        _ if code.starts_with("28") => {
            anyhow!("the server refuses the user or the password in --database: correct them")
        }
        _ if code == "3D000" => anyhow!("the database named in --database is missing: create it"),
        _ if code == "14" => anyhow!(
            "the file in --database cannot be opened: correct its path, or add ?mode=rwc to create it"
        ),
        _ => anyhow!(
            "the database in --database cannot hold the shop's tables (error {code:?}): give one \
             in which its user may create tables"
        ),
    }
}

//! The database: what is in it, and how it becomes traced.

use std::time::Duration;

use anyhow::{Context as _, Error, anyhow};
use opentelemetry::global;
// sqlx's name, from otel-sqlx. With one kind of database it would be `PgPool` or `SqlitePool`.
use otel_sqlx::{AnyPool, Telemetry};
use otel_testing::ledger::Traced;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};

/// Tables of names that nobody else uses, and the same stock at each start.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS shop_stock (
        item TEXT PRIMARY KEY, price BIGINT NOT NULL, units BIGINT NOT NULL CHECK (units >= 0));
    CREATE TABLE IF NOT EXISTS shop_orders (
        item TEXT NOT NULL, quantity BIGINT NOT NULL, total BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS shop_shelves (item TEXT PRIMARY KEY, units BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS shop_shipments (number TEXT PRIMARY KEY);
    INSERT INTO shop_stock (item, price, units) VALUES ('lamp', 42, 10), ('chair', 99, 4)
        ON CONFLICT (item) DO UPDATE SET price = excluded.price, units = excluded.units;
    INSERT INTO shop_shelves (item, units) VALUES ('lamp', 10), ('chair', 4)
        ON CONFLICT (item) DO UPDATE SET units = excluded.units;";

pub(crate) async fn open(url: &str, traced: &Traced) -> Result<AnyPool, Error> {
    install_default_drivers();
    let schemes = ["postgres", "postgresql", "sqlite"];
    let known = |options: &AnyConnectOptions| schemes.contains(&options.database_url.scheme());
    let options = url.parse().ok().filter(known).context(UNKNOWN)?;
    // One connection, because a database in memory is that of its connection.
    let pool = AnyPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(3));
    let pool = pool.connect_with(options).await.map_err(explain)?;
    // Done with sqlx's own pool, so that the traces are of orders and of nothing else.
    sqlx::raw_sql(TABLES).execute(&pool).await.map_err(explain)?;
    // From here on, what is done with the pool is traced. `AnyPool::new(pool)` is enough for that; the
    // option adds a span over each transaction, around its statements, and the provider is the global
    // one, whose spans are noted for the ledger.
    let telemetry = Telemetry::builder().transaction_spans(true);
    let telemetry = telemetry.tracer_provider(traced.watch(global::tracer_provider()));
    Ok(AnyPool::with(pool, &telemetry.build()))
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

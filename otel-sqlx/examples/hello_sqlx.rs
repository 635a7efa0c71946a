//! sqlx's hello world with a pool of this crate: it shows its trace on the terminal.
//!
//! ```sh
//! cargo xtask services up postgres
//! cargo run -p otel-sqlx --example hello_sqlx
//! ```

use std::error::Error;

use otel_setup::Exporter;
use otel_sqlx::{PgPool, PgPoolOptions}; // was: use sqlx::postgres::{PgPool, PgPoolOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let url = otel_testing::live::find("POSTGRES")?;
    let pool = PgPoolOptions::new().max_connections(5).connect(&url).await?;
    greet(&pool).await?;
    pool.close().await;
    Ok(())
}

#[tracing::instrument(skip_all)]
async fn greet(pool: &PgPool) -> sqlx::Result<()> {
    let row: (i64,) = sqlx::query_as("SELECT $1").bind(150_i64).fetch_one(pool).await?;
    assert_eq!(row.0, 150);

    let mut tx = pool.begin().await?;
    let create = "CREATE TEMPORARY TABLE greetings (id BIGINT, text TEXT) ON COMMIT DROP";
    sqlx::query(create).execute(&mut *tx).await?;
    let insert = sqlx::query("INSERT INTO greetings VALUES ($1, $2)");
    insert.bind(row.0).bind("hello").execute(&mut *tx).await?;
    let (text,): (String,) =
        sqlx::query_as("SELECT text FROM greetings").fetch_one(&mut *tx).await?;
    tx.commit().await?;

    tracing::info!("{text}");
    Ok(())
}

//! What is told of the server, from the ways to name one.

use std::sync::OnceLock;

use opentelemetry::global;
use otel_sqlx::{AnyConnection, AnyPool, Connection, Pool, PoolOptions};
use sqlx::Executor as _;
use tokio::sync::{Mutex, MutexGuard};

use super::{ALL, Capture, Live};
use crate::backend::{DB, OTHER_SYSTEM, SYSTEM};

/// Where the global telemetry goes, for one test at a time: wrappers made from a URL have no other.
async fn globally() -> MutexGuard<'static, Capture> {
    static CAPTURE: OnceLock<Mutex<Capture>> = OnceLock::new();

    let capture = CAPTURE.get_or_init(|| {
        let capture = Capture::unchecked();
        global::set_tracer_provider(capture.watched());
        sqlx::any::install_default_drivers();
        Mutex::new(capture)
    });
    let capture = capture.lock().await;
    capture.clear();
    capture
}

#[tokio::test]
async fn a_pool_made_from_a_url_tells_it() {
    let Some(live) = Live::new().await else { return };
    let capture = globally().await;
    let url = &live.0.url;
    for pool in [
        Pool::<DB>::connect(url).await.unwrap(),
        Pool::<DB>::connect_lazy(url).unwrap(),
        PoolOptions::<DB>::new().max_connections(1).connect(url).await.unwrap(),
        PoolOptions::<DB>::new().max_connections(1).connect_lazy(url).unwrap(),
    ] {
        capture.clear();
        pool.execute(ALL).await.unwrap();
        pool.begin().await.unwrap().commit().await.unwrap();
        let select = live.statement("SELECT users", ALL);
        capture.assert_spans([select, live.operation("BEGIN"), live.operation("COMMIT")]);
    }
}

#[tokio::test]
async fn a_connection_made_from_a_url_tells_it() {
    let Some(live) = Live::new().await else { return };
    let capture = globally().await;
    let mut connection = Connection::<DB>::connect(&live.0.url).await.unwrap();
    connection.execute(ALL).await.unwrap();
    capture.assert_spans([live.statement("SELECT users", ALL)]);
}

#[tokio::test]
async fn of_any_database_the_url_tells() {
    let Some(live) = Live::new().await else { return };
    let capture = globally().await;
    let pool = AnyPool::connect(&live.0.url).await.unwrap();
    let mut connection = AnyConnection::connect(&live.0.url).await.unwrap();
    assert_eq!(pool.fetch_all(ALL).await.unwrap().len(), 3);
    assert_eq!(connection.fetch_all(ALL).await.unwrap().len(), 3);
    connection.begin().await.unwrap().rollback().await.unwrap();
    let select = || live.statement("SELECT users", ALL);
    let (begin, rollback) = (live.operation("BEGIN"), live.operation("ROLLBACK"));
    capture.assert_spans([select(), select(), begin, rollback]);
}

#[tokio::test]
async fn connect_options_tell_all_but_a_system_that_shares_its_driver() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let raw = sqlx::Pool::<DB>::connect_lazy_with(live.0.options.clone());
    Pool::with(raw.clone(), &telemetry).execute(ALL).await.unwrap();
    let other = format!("elsewhere, not {}", live.0.namespace);
    let named = Pool::builder(raw).system(SYSTEM).namespace(other.clone()).telemetry(&telemetry);
    named.build().execute(ALL).await.unwrap();
    let mut connection = Connection::<DB>::with(live.connect().await, &live.0.options, &telemetry);
    connection.execute(ALL).await.unwrap();
    let select = || live.statement("SELECT users", ALL);
    let untold = || select().attribute("db.system.name", OTHER_SYSTEM.unwrap_or(SYSTEM));
    let elsewhere = select().attribute("db.namespace", other);
    capture.assert_spans([untold(), elsewhere, untold()]);
}

//! The driver does the same with the wrapper as without it.

use std::fmt::Debug;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::pool::PoolOptions;
use sqlx::{Connection as _, Database, Encode, Error, Executor as _, Row as _, SqlSafeStr as _};
use sqlx::{Statement as _, Type};

use super::{ALL, Capture, Live, by_id, sql};
use crate::backend::{DB, DESCRIBES};

/// A value that cannot be encoded.
struct Refuses;

impl Type<DB> for Refuses {
    fn type_info() -> <DB as Database>::TypeInfo {
        <i32 as Type<DB>>::type_info()
    }
}

impl Encode<'_, DB> for Refuses {
    fn encode_by_ref(
        &self,
        _buffer: &mut <DB as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        Err("refused, with a secret".into())
    }
}

fn show(value: impl Debug) -> String {
    format!("{value:?}")
}

/// The same calls on the driver's connection and on ours: what is cached after each.
macro_rules! cached_after_each_call {
    ($connection:expr) => {{
        let connection = $connection;
        let mut cached = Vec::new();
        // SQLite counts on another thread, after it has answered: another call waits for that.
        macro_rules! note {
            () => {
                connection.ping().await.unwrap();
                cached.push(connection.cached_statements_size());
            };
        }
        note!();
        for _ in 0..2 {
            sqlx::query(by_id()).bind(1).fetch_one(&mut *connection).await.unwrap();
            note!();
        }
        let unkept = sqlx::query(sql("SELECT id FROM users WHERE id = ?")).persistent(false);
        unkept.bind(1).fetch_one(&mut *connection).await.unwrap();
        note!();
        let unkept = sqlx::query::<DB>(sql("SELECT id FROM users WHERE id < ?")).persistent(false);
        unkept.bind(1).map(|row| row.get::<i32, _>(0)).fetch_all(&mut *connection).await.unwrap();
        note!();
        connection.fetch_all(ALL).await.unwrap();
        note!();
        sqlx::raw_sql("SELECT 1; SELECT 2").fetch_all(&mut *connection).await.unwrap();
        note!();
        let text = sql("SELECT id FROM users WHERE name = ?");
        let statement = (&mut *connection).prepare(text.into_sql_str()).await.unwrap();
        note!();
        for name in ["ann", "bob"] {
            statement.query().bind(name).fetch_one(&mut *connection).await.unwrap();
        }
        note!();
        connection.clear_cached_statements().await.unwrap();
        note!();
        cached
    }};
}

#[tokio::test]
async fn as_many_statements_are_kept_as_without_the_wrapper() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let bare = cached_after_each_call!(&mut live.bare().await);
    assert_eq!(bare[1..4], [1, 1, 1], "one is kept, and `persistent(false)` is not");
    let instrumented = cached_after_each_call!(&mut live.connection(&capture.telemetry()).await);
    assert_eq!(instrumented, bare);
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &capture.telemetry());
    let pooled = cached_after_each_call!(&mut *pool.acquire().await.unwrap());
    assert_eq!(pooled, bare);

    // Straight on the pool, which has one connection.
    let queries = async || {
        sqlx::query(by_id()).bind(1).fetch_one(&pool).await.unwrap();
        sqlx::query(by_id()).bind(1).persistent(false).execute(&pool).await.unwrap();
        sqlx::query(sql("SELECT ?")).bind(1).persistent(false).execute(&pool).await.unwrap();
    };
    queries().await;
    queries().await;
    assert_eq!(pool.acquire().await.unwrap().cached_statements_size(), 1);
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_the_drivers_error() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut bare = live.bare().await;
    let mut connection = live.connection(&capture.telemetry()).await;
    let pool = live.pool(&capture.telemetry());
    let query = || sqlx::query(by_id()).bind(Refuses);
    let errors = [
        query().execute(&mut bare).await.unwrap_err(),
        query().execute(&mut connection).await.unwrap_err(),
        query().fetch_all(&pool).await.map(drop).unwrap_err(),
        query().fetch_optional(&pool).await.map(drop).unwrap_err(),
    ];
    for error in &errors {
        assert!(matches!(error, Error::Encode(_)), "{error:?}");
        assert_eq!(show(error), show(&errors[0]));
    }
    let failed = live.statement("SELECT users", "SELECT name FROM users WHERE id = ?");
    let failed = failed.attribute("error.type", "Encode").any_attribute("db.query.text").error("");
    capture.assert_spans((0..3).map(|_| failed.clone()));
    integration_tests::assert_nowhere(&capture, "secret");
    // Nothing was sent, and nothing is broken.
    assert_eq!(connection.fetch_all(ALL).await.unwrap().len(), 3);
}

#[tokio::test]
async fn rows_columns_and_counts_are_the_drivers() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut bare = live.bare().await;
    let mut ours = live.connection(&capture.telemetry()).await;
    let text = sql("SELECT id, name, id * 1.5 AS more, NULL AS none FROM users WHERE id > ?");
    let query = || sqlx::query(text).bind(1);
    let shown = |rows: Vec<<DB as Database>::Row>| {
        let row = |row: &<DB as Database>::Row| {
            (show(row.columns()), row.get::<i32, _>(0), row.get::<String, _>("name"))
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let expected = shown(query().fetch_all(&mut bare).await.unwrap());
    assert_eq!(expected.len(), 2);
    assert_eq!(shown(query().fetch_all(&mut ours).await.unwrap()), expected);

    let update = || sqlx::query("UPDATE users SET name = 'dan' WHERE id > 1 AND name = 'cid'");
    let undo = "UPDATE users SET name = 'cid' WHERE id = 3";
    let expected = show(update().execute(&mut bare).await.unwrap());
    bare.execute(undo).await.unwrap();
    assert_eq!(show(update().execute(&mut ours).await.unwrap()), expected);

    let expected = (&mut bare).prepare(text.into_sql_str()).await.unwrap();
    let statement = (&mut ours).prepare(text.into_sql_str()).await.unwrap();
    assert_eq!(show(statement.columns()), show(expected.columns()));
    assert_eq!(show(statement.parameters()), show(expected.parameters()));
    live.0.audit.goes_past(DESCRIBES);
    let expected = show((&mut bare).describe(text.into_sql_str()).await.unwrap());
    assert_eq!(show((&mut ours).describe(text.into_sql_str()).await.unwrap()), expected);
}

#[tokio::test]
async fn errors_are_the_drivers() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut bare = live.bare().await;
    let mut ours = live.connection(&capture.telemetry()).await;
    for text in ["INSERT INTO users (id, name) VALUES (9, 'ann')", "SELEC 1", "SELECT * FROM no"] {
        let expected = show(bare.execute(text).await.unwrap_err());
        assert_eq!(show(ours.execute(text).await.unwrap_err()), expected);
        let expected = show(sqlx::query(text).fetch_optional(&mut bare).await.map(drop));
        let result = sqlx::query(text).fetch_optional(&mut ours).await.map(drop);
        assert_eq!(show(result), expected);
    }
}

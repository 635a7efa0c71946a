//! Errors of the server: told by its code, on the span and on its measurement, and handed on.

use otel_testing::{metric, point, span};
use sqlx::Executor as _;

use super::{ALL, Capture, DURATION, Live};
use crate::backend::CODES;

/// What this database answers.
pub(crate) struct Codes {
    pub(crate) unique: &'static str,
    pub(crate) not_null: &'static str,
    pub(crate) no_table: &'static str,
    pub(crate) syntax: &'static str,
}

const ADD: &str = "INSERT INTO users (id, name) VALUES (?, ?)";

#[tokio::test]
async fn an_error_of_the_server_is_told_by_its_code() {
    let Some(live) = Live::new().await else { return };
    let cases = [
        ("INSERT INTO users (id, name) VALUES (9, 'ann')", CODES.unique, "unique violation"),
        ("INSERT INTO users (id, name) VALUES (9, NULL)", CODES.not_null, "not null violation"),
        ("SELECT name FROM nowhere", CODES.no_table, ""),
        ("SELEC 1", CODES.syntax, ""),
    ];
    for (text, code, description) in cases {
        let capture = Capture::new();
        let pool = live.pool(&capture.telemetry());
        let mut connection = live.connection(&capture.telemetry()).await;
        // Prepared or not, on a pool, a connection or within a transaction.
        sqlx::query(text).execute(&pool).await.unwrap_err();
        sqlx::query(text).fetch_optional(&pool).await.unwrap_err();
        pool.execute(text).await.unwrap_err();
        let error = sqlx::raw_sql(text).fetch_all(&mut connection).await.unwrap_err();
        assert!(error.as_database_error().is_some(), "{error:?}");

        let (expected, point) = match text {
            "SELEC 1" => (
                // No summary: it is named by where it was sent.
                span(live.0.namespace.clone()).client().attributes(live.server()),
                point().attributes(live.server()),
            ),
            "SELECT name FROM nowhere" => {
                (live.statement("SELECT nowhere", text), live.statement_point("SELECT nowhere"))
            }
            _ => (live.statement("INSERT users", ADD), live.statement_point("INSERT users")),
        };
        let told = [("error.type", code), ("db.response.status_code", code)];
        let shown = match text {
            "SELEC 1" => "SELEC ?",
            "INSERT INTO users (id, name) VALUES (9, NULL)" => {
                "INSERT INTO users (id, name) VALUES (?, NULL)"
            }
            "SELECT name FROM nowhere" => text,
            _ => ADD,
        };
        let expected = expected.attribute("db.query.text", shown).attributes(told);
        capture.assert_spans((0..4).map(|_| expected.clone().error(description)));
        capture.assert_metric(metric(DURATION).point(point.attributes(told).count(4)));
    }
}

#[tokio::test]
async fn an_error_within_a_transaction_leaves_the_rest_of_it_told() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("SELECT name FROM nowhere").await.unwrap_err();
    transaction.rollback().await.unwrap();
    pool.execute(ALL).await.unwrap();
    capture.assert_spans([
        live.operation("BEGIN"),
        live.statement("SELECT nowhere", "SELECT name FROM nowhere").error("").attributes([
            ("error.type", CODES.no_table),
            ("db.response.status_code", CODES.no_table),
        ]),
        live.operation("ROLLBACK"),
        live.statement("SELECT users", ALL),
    ]);
}

#[tokio::test]
async fn an_error_of_the_client_is_told_by_its_kind() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    // The server has answered well; what is made of the answer is not part of the call.
    let wrong = sqlx::query_scalar::<_, i32>("SELECT name FROM users WHERE id = 1");
    let error = wrong.fetch_one(&pool).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::ColumnDecode { .. }), "{error:?}");
    let none = "SELECT name FROM users WHERE id = 99";
    let error = sqlx::query(none).fetch_one(&pool).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::RowNotFound), "{error:?}");
    let shown = "SELECT name FROM users WHERE id = ?";
    capture.assert_spans((0..2).map(|_| live.statement("SELECT users", shown)));
}

//! Limits that the server sets, and a login that it refuses.

use otel_sqlx::Pool;
use otel_testing::metric;
use sqlx::{ConnectOptions as _, Executor as _};

use crate::backend::{self, DB, SLOW, SLOW_SHOWN};
use crate::sqlx_suite::{ALL, Capture, DURATION, Live};

/// What this server answers.
pub(crate) struct Codes {
    pub(crate) deadlock: &'static str,
    pub(crate) timeout: &'static str,
    pub(crate) login: &'static str,
}

fn told(code: &'static str) -> [(&'static str, &'static str); 2] {
    [("error.type", code), ("db.response.status_code", code)]
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_an_error() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let mut connection = pool.acquire().await.unwrap();
    connection.execute(backend::TIMEOUT).await.unwrap();
    capture.clear();
    connection.execute(SLOW).await.unwrap_err();
    let (summary, text) = SLOW_SHOWN;
    let told = told(backend::LIMITS.timeout);
    capture.assert_spans([live.statement(summary, text).attributes(told).error("")]);
    let point = live.statement_point(summary).attributes(told).count(1);
    capture.assert_metric(metric(DURATION).point(point));
    assert_eq!(connection.fetch_all(ALL).await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_two_transactions_in_a_deadlock_one_has_the_error() {
    const ONE: &str = "UPDATE users SET name = 'one' WHERE id = 1";
    const TWO: &str = "UPDATE users SET name = 'two' WHERE id = 2";
    const SHOWN: &str = "UPDATE users SET name = ? WHERE id = ?";

    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let (mut first, mut second) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    first.execute(ONE).await.unwrap();
    second.execute(TWO).await.unwrap();
    capture.clear();
    let results = tokio::join!(first.execute(TWO), second.execute(ONE));
    assert_ne!(results.0.is_err(), results.1.is_err());

    let (update, told) = (|| live.statement("UPDATE users", SHOWN), told(backend::LIMITS.deadlock));
    capture.assert_spans_in_any_order([update(), update().attributes(told).error("")]);
    let point = || live.statement_point("UPDATE users").count(1);
    capture.assert_metric(metric(DURATION).points([point(), point().attributes(told)]));

    capture.clear();
    let (loser, winner) = if results.0.is_err() { (first, second) } else { (second, first) };
    loser.rollback().await.unwrap();
    winner.commit().await.unwrap();
    capture.assert_spans([live.operation("ROLLBACK"), live.operation("COMMIT")]);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_shows_no_credential() {
    const SECRET: &str = "hunter2";

    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let options = live.0.options.clone().password(SECRET);
    let lazy = || sqlx::pool::PoolOptions::<DB>::new().connect_lazy_with(options.clone());
    let builder = Pool::builder(lazy()).system(backend::SYSTEM).telemetry(&telemetry);
    let mut shown = vec![format!("{builder:?}"), format!("{telemetry:?}")];
    let pool = builder.build();
    let errors = [
        pool.execute(ALL).await.unwrap_err(),
        pool.begin().await.unwrap_err(),
        pool.acquire().await.unwrap_err(),
        otel_sqlx::Connection::<DB>::connect_with(&options).await.unwrap_err(),
        otel_sqlx::PoolOptions::<DB>::new().connect_with(options.clone()).await.unwrap_err(),
        Pool::<DB>::connect(options.to_url_lossy().as_str()).await.unwrap_err(),
    ];
    shown.push(format!("{pool:?}"));
    shown.extend(errors.iter().map(|error| format!("{error:?} {error}")));
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    integration_tests::assert_nowhere(&capture, SECRET);

    let told = told(backend::LIMITS.login);
    capture.assert_spans([
        live.statement("SELECT users", ALL).attributes(told).error(""),
        live.operation("BEGIN").attributes(told).error(""),
    ]);
    capture.assert_metric(metric(DURATION).points([
        live.statement_point("SELECT users").attributes(told).count(1),
        live.operation_point("BEGIN").attributes(told).count(1),
    ]));
}

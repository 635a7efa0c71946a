//! The macros that check a query at compile time, offline: what they know of the database lies in
//! `.sqlx`. To change a query here, build this test once with `DATABASE_URL` pointing to an SQLite
//! file that has the table below, and `SQLX_OFFLINE_DIR` to the folder `.sqlx` of this crate.
#![cfg(feature = "sqlite")]

use otel_sqlx::SqlitePool;
use otel_testing::Capture;

struct User {
    id: i64,
    name: String,
}

#[tokio::test]
async fn checked_queries() {
    let capture = Capture::new();
    let raw = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool =
        SqlitePool::with(raw.connect("sqlite::memory:").await.unwrap(), &capture.telemetry());
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL)";
    sqlx::query(schema).execute(&pool).await.unwrap();
    capture.clear();

    let mut transaction = pool.begin().await.unwrap();
    sqlx::query!("INSERT INTO users (id, name) VALUES (?, ?)", 7, "Ada")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let row =
        sqlx::query!("SELECT name FROM users WHERE id = ?", 7).fetch_one(&pool).await.unwrap();
    assert_eq!(row.name, "Ada");
    let user =
        sqlx::query_as!(User, "SELECT id, name FROM users").fetch_optional(&pool).await.unwrap();
    assert_eq!(user.map(|user| (user.id, user.name)), Some((7, "Ada".to_owned())));
    let count = sqlx::query_scalar!("SELECT count(*) FROM users").fetch_one(&pool).await.unwrap();
    assert_eq!(count, 1);

    let spans = capture.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    let expected = ["BEGIN :memory:", "INSERT users", "COMMIT :memory:"];
    assert_eq!(names, [&expected[..], &["SELECT users"; 3]].concat());
}

//! The bare driver of sqlx on servers.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use integration_tests::unique_name;

/// The same for each server: its database, its placeholders and its code of a key that is taken.
macro_rules! on {
    ($server:ident, $database:ty, $placeholders:literal, $taken:literal) => {
        mod $server {
            use std::time::Duration;

            use integration_tests::{eventually, private};
            use native::{Extra, Server};
            use otel_testing::live;
            use sqlx::pool::PoolOptions;
            use sqlx::{AssertSqlSafe, Error, Pool};
            use tokio::task::block_in_place;

            use super::unique_name;

            async fn pool(url: &str) -> Pool<$database> {
                let options = PoolOptions::new().acquire_timeout(Duration::from_secs(5));
                options.connect(url).await.unwrap()
            }

            /// A table of one test's own.
            async fn table(pool: &Pool<$database>) -> String {
                let name = unique_name();
                execute(pool, format!("CREATE TABLE {name} (id INT PRIMARY KEY, name TEXT)")).await;
                name
            }

            async fn execute(pool: &Pool<$database>, statement: String) {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await.unwrap();
            }

            async fn add(pool: &Pool<$database>, table: &str, id: i32) -> Result<(), Error> {
                let add = format!(concat!("INSERT INTO {} VALUES ", $placeholders), table);
                sqlx::query(AssertSqlSafe(add)).bind(id).bind("ann").execute(pool).await.map(drop)
            }

            async fn ids(pool: &Pool<$database>, table: &str) -> Result<Vec<i32>, Error> {
                let ids = format!("SELECT id FROM {table} WHERE name = 'ann' ORDER BY id");
                sqlx::query_scalar(AssertSqlSafe(ids)).fetch_all(pool).await
            }

            #[tokio::test]
            async fn what_is_written_is_read_back_and_a_taken_key_refused() {
                let server = Server::$server();
                let Some(url) = live::address(&server.key()) else { return };
                let pool = pool(&url).await;
                let table = table(&pool).await;
                add(&pool, &table, 1).await.unwrap();
                let error = add(&pool, &table, 1).await.unwrap_err();
                let error = error.into_database_error().unwrap();
                assert!(error.is_unique_violation(), "{error:?}");
                assert_eq!(error.code().as_deref(), Some($taken));
                add(&pool, &table, 2).await.unwrap();
                assert_eq!(ids(&pool, &table).await.unwrap(), [1, 2]);
                execute(&pool, format!("DROP TABLE {table}")).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn after_a_kill_the_pool_reconnects_and_all_that_was_committed_is_there() {
                let server = block_in_place(|| private(Server::$server(), Extra::new()));
                let Some(mut server) = server else { return };
                let pool = pool(server.url()).await;
                let table = table(&pool).await;
                add(&pool, &table, 1).await.unwrap();
                block_in_place(|| server.kill()).unwrap();
                let error = ids(&pool, &table).await.unwrap_err();
                assert!(error.as_database_error().is_none(), "{error:?}");
                block_in_place(|| server.restart()).unwrap();
                eventually("the pool connects anew", async || ids(&pool, &table).await.is_ok())
                    .await;
                assert_eq!(ids(&pool, &table).await.unwrap(), [1]);
                add(&pool, &table, 2).await.unwrap();
            }
        }
    };
}

on!(postgres, sqlx::Postgres, "($1, $2)", "23505");
// The number that MariaDB also has for it, 1062, is of its own error type.
on!(mariadb, sqlx::MySql, "(?, ?)", "23000");

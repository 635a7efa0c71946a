//! Migrations do the same over our handles as over the driver's, and each is a span.

use std::fmt::Debug;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::pool::PoolOptions;

use super::{Capture, Live};
use crate::backend::{CODES, DB, NOT_IN_TRANSACTION};

const CREATE: &str = "CREATE TABLE accounts (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)";
const CREATE_SHOWN: &str = "CREATE TABLE accounts (id INT PRIMARY KEY, name VARCHAR(?) NOT NULL)";
const FILL: &str = "INSERT INTO accounts (id, name) VALUES (1, 'secret'); \
    UPDATE accounts SET name = 'secret'-- a secret";
const FILL_SHOWN: &str =
    "INSERT INTO accounts (id, name) VALUES (?, ?); UPDATE accounts SET name = ?";
const EMPTY: &str = "DELETE FROM accounts";
const BROKEN: &str = "CREATE TABLE half (id INT); DELETE FROM nowhere WHERE name = 'secret'";
const BROKEN_SHOWN: &str = "CREATE TABLE half (id INT); DELETE FROM nowhere WHERE name = ?";

fn up(version: i64, text: &'static str, is_alone: bool) -> Migration {
    let (kind, text) = (MigrationType::ReversibleUp, text.into_sql_str());
    Migration::new(version, format!("number {version}").into(), kind, text, is_alone)
}

fn down(version: i64, text: &'static str) -> Migration {
    let (kind, text) = (MigrationType::ReversibleDown, text.into_sql_str());
    Migration::new(version, format!("number {version}").into(), kind, text, false)
}

/// Those up to a version. The third is not to run in a transaction.
fn until(last: i64) -> Vec<Migration> {
    let all = vec![
        up(1, CREATE, false),
        down(1, "DROP TABLE accounts"),
        up(2, FILL, false),
        down(2, EMPTY),
        up(3, NOT_IN_TRANSACTION.0, true),
        down(3, "SELECT 3"),
        up(4, BROKEN, false),
    ];
    all.into_iter().filter(|one| one.version <= last).collect()
}

type Bare = <DB as sqlx::Database>::Connection;

/// A row of sqlx's own table: version, description, success, whether its time is known, checksum.
type Applied = (i64, String, bool, bool, Vec<u8>);

/// What the migrator does by itself, on each database: it takes a lock, and keeps its table.
pub(crate) fn is_the_migrators(text: &str) -> bool {
    const PARTS: [&str; 6] = [
        "_sqlx_migrations",
        "_LOCK(",
        "pg_advisory_",
        "DATABASE()",
        "current_database()",
        "SCHEMA",
    ];
    PARTS.iter().any(|part| text.contains(part)) || ["BEGIN", "COMMIT", "ROLLBACK"].contains(&text)
}

/// What a step ended with, and what is there afterwards.
async fn noted(connection: &mut Bare, step: &str, result: impl Debug) -> String {
    let noted = "SELECT version, description, success, execution_time >= 0, checksum \
        FROM _sqlx_migrations ORDER BY version";
    let noted = sqlx::query_as::<DB, Applied>(noted).fetch_all(&mut *connection).await;
    let names = sqlx::query_scalar::<DB, String>("SELECT name FROM accounts");
    let names = names.fetch_all(connection).await;
    format!("{step}: {result:?} {noted:?} {names:?}")
}

/// The same story with the driver's migrator and pool, and with ours: what came of each step. The
/// pool has one connection, because sqlx does not unlock after an error.
macro_rules! story {
    ($migrator:ty, $live:expr, $pool:expr) => {{
        let (live, pool) = ($live, $pool);
        let (mut story, mut connection) = (Vec::new(), live.bare().await);
        macro_rules! step {
            ($name:literal, $result:expr) => {
                let result = $result.await;
                let noted = noted(&mut connection, $name, result).await;
                story.push(noted.replace(&live.0.namespace, "its own database"));
            };
        }
        let of = |last| <$migrator>::with_migrations(until(last));
        step!("one of three", of(3).run_to(1, pool));
        step!("the others", of(3).run(pool));
        step!("all are there", of(3).run(pool));
        let changed = <$migrator>::with_migrations(vec![up(1, "SELECT 1", false)]);
        step!("missing ones", changed.run(pool));
        step!("missing ones, back", changed.undo(pool, 0));
        let mut changed = changed;
        step!("a changed one", changed.set_ignore_missing(true).run(pool));
        step!("nothing to go back to", of(3).undo(pool, 3));
        step!("back to the first", of(3).undo(pool, 1));
        step!("the second is broken", of(4).run(pool));
        step!("and stays so", of(4).run(pool));
        step!("also on the way back", of(4).undo(pool, 0));
        pool.close().await;
        story
    }};
}

#[tokio::test]
async fn migrations_do_what_they_do_without_the_wrapper() {
    let (Some(of_bare), Some(live)) = (Live::new().await, Live::new().await) else { return };
    let options = || PoolOptions::new().max_connections(1);
    let pool = options().connect_lazy_with(of_bare.0.bare.clone());
    let bare = story!(sqlx::migrate::Migrator, &of_bare, &pool);
    assert!(bare[1].contains("Ok(()) Ok([(1, \"number 1\", true, true, "), "{}", bare[1]);

    let capture = Capture::new();
    live.0.audit.leaves_out(is_the_migrators);
    let pool = live.pool_of(options(), &capture.telemetry());
    let ours = story!(otel_sqlx::migrate::Migrator, &live, &pool);
    for (ours, bare) in ours.iter().zip(&bare) {
        assert_eq!(ours, bare);
    }
    assert_eq!(ours.len(), bare.len());

    let create = live.statement("CREATE TABLE accounts", CREATE_SHOWN);
    let fill = || live.statement("INSERT accounts; UPDATE accounts", FILL_SHOWN);
    let (alone, summary) = NOT_IN_TRANSACTION;
    let alone = || live.statement(summary, alone);
    let back = || [live.statement("SELECT", "SELECT ?"), live.statement("DELETE accounts", EMPTY)];
    let broken = || {
        let broken = live.statement("CREATE TABLE half; DELETE nowhere", BROKEN_SHOWN);
        let code = CODES.no_table;
        broken.attribute("error.type", code).attribute("db.response.status_code", code).error("")
    };
    let mut expected = vec![create, fill(), alone()];
    expected.extend(back());
    expected.extend([fill(), alone(), broken()]);
    // Where a table is not taken back with its transaction, the migrator refuses to go on.
    if !bare[9].contains("Err(Dirty(4))") {
        expected.push(broken());
        expected.extend(back());
        expected.push(live.statement("DROP TABLE accounts", "DROP TABLE accounts"));
    }
    capture.assert_spans(expected);
    integration_tests::assert_nowhere(&capture, "secret");
}

//! What users write, in the spirit of sqlx's own examples: nothing but the imports is ours.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]
#![cfg(feature = "sqlite")]

use std::sync::Arc;

// Was: use sqlx::{Acquire, SqliteConnection, SqlitePool, SqliteTransaction};
//      use sqlx::sqlite::SqlitePoolOptions;
use otel_sqlx::{Acquire, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteTransaction};

use futures_util::{StreamExt as _, TryStreamExt as _};
use otel_testing::Capture;
use sqlx::{
    Executor, FromRow, QueryBuilder, Row, SqlSafeStr as _, Sqlite, Statement as _, raw_sql,
};

/// The only line of a test that is no user's: it makes the pool report to a capture.
fn captured(pool: &SqlitePool) -> (SqlitePool, Capture) {
    let capture = Capture::new();
    (SqlitePool::with(pool.raw().clone(), &capture.telemetry()), capture)
}

fn names(capture: &Capture) -> Vec<String> {
    capture.spans().iter().map(|span| span.name.to_string()).collect()
}

async fn database() -> SqlitePool {
    let pool =
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let schema = "CREATE TABLE todos (id INTEGER PRIMARY KEY, description TEXT NOT NULL, done BOOLEAN NOT NULL DEFAULT FALSE)";
    sqlx::query(schema).execute(&pool).await.unwrap();
    pool
}

#[derive(Debug, FromRow, PartialEq)]
struct Todo {
    id: i64,
    description: String,
    done: bool,
}

async fn add_todo(pool: &SqlitePool, description: String) -> sqlx::Result<i64> {
    let mut connection = pool.acquire().await?;
    let id = sqlx::query("INSERT INTO todos (description) VALUES (?1)")
        .bind(description)
        .execute(&mut *connection)
        .await?
        .last_insert_rowid();
    Ok(id)
}

async fn complete_todo(pool: &SqlitePool, id: i64) -> sqlx::Result<bool> {
    let changed =
        sqlx::query("UPDATE todos SET done = TRUE WHERE id = ?1").bind(id).execute(pool).await?;
    Ok(changed.rows_affected() > 0)
}

async fn list_todos(pool: &SqlitePool) -> sqlx::Result<Vec<Todo>> {
    sqlx::query_as("SELECT id, description, done FROM todos ORDER BY id").fetch_all(pool).await
}

#[tokio::test]
async fn todos() {
    let (pool, capture) = captured(&database().await);
    let id = add_todo(&pool, "feed the crab".into()).await.unwrap();
    assert!(complete_todo(&pool, id).await.unwrap());
    let todos = list_todos(&pool).await.unwrap();
    assert_eq!(todos, [Todo { id, description: "feed the crab".into(), done: true }]);
    assert_eq!(names(&capture), ["INSERT todos", "UPDATE todos", "SELECT todos"]);
}

/// A handler's shape: the pool in shared state, the future spawned, so it must be `Send`.
#[derive(Clone)]
struct Application {
    pool: SqlitePool,
}

async fn handler(state: Arc<Application>, id: i64) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT description FROM todos WHERE id = $1")
        .bind(id)
        .fetch_optional(&state.pool)
        .await
}

#[tokio::test]
async fn handlers() {
    let (pool, capture) = captured(&database().await);
    let state = Arc::new(Application { pool });
    let id = add_todo(&state.pool, "read".into()).await.unwrap();
    let answer = tokio::spawn(handler(Arc::clone(&state), id)).await.unwrap().unwrap();
    assert_eq!(answer.as_deref(), Some("read"));
    let answer = tokio::spawn(handler(state, 404)).await.unwrap().unwrap();
    assert_eq!(answer, None);
    assert_eq!(names(&capture), ["INSERT todos", "SELECT todos", "SELECT todos"]);
}

async fn insert_in(transaction: &mut SqliteTransaction<'_>, description: &str) -> sqlx::Result<()> {
    let statement = sqlx::query("INSERT INTO todos (description) VALUES (?)").bind(description);
    statement.execute(&mut **transaction).await?;
    Ok(())
}

async fn count(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM todos").fetch_one(connection).await
}

#[tokio::test]
async fn transactions() {
    let (pool, capture) = captured(&database().await);

    let mut transaction = pool.begin().await.unwrap();
    insert_in(&mut transaction, "one").await.unwrap();
    // By coercion, as with sqlx's own types.
    assert_eq!(count(&mut transaction).await.unwrap(), 1);
    {
        let mut nested = transaction.begin().await.unwrap();
        insert_in(&mut nested, "two").await.unwrap();
        nested.rollback().await.unwrap();
    }
    {
        let mut nested = transaction.begin().await.unwrap();
        insert_in(&mut nested, "three").await.unwrap();
        nested.commit().await.unwrap();
    }
    assert!(transaction.is_in_transaction());
    transaction.commit().await.unwrap();

    // Rolled back when dropped.
    let mut transaction = pool.begin().await.unwrap();
    insert_in(&mut transaction, "four").await.unwrap();
    drop(transaction);

    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(count(&mut connection).await.unwrap(), 2);
    assert_eq!(
        names(&capture),
        [
            "BEGIN :memory:",
            "INSERT todos",
            "SELECT todos",
            "SAVEPOINT :memory:",
            "INSERT todos",
            "ROLLBACK TO SAVEPOINT :memory:",
            "SAVEPOINT :memory:",
            "INSERT todos",
            "RELEASE SAVEPOINT :memory:",
            "COMMIT :memory:",
            "BEGIN :memory:",
            "INSERT todos",
            "ROLLBACK :memory:",
            "SELECT todos",
        ]
    );
}

#[tokio::test]
async fn a_transaction_as_a_closure() {
    let (pool, capture) = captured(&database().await);
    let mut connection = pool.acquire().await.unwrap();
    let kept: Result<i64, sqlx::Error> = connection
        .transaction(|transaction| {
            Box::pin(async move {
                insert_in(transaction, "kept").await?;
                count(transaction).await
            })
        })
        .await;
    assert_eq!(kept.unwrap(), 1);
    let gone: Result<(), sqlx::Error> = connection
        .transaction(|transaction| {
            Box::pin(async move {
                insert_in(transaction, "gone").await?;
                Err(sqlx::Error::RowNotFound)
            })
        })
        .await;
    assert!(matches!(gone, Err(sqlx::Error::RowNotFound)));
    assert_eq!(count(&mut connection).await.unwrap(), 1);
    let expected = ["BEGIN", "INSERT", "SELECT", "COMMIT", "BEGIN", "INSERT", "ROLLBACK", "SELECT"];
    let names = names(&capture);
    let verbs: Vec<_> = names.iter().filter_map(|name| name.split(' ').next()).collect();
    assert_eq!(verbs, expected);
}

#[tokio::test]
async fn other_ways_to_begin() {
    let (pool, capture) = captured(&database().await);
    let transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(pool.try_begin().await.unwrap().is_none(), "the only connection is taken");
    assert!(pool.try_acquire().is_none());
    transaction.commit().await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let nested = connection.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    nested.rollback().await.unwrap();
    assert_eq!(names(&capture), ["BEGIN", "COMMIT :memory:", "BEGIN", "ROLLBACK :memory:"]);
}

#[tokio::test]
async fn query_builder() {
    let (pool, capture) = captured(&database().await);
    let mut builder: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO todos (description) ");
    builder.push_values(["a", "b", "c"], |mut row, description| {
        row.push_bind(description);
    });
    assert_eq!(builder.build().execute(&pool).await.unwrap().rows_affected(), 3);
    assert_eq!(names(&capture), ["INSERT todos"]);
    let span = capture.spans().remove(0);
    let text = span.attributes.iter().find(|fact| fact.key.as_str() == "db.query.text").unwrap();
    assert_eq!(text.value.as_str(), "INSERT INTO todos (description) VALUES (?), (?), (?)");
}

#[tokio::test]
async fn streams() {
    let (pool, capture) = captured(&database().await);
    for description in ["a", "b", "c"] {
        add_todo(&pool, description.into()).await.unwrap();
    }
    capture.clear();
    let mut rows = sqlx::query_as::<_, Todo>("SELECT * FROM todos ORDER BY id").fetch(&pool);
    let mut descriptions = Vec::new();
    while let Some(todo) = rows.try_next().await.unwrap() {
        descriptions.push(todo.description);
    }
    drop(rows);
    assert_eq!(descriptions, ["a", "b", "c"]);
    let first = sqlx::query("SELECT * FROM todos").fetch(&pool).next().await.unwrap().unwrap();
    assert_eq!(first.get::<i64, _>("id"), 1);
    assert_eq!(names(&capture), ["SELECT todos", "SELECT todos"]);
}

#[tokio::test]
async fn several_statements() {
    let (pool, capture) = captured(&database().await);
    let script = "INSERT INTO todos (description) VALUES ('secret'); SELECT id FROM todos; DELETE FROM todos";
    let results: Vec<_> = raw_sql(script).fetch_many(&pool).try_collect().await.unwrap();
    assert_eq!(results.iter().filter(|result| result.is_right()).count(), 1);
    pool.execute("DELETE FROM todos; DELETE FROM todos").await.unwrap();
    assert_eq!(
        names(&capture),
        ["INSERT todos; SELECT todos; DELETE todos", "DELETE todos; DELETE todos"]
    );
    assert!(!format!("{:?}", capture.spans()).contains("secret"));
}

/// A helper for whoever can run a query.
async fn descriptions<'e, E>(executor: E) -> sqlx::Result<Vec<String>>
where
    E: Executor<'e, Database = Sqlite>,
{
    sqlx::query_scalar("SELECT description FROM todos").fetch_all(executor).await
}

async fn add_two(executor: impl sqlx::SqliteExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO todos (description) VALUES ('x'), ('y')").execute(executor).await?;
    Ok(())
}

/// A helper for whoever a connection, or a transaction, can be had from.
async fn replace_all<'a>(from: impl Acquire<'a, Database = Sqlite>) -> sqlx::Result<Vec<String>> {
    let mut transaction = from.begin().await?;
    sqlx::query("DELETE FROM todos").execute(&mut *transaction).await?;
    add_two(&mut *transaction).await?;
    let all = descriptions(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(all)
}

async fn first_of<'a>(from: impl Acquire<'a, Database = Sqlite>) -> sqlx::Result<String> {
    let mut connection = from.acquire().await?;
    sqlx::query_scalar("SELECT description FROM todos LIMIT 1").fetch_one(&mut *connection).await
}

#[tokio::test]
async fn helpers() {
    let (pool, capture) = captured(&database().await);
    add_two(&pool).await.unwrap();
    assert_eq!(replace_all(&pool).await.unwrap(), ["x", "y"]);
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(replace_all(&mut connection).await.unwrap(), ["x", "y"]);
    assert_eq!(replace_all(&mut *connection).await.unwrap(), ["x", "y"]);
    assert_eq!(first_of(&mut connection).await.unwrap(), "x");
    let mut transaction = connection.begin().await.unwrap();
    assert_eq!(replace_all(&mut transaction).await.unwrap(), ["x", "y"]);
    assert_eq!(first_of(&mut transaction).await.unwrap(), "x");
    assert_eq!(descriptions(&mut *transaction).await.unwrap(), ["x", "y"]);
    drop(transaction);
    drop(connection);
    assert_eq!(first_of(&pool).await.unwrap(), "x");
    // Each statement is one span: 1 + 4 × (BEGIN DELETE INSERT SELECT COMMIT) + 3 × SELECT + BEGIN,
    // SELECT and ROLLBACK of the outer transaction.
    assert_eq!(capture.spans().len(), 1 + 4 * 5 + 3 + 3);
}

/// Generic over the database, which needs no bound on its connections here.
async fn count_in<DB>(pool: &otel_sqlx::Pool<DB>) -> sqlx::Result<i64>
where
    DB: otel_sqlx::Database,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
{
    let row = pool.fetch_one("SELECT count(*) FROM todos").await?;
    row.try_get(0)
}

#[tokio::test]
async fn generic_over_the_database() {
    let (pool, capture) = captured(&database().await);
    assert_eq!(count_in(&pool).await.unwrap(), 0);
    assert_eq!(names(&capture), ["SELECT todos"]);
}

#[tokio::test]
async fn prepared_statements() {
    let (pool, capture) = captured(&database().await);
    let mut connection = pool.acquire().await.unwrap();
    let text = "INSERT INTO todos (description) VALUES (?)".into_sql_str();
    let statement = connection.prepare(text).await.unwrap();
    for description in ["a", "b"] {
        statement.query().bind(description).execute(&mut *connection).await.unwrap();
    }
    assert_eq!(count(&mut connection).await.unwrap(), 2);
    assert_eq!(names(&capture), ["INSERT todos", "INSERT todos", "SELECT todos"]);
}

#[tokio::test]
async fn a_plain_connection() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection.execute("CREATE TABLE t (a)").await.unwrap();
    connection.ping().await.unwrap();
    connection.close().await.unwrap();
    let options = "sqlite::memory:".parse::<sqlx::sqlite::SqliteConnectOptions>().unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (a)").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(connection.cached_statements_size(), 0);
}

/// `&Pool`, `&mut Connection` and what they return must be as `Send` as sqlx's are.
#[test]
fn auto_traits() {
    fn send_sync_clone<T: Send + Sync + Clone + std::fmt::Debug>() {}
    fn send<T: Send + std::fmt::Debug>() {}
    send_sync_clone::<SqlitePool>();
    send_sync_clone::<SqlitePoolOptions>();
    send::<SqliteConnection>();
    send::<otel_sqlx::PoolConnection<Sqlite>>();
    send::<SqliteTransaction<'static>>();
}

/// A service in the manner of several that were moved: migrations that are embedded, a repository
/// that is generic over the database, queries where the database is known.
#[cfg(feature = "migrate")]
mod articles {
    // Was: use sqlx::migrate::Migrator; use sqlx::{Database, Pool, Transaction, migrate};
    use otel_sqlx::migrate::Migrator;
    use otel_sqlx::{Database, Pool, PoolConnection, Transaction, migrate};

    use super::{Executor, FromRow, Sqlite, SqlitePool, captured, database, names};

    static MIGRATOR: Migrator = migrate!("tests/migrations");

    #[derive(Debug, FromRow, PartialEq)]
    struct Article {
        slug: String,
        votes: i64,
    }

    /// With sqlx's own bound, as it was.
    #[derive(Debug)]
    struct Repository<DB: sqlx::Database> {
        pool: Pool<DB>,
    }

    impl<DB: sqlx::Database> Repository<DB> {
        fn new(pool: Pool<DB>) -> Self {
            Self { pool }
        }

        async fn connection(&self) -> sqlx::Result<PoolConnection<DB>> {
            self.pool.acquire().await
        }

        async fn transaction(&self) -> sqlx::Result<Transaction<'static, DB>> {
            self.pool.begin().await
        }

        async fn shut_down(&self) {
            self.pool.close().await;
        }
    }

    /// Where a query is made, the bound is the imported one; those that sqlx needs may stay.
    impl<DB: Database> Repository<DB>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        for<'q> String: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
        for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
        usize: sqlx::ColumnIndex<DB::Row>,
        DB::Arguments: sqlx::IntoArguments<DB>,
    {
        async fn count(&self, slug: &str) -> sqlx::Result<i64> {
            let text = "SELECT count(*) FROM articles WHERE slug = $1";
            let query = || sqlx::query_as(text).bind(slug.to_owned());
            let mut connection = self.connection().await?;
            let on_it: (i64,) = query().fetch_one(&mut *connection).await?;
            drop(connection);
            let anywhere: (i64,) = query().fetch_one(&self.pool).await?;
            assert_eq!(on_it, anywhere);
            Ok(anywhere.0)
        }
    }

    impl Repository<Sqlite> {
        async fn vote(&self, slug: &str) -> sqlx::Result<Option<Article>> {
            let mut tx = self.transaction().await?;
            let voted = sqlx::query_as(
                "UPDATE articles SET votes = votes + 1 WHERE slug = ? RETURNING slug, votes",
            )
            .bind(slug)
            .fetch_optional(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(voted)
        }
    }

    async fn start(pool: SqlitePool) -> Result<Repository<Sqlite>, Box<dyn std::error::Error>> {
        MIGRATOR.run(&pool).await?;
        Ok(Repository::new(pool))
    }

    #[tokio::test]
    async fn a_service_starts_with_its_migrations() {
        let (pool, capture) = captured(&database().await);
        let repository = tokio::spawn(async { start(pool).await.unwrap() }).await.unwrap();
        let voted = repository.vote("welcome").await.unwrap();
        assert_eq!(voted, Some(Article { slug: "welcome".to_owned(), votes: 1 }));
        assert_eq!(repository.count("welcome").await.unwrap(), 1);
        repository.shut_down().await;
        assert!(repository.pool.is_closed());
        assert_eq!(
            names(&capture),
            [
                "CREATE TABLE articles",
                "ALTER TABLE articles; INSERT articles",
                "BEGIN :memory:",
                "UPDATE articles",
                "COMMIT :memory:",
                "SELECT articles",
                "SELECT articles",
            ]
        );
    }

    /// A command of an administrator: the folder is read when it runs, and everything is in one
    /// transaction.
    async fn reset(pool: &SqlitePool, folder: &str) -> Result<(), Box<dyn std::error::Error>> {
        let mut migrator = Migrator::new(std::path::Path::new(folder)).await?;
        migrator.set_ignore_missing(true).set_locking(false);
        let mut tx = pool.begin().await?;
        migrator.run_to(1, &mut *tx).await?;
        migrator.run(&mut tx).await?;
        migrator.undo(&mut *tx, 1).await?;
        migrator.undo(&mut tx, 0).await?;
        tx.commit().await?;
        assert!(migrator.version_exists(2) && migrator.iter().count() == 4);
        Ok(())
    }

    #[tokio::test]
    async fn migrations_go_up_and_down() {
        let (pool, capture) = captured(&database().await);
        reset(&pool, "tests/migrations").await.unwrap();
        migrate!("tests/migrations").skip(&pool, Some(1)).await.unwrap();
        assert_eq!(
            names(&capture),
            [
                "BEGIN :memory:",
                "CREATE TABLE articles",
                "ALTER TABLE articles; INSERT articles",
                "DELETE articles; ALTER TABLE articles",
                "DROP TABLE articles",
                "COMMIT :memory:",
            ]
        );
    }

    #[cfg(feature = "any")]
    #[tokio::test]
    async fn migrations_of_any_database_go_up_and_down() {
        sqlx::any::install_default_drivers();
        let options = sqlx::any::AnyPoolOptions::new().max_connections(1);
        let raw = options.connect("sqlite::memory:").await.unwrap();
        let capture = otel_testing::Capture::new();
        let pool = otel_sqlx::AnyPool::with(raw, &capture.telemetry());
        MIGRATOR.run(&pool).await.unwrap();
        MIGRATOR.undo(&pool, 1).await.unwrap();
        assert_eq!(
            names(&capture),
            [
                "CREATE TABLE articles",
                "ALTER TABLE articles; INSERT articles",
                "DELETE articles; ALTER TABLE articles",
            ]
        );
    }

    /// What hands out sqlx's own pool takes sqlx's own migrator, as `#[sqlx::test]` does.
    #[test]
    fn it_leads_to_the_migrator_of_sqlx() {
        fn count(migrator: &'static sqlx::migrate::Migrator) -> usize {
            migrator.iter().count()
        }
        assert_eq!(count(&MIGRATOR), 4);
        assert_eq!(count(&migrate!("tests/migrations")), 4);
    }

    static LENIENT: Migrator = Migrator {
        raw: sqlx::migrate::Migrator { ignore_missing: true, ..sqlx::migrate!("tests/migrations") },
    };

    #[tokio::test]
    async fn a_migrator_made_of_its_fields() {
        let pool = database().await;
        MIGRATOR.run(&pool).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 3 WHERE version = 2")
            .execute(&pool)
            .await
            .unwrap();
        MIGRATOR.undo(&pool, 3).await.unwrap_err();
        LENIENT.undo(&pool, 3).await.unwrap();
    }
}

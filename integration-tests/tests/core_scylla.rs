//! The core alone, on the pages of CQL: the first comes with the future of a call, the others are
//! fetched by a task of the driver's while the stream of rows is read. One operation goes through
//! all of it. What an adapter of it will be made of.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use integration_tests::unique_name;
use otel_core::{Classify, Client, Db, DbCall, DbOperation, DbServer, Failure, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::{Capture, live, span};
use scylla::client::pager::QueryPager;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{NextRowError, PagerExecutionError};
use scylla::statement::Statement;

enum Scylla {}

impl Client for Scylla {
    const NAME: &'static str = "spike-scylla";
    const VERSION: &'static str = "0";
}

impl Classify<PagerExecutionError> for Scylla {
    fn classify(_: &PagerExecutionError) -> Failure {
        Failure::new("PagerExecutionError")
    }
}

impl Classify<NextRowError> for Scylla {
    fn classify(_: &NextRowError) -> Failure {
        Failure::new("NextRowError")
    }
}

struct Scratch {
    session: Session,
    db: Db<Scylla>,
    keyspace: String,
}

/// The driver's pager, and the call that it is a part of.
struct Pager {
    pages: QueryPager,
    operation: DbOperation<Scylla>,
}

impl Pager {
    fn rows(self) -> impl Stream<Item = Result<(i32,), NextRowError>> {
        self.operation.stream(self.pages.rows_stream().unwrap())
    }
}

impl Scratch {
    async fn new(telemetry: &Telemetry) -> Option<Self> {
        let address = live::address("CASSANDRA")?;
        let session = SessionBuilder::new().known_node(address).build().await.unwrap();
        let keyspace = unique_name();
        let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
        let make = format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}");
        session.query_unpaged(make, ()).await.unwrap();
        session.use_keyspace(&keyspace, false).await.unwrap();
        let table = "CREATE TABLE numbers (one int, number int, PRIMARY KEY (one, number))";
        session.query_unpaged(table, ()).await.unwrap();
        let add = session.prepare("INSERT INTO numbers (one, number) VALUES (1, ?)").await.unwrap();
        for number in 0..7 {
            session.execute_unpaged(&add, (number,)).await.unwrap();
        }
        let server = DbServer::new("cassandra").namespace(keyspace.clone());
        let db = Db::new(telemetry, server.address("db.example", None));
        Some(Self { session, db, keyspace })
    }

    /// Two rows to a page.
    async fn query(&self, table: &str) -> Result<Pager, PagerExecutionError> {
        let text = format!("SELECT number FROM {table} WHERE one = ?");
        let operation = self.db.start(|| DbCall::statement(&text, true));
        let call = self.session.query_iter(Statement::new(&*text).with_page_size(2), (1,));
        let mut kept = None;
        // What goes on after its first answer is kept, what fails is ended.
        let pages = operation.run_to_end(call, |operation, result| match result {
            Ok(_) => kept = Some(operation),
            Err(error) => operation.fail(error),
        });
        let pages = pages.await?;
        Ok(Pager { pages, operation: kept.unwrap() })
    }

    fn span(&self, table: &str) -> ExpectedSpan {
        span(format!("SELECT {table}"))
            .client()
            .attribute("db.system.name", "cassandra")
            .attribute("db.namespace", self.keyspace.clone())
            .attribute("db.query.summary", format!("SELECT {table}"))
            .attribute("db.query.text", format!("SELECT number FROM {table} WHERE one = ?"))
            .attribute("server.address", "db.example")
    }

    async fn remove(self) {
        let remove = format!("DROP KEYSPACE {}", self.keyspace);
        self.session.query_unpaged(remove, ()).await.unwrap();
    }
}

#[tokio::test]
async fn all_pages_are_one_operation_that_ends_with_the_last_row() {
    let capture = Capture::new();
    let Some(scratch) = Scratch::new(&capture.telemetry()).await else { return };
    let pager = scratch.query("numbers").await.unwrap();
    assert!(capture.spans().is_empty(), "it ended with the first page");
    let numbers: Vec<(i32,)> = pager.rows().try_collect().await.unwrap();
    assert!(numbers.into_iter().eq((0..7).map(|number| (number,))));
    capture.assert_spans([scratch.span("numbers")]);
    assert_eq!(integration_tests::count(&capture, "db.client.operation.duration"), 1);
    scratch.remove().await;
}

#[tokio::test]
async fn rows_that_nobody_reads_any_more_are_no_failure() {
    let capture = Capture::new();
    let Some(scratch) = Scratch::new(&capture.telemetry()).await else { return };
    let mut rows = Box::pin(scratch.query("numbers").await.unwrap().rows());
    assert_eq!(rows.next().await.unwrap().unwrap(), (0,));
    drop(rows);
    capture.assert_spans([scratch.span("numbers")]);
    scratch.remove().await;
}

#[tokio::test]
async fn a_table_that_is_not_there_ends_it_at_once() {
    let capture = Capture::new();
    let Some(scratch) = Scratch::new(&capture.telemetry()).await else { return };
    assert!(scratch.query("nothing").await.is_err());
    let failed = scratch.span("nothing").attribute("error.type", "PagerExecutionError").error("");
    capture.assert_spans([failed]);
    scratch.remove().await;
}

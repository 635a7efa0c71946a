//! The bare driver of ScyllaDB, on Cassandra: both speak CQL.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use futures_util::TryStreamExt as _;
use integration_tests::{eventually, private, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::{Consistency, Statement};
use scylla::value::{CqlValue, Row};
use tokio::task::block_in_place;

/// A keyspace of one test's own, with a table `users`.
struct Scratch {
    session: Session,
    keyspace: String,
}

impl Scratch {
    /// On the shared server.
    async fn new() -> Option<Self> {
        Some(Self::on(&live::address("CASSANDRA")?, 1).await)
    }

    /// On a server of one node.
    async fn on(address: &str, replicas: u8) -> Self {
        let profile = ExecutionProfile::builder().request_timeout(Some(Duration::from_secs(20)));
        let builder = SessionBuilder::new().known_node(address);
        let builder = builder.default_execution_profile_handle(profile.build().into_handle());
        let session = builder.build().await.unwrap();
        let keyspace = unique_name();
        let replication =
            format!("{{'class': 'NetworkTopologyStrategy', 'replication_factor': {replicas}}}");
        let make = format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}");
        session.query_unpaged(make, ()).await.unwrap();
        session.use_keyspace(&keyspace, false).await.unwrap();
        let table = "CREATE TABLE users (id int PRIMARY KEY, name text)";
        session.query_unpaged(table, ()).await.unwrap();
        Self { session, keyspace }
    }

    async fn add(&self, users: &[(i32, &str)]) {
        let add = self.session.prepare("INSERT INTO users (id, name) VALUES (?, ?)").await.unwrap();
        for user in users {
            self.session.execute_unpaged(&add, user).await.unwrap();
        }
    }

    /// In the order of their ids.
    async fn users(&self) -> Vec<(i32, String)> {
        let pages = Statement::new("SELECT id, name FROM users").with_page_size(2);
        let pages = self.session.query_iter(pages, ()).await.unwrap();
        let mut users: Vec<(i32, String)> =
            pages.rows_stream().unwrap().try_collect().await.unwrap();
        users.sort();
        users
    }

    /// The error of a statement in the server.
    async fn refused(&self, statement: impl Into<Statement>) -> DbError {
        match self.session.query_unpaged(statement, ()).await.unwrap_err() {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// What a failed test leaves goes with the server.
    async fn remove(self) {
        let remove = format!("DROP KEYSPACE {}", self.keyspace);
        self.session.query_unpaged(remove, ()).await.unwrap();
    }
}

/// As the protocol has it.
fn code(error: &DbError) -> i32 {
    error.code(&scylla::frame::protocol_features::ProtocolFeatures::default())
}

fn owned(users: &[(i32, &str)]) -> Vec<(i32, String)> {
    users.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

const USERS: [(i32, &str); 5] = [(1, "ann"), (2, "bob"), (3, "cay"), (4, "dan"), (5, "eve")];

#[tokio::test]
async fn what_is_written_is_read_back() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.add(&USERS[..1]).await;
    let by_id = scratch.session.prepare("SELECT id, name FROM users WHERE id = ?").await.unwrap();
    let found = scratch.session.execute_unpaged(&by_id, (1,)).await.unwrap();
    let found = found.into_rows_result().unwrap().single_row::<(i32, String)>().unwrap();
    assert_eq!(found, (1, "ann".to_owned()));
    let none = scratch.session.execute_unpaged(&by_id, (2,)).await.unwrap();
    assert_eq!(none.into_rows_result().unwrap().rows_num(), 0);
    scratch.remove().await;
}

#[tokio::test]
async fn all_pages_are_fetched() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.add(&USERS).await;
    let first = Statement::new("SELECT id FROM users").with_page_size(2);
    let start = scylla::response::PagingState::start();
    let (page, rest) = scratch.session.query_single_page(first, (), start).await.unwrap();
    assert_eq!(page.into_rows_result().unwrap().rows_num(), 2);
    assert!(!rest.finished());
    assert_eq!(scratch.users().await, owned(&USERS));
    scratch.remove().await;
}

#[tokio::test]
async fn a_batch_is_written_whole() {
    let Some(scratch) = Scratch::new().await else { return };
    let mut batch = Batch::new(BatchType::Logged);
    let add = scratch.session.prepare("INSERT INTO users (id, name) VALUES (?, ?)").await.unwrap();
    batch.append_statement(add.clone());
    batch.append_statement(add);
    scratch.session.batch(&batch, &USERS[..2]).await.unwrap();
    assert_eq!(scratch.users().await, owned(&USERS[..2]));
    scratch.remove().await;
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_an_answer_and_no_error() {
    let Some(scratch) = Scratch::new().await else { return };
    let add = "INSERT INTO users (id, name) VALUES (1, 'ann') IF NOT EXISTS";
    for expected in [true, false] {
        let answer = scratch.session.query_unpaged(add, ()).await.unwrap();
        // What else is in the row depends on the answer, and on the server.
        let row: Row = answer.into_rows_result().unwrap().single_row().unwrap();
        assert_eq!(row.columns[0], Some(CqlValue::Boolean(expected)));
    }
    scratch.remove().await;
}

#[tokio::test]
async fn what_the_server_refuses_has_its_code() {
    let Some(scratch) = Scratch::new().await else { return };
    for (statement, expected) in [
        ("SELEKT 1", 0x2000),
        ("SELECT id FROM nosuch", 0x2200),
        ("CREATE TABLE users (id int PRIMARY KEY)", 0x2400),
    ] {
        let error = scratch.refused(statement).await;
        assert_eq!(code(&error), expected, "{statement}: {error:?}");
    }
    let DbError::AlreadyExists { keyspace, table } =
        scratch.refused("CREATE TABLE users (id int PRIMARY KEY)").await
    else {
        panic!("another error than before");
    };
    assert_eq!((keyspace, table), (scratch.keyspace.clone(), "users".to_owned()));
    scratch.remove().await;
}

/// A statement that is prepared fails otherwise: before it has a node.
#[tokio::test]
async fn what_cannot_be_prepared_has_its_code() {
    let Some(scratch) = Scratch::new().await else { return };
    let error = scratch.session.prepare("SELEKT ?").await.unwrap_err();
    let PrepareError::AllAttemptsFailed { first_attempt } = error else { panic!("{error:?}") };
    let RequestAttemptError::DbError(error, _) = first_attempt else { panic!("{first_attempt:?}") };
    assert_eq!(code(&error), 0x2000);
    scratch.remove().await;
}

#[tokio::test]
async fn without_enough_replicas_a_read_is_refused() {
    let Some(address) = live::address("CASSANDRA") else { return };
    let scratch = Scratch::on(&address, 3).await;
    let mut read = Statement::new("SELECT id FROM users WHERE id = 1");
    read.set_consistency(Consistency::Quorum);
    let error = scratch.refused(read).await;
    assert_eq!(code(&error), 0x1000, "{error:?}");
    assert!(matches!(error, DbError::Unavailable { required: 2, alive: 1, .. }), "{error:?}");
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_driver_reconnects_and_all_that_was_acknowledged_is_there() {
    let Some(mut server) = block_in_place(|| private(Server::cassandra(), Extra::new())) else {
        return;
    };
    let scratch = Scratch::on(server.url(), 1).await;
    scratch.add(&USERS).await;
    block_in_place(|| server.kill()).unwrap();
    let read = "SELECT id FROM users WHERE id = 1";
    scratch.session.query_unpaged(read, ()).await.unwrap_err();
    block_in_place(|| server.restart()).unwrap();
    eventually("the server answers again", async || {
        scratch.session.query_unpaged(read, ()).await.is_ok()
    })
    .await;
    assert_eq!(scratch.users().await, owned(&USERS));
}

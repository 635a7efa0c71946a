//! What otel-sqlx must do on a database that is a server, compiled into the test of each.

mod comments;
mod killed;
mod limits;

pub(crate) use limits::Codes;

use integration_tests::apart;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::backend::DB;

type Options = <<DB as sqlx::Database>::Connection as sqlx::Connection>::Options;

/// Takes back, at the end of a test, what was made for it.
pub(crate) struct Undo {
    options: Options,
    statements: Vec<String>,
}

impl Undo {
    /// Does the first statements now, and the others at the end. The first of those limits the wait for
    /// what the test has left open.
    pub(crate) async fn after<const N: usize, const M: usize>(
        options: &Options,
        make: [String; N],
        undo: [String; M],
    ) -> Self {
        let mut connection = options.connect().await.unwrap();
        for statement in make {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        Self { options: options.clone(), statements: undo.into() }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        apart(async || {
            let mut connection = self.options.connect().await.unwrap();
            for statement in &self.statements {
                // What stays goes with the server.
                _ = connection.execute(AssertSqlSafe(statement.as_str())).await;
            }
        });
    }
}

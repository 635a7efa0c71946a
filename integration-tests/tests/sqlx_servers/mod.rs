//! What otel-sqlx must do on a database that is a server, compiled into the test of each.

mod comments;
mod killed;
mod limits;

pub(crate) use limits::Codes;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::backend::DB;

type Options = <<DB as sqlx::Database>::Connection as sqlx::Connection>::Options;

/// Takes back, at the end of a test, what was made for it.
pub(crate) struct Undo {
    options: Options,
    statements: [String; 2],
}

impl Undo {
    /// Does the first statement now, and the other two at the end. The first of those two limits
    /// the wait for what the test has left open.
    pub(crate) async fn after(options: &Options, make: String, undo: [String; 2]) -> Self {
        let mut connection = options.connect().await.unwrap();
        connection.execute(AssertSqlSafe(make)).await.unwrap();
        Self { options: options.clone(), statements: undo }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // The runtime of the test is this thread's, and may be over.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    let mut connection = self.options.connect().await.unwrap();
                    for statement in &self.statements {
                        // What stays goes with the server.
                        _ = connection.execute(AssertSqlSafe(statement.as_str())).await;
                    }
                });
            });
        });
    }
}

//! A query taken apart, so that its text can be looked at, and handed on as it was.

use otel_core::{DbCall, DbOperation};
use sqlx::error::BoxDynError;
use sqlx::{Arguments as _, AssertSqlSafe, Execute, SqlSafeStr as _, SqlStr};

use crate::driver::Sqlx;

/// What a driver takes from a query.
///
/// [`Execute::sql`] consumes the query, so the wrapper takes everything, in the order in which the
/// drivers do: `Map::persistent` answers whether the arguments are still there.
pub(crate) struct Query<DB: sqlx::Database> {
    statement: Option<DB::Statement>,
    arguments: Result<Option<DB::Arguments>, BoxDynError>,
    persistent: bool,
    sql: SqlStr,
}

impl<DB: sqlx::Database> Query<DB> {
    pub(crate) fn take<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let statement = query.statement().cloned();
        let arguments = query.take_arguments();
        let persistent = query.persistent();
        Self { statement, arguments, persistent, sql: query.sql() }
    }

    /// Its values count as bound when there is at least one: `query("… WHERE id = 7")` has an empty
    /// list of arguments, and a literal.
    pub(crate) fn call(&self) -> DbCall<'_> {
        let bound = matches!(&self.arguments, Ok(Some(arguments)) if arguments.len() > 0);
        DbCall::statement(self.sql.as_str(), bound)
    }

    /// The query with the context of its call in a comment, where the user wants that.
    pub(crate) fn commented(self, operation: &DbOperation<Sqlx>) -> Self {
        // Prepared by the user, it runs under the text that it was prepared with.
        if self.statement.is_some() {
            return self;
        }
        // Without arguments a text is sent as it is, and nothing is prepared.
        let kept = self.persistent && matches!(self.arguments, Ok(Some(_)));
        match operation.commented(self.sql.as_str(), kept) {
            // Safe is what the text was before: nothing can break out of the comment.
            Some(text) => {
                Self { sql: AssertSqlSafe(text).into_sql_str(), persistent: false, ..self }
            }
            None => self,
        }
    }
}

impl<DB: sqlx::Database> Execute<'_, DB> for Query<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

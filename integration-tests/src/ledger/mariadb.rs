//! MariaDB's status counters are the whole server's or one session's, and have no texts; its general
//! log has a line for each statement, with its user. A test compares it with a session's counter.

use otel_testing::ledger::{Count, Counted, Unit};
use otel_testing::otel_core::sql::Dialect;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Error, Executor as _};

/// What the general log of MariaDB, or MySQL, has of one user.
///
/// A statement is there before it runs, so one that is refused counts, unless it was refused when it
/// was prepared. A text with several statements is one line. To prepare, to close and to ping are no
/// statements.
#[derive(Clone, Debug)]
pub struct MariaDb {
    options: MySqlConnectOptions,
    user: String,
}

impl MariaDb {
    /// Of a user; the options are of another one, which may change settings of the server: the log is
    /// turned on, and stays so.
    pub async fn new(options: MySqlConnectOptions, user: &str) -> Result<Self, Error> {
        let mut connection = options.connect().await?;
        connection.execute("SET GLOBAL log_output = 'TABLE'").await?;
        connection.execute("SET GLOBAL general_log = ON").await?;
        connection.close().await?;
        Ok(Self { options, user: user.to_owned() })
    }
}

impl Counted for MariaDb {
    type Error = Error;

    async fn counted(&mut self) -> Result<Vec<Count>, Error> {
        let mut connection = self.options.connect().await?;
        // `user[user] @ host [address]`
        let lines = format!(
            "SELECT argument FROM mysql.general_log \
             WHERE command_type IN ('Query', 'Execute') AND user_host LIKE '{}[%'",
            self.user.replace('_', "\\_")
        );
        let texts: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(lines)).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(texts.into_iter().map(|text| Count::new(text, 1)).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Statements(Dialect::MariaDb)
    }

    /// The driver sets up each of its connections.
    fn ignores(&self, text: &str) -> bool {
        text.starts_with("SET sql_mode=(SELECT CONCAT(@@sql_mode, ?)),time_zone=?,NAMES ")
    }
}

//! Redis counts in `INFO commandstats`, by the names of commands, of all clients together.

use otel_testing::ledger::{Count, Counted, Unit};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

/// What a Redis server counted, which has to be a test's own.
///
/// It counts a command when it ran, also if that failed; what it refused before has no count. What a
/// script runs counts, too, as if a client had sent it. A command that was queued in a transaction
/// counts when that runs. What the driver sends when it connects is left out, but for `SELECT` and
/// `AUTH`.
#[derive(Clone, Debug)]
pub struct Redis(pub MultiplexedConnection);

impl Counted for Redis {
    type Error = RedisError;

    async fn counted(&mut self) -> Result<Vec<Count>, RedisError> {
        let counts: String = cmd("INFO").arg("commandstats").query_async(&mut self.0).await?;
        let counts = counts.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let (times, _) = rest.split_once(',')?;
            let name = name.split('|').next().filter(|_| name != "client|setinfo")?;
            Some(Count::new(name, times.parse().ok()?))
        });
        Ok(counts.collect())
    }

    fn unit(&self) -> Unit {
        Unit::Commands
    }

    /// To count is a command, and to connect may be one.
    fn ignores(&self, text: &str) -> bool {
        ["HELLO", "INFO"].contains(&text)
    }
}

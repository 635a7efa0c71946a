//! What the servers of the live tests counted, for `otel_testing::ledger`: one file per server.

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "sqlx")]
pub mod mariadb;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "sqlx")]
pub mod postgres;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "redis")]
pub mod redis;

use std::fmt::Debug;
use std::time::Duration;

use otel_testing::ledger::{Balance, Counted, Ledger, Traced};

use crate::eventually_ok;

const PAUSE: Duration = Duration::from_millis(50);

/// What the server counted of what came through clients that are watched.
#[derive(Debug)]
pub struct Watch<C: Counted> {
    ledger: Ledger<C>,
    traced: Traced,
}

impl<C: Counted<Error: Debug>> Watch<C> {
    /// From the first day on.
    pub fn new(counted: C, traced: Traced) -> Self {
        Self { ledger: Ledger::new(counted), traced }
    }

    /// Waits until the server did all that was told, and so many more, which it gives back; panics if
    /// that is not so soon.
    pub async fn balance(&mut self, past: u64) -> Balance {
        self.balance_without(past, |_| false).await
    }

    /// The same; some texts go past and are not counted among those.
    pub async fn balance_without(&mut self, past: u64, is_left_out: fn(&str) -> bool) -> Balance {
        let what = format!("the ledger is even, but for {past}");
        eventually_ok(&what, async || {
            let read = self.ledger.balance(&self.traced).await;
            let read = read.unwrap_or_else(|error| panic!("{error:?}"));
            let went_past: u64 = read
                .past
                .iter()
                .filter(|count| !is_left_out(&count.text))
                .map(|count| count.times)
                .sum();
            if went_past == past && read.uncounted.is_empty() {
                return Ok(read);
            }
            // To ask is work for a server that has some.
            tokio::time::sleep(PAUSE).await;
            Err(read)
        })
        .await
    }
}

/// How many were traced and how many counted, and which went past. Panics if some were told that nobody
/// counted.
#[track_caller]
pub fn shown(balance: &Balance) -> (u64, u64, Vec<(String, u64)>) {
    let past = balance.past.iter().map(|count| (count.text.clone(), count.times)).collect();
    assert!(balance.uncounted.is_empty(), "{balance}");
    (balance.traced, balance.counted, past)
}

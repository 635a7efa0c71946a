//! What RabbitMQ counted: the messages that are in a queue.

use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Error};
use otel_testing::ledger::{Count, Counted, Unit};

/// The messages that a queue has, whoever sent them, as those that were sent to it by its name.
///
/// Nobody may consume from it. What was delivered RabbitMQ counts only with its plugin for management.
#[derive(Clone, Debug)]
pub struct Stored {
    channel: Channel,
    queue: ShortString,
}

impl Stored {
    /// Of a queue that is a test's own. The channel is for the question alone.
    pub fn new(channel: Channel, queue: ShortString) -> Self {
        Self { channel, queue }
    }
}

impl Counted for Stored {
    type Error = Error;

    async fn counted(&mut self) -> Result<Vec<Count>, Error> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declaring =
            self.channel.queue_declare(self.queue.clone(), options, FieldTable::default());
        let messages = declaring.await?.message_count();
        Ok(vec![Count::new(self.queue.as_str(), u64::from(messages))])
    }

    fn unit(&self) -> Unit {
        Unit::Sent
    }
}

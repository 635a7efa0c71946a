//! What is told of librdkafka's statistics.
//!
//! Source: <https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md>.

use otel_core::messaging::statistic::{self as ours, Label, Statistic};
use rdkafka::statistics::{Partition, Statistics};

use crate::driver::Facts;

/// librdkafka's number for messages that belong to no partition yet.
const UNASSIGNED: i32 = -1;

pub(crate) fn record(to: &ours::Statistics<'_>, all: &Statistics, facts: &Facts) {
    let is_producer = all.client_type == "producer";
    let tell = |statistic: Statistic, value: i64, labels: &[(Label, &str)]| {
        to.record(statistic, number(value), labels);
    };
    if is_producer {
        let (size, most) = (signed(all.msg_size), signed(all.msg_size_max));
        tell(ours::RDKAFKA_PRODUCER_QUEUED, signed(all.msg_cnt), &[]);
        tell(ours::KAFKA_PRODUCER_BUFFER_AVAILABLE, most.saturating_sub(size).max(0), &[]);
        tell(ours::KAFKA_PRODUCER_BUFFER_TOTAL, most, &[]);
    }
    let latency =
        if is_producer { ours::KAFKA_PRODUCER_LATENCY } else { ours::KAFKA_CONSUMER_LATENCY };
    // What was configured to start with is known by its id as soon as it has answered.
    for broker in all.brokers.values().filter(|broker| broker.nodeid >= 0) {
        if let Some(rtt) = broker.rtt.as_ref().filter(|rtt| rtt.cnt > 0) {
            let node = broker.nodeid.to_string();
            to.record(latency, number(rtt.avg) / 1000.0, &[(ours::NODE, &node)]);
        }
    }
    for (name, topic) in all.topics.iter().filter(|_| !is_producer) {
        let told = topic.partitions.iter().filter(|(id, it)| **id != UNASSIGNED && it.desired);
        for (id, partition) in told {
            let id = id.to_string();
            let labels = [(ours::TOPIC, name.as_str()), (ours::PARTITION, id.as_str())];
            tell(ours::RDKAFKA_CONSUMER_QUEUED, partition.fetchq_cnt, &labels);
            tell(ours::RDKAFKA_CONSUMER_QUEUED_BYTES, signed(partition.fetchq_size), &labels);
            if let Some(lag) = lag(partition, facts) {
                tell(ours::KAFKA_CONSUMER_LAG, lag, &labels);
            }
        }
    }
}

/// From what the application was given, as Java's clients count; before the first message, from what
/// is committed.
fn lag(partition: &Partition, facts: &Facts) -> Option<i64> {
    let end = if facts.reads_uncommitted { partition.hi_offset } else { partition.ls_offset };
    let given = end.checked_sub(partition.app_offset);
    let given = given.filter(|lag| partition.app_offset >= 0 && *lag >= 0);
    given.or((partition.consumer_lag >= 0).then_some(partition.consumer_lag))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 nobody counts single messages")]
fn number(value: i64) -> f64 {
    value as f64
}

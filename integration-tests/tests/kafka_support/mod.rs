//! What the tests of Kafka have in common. All of it is bare rdkafka.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use integration_tests::unique_name;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::task::block_in_place;

pub use integration_tests::PATIENCE;

pub fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    // It is down for a moment in some tests; by default a client waits up to ten seconds.
    config.set("reconnect.backoff.max.ms", "200");
    config
}

/// A consumer that begins with the oldest message, unless its group has committed.
pub fn in_group(brokers: &str, group: &str) -> ClientConfig {
    let mut config = config(brokers);
    config.set("group.id", group).set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false");
    // Whoever leaves waits for the answer of the last fetch, who stays for a heartbeat.
    config.set("fetch.wait.max.ms", "20").set("heartbeat.interval.ms", "100");
    // A client looks for where a partition is before it knows.
    config.set("fetch.error.backoff.ms", "20").set("retry.backoff.ms", "20");
    config
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    config(brokers).create().unwrap()
}

/// A topic of one test's own.
pub async fn topic(brokers: &str, partitions: i32) -> String {
    let name = unique_name();
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let made = admin(brokers).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert_eq!(made, [Ok(name.clone())]);
    name
}

/// The id that the cluster gives itself.
pub fn cluster(brokers: &str) -> String {
    block_in_place(|| admin(brokers).inner().fetch_cluster_id(PATIENCE)).unwrap()
}

/// Host and port.
pub fn host_and_port(brokers: &str) -> (&str, u16) {
    let (host, port) = brokers.split_once(':').unwrap();
    (host, port.parse().unwrap())
}

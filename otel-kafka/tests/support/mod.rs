//! A cluster for tests, inside of librdkafka: it needs no server.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, of which each binary uses a part"
)]

use std::time::{Duration, Instant};

use otel_kafka::Telemetry;
use otel_testing::assert::ExpectedSpan;
use otel_testing::span;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};

pub(crate) const TOPIC: &str = "orders";
/// What nothing in a test may take longer than.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A client that plays a cluster of one broker, with one topic.
pub(crate) struct Cluster(BaseProducer);

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with_partitions(1)
    }

    pub(crate) fn with_partitions(partitions: i32) -> Self {
        let cluster = ClientConfig::new().set("test.mock.num.brokers", "1").create().unwrap();
        let cluster = Self(cluster);
        cluster.mock().create_topic(TOPIC, partitions, 1).unwrap();
        cluster
    }

    pub(crate) fn mock(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.0.client().mock_cluster().unwrap()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.mock().bootstrap_servers()).set("client.id", "shop");
        config
    }

    /// The span of a send that was not answered.
    pub(crate) fn unanswered(&self) -> ExpectedSpan {
        self.call("send", "send").producer()
    }

    /// The span of a call about the topic.
    pub(crate) fn call(&self, name: &'static str, kind: &'static str) -> ExpectedSpan {
        let servers = self.mock().bootstrap_servers();
        let (host, port) = servers.split_once(':').unwrap();
        calling(name, kind, host.to_owned(), port.parse().unwrap())
    }

    /// The span of a message without a key, sent to partition 0.
    pub(crate) fn sent(&self, offset: i64) -> ExpectedSpan {
        self.reported().attribute("messaging.kafka.offset", offset)
    }

    /// The span of a message that went to partition 0, and of which no more is known.
    pub(crate) fn reported(&self) -> ExpectedSpan {
        self.unanswered().attribute("messaging.destination.partition.id", "0")
    }

    /// Waits until a client knows the cluster's id, which its spans then tell.
    pub(crate) fn known_by<C: rdkafka::ClientContext>(
        client: &rdkafka::client::Client<C>,
    ) -> String {
        client.fetch_metadata(Some(TOPIC), LONG).unwrap();
        client.fetch_cluster_id(LONG).unwrap()
    }
}

pub(crate) fn sending(host: String, port: i64) -> ExpectedSpan {
    calling("send", "send", host, port).producer()
}

fn calling(name: &'static str, kind: &'static str, host: String, port: i64) -> ExpectedSpan {
    span(format!("{name} {TOPIC}"))
        .attribute("messaging.system", "kafka")
        .attribute("messaging.operation.name", name)
        .attribute("messaging.operation.type", kind)
        .attribute("messaging.destination.name", TOPIC)
        .attribute("messaging.client.id", "shop")
        .attribute("server.address", host)
        .attribute("server.port", port)
}

/// The configuration of a client whose broker is not there.
pub(crate) fn unreachable() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "127.0.0.1:1").set("client.id", "shop").set("log_level", "0");
    config
}

pub(crate) fn failed(expected: ExpectedSpan, error: &'static str) -> ExpectedSpan {
    expected.attribute("error.type", error).error("")
}

/// Waits for a condition that another thread brings about.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it did not happen");
        std::thread::yield_now();
    }
}

pub(crate) type Listed = Option<Vec<(String, Option<Vec<u8>>)>>;

pub(crate) fn listed(headers: Option<&OwnedHeaders>) -> Listed {
    let owned =
        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    headers.map(|headers| headers.iter().map(owned).collect())
}

pub(crate) fn headers(list: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
    let add = |headers: OwnedHeaders, (key, value): &(&str, Option<&[u8]>)| {
        headers.insert(Header { key, value: *value })
    };
    list.iter().fold(OwnedHeaders::new(), add)
}

/// Nobody listens, and no provider is looked for, which allocates.
pub(crate) fn off() -> Telemetry {
    Telemetry::builder().enabled(false).build()
}

//! What the README of otel-sqlx says of sqlx-otel 0.5.0: the same calls through both crates, on one
//! SQLite, and what each of them tells. One test, because sqlx-otel reports to the global providers.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, Sqlite, SqlitePool};
use tokio::time::timeout;

/// A span, as far as the comparison goes.
#[derive(Debug)]
struct Told {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Told {
    fn fact(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Keeps what is exported, for one minor of OpenTelemetry.
macro_rules! kept {
    ($module:ident, $api:ident, $sdk:ident) => {
        mod $module {
            use $sdk::metrics::data::{AggregatedMetrics, MetricData};
            use $sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
            use $sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

            pub(super) struct Kept {
                spans: InMemorySpanExporter,
                metrics: InMemoryMetricExporter,
                meters: SdkMeterProvider,
            }

            impl Kept {
                pub(super) fn globally() -> Self {
                    let spans = InMemorySpanExporter::default();
                    let tracers =
                        SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
                    $api::global::set_tracer_provider(tracers);
                    let metrics = InMemoryMetricExporter::default();
                    let reader = PeriodicReader::builder(metrics.clone()).build();
                    let meters = SdkMeterProvider::builder().with_reader(reader).build();
                    $api::global::set_meter_provider(meters.clone());
                    Self { spans, metrics, meters }
                }

                /// The spans since the last time.
                pub(super) fn spans(&self) -> Vec<super::Told> {
                    let spans = self.spans.get_finished_spans().unwrap();
                    self.spans.reset();
                    let told = |span: $sdk::trace::SpanData| super::Told {
                        name: span.name.to_string(),
                        attributes: (span.attributes.iter())
                            .map(|fact| (fact.key.to_string(), fact.value.to_string()))
                            .collect(),
                    };
                    spans.into_iter().map(told).collect()
                }

                /// How many values a histogram has, or what an up-down counter counts.
                pub(super) fn total(&self, name: &str) -> i64 {
                    self.metrics.reset();
                    self.meters.force_flush().unwrap();
                    let mut total = 0;
                    for exported in self.metrics.get_finished_metrics().unwrap() {
                        for metric in exported.scope_metrics().flat_map(|scope| scope.metrics()) {
                            if metric.name() != name {
                                continue;
                            }
                            match metric.data() {
                                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                                    let counts = histogram.data_points().map(|point| point.count());
                                    total += i64::try_from(counts.sum::<u64>()).unwrap();
                                }
                                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                                    total += sum.data_points().map(|point| point.value()).sum::<i64>();
                                }
                                _ => {}
                            }
                        }
                    }
                    total
                }
            }
        }
    };
}

kept!(ours, opentelemetry, opentelemetry_sdk);
kept!(theirs, opentelemetry_032, opentelemetry_sdk_032);

async fn database() -> SqlitePool {
    let options = SqlitePoolOptions::new().max_connections(1);
    let pool = options.connect("sqlite::memory:").await.unwrap();
    pool.execute("CREATE TABLE users (id INTEGER, name TEXT)").await.unwrap();
    pool
}

const LITERAL: &str = "SELECT id FROM users WHERE name = 'secret' /* of Ada */";

async fn literal(executor: impl Executor<'_, Database = Sqlite>) {
    sqlx::query(LITERAL).fetch_all(executor).await.unwrap();
}

async fn cancelled(executor: impl Executor<'_, Database = Sqlite>) {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n";
    let query = sqlx::query(ENDLESS).fetch_one(executor);
    timeout(Duration::from_millis(50), query).await.unwrap_err();
}

#[tokio::test]
async fn what_each_of_them_tells() {
    let (kept_ours, kept_theirs) = (ours::Kept::globally(), theirs::Kept::globally());
    let ours = otel_sqlx::SqlitePool::new(database().await);
    let theirs = sqlx_otel::PoolBuilder::from(database().await).with_pool_name("users").build();

    // A literal, a comment, and the name of the span.
    literal(&ours).await;
    literal(&theirs).await;
    let (told_ours, told_theirs) = (kept_ours.spans().remove(0), kept_theirs.spans().remove(0));
    assert_eq!(told_ours.name, "SELECT users");
    assert_eq!(told_theirs.name, "sqlite");
    assert_eq!(told_ours.fact("db.query.summary"), "SELECT users");
    assert_eq!(told_theirs.fact("db.query.summary"), "");
    assert_eq!(told_ours.fact("db.query.text"), "SELECT id FROM users WHERE name = ? ");
    assert_eq!(told_theirs.fact("db.query.text"), LITERAL);

    // The wait for a connection, on the path that most code takes.
    assert_eq!(kept_ours.total("db.client.connection.wait_time"), 1);
    assert_eq!(kept_theirs.total("db.client.connection.wait_time"), 0);

    // Transactions.
    ours.begin().await.unwrap().commit().await.unwrap();
    theirs.begin().await.unwrap().commit().await.unwrap();
    let names: Vec<_> = kept_ours.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["BEGIN :memory:", "COMMIT :memory:"]);
    assert_eq!(kept_theirs.spans().len(), 0);

    // An error of the server.
    ours.execute("SELECT nothing").await.unwrap_err();
    theirs.execute("SELECT nothing").await.unwrap_err();
    assert_eq!(kept_ours.spans()[0].fact("error.type"), "1");
    assert_eq!(kept_theirs.spans()[0].fact("error.type"), "Database");

    // A query that is given up.
    let duration = "db.client.operation.duration";
    let (before_ours, before_theirs) = (kept_ours.total(duration), kept_theirs.total(duration));
    cancelled(&ours).await;
    cancelled(&theirs).await;
    assert_eq!(kept_ours.spans()[0].fact("error.type"), "cancelled");
    assert_eq!(kept_theirs.spans()[0].fact("error.type"), "");
    assert_eq!(kept_ours.total(duration) - before_ours, 1);
    assert_eq!(kept_theirs.total(duration) - before_theirs, 0);

    // A wait that is given up.
    let (_held_ours, _held_theirs) = (ours.acquire().await.unwrap(), theirs.acquire().await.unwrap());
    timeout(Duration::from_millis(50), ours.acquire()).await.unwrap_err();
    timeout(Duration::from_millis(50), theirs.acquire()).await.unwrap_err();
    assert_eq!(kept_ours.total("db.client.connection.pending_requests"), 0);
    assert_eq!(kept_theirs.total("db.client.connection.pending_requests"), 1);
}

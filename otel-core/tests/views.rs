//! The advised buckets are advice: a view of the user's wins.

mod support;

use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use otel_core::Telemetry;
use support::{db, select};

#[test]
fn a_view_changes_the_buckets() {
    let exporter = InMemoryMetricExporter::default();
    let view = |instrument: &Instrument| {
        let buckets = Aggregation::ExplicitBucketHistogram {
            boundaries: vec![1.0, 60.0],
            record_min_max: false,
        };
        let stream = Stream::builder().with_aggregation(buckets).build().ok();
        stream.filter(|_| instrument.name() == "db.client.operation.duration")
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .with_view(view)
        .build();
    let telemetry = Telemetry::builder().meter_provider(provider.clone()).build();
    db(&telemetry).start(select).finish();
    provider.force_flush().unwrap();

    let told = exporter.get_finished_metrics().unwrap();
    let metrics = told.iter().flat_map(ResourceMetrics::scope_metrics);
    let mut metrics = metrics.flat_map(ScopeMetrics::metrics);
    let duration = metrics.find(|metric| metric.name() == "db.client.operation.duration").unwrap();
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = duration.data() else {
        panic!("the duration is a histogram");
    };
    let bounds: Vec<Vec<f64>> =
        histogram.data_points().map(|point| point.bounds().collect()).collect();
    assert_eq!(bounds, [[1.0, 60.0]]);
}

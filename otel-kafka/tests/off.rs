//! Nobody listens: what is allocated is the driver's own.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use otel_kafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use support::{LONG, TOPIC, off, unreachable};

fn allocated(calls: u64, mut call: impl FnMut()) -> u64 {
    let counted = allocation_counter::measure(|| (0..calls).for_each(|_| call()));
    counted.count_total
}

#[test]
fn a_polled_producer() {
    let record = || BaseRecord::to(TOPIC).key("7").payload("{}");
    let bare: rdkafka::producer::BaseProducer = unreachable().create().unwrap();
    let ours: BaseProducer = unreachable().create().unwrap();
    let ours = BaseProducer::with(ours.into_inner(), &off());
    let sending = || {
        assert!(ours.send(record()).is_ok());
    };
    // Room for what is in flight is made once, and kept.
    (0..64).for_each(|_| sending());
    ours.purge(rdkafka::producer::PurgeConfig::default().queue());
    ours.flush(LONG).unwrap();
    let expected = allocated(64, || assert!(bare.send(record()).is_ok()));
    assert_eq!(allocated(64, sending), expected);
}

#[test]
fn a_producer_of_futures() {
    let record = || FutureRecord::to(TOPIC).key("7").payload("{}");
    let bare: rdkafka::producer::FutureProducer = unreachable().create().unwrap();
    let ours = FutureProducer::with(bare.clone(), &off());
    // What a thread needs is made at its first call.
    drop(ours.send_result(record()));
    let expected = allocated(64, || drop(bare.send_result(record())));
    assert_eq!(allocated(64, || drop(ours.send_result(record()))), expected);
}

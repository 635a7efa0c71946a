//! Operations whose end arrives elsewhere: kept within bounds, and what leaves unseen is ended.

mod support;

use otel_core::{DbOperation, Pending};
use otel_testing::Capture;
use support::{Stub, db, select};

#[test]
fn an_operation_is_ended_by_its_id() {
    let capture = Capture::new();
    let pending = Pending::<u32, DbOperation<Stub>>::new(10);
    pending.insert(1, db(&capture.telemetry()).start(select));
    pending.insert(2, db(&capture.telemetry()).start(select));
    assert!(pending.take(&3).is_none());
    pending.take(&2).unwrap().finish();
    assert!(pending.take(&2).is_none());
    assert_eq!((capture.spans().len(), pending.len()), (1, 1));
    pending.take(&1).unwrap().finish();
    assert!(pending.is_empty());
}

#[test]
fn the_oldest_makes_room_and_is_ended_as_cancelled() {
    let capture = Capture::new();
    let pending = Pending::new(3);
    for id in 0..5 {
        pending.insert(id, db(&capture.telemetry()).start(select));
    }
    assert_eq!(pending.len(), 3);
    let spans = capture.spans();
    assert_eq!(spans.len(), 2);
    let kinds = spans.iter().flat_map(|span| &span.attributes);
    let kinds: Vec<_> = kinds.filter(|fact| fact.key.as_str() == "error.type").collect();
    assert!(kinds.iter().all(|fact| fact.value.as_str() == "cancelled") && kinds.len() == 2);
    assert!(pending.take(&0).is_none() && pending.take(&1).is_none());
    for id in 2..5 {
        pending.take(&id).unwrap().finish();
    }
}

#[test]
fn an_id_that_comes_again_ends_what_had_it() {
    let capture = Capture::new();
    let pending = Pending::new(3);
    pending.insert(1, db(&capture.telemetry()).start(select));
    pending.insert(1, db(&capture.telemetry()).start(select));
    assert_eq!((capture.spans().len(), pending.len()), (1, 1));
    drop(pending);
    assert_eq!(capture.spans().len(), 2);
}

/// Ids that are taken at once must not let the order of insertion grow, nor evict what lives.
#[test]
fn a_long_life_beside_many_short_ones() {
    let pending = Pending::new(4);
    pending.insert(0_u64, "old");
    for id in 1..100_000 {
        pending.insert(id, "short");
        assert_eq!(pending.take(&id), Some("short"));
    }
    assert_eq!(pending.take(&0), Some("old"));
    assert!(pending.is_empty());
}

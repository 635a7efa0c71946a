//! Metrics of connection pools: gauges that live as long as the pool, guards that end by themselves.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use otel_core::db::pool::PoolState;
use otel_testing::{Capture, metric, point};
use support::db;

#[derive(Default)]
struct State {
    size: AtomicU64,
    idle: AtomicU64,
}

impl PoolState for State {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    fn max(&self) -> Option<u64> {
        Some(10)
    }
}

fn state(size: u64, idle: u64) -> Arc<State> {
    Arc::new(State { size: size.into(), idle: idle.into() })
}

fn counts(capture: &Capture, idle: i32, used: i32) {
    let point = |state: &'static str, count: i32| {
        point()
            .attribute("db.client.connection.pool.name", "orders")
            .attribute("db.client.connection.state", state)
            .value(count)
    };
    capture.assert_metric(
        metric("db.client.connection.count")
            .up_down_counter()
            .unit("{connection}")
            .points([point("idle", idle), point("used", used)]),
    );
}

#[test]
fn gauges_follow_the_pool_and_end_with_it() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let state = state(5, 2);
    let pool = db.pool("orders", &state);
    counts(&capture, 2, 3);
    state.size.store(7, Ordering::Relaxed);
    counts(&capture, 2, 5);
    // Told without a lock, the idle ones may be more than all for a moment.
    state.idle.store(u64::MAX, Ordering::Relaxed);
    counts(&capture, 7, 0);
    let named = point().attribute("db.client.connection.pool.name", "orders");
    capture.assert_metric(metric("db.client.connection.max").point(named.value(10)));
    // What the pool does not tell is not emitted.
    capture.assert_no_metric("db.client.connection.idle.min");
    capture.assert_no_metric("db.client.connection.idle.max");

    let weak = Arc::downgrade(&state);
    drop((state, pool));
    assert_eq!(weak.strong_count(), 0);
    capture.assert_no_metric("db.client.connection.count");
    capture.assert_no_metric("db.client.connection.pending_requests");
}

/// Of requests that are given up it hears nothing: a number would be wrong soon.
struct Unaware;

impl PoolState for Unaware {
    fn size(&self) -> u64 {
        1
    }

    fn idle(&self) -> u64 {
        1
    }

    fn tells_pending(&self) -> bool {
        false
    }
}

#[test]
fn a_pool_that_does_not_know_who_waits_does_not_say() {
    let capture = Capture::new();
    let state = Arc::new(Unaware);
    let _pool = db(&capture.telemetry()).pool("orders", &state);
    counts(&capture, 1, 0);
    capture.assert_no_metric("db.client.connection.pending_requests");
}

fn pending(capture: &Capture) -> f64 {
    capture.assert_metric("db.client.connection.pending_requests").points[0].sum()
}

#[test]
fn a_wait_is_pending_until_it_ends_in_whatever_way() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let state = state(1, 0);
    let pool = db.pool("orders", &state);
    let waits = [pool.wait(), pool.wait(), pool.wait()];
    let is = |expected: f64| assert!((pending(&capture) - expected).abs() < 0.1);
    is(3.0);
    let [first, second, third] = waits;
    let held = first.got();
    is(2.0);
    second.timed_out();
    is(1.0);
    // Cancelled: neither a wait nor a timeout, and no longer pending.
    drop(third);
    is(0.0);
    capture.assert_no_metric("db.client.connection.use_time");
    drop(held);
    drop(pool.in_use());
    let named = || point().attribute("db.client.connection.pool.name", "orders");
    capture.assert_metric(
        metric("db.client.connection.wait_time").histogram().unit("s").point(named().count(1)),
    );
    capture.assert_metric(
        metric("db.client.connection.use_time").histogram().unit("s").point(named().count(2)),
    );
    capture.assert_metric(
        metric("db.client.connection.timeouts").counter().unit("{timeout}").point(named().value(1)),
    );
}

#[test]
fn two_pools_of_one_name_are_told_apart() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let states = [state(1, 1), state(2, 2)];
    let _pools = states.each_ref().map(|state| db.pool("orders", state));
    assert_eq!(names_of_max(&capture), ["orders", "orders#2"]);
}

fn names_of_max(capture: &Capture) -> Vec<String> {
    let max = capture.assert_metric("db.client.connection.max");
    let names = max.points.iter().map(|point| {
        point.attribute("db.client.connection.pool.name").unwrap().as_str().into_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Their gauges go to one provider, which cannot be told from outside.
#[test]
fn two_pools_of_one_name_are_told_apart_across_telemetries() {
    let capture = Capture::new();
    let states = [state(3, 1), state(7, 2), state(9, 0)];
    let telemetries = [capture.telemetry(), capture.telemetry(), capture.telemetry()];
    let databases = telemetries.each_ref().map(db);
    let [first, second, third] = [0, 1, 2].map(|at| databases[at].pool("orders", &states[at]));
    assert_eq!(names_of_max(&capture), ["orders", "orders#2", "orders#3"]);
    let count = capture.assert_metric("db.client.connection.count");
    let open: f64 = count.points.iter().map(otel_testing::Point::sum).sum();
    assert!((open - (3.0 + 7.0 + 9.0)).abs() < 0.1, "{count:?}");
    // A name that is free is given again, the lowest number first.
    drop(second);
    let fourth = databases[0].pool("orders", &states[1]);
    assert_eq!(names_of_max(&capture), ["orders", "orders#2", "orders#3"]);
    drop((first, third, fourth));
    let _fifth = databases[2].pool("orders", &states[2]);
    assert_eq!(names_of_max(&capture), ["orders"]);
}

#[test]
fn a_number_that_a_user_gave_is_taken() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let states = [state(1, 1), state(1, 1), state(1, 1)];
    let _pools = [0, 1, 2].map(|at| db.pool(["orders", "orders#2", "orders"][at], &states[at]));
    assert_eq!(names_of_max(&capture), ["orders", "orders#2", "orders#3"]);
}

/// A handle of a pool that several have; its identity is the address of what they share.
struct Shared(Arc<State>);

impl PoolState for Shared {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn idle(&self) -> u64 {
        self.0.idle()
    }

    fn max(&self) -> Option<u64> {
        self.0.max()
    }

    fn identity(&self) -> Option<usize> {
        Some(Arc::as_ptr(&self.0).addr())
    }
}

#[test]
fn a_pool_that_is_registered_again_is_counted_once() {
    let capture = Capture::new();
    let databases = [db(&capture.telemetry()), db(&capture.telemetry())];
    let raw = state(5, 2);
    let handles = [(); 4].map(|()| Arc::new(Shared(Arc::clone(&raw))));
    let [first, second, third, fourth] =
        [0, 1, 2, 3].map(|at| databases[at % 2].pool("orders", &handles[at]));
    counts(&capture, 2, 3);
    let waits = [first.wait(), second.wait(), third.wait(), fourth.wait()];
    assert!((pending(&capture) - 4.0).abs() < 0.1, "of all handles");
    drop(waits);
    let another = state(1, 1);
    let _another = databases[0].pool("orders", &another);
    assert_eq!(names_of_max(&capture), ["orders", "orders#2"]);

    // It is told as long as there is one of them, and forgotten with the last.
    let [one, two, three, four] = handles;
    drop((first, one, second, two, third, three));
    assert_eq!(names_of_max(&capture), ["orders", "orders#2"]);
    drop((fourth, four));
    assert_eq!(names_of_max(&capture), ["orders#2"]);
    let again = Arc::new(Shared(raw));
    let _again = databases[1].pool("orders", &again);
    assert_eq!(names_of_max(&capture), ["orders", "orders#2"]);
}

/// Wrapped by the thousand and kept, as with a pool for each tenant: no work that grows with the
/// square of their number, under a lock that the reader takes too.
#[test]
fn many_pools_of_one_name() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let states: Vec<_> = (0..3000).map(|_| state(1, 1)).collect();
    let _pools: Vec<_> = states.iter().map(|state| db.pool("orders", state)).collect();
    let max = capture.assert_metric("db.client.connection.max");
    let names = max.points.iter().filter_map(|it| it.attribute("db.client.connection.pool.name"));
    let names: std::collections::HashSet<_> = names.map(|it| it.as_str().into_owned()).collect();
    // The SDK keeps 2000 sets of attributes, and one for what is too much.
    assert!(names.contains("orders") && names.contains("orders#2") && names.len() >= 1999);
}

/// Pools that come and go by the thousand, with nobody collecting, leave nothing behind.
#[test]
fn dropped_pools_do_not_add_up() {
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let kept = state(1, 1);
    let _kept = db.pool("kept", &kept);
    for _ in 0..10_000 {
        drop(db.pool("gone", &state(1, 1)));
    }
    let max = capture.assert_metric("db.client.connection.max");
    assert_eq!(max.points.len(), 1);
}

//! The scenarios pass for a client that is right, and each fails for one that is not.

#[path = "common/client.rs"]
mod client;
mod common;

use client::{Example, defect};
use common::failure;
use otel_testing::scenario::{self, Outcome, database};

mod right {
    use super::{Example, defect};

    otel_testing::database_scenarios!(Example<{ defect::NONE }>);
}

#[test]
fn all_can_be_run_in_one_go() {
    scenario::execute(async {
        database::run::<Example<{ defect::NONE }>>().await;
        Ok(())
    });
}

#[test]
fn what_is_not_declared_is_skipped() {
    let skipped = futures_util::FutureExt::now_or_never(database::cancelled::<plain::Plain>());
    let skipped = skipped.unwrap().unwrap_err().to_string();
    assert!(skipped.ends_with("Plain does not declare Capability::Cancel"), "{skipped}");
    let skipped = futures_util::FutureExt::now_or_never(database::success::<plain::Plain>());
    let skipped = skipped.unwrap().unwrap_err().to_string();
    assert!(skipped.ends_with("Plain could not be connected"), "{skipped}");
}

/// A client without a server and without capabilities.
mod plain {
    use otel_testing::assert::ExpectedSpan;
    use otel_testing::otel_core::Telemetry;
    use otel_testing::scenario::{Call, Database};

    pub(super) struct Plain;

    impl Database for Plain {
        async fn connect(_telemetry: &Telemetry) -> Option<Self> {
            None
        }

        async fn succeed(&self) {}

        async fn fail(&self) {}

        fn expected(&self, _call: Call) -> ExpectedSpan {
            otel_testing::span("none")
        }
    }
}

#[track_caller]
fn fails_with(message: &str, scenario: impl Future<Output = Outcome>) {
    let failure = failure(|| scenario::execute(scenario));
    assert!(failure.contains(message), "{message:?} is not in {failure:?}");
}

#[test]
fn a_client_that_calls_twice_fails() {
    type Defective = Example<{ defect::CALLS_TWICE }>;
    fails_with("1 expected, 2 captured", database::success::<Defective>());
    fails_with("one measurement expected", database::not_sampled::<Defective>());
}

#[test]
fn a_client_that_hides_errors_fails() {
    type Defective = Example<{ defect::HIDES_ERRORS }>;
    fails_with("status: expected Error", database::failure::<Defective>());
}

#[test]
fn a_client_that_does_not_hang_fails() {
    type Defective = Example<{ defect::ENDS_AT_ONCE }>;
    fails_with("must not end by itself", database::cancelled::<Defective>());
}

#[test]
fn a_client_that_starts_before_the_first_poll_fails() {
    type Defective = Example<{ defect::STARTS_EAGERLY }>;
    fails_with("0 expected, 1 captured", database::never_polled::<Defective>());
}

#[test]
fn a_client_that_ignores_the_context_fails() {
    type Defective = Example<{ defect::IGNORES_CONTEXT }>;
    fails_with("expected `parent`, captured none", database::ambient_parent::<Defective>());
    fails_with("captured none (a root)", database::concurrent::<Defective>());
    fails_with("is missing", database::parent_required::<Defective>());
    fails_with("0 expected, 1 captured", database::suppressed::<Defective>());
}

#[test]
fn a_client_that_leaves_a_context_attached_fails() {
    type Defective = Example<{ defect::ATTACHES }>;
    fails_with("a context was left attached", database::success::<Defective>());
}

#[test]
fn a_client_that_leaves_its_span_open_fails() {
    type Defective = Example<{ defect::FORGETS_TO_END }>;
    fails_with("span `GET localhost` was left open", database::success::<Defective>());
    fails_with("span `GET localhost` was left open", database::not_sampled::<Defective>());
}

#[test]
fn a_client_that_ignores_its_telemetry_fails() {
    type Defective = Example<{ defect::IGNORES_TELEMETRY }>;
    fails_with("GET localhost (CLIENT) is missing", database::success::<Defective>());
    fails_with("is missing; captured: none", database::not_sampled::<Defective>());
}

#[test]
fn a_client_with_few_rows_fails() {
    type Defective = Example<{ defect::LOSES_ROWS }>;
    fails_with("at least three rows, it gave 2", database::exhausted_stream::<Defective>());
}

#[test]
fn a_client_that_swallows_a_panic_fails() {
    type Defective = Example<{ defect::HIDES_PANICS }>;
    fails_with("the panic must come through", database::panicking::<Defective>());
}

#[cfg(feature = "allocations")]
#[test]
fn a_client_that_allocates_when_off_fails() {
    type Defective = Example<{ defect::ALLOCATES_WHEN_OFF }>;
    fails_with("without a provider 63 of 63 calls allocate", database::off::<Defective>());
}

//! Global providers that come after the client was made. They belong to the process, so this is
//! the only test of its binary.

#[path = "common/broker.rs"]
mod broker;

use broker::{Defect, Example};
use otel_testing::scenario::{self, messaging};

#[test]
fn providers_that_come_late_are_found() {
    scenario::execute(messaging::late_provider::<Example<{ Defect::None as usize }>>());
}

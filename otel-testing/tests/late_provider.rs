//! Global providers that come after the client was made. They belong to the process, so this is
//! the only test of its binary.

#[path = "common/client.rs"]
mod client;

use client::{Example, defect};
use otel_testing::scenario::{self, database};

#[test]
fn providers_that_come_late_are_found() {
    scenario::execute(database::late_provider::<Example<{ defect::NONE }>>());
}

//! What all tests of the launcher do.

use native::{Missing, Server};
use otel_testing::live;

/// The value, unless something is missing that nobody demands. `OTEL_TEST_REQUIRE` does not demand
/// a JDK that is in no package of Debian 12.
pub(crate) fn available<T>(result: anyhow::Result<T>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let Some(missing) = error.downcast_ref::<Missing>() else { panic!("{error:#}") };
    let excused = missing.title == Server::elasticsearch9().title();
    assert!(excused || std::env::var_os("OTEL_TEST_REQUIRE").is_none(), "{error:#}");
    live::skipped(format!("{error:#}"));
    None
}

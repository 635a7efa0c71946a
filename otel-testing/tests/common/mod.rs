//! What the tests of the kit share.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message with which something panics.
pub(crate) fn failure(fails: impl FnOnce()) -> String {
    let panic = match catch_unwind(AssertUnwindSafe(fails)) {
        Ok(()) => unreachable!("this was meant to fail"),
        Err(panic) => panic,
    };
    panic.downcast::<String>().map_or_else(
        |panic| panic.downcast::<&str>().map_or_else(|_| String::new(), |text| text.to_string()),
        |text| *text,
    )
}

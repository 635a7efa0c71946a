//! Layer `telemetry`: keeps panics of providers and hooks out of the user's call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::otel_error;

/// Runs code that is not ours and answers `None` if it panics.
///
/// The state that such code leaves behind is only ever telemetry, so unwind safety is not asked for.
/// One line goes to OpenTelemetry's internal log, once per process: the panic hook has already
/// printed each panic.
pub(crate) fn contain<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    static SAID: AtomicBool = AtomicBool::new(false);
    match catch_unwind(AssertUnwindSafe(foreign)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // The payload is foreign too: should its drop panic, what that leaves is leaked.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            if !SAID.swap(true, Ordering::Relaxed) {
                otel_error!(
                    name: "Instrumentation.PanicContained",
                    message = "A telemetry provider, processor or hook panicked inside an instrumented call; the call goes on without telemetry. Find the panic in standard error and mend or remove that component."
                );
            }
            None
        }
    }
}

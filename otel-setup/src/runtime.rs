//! The one thread on which exporters wait for the network.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// More than anybody waits, and little enough to be added to a time.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

thread_local! {
    /// Whether this thread does nothing but export.
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether what happens here is part of an export. None of it may be exported itself: it would never
/// end. The SDK sees to it on its own threads.
pub(crate) fn is_exporting() -> bool {
    EXPORTS.get()
}

/// A runtime of our own: a plain `main` has none, and one of the application that is busy, blocked or
/// gone must not keep telemetry from leaving.
#[derive(Debug)]
pub(crate) struct Background {
    /// There until the end.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    pub(crate) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("otel-setup").enable_all();
        builder.on_thread_start(|| EXPORTS.set(true));
        let runtime = builder.build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    /// Waits for nothing: a runtime that is dropped inside of another one would panic if it did.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

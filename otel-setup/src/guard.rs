//! The end: what is still queued leaves, within a bound.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;

use crate::runtime::Background;
use crate::{current, health};

/// Why telemetry could not be set up, or not all of it handed over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// It is set up already; the guard of the first call is still alive.
    AlreadyInitialized,
    /// The system gave no thread to export on.
    Thread(io::Error),
    /// The time for the shutdown was over, or an exporter failed: what was queued may be lost.
    Incomplete(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AlreadyInitialized => out.write_str(
                "telemetry is set up already; keep the first guard, and drop it before the next",
            ),
            Self::Thread(error) => write!(out, "no thread to export on: {error}"),
            Self::Incomplete(why) => write!(out, "telemetry may be lost at the end: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

/// How long the other signals wait for the end of traces.
const BRIEFLY: Duration = Duration::from_millis(100);

/// More than anybody waits, and little enough to be added to a time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Whether a guard is alive that exports.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to set up, which one guard has at a time.
#[derive(Debug)]
pub(crate) struct Turn(());

impl Turn {
    pub(crate) fn take() -> Result<Self, Error> {
        // A turn that is only made to be dropped would give the other one's away.
        if TAKEN.swap(true, Ordering::AcqRel) {
            Err(Error::AlreadyInitialized)
        } else {
            Ok(Self(()))
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

/// Telemetry while it runs. Keep it until the end of `main`: its end hands over what is still queued.
///
/// Dropped, it waits up to the shutdown timeout (5 s unless the builder says otherwise), on any thread
/// and inside any runtime, and then lets go. [`shutdown`](Self::shutdown) does the same without
/// blocking a runtime's thread, and tells whether all went well.
#[derive(Debug)]
#[must_use = "telemetry ends when the guard is dropped: keep it, as in `let _guard = …`"]
pub struct Guard(Option<Running>);

/// What has to end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    pub(crate) timeout: Duration,
    /// After the providers: their exporters need it.
    pub(crate) runtime: Option<Background>,
    pub(crate) turn: Turn,
}

impl Guard {
    pub(crate) fn new(running: Running) -> Self {
        Self(Some(running))
    }

    /// One that ends nothing.
    pub(crate) fn inert() -> Self {
        Self(None)
    }

    /// The provider of tracers, if spans go anywhere.
    pub fn tracer_provider(&self) -> Option<&SdkTracerProvider> {
        self.0.as_ref()?.tracers.as_ref()
    }

    /// The provider of meters, if metrics go anywhere.
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.0.as_ref()?.meters.as_ref()
    }

    /// The provider of loggers, if log records go anywhere.
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.0.as_ref()?.loggers.as_ref()
    }

    /// Hands over what is queued, and ends. It takes no longer than the shutdown timeout, and works in
    /// any runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] if the time was over or an exporter failed.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let Some(running) = self.0.take() else { return Ok(()) };
        let (done, end) = oneshot::channel();
        // Nobody may be left to hear of it.
        thread::Builder::new()
            .name("otel-setup-end".to_owned())
            .spawn(move || _ = done.send(running.end()))
            .map_err(Error::Thread)?;
        end.await.unwrap_or_else(|_| Err(Error::Incomplete("an exporter panicked".to_owned())))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(Running::end)
            // One line for a collector that is away, not two.
            && !health::has_told()
        {
            health::warn(error);
        }
    }
}

impl Running {
    /// All signals at the same time, or nearly, so that one that hangs does not use up the time of the others.
    fn end(self) -> Result<(), Error> {
        let Self { tracers, meters, loggers, timeout, runtime, turn } = self;
        current::set(None, None);
        let timeout = timeout.min(LONGEST);
        let until = Instant::now() + timeout;
        // The SDK shall not be the first to give up: it would not say which of its parts did.
        let longer = timeout.saturating_add(Duration::from_secs(1));
        let (done, ends): (Done, _) = mpsc::channel();
        let (mut waiting, mut failed) = (Vec::new(), Vec::new());
        let mut wait = |waiting: &mut Vec<&'static str>, until: Instant| {
            while !waiting.is_empty() {
                let left = until.saturating_duration_since(Instant::now());
                let Ok((signal, result)) = ends.recv_timeout(left) else { break };
                waiting.retain(|other| *other != signal);
                failed.extend(result.err().map(|error| format!("{signal}: {error}")));
            }
        };
        waiting.extend(
            tracers.map(|it| spawn("traces", &done, move || it.shutdown_with_timeout(longer))),
        );
        // On a terminal the table of metrics stands below the traces, if these are quick.
        wait(&mut waiting, until.min(Instant::now() + BRIEFLY));
        waiting.extend(
            meters.map(|it| spawn("metrics", &done, move || it.shutdown_with_timeout(longer))),
        );
        waiting.extend(
            loggers.map(|it| spawn("logs", &done, move || it.shutdown_with_timeout(longer))),
        );
        wait(&mut waiting, until);
        failed.extend(
            waiting.iter().map(|signal| format!("{signal}: not handed over within {timeout:?}")),
        );
        // What fails from here on fails because nobody waits for it.
        health::over();
        drop((runtime, turn));
        if failed.is_empty() { Ok(()) } else { Err(Error::Incomplete(failed.join("; "))) }
    }
}

type Done = mpsc::Sender<(&'static str, Result<(), OTelSdkError>)>;

/// On a thread of its own: the SDK's `shutdown` blocks, and that of metrics without a bound.
fn spawn(
    signal: &'static str,
    done: &Done,
    end: impl FnOnce() -> Result<(), OTelSdkError> + Send + 'static,
) -> &'static str {
    let done = done.clone();
    // Without a thread, the signal is waited for in vain and then named as not handed over.
    _ = thread::Builder::new()
        .name("otel-setup-end".to_owned())
        .spawn(move || _ = done.send((signal, end())));
    signal
}

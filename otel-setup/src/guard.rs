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

use crate::environment::Signal;
use crate::lost::{Ledgers, Lost};
use crate::runtime::{Background, LONGEST};
use crate::{current, health};

/// Why telemetry could not be set up, or not all of it handed over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// It is set up already; the guard of the first call is still alive.
    AlreadyInitialized,
    /// The system gave no thread to export on.
    Thread(io::Error),
    /// Not everything arrived: one entry for each signal that lost something.
    Incomplete(Vec<Lost>),
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AlreadyInitialized => out.write_str(
                "telemetry is set up already; keep the first guard, and drop it before the next",
            ),
            Self::Thread(error) => write!(out, "no thread to export on: {error}"),
            Self::Incomplete(lost) => {
                let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
                write!(out, "telemetry was lost: {}", lost.join("; "))
            }
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
/// blocking a runtime's thread, and tells what was lost.
#[derive(Debug)]
#[must_use = "telemetry ends when the guard is dropped: keep it, as in `let _guard = …`"]
pub struct Guard(Option<Running>);

/// What has to end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    pub(crate) ledgers: Ledgers,
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
    /// [`Error::Incomplete`] names each signal of which something was lost since the setup: because the
    /// collector did not take it, because a queue was full, or because the time for the shutdown was
    /// over. `Ok` says that it took all spans and log records, and the last state of the metrics.
    ///
    /// ```
    /// # async fn example(guard: otel_setup::Guard) {
    /// if let Err(otel_setup::Error::Incomplete(lost)) = guard.shutdown().await {
    ///     for lost in lost {
    ///         eprintln!("{}: {:?} lost, {}", lost.signal, lost.count, lost.reason);
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let Some(running) = self.0.take() else { return Ok(()) };
        let (done, end) = oneshot::channel();
        // Nobody may be left to hear of it.
        thread::Builder::new()
            .name("otel-setup-end".to_owned())
            .spawn(move || _ = done.send(running.end()))
            .map_err(Error::Thread)?;
        end.await.unwrap_or_else(|_| Err(Error::Thread(io::Error::other("it ended early"))))
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
    pub(crate) fn new(timeout: Duration, turn: Turn) -> Self {
        Self {
            tracers: None,
            meters: None,
            loggers: None,
            ledgers: Ledgers::default(),
            timeout,
            runtime: None,
            turn,
        }
    }

    /// All signals at the same time, or nearly, so that one that hangs does not use up the time of the others.
    fn end(self) -> Result<(), Error> {
        let Self { tracers, meters, loggers, ledgers, timeout, runtime, turn } = self;
        current::set(None, None);
        let timeout = timeout.min(LONGEST);
        let until = Instant::now() + timeout;
        // The SDK shall not be the first to give up: it would not say which of its parts did.
        let longer = timeout.saturating_add(Duration::from_secs(1));
        let (done, ends): (Done, _) = mpsc::channel();
        let (mut waiting, mut ended) = (Vec::new(), Vec::new());
        let mut wait = |waiting: &mut Vec<Signal>, until: Instant| {
            while !waiting.is_empty() {
                let left = until.saturating_duration_since(Instant::now());
                let Ok((signal, result)) = ends.recv_timeout(left) else { break };
                waiting.retain(|other| *other != signal);
                ended.push((signal, result));
            }
        };
        waiting.extend(
            tracers
                .map(|it| spawn(Signal::Traces, &done, move || it.shutdown_with_timeout(longer))),
        );
        // On a terminal the table of metrics stands below the traces, if these are quick.
        wait(&mut waiting, until.min(Instant::now() + BRIEFLY));
        waiting.extend(
            meters
                .map(|it| spawn(Signal::Metrics, &done, move || it.shutdown_with_timeout(longer))),
        );
        waiting.extend(
            loggers.map(|it| spawn(Signal::Logs, &done, move || it.shutdown_with_timeout(longer))),
        );
        wait(&mut waiting, until);
        let mut lost: Vec<_> = ended
            .into_iter()
            .filter_map(|(signal, result)| {
                ledgers.of(signal).lost(signal).or_else(|| match result {
                    // By the program itself.
                    Ok(()) | Err(OTelSdkError::AlreadyShutdown) => None,
                    Err(error) => Some(Lost { signal, count: None, reason: error.to_string() }),
                })
            })
            .collect();
        lost.extend(waiting.into_iter().map(|signal| Lost {
            signal,
            count: ledgers.of(signal).missing(),
            reason: format!("not handed over within {timeout:?}"),
        }));
        lost.sort_by_key(|lost| lost.signal);
        // What fails from here on fails because nobody waits for it.
        health::over();
        drop((runtime, turn));
        if lost.is_empty() { Ok(()) } else { Err(Error::Incomplete(lost)) }
    }
}

type Done = mpsc::Sender<(Signal, Result<(), OTelSdkError>)>;

/// On a thread of its own: the SDK's `shutdown` blocks, and that of metrics without a bound.
fn spawn(
    signal: Signal,
    done: &Done,
    end: impl FnOnce() -> Result<(), OTelSdkError> + Send + 'static,
) -> Signal {
    let done = done.clone();
    // Without a thread, the signal is waited for in vain and then named as not handed over.
    _ = thread::Builder::new()
        .name("otel-setup-end".to_owned())
        .spawn(move || _ = done.send((signal, end())));
    signal
}

//! The tracer and the logger of this moment, for layers that outlive them.
//!
//! A subscriber is set once per process, and often before the providers are there. So the layers hold
//! these two, which look for the real ones at each call, and find others after a new `init`.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use opentelemetry::logs::{Logger, LoggerProvider, Severity};
use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tracing::subscriber::{NoSubscriber, with_default};

/// Whose spans and log records those of `tracing` are.
const SCOPE: &str = "tracing";

static CURRENT: LazyLock<RwLock<Arc<Both>>> = LazyLock::new(|| RwLock::new(Arc::new(Both::idle())));

#[derive(Debug)]
struct Both {
    tracer: SdkTracer,
    logger: SdkLogger,
}

impl Both {
    fn of(tracers: &SdkTracerProvider, loggers: &SdkLoggerProvider) -> Self {
        let scope = InstrumentationScope::builder(SCOPE).build();
        Self {
            tracer: tracers.tracer_with_scope(scope.clone()),
            logger: loggers.logger_with_scope(scope),
        }
    }

    /// A provider that is shut down makes spans without identity, as if there were none.
    fn idle() -> Self {
        // The SDK reads the environment here too; it has been told what is wrong in it.
        with_default(NoSubscriber::default(), || {
            let tracers = SdkTracerProvider::builder().build();
            _ = tracers.shutdown();
            Self::of(&tracers, &SdkLoggerProvider::builder().build())
        })
    }
}

fn current() -> Arc<Both> {
    Arc::clone(&CURRENT.read().unwrap_or_else(PoisonError::into_inner))
}

/// From now on, spans and events of `tracing` go to these providers, where they are there.
pub(crate) fn set(tracers: Option<&SdkTracerProvider>, loggers: Option<&SdkLoggerProvider>) {
    let mut both = Both::idle();
    let scope = InstrumentationScope::builder(SCOPE).build();
    if let Some(tracers) = tracers {
        both.tracer = tracers.tracer_with_scope(scope.clone());
    }
    if let Some(loggers) = loggers {
        both.logger = loggers.logger_with_scope(scope);
    }
    let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *current, Arc::new(both));
    // The end of a provider is an event of `tracing`, which may ask for the current one.
    drop(current);
    drop(before);
}

#[derive(Debug)]
pub(crate) struct CurrentTracer;

impl Tracer for CurrentTracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        current().tracer.build_with_context(builder, parent)
    }
}

#[derive(Debug)]
pub(crate) struct CurrentLogger;

impl Logger for CurrentLogger {
    type LogRecord = SdkLogRecord;

    fn create_log_record(&self) -> SdkLogRecord {
        current().logger.create_log_record()
    }

    fn emit(&self, record: SdkLogRecord) {
        current().logger.emit(record);
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        current().logger.event_enabled(level, target, name)
    }
}

/// What the bridge of `tracing` asks for its logger, once.
#[derive(Debug)]
pub(crate) struct CurrentLoggers;

impl LoggerProvider for CurrentLoggers {
    type Logger = CurrentLogger;

    fn logger_with_scope(&self, _: InstrumentationScope) -> CurrentLogger {
        CurrentLogger
    }
}

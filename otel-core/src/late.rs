//! Layer `telemetry`: tracers and instruments whose provider may come after the client was wrapped.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, InstrumentationScope, otel_warn};

use crate::contain::contain;
use crate::options::sdk_disabled;
use crate::providers::{Providers, Source};

/// The OpenTelemetry minor that this crate speaks: a provider of another one is never seen.
const OPENTELEMETRY_MINOR: &str = "0.33";

/// A client that looks for its providers asks at each of its first calls, then now and then.
const EACH_OF_THE_FIRST: u32 = 1000;
const THEN_EVERY: u32 = 64;

/// What the clients of one page of the conventions measure with.
pub trait Instruments: Send + Sync + 'static {
    /// What there is of it before a meter is found, such as the pools that gauges will read.
    type Before: Default + Send + Sync;

    /// Makes them, when a meter is found.
    fn new(meter: &Meter, before: &Arc<Self::Before>) -> Self;
}

/// The instrumentation scope of a client within a [`Telemetry`](crate::Telemetry): its tracer and
/// the instruments of one page.
pub(crate) struct Scope<I: Instruments> {
    instrumentation: InstrumentationScope,
    name: &'static str,
    version: &'static str,
    enabled: bool,
    providers: Arc<Providers>,
    tracer: OnceLock<BoxedTracer>,
    instruments: OnceLock<I>,
    asks: Asks,
    /// Held by the call that looks; after a panic of a provider it stays held.
    looking: AtomicBool,
    said: AtomicBool,
    pub(crate) before: Arc<I::Before>,
}

/// What a scope has found so far.
pub(crate) struct Found<'s, I> {
    pub(crate) tracer: Option<&'s BoxedTracer>,
    pub(crate) instruments: Option<&'s I>,
}

impl<I> Found<'_, I> {
    pub(crate) fn is_nothing(&self) -> bool {
        self.tracer.is_none() && self.instruments.is_none()
    }
}

impl<I: Instruments> Scope<I> {
    pub(crate) fn new(
        instrumentation: InstrumentationScope,
        name: &'static str,
        version: &'static str,
        providers: &Arc<Providers>,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            instrumentation,
            name,
            version,
            enabled: providers.options.enabled_for(name),
            providers: Arc::clone(providers),
            tracer: OnceLock::new(),
            instruments: OnceLock::new(),
            asks: Asks::default(),
            looking: AtomicBool::new(false),
            said: AtomicBool::new(false),
            before: Arc::default(),
        });
        let mut scopes = SCOPES.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.retain(|scope| scope.strong_count() > 0);
        let weak = Arc::downgrade(&this);
        scopes.push(weak);
        this
    }

    /// What there is to report to. Counts a call while something is missing, and looks for it when
    /// it is time to.
    pub(crate) fn found(&self) -> Found<'_, I> {
        let found = self.known();
        if self.enabled && (found.tracer.is_none() || found.instruments.is_none()) {
            let count = self.asks.count();
            if count <= EACH_OF_THE_FIRST || count.is_multiple_of(THEN_EVERY) {
                self.look();
                let found = self.known();
                if count == EACH_OF_THE_FIRST && found.is_nothing() {
                    self.explain_silence();
                }
                return found;
            }
        }
        found
    }

    /// What was found so far.
    pub(crate) fn known(&self) -> Found<'_, I> {
        Found { tracer: self.tracer.get(), instruments: self.instruments.get() }
    }

    /// Whether there is nothing to report to. Counts a call only if so: the operation that starts
    /// otherwise counts it.
    pub(crate) fn is_silent(&self) -> bool {
        self.known().is_nothing() && self.found().is_nothing()
    }

    /// Asks for what is missing. One call at a time, and no other waits for it: a provider may well
    /// use the very client that looks for it.
    #[cold]
    pub(crate) fn look(&self) {
        if !self.enabled || self.looking.swap(true, Ordering::Acquire) {
            return;
        }
        let looked = contain(|| {
            if self.tracer.get().is_none() {
                let (tracer, source) = self.providers.tracer(&self.instrumentation);
                if source == Source::Given || !is_noop(&tracer) {
                    let _ = self.tracer.set(tracer);
                }
            }
            if self.instruments.get().is_none()
                && let Some(meter) = self.providers.meter(&self.instrumentation)
            {
                let _ = self.instruments.set(I::new(&meter, &self.before));
            }
        });
        // A provider that panicked is not asked again: it would panic at each call.
        self.looking.store(looked.is_none(), Ordering::Release);
    }

    fn explain_silence(&self) {
        if self.providers.waits_for_globals()
            && !self.said.swap(true, Ordering::Relaxed)
            && !sdk_disabled()
        {
            otel_warn!(name: "Instrumentation.NoProvider", message = self.silence());
        }
    }

    fn silence(&self) -> String {
        format!(
            "{} made {EACH_OF_THE_FIRST} calls and found neither a global tracer provider nor a \
             global meter provider of opentelemetry {OPENTELEMETRY_MINOR}. If this process sets \
             one, it belongs to another minor: `cargo tree -d` shows a second `opentelemetry`.",
            self.name
        )
    }
}

/// Whether a tracer is the API's no-op, told without side effects: under a suppressed context an
/// SDK's tracer keeps silent and answers an invalid span, while the no-op hands on the parent.
fn is_noop(tracer: &BoxedTracer) -> bool {
    static KNOWN: LazyLock<Context> = LazyLock::new(|| {
        let parent = SpanContext::new(
            TraceId::from(0x6f74_656c),
            SpanId::from(0x636f_7265),
            TraceFlags::NOT_SAMPLED,
            true,
            TraceState::NONE,
        );
        Context::new().with_remote_span_context(parent).with_telemetry_suppressed()
    });
    let span = tracer.build_with_context(SpanBuilder::default(), &KNOWN);
    span.span_context().span_id() == KNOWN.span().span_context().span_id()
}

/// Counts calls without shared writes between threads that run at the same time.
#[derive(Default)]
struct Asks([Shard; SHARDS]);

const SHARDS: usize = 8;

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Shard(AtomicU32);

impl Asks {
    /// The number of this call among those of (nearly) this thread, from 1.
    fn count(&self) -> u32 {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        let shard = &self.0[SHARD.with(|shard| *shard)].0;
        // Two plain accesses: a lost count costs nothing, a locked one would.
        let count = shard.load(Ordering::Relaxed).checked_add(1).unwrap_or(EACH_OF_THE_FIRST + 1);
        shard.store(count, Ordering::Relaxed);
        count
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|shard| u64::from(shard.0.load(Ordering::Relaxed))).sum()
    }
}

/// A scope, whatever its page.
trait Diagnosed: Send + Sync {
    fn diagnose(&self) -> ClientDiagnostics;
}

impl<I: Instruments> Diagnosed for Scope<I> {
    fn diagnose(&self) -> ClientDiagnostics {
        ClientDiagnostics {
            name: self.name,
            version: self.version,
            enabled: self.enabled,
            has_tracer: self.tracer.get().is_some(),
            has_meter: self.instruments.get().is_some(),
            calls_without: self.asks.sum(),
            silence: self.said.load(Ordering::Relaxed).then(|| self.silence()),
        }
    }
}

static SCOPES: Mutex<Vec<Weak<dyn Diagnosed>>> = Mutex::new(Vec::new());

/// What the instrumented clients of this process have found to report to, for a health page.
pub fn diagnostics() -> Diagnostics {
    // The lock is released before a scope can be dropped, which may drop a provider.
    let scopes: Vec<_> = {
        let scopes = SCOPES.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.iter().filter_map(Weak::upgrade).collect()
    };
    let clients = scopes.iter().map(|scope| scope.diagnose()).collect();
    Diagnostics { opentelemetry: OPENTELEMETRY_MINOR, clients }
}

/// Answer of [`diagnostics`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostics {
    /// The OpenTelemetry minor that this crate speaks.
    pub opentelemetry: &'static str,
    /// The clients wrapped so far, one for each [`Telemetry`](crate::Telemetry) they were wrapped
    /// with.
    pub clients: Vec<ClientDiagnostics>,
}

/// What one client has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientDiagnostics {
    /// Name of the instrumentation scope.
    pub name: &'static str,
    /// Version of the instrumentation scope.
    pub version: &'static str,
    /// False where an option switched the client off.
    pub enabled: bool,
    /// Whether a tracer provider was found.
    pub has_tracer: bool,
    /// Whether a meter provider was found.
    pub has_meter: bool,
    /// About how many calls were made while one of them was missing.
    pub calls_without: u64,
    /// Why nothing is emitted and what to do, once that was said in OpenTelemetry's internal log.
    pub silence: Option<String>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "opentelemetry {}", self.opentelemetry)?;
        let found = |has: bool| if has { "found" } else { "missing" };
        for client in &self.clients {
            write!(
                formatter,
                "\n{} {}: {}, tracer provider {}, meter provider {}",
                client.name,
                client.version,
                if client.enabled { "enabled" } else { "disabled" },
                found(client.has_tracer),
                found(client.has_meter),
            )?;
        }
        Ok(())
    }
}

//! Layer `telemetry`: where telemetry goes, and how much of it: one value for all crates.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use opentelemetry::global::ObjectSafeTracerProvider;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::{Context, InstrumentationScope};

use crate::attribute;
use crate::client::Client;
use crate::late::{Instruments, Scope};
use crate::options::{InboundBaggage, Options, ProcessParent, QueryText, SqlCommenter};
use crate::pool_names::PoolNames;
use crate::providers::{BoxedMeterProvider, Propagator, Providers, TracerProvider};

/// Where the telemetry of the instrumented clients goes, and how much of it: the same value for all
/// crates. A clone is another handle of the same value.
///
/// [`Telemetry::global`] (what a wrapper's `new` uses) goes by the global providers, also when they
/// are set after the client was wrapped, and by the environment's options.
///
/// Make one and keep it: the instruments it makes live as long as the meter provider.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    providers: Arc<Providers>,
    pool_names: PoolNames,
    scopes: Mutex<Scopes>,
}

/// By the client, and by what it measures with: a [`Scope`] of that.
type Scopes = HashMap<(&'static str, TypeId), Arc<dyn Any + Send + Sync>>;

impl fmt::Debug for Telemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Providers { tracer_provider, meter_provider, propagator, options, .. } =
            &*self.0.providers;
        formatter
            .debug_struct("Telemetry")
            .field("global_tracer_provider", &tracer_provider.is_none())
            .field("global_meter_provider", &meter_provider.is_none())
            .field("global_propagator", &propagator.is_none())
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::global()
    }
}

impl Telemetry {
    /// Goes by the global providers and propagator, and by the environment's options.
    pub fn global() -> Self {
        static GLOBAL: LazyLock<Telemetry> = LazyLock::new(|| Telemetry::builder().build());
        GLOBAL.clone()
    }

    /// Starts from [`Telemetry::global`]; what is set wins over it.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder {
            tracer_provider: None,
            meter_provider: None,
            propagator: None,
            pool_names: PoolNames::shared(),
            options: Options::from_environment(),
        }
    }

    /// Writes a context into the headers of a message, with the propagator of this value.
    ///
    /// Independent of the tracer provider: without one the ambient context still travels.
    /// What W3C does not allow in `tracestate` and `baggage` is not written; a `tracestate` that
    /// stood beside another parent is replaced.
    pub fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        self.0.providers.inject(context, carrier);
    }

    /// The names of the headers that the propagator of this value writes, for clients that must ask
    /// for headers by name, or have few places for them; sorted. None without a propagator.
    pub fn propagated_fields(&self) -> Vec<String> {
        self.0.providers.propagated_fields()
    }

    /// Reads the context out of the headers of a message; what is broken in them is as if it were
    /// not there. Of the headers of the W3C that is decided here, whatever the propagator takes.
    pub fn extract(&self, carrier: &dyn Extractor) -> Context {
        self.0.providers.extract(carrier)
    }

    /// Whether what is injected carries a span: see [`Providers::carries_spans`].
    pub(crate) fn carries_spans(&self) -> bool {
        self.0.providers.carries_spans()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.providers.options
    }

    pub(crate) fn pool_names(&self) -> &PoolNames {
        &self.0.pool_names
    }

    /// The scope of a client: its tracer and instruments, shared by all of that client's handles.
    pub(crate) fn scope<C: Client, I: Instruments>(&self) -> Arc<Scope<I>> {
        let make = || {
            let scope = InstrumentationScope::builder(C::NAME)
                .with_version(C::VERSION)
                .with_schema_url(attribute::SCHEMA_URL)
                .build();
            Scope::<I>::new(scope, C::NAME, C::VERSION, &self.0.providers)
        };
        let mut scopes = self.0.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = scopes.entry((C::NAME, TypeId::of::<I>())).or_insert_with(|| make());
        // What stands under this key is of this type.
        let scope = Arc::clone(scope).downcast().unwrap_or_else(|_| make());
        // A provider is somebody else's code, and may come back here.
        drop(scopes);
        // One that is there already is found before the first call.
        if scope.known().is_nothing() {
            scope.look();
        }
        scope
    }
}

/// Builds a [`Telemetry`]: providers, propagator and options.
///
/// Each option has an environment variable `OTEL_INSTRUMENTATION_COMMON_<OPTION>`; the word in code
/// wins over it.
#[must_use]
pub struct TelemetryBuilder {
    tracer_provider: Option<TracerProvider>,
    meter_provider: Option<BoxedMeterProvider>,
    propagator: Option<Propagator>,
    pool_names: PoolNames,
    options: Options,
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TelemetryBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl TelemetryBuilder {
    /// Default: the global provider, also one that is set later.
    pub fn tracer_provider(
        mut self,
        provider: impl ObjectSafeTracerProvider + Send + Sync + 'static,
    ) -> Self {
        self.tracer_provider = Some(Box::new(provider));
        self
    }

    /// Default: the global provider, also one that is set later.
    pub fn meter_provider(mut self, provider: impl MeterProvider + Send + Sync + 'static) -> Self {
        self.meter_provider = Some(Box::new(provider));
        self
    }

    /// Default: the global propagator, asked at each use.
    pub fn propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagator = Some(Box::new(propagator));
        self
    }

    /// Default: true. False drops spans and metrics; propagation goes on.
    ///
    /// Per client: `OTEL_INSTRUMENTATION_<CLIENT>_ENABLED`, for example
    /// `OTEL_INSTRUMENTATION_SQLX_ENABLED`.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.options.enabled = Some(enabled);
        self
    }

    /// Default: [`QueryText::Auto`]. What becomes of the text of a query.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT` = `auto`, `sanitized`, `verbatim` or `off`.
    pub fn query_text(mut self, query_text: QueryText) -> Self {
        self.options.query_text = query_text;
        self
    }

    /// Default: 4096. The longest text in bytes that is emitted of a query, in whatever setting of
    /// [`query_text`](Self::query_text); 0 leaves it out. A text that was analysed ends between two
    /// of its tokens, one that is emitted as it is between two characters.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH` = a number of bytes.
    pub fn query_text_max_length(mut self, bytes: usize) -> Self {
        self.options.query_text_max_length = bytes;
        self
    }

    /// Default: [`SqlCommenter::Off`]. Which statements carry the context of their span to the
    /// server, in a comment; see [`sqlcommenter`](crate::sqlcommenter).
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER` = `off`, `uncached` or `all`.
    pub fn sqlcommenter(mut self, statements: SqlCommenter) -> Self {
        self.options.sqlcommenter = statements;
        self
    }

    /// Default: false. True puts the `tracestate` into these comments too.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER_TRACESTATE` = `true` or `false`.
    pub fn sqlcommenter_tracestate(mut self, wanted: bool) -> Self {
        self.options.sqlcommenter_tracestate = wanted;
        self
    }

    /// Default: false. True drops a span that would have no parent; metrics and propagation go on.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_REQUIRE_PARENT` = `true` or `false`.
    pub fn require_parent(mut self, required: bool) -> Self {
        self.options.require_parent = required;
        self
    }

    /// Default: false. True puts the number of returned rows on spans (`db.response.returned_rows`);
    /// the metric of that number is recorded either way.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_RETURNED_ROWS` = `true` or `false`.
    pub fn returned_rows(mut self, on_spans: bool) -> Self {
        self.options.returned_rows = on_spans;
        self
    }

    /// Default: true. False takes a cancelled call for one that did not fail: its span has neither
    /// an `error.type` nor the status of an error, and its points have no `error.type`.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_CANCELLED_IS_ERROR` = `true` or `false`.
    pub fn cancelled_is_error(mut self, is_error: bool) -> Self {
        self.options.cancelled_is_error = is_error;
        self
    }

    /// Default: false. True adds a child span for the time that a call waits for a connection.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_POOL_WAIT_SPANS` = `true` or `false`.
    pub fn pool_wait_spans(mut self, wanted: bool) -> Self {
        self.options.pool_wait_spans = wanted;
        self
    }

    /// Default: false. True adds a span over each whole transaction, parent of what runs in it.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_TRANSACTION_SPANS` = `true` or `false`.
    pub fn transaction_spans(mut self, wanted: bool) -> Self {
        self.options.transaction_spans = wanted;
        self
    }

    /// Default: false. True adds a span for each explicit preparation of a statement.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_PREPARE_SPANS` = `true` or `false`.
    pub fn prepare_spans(mut self, wanted: bool) -> Self {
        self.options.prepare_spans = wanted;
        self
    }

    /// Default: true. False leaves out the span of each message of a batch that is sent: the span of
    /// the batch then is what its messages carry.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_CREATE_SPANS` = `true` or `false`.
    pub fn create_spans(mut self, wanted: bool) -> Self {
        self.options.create_spans = wanted;
        self
    }

    /// Default: true. False leaves out the spans of receiving messages; metrics go on.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_RECEIVE_SPANS` = `true` or `false`.
    pub fn receive_spans(mut self, wanted: bool) -> Self {
        self.options.receive_spans = wanted;
        self
    }

    /// Default: false, which leaves trace headers that a message has before it is sent as they are,
    /// and links to them. True replaces them, for forwarders.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_REPLACE_TRACE_HEADERS` = `true` or `false`.
    pub fn replace_trace_headers(mut self, replace: bool) -> Self {
        self.options.replace_trace_headers = replace;
        self
    }

    /// Default: false. True puts the sizes of messages on spans, where the client knows them.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_MESSAGE_SIZES` = `true` or `false`.
    pub fn message_sizes(mut self, wanted: bool) -> Self {
        self.options.message_sizes = wanted;
        self
    }

    /// Default: true. False leaves out keys, which may name a person.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_KEYS` = `true` or `false`.
    pub fn keys(mut self, wanted: bool) -> Self {
        self.options.keys = wanted;
        self
    }

    /// Default: [`ProcessParent::Ambient`]. The parent of the span of a handler.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_PROCESS_PARENT` = `ambient`, `message` or `link`.
    pub fn process_parent(mut self, parent: ProcessParent) -> Self {
        self.options.process_parent = parent;
        self
    }

    /// Default: [`InboundBaggage::All`]. What becomes of the baggage that a message brings.
    ///
    /// `OTEL_INSTRUMENTATION_COMMON_INBOUND_BAGGAGE` = `all`, `drop` or names separated by commas.
    pub fn inbound_baggage(mut self, baggage: InboundBaggage) -> Self {
        self.options.inbound_baggage = baggage;
        self
    }

    /// Default: none. Gives a destination the name of low cardinality that stands for it and its
    /// like (`orders.7` and `orders.8` are `orders.{id}`), or `None` where its own will do.
    ///
    /// It is asked once per destination while that stays in the client's cache.
    pub fn destination_template(
        mut self,
        hook: impl Fn(&str) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    ) -> Self {
        self.options.template = Some(Arc::new(hook));
        self
    }

    /// Default: none. Names a query: gets its text, answers the summary (which is also the span's
    /// name), or `None` for the usual one. Keep the number of different answers low.
    ///
    /// It is asked once per text while the text stays in the client's cache.
    pub fn query_summary(
        mut self,
        hook: impl Fn(&str) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    ) -> Self {
        self.options.summary = Some(Arc::new(hook));
        self
    }

    /// Default: none. Drops the spans of whose name it answers false; metrics and propagation go on.
    pub fn span_filter(mut self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.options.filter = Some(Arc::new(filter));
        self
    }

    /// Whose names the pools of this value are told apart from: the process's by default. For tests,
    /// many of which run in one process.
    #[doc(hidden)]
    pub fn pool_names(mut self, names: &PoolNames) -> Self {
        self.pool_names = names.clone();
        self
    }

    /// Builds the value.
    pub fn build(self) -> Telemetry {
        let Self { tracer_provider, meter_provider, propagator, pool_names, options } = self;
        let providers = Providers::new(tracer_provider, meter_provider, propagator, options);
        let (providers, scopes) = (Arc::new(providers), Mutex::default());
        Telemetry(Arc::new(Inner { providers, pool_names, scopes }))
    }
}

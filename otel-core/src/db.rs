//! Layer `db`: database clients: what is told about a server and a call, and the operations made of
//! it.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/database-spans/> and
//! <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/>.

mod call;
pub mod fact;
mod instruments;
mod page;
pub mod pool;
mod registry;
mod rows;
mod shape;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use opentelemetry::trace::{SpanBuilder, SpanId, SpanKind, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, StringValue};

pub use self::call::{DbCall, DbServer};
pub use self::fact::Fact;
pub use self::instruments::Instruments;
use self::page::Shared;
pub use self::page::{DbOperation, Page};
use self::pool::{PoolMetrics, PoolState};
pub use self::rows::Rows;
use self::shape::{Shape, Shapes};
use crate::attribute as names;
use crate::client::Client;
use crate::contain::contain;
use crate::failure::Classify;
use crate::operation::{Clock, Live};
use crate::options::{Options, QueryText};
use crate::page::Site;
use crate::sql::DEFAULT_MAX_LENGTH;
use crate::telemetry::Telemetry;

/// An instrumented database client: makes the operations of one handle, which has one server and
/// one namespace. A clone is another handle of the same value.
pub struct Db<C> {
    shared: Arc<Shared>,
    enclosing: Option<Arc<Enclosing>>,
    client: PhantomData<fn() -> C>,
}

/// A span over several operations, which is their parent unless another was opened below it.
struct Enclosing {
    context: Context,
    /// The spans that were current when this one, and those that enclose it, started: under them,
    /// or under none at all, nothing was opened below.
    ambient: Vec<SpanId>,
}

impl<C> Clone for Db<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            enclosing: self.enclosing.clone(),
            client: PhantomData,
        }
    }
}

impl<C> fmt::Debug for Db<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Db").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

impl<C: Client> Db<C> {
    /// Instruments a handle that talks to `server`.
    pub fn new(telemetry: &Telemetry, server: DbServer) -> Self {
        let site = Site::new::<C>(telemetry);
        let shared = Shared { site, server, shapes: Arc::default(), number: 0 };
        Self { shared: Arc::new(shared), enclosing: None, client: PhantomData }
    }

    /// The handle of another server of the same client, for one that talks to many and knows which
    /// before each call: they share instruments, and what is kept of the calls of all. Make one for
    /// each server and keep it.
    pub fn with_server(&self, server: DbServer) -> Self {
        let Shared { site, shapes, .. } = &*self.shared;
        let (site, shapes, number) = (site.clone(), Arc::clone(shapes), shapes.next_server());
        let shared = Arc::new(Shared { site, server, shapes, number });
        Self { shared, ..self.clone() }
    }

    /// Whether a call made now would emit nothing, so that the driver's own future or stream may be
    /// handed out as it is.
    pub fn is_off(&self) -> bool {
        self.shared.site.is_off()
    }

    /// Whether the user switched this client off, by code or by its variable: a driver's hook that
    /// costs something by being there is not to be installed then.
    pub fn is_disabled(&self) -> bool {
        !self.options().enabled_for(C::NAME)
    }

    /// What of a text is wanted, for an adapter that makes it itself (see
    /// [`DbCall::sanitized_text`]); none where no text is shown, or nobody takes spans.
    pub fn text_wanted(&self) -> Option<TextWanted> {
        let &Options { query_text, query_text_max_length: longest, keys, .. } = self.options();
        let shown = query_text != QueryText::Off && self.shared.site.known().tracer.is_some();
        shown.then_some(TextWanted {
            asked: query_text != QueryText::Auto,
            verbatim: query_text == QueryText::Verbatim,
            keys,
            longest,
        })
    }

    /// The name that the span of such a call has. For tools that show it.
    #[doc(hidden)]
    pub fn span_name(&self, call: &DbCall<'_>) -> Cow<'static, str> {
        Shape::new(&call.kind, &self.shared.server, self.options()).name
    }

    /// Starts an operation in the current context, for blocking calls and callbacks. `describe` is
    /// not run when nobody listens. For futures and streams see [`run`](Self::run) and
    /// [`stream`](Self::stream).
    pub fn start<'a>(&self, describe: impl FnOnce() -> DbCall<'a>) -> DbOperation<C> {
        if self.is_off() {
            return DbOperation::empty();
        }
        self.start_at(Clock::start(), &self.parent(), Told::Call, describe)
    }

    /// Tells of a call that is only handed over, and whose end nobody learns: a span without a
    /// measurement, since its duration would say nothing about the server. `otherwise` is the
    /// parent where no span is current, as when a task is dropped.
    pub fn hand_over<'a>(
        &self,
        otherwise: &Context,
        describe: impl FnOnce() -> DbCall<'a>,
    ) -> DbOperation<C> {
        // Contained: this runs when something is dropped, perhaps when the thread itself ends.
        contain(|| {
            if self.is_off() {
                return DbOperation::empty();
            }
            let parent = self.parent();
            let has_parent = parent.span().span_context().is_valid();
            let parent = if has_parent { &parent } else { otherwise };
            self.start_at(Clock::start(), parent, Told::HandOver, describe)
        })
        .unwrap_or_else(DbOperation::empty)
    }

    /// A span over a whole transaction, if the user asked for one (see
    /// [`transaction_spans`](crate::TelemetryBuilder::transaction_spans)), and the handle whose
    /// operations it encloses: it is their parent unless another span was opened below it.
    pub fn enclose(&self, name: &'static str) -> (DbOperation<C>, Self) {
        if !self.options().transaction_spans || self.is_off() {
            return (DbOperation::empty(), self.clone());
        }
        let parent = self.parent();
        let mut ambient = vec![Context::map_current(span_id)];
        ambient.extend(self.enclosing.iter().flat_map(|outer| outer.ambient.iter().copied()));
        let operation =
            self.start_at(Clock::start(), &parent, Told::Inside, || DbCall::new().operation(name));
        let enclosing = Enclosing { context: operation.context(), ambient };
        (operation, Self { enclosing: Some(Arc::new(enclosing)), ..self.clone() })
    }

    /// A span for the time that a call waits for a connection, if the user asked for one (see
    /// [`pool_wait_spans`](crate::TelemetryBuilder::pool_wait_spans)).
    pub fn pool_wait(&self) -> DbOperation<C> {
        if !self.options().pool_wait_spans || self.is_off() {
            return DbOperation::empty();
        }
        self.start_at(Clock::start(), &self.parent(), Told::Inside, || {
            DbCall::new().operation("acquire")
        })
    }

    /// Whether the user asked for a span for each explicit preparation of a statement (see
    /// [`prepare_spans`](crate::TelemetryBuilder::prepare_spans)).
    pub fn wants_prepare_spans(&self) -> bool {
        self.options().prepare_spans
    }

    /// As [`start`](Self::start), below another context than the current one.
    pub fn start_in<'a>(
        &self,
        parent: &Context,
        describe: impl FnOnce() -> DbCall<'a>,
    ) -> DbOperation<C> {
        if self.shared.site.is_off_in(parent) {
            return DbOperation::empty();
        }
        self.start_at(Clock::start(), parent, Told::Call, describe)
    }

    /// Reports a call that is over: one that a driver tells of only afterwards, with how long it
    /// took.
    pub fn record<'a, T, E>(
        &self,
        parent: &Context,
        elapsed: Duration,
        result: &Result<T, E>,
        describe: impl FnOnce() -> DbCall<'a>,
    ) where
        C: Classify<E>,
    {
        if self.shared.site.is_off_in(parent) {
            return;
        }
        self.start_at(Clock::ended(elapsed), parent, Told::Call, describe)
            .finish_after(elapsed, result);
    }

    /// Runs a future as an operation that starts at its first poll.
    ///
    /// `input` is what the call is made of, the query for example: `describe` looks at it, then
    /// `call` makes the driver's future of it.
    pub fn run<I, D, M, F, T, E>(
        &self,
        input: I,
        describe: D,
        call: M,
    ) -> impl Future<Output = Result<T, E>> + use<C, I, D, M, F, T, E>
    where
        D: FnOnce(&I) -> DbCall<'_>,
        M: FnOnce(I) -> F,
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
    {
        let call = |input: I, _: &DbOperation<C>| call(input);
        self.run_with(input, describe, call, |_: &T, _: &mut DbOperation<C>| ())
    }

    /// As [`run`](Self::run), for a `call` that is to know its operation, to carry its context for
    /// example. Shows a success to `inspect`, which may add facts learnt from it.
    pub fn run_with<I, D, M, F, T, E, L>(
        &self,
        input: I,
        describe: D,
        call: M,
        inspect: L,
    ) -> impl Future<Output = Result<T, E>> + use<C, I, D, M, F, T, E, L>
    where
        D: FnOnce(&I) -> DbCall<'_>,
        M: FnOnce(I, &DbOperation<C>) -> F,
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
        L: FnOnce(&T, &mut DbOperation<C>),
    {
        let this = self.clone();
        async move {
            let operation = this.into_started(|| describe(&input));
            let future = call(input, &operation);
            operation.run_with(future, inspect).await
        }
    }

    /// Runs a stream as an operation that starts at its first poll; items that `is_row` are counted.
    /// As in [`run_with`](Self::run_with), `call` knows its operation.
    ///
    /// Its outcome is that of [`DbOperation::stream`].
    pub fn stream<I, D, M, S, T, E, R>(
        &self,
        input: I,
        describe: D,
        call: M,
        is_row: R,
    ) -> impl Stream<Item = Result<T, E>> + use<C, I, D, M, S, T, E, R>
    where
        D: FnOnce(&I) -> DbCall<'_>,
        M: FnOnce(I, &DbOperation<C>) -> S,
        S: Stream<Item = Result<T, E>>,
        C: Classify<E>,
        R: FnMut(&T) -> bool,
    {
        let this = self.clone();
        rows::Late::new(move || {
            let operation = this.into_started(|| describe(&input));
            let stream = call(input, &operation);
            operation.stream_of(stream, is_row)
        })
    }

    /// Registers a connection pool of this handle: its gauges live as long as `state` and the answer
    /// do. A second pool of one name in the process becomes `name#2`; a pool that is known by its
    /// [`identity`](PoolState::identity) keeps the name it has.
    pub fn pool(
        &self,
        name: impl Into<Cow<'static, str>>,
        state: &Arc<impl PoolState>,
    ) -> PoolMetrics {
        PoolMetrics::register(self.shared.site.clone(), C::NAME, &name.into(), state)
    }

    /// The bytes that what is kept of calls takes now, and at most. For the benchmark.
    #[doc(hidden)]
    pub fn memory(&self) -> (usize, usize) {
        (self.shared.shapes.memory(), Shapes::BOUND)
    }

    fn options(&self) -> &Options {
        self.shared.site.telemetry().options()
    }

    /// Starts an operation that somebody listens to.
    fn start_at<'a>(
        &self,
        clock: Clock,
        parent: &Context,
        told: Told,
        describe: impl FnOnce() -> DbCall<'a>,
    ) -> DbOperation<C> {
        let shared = Arc::clone(&self.shared);
        contain(|| start(shared, clock, parent, told, describe()))
            .map_or_else(DbOperation::empty, DbOperation::live)
    }

    /// As [`start`](Self::start), for a handle that is of no use afterwards: the operation takes it.
    fn into_started<'a>(self, describe: impl FnOnce() -> DbCall<'a>) -> DbOperation<C> {
        if self.is_off() {
            return DbOperation::empty();
        }
        let (clock, parent) = (Clock::start(), self.parent());
        contain(|| start(self.shared, clock, &parent, Told::Call, describe()))
            .map_or_else(DbOperation::empty, DbOperation::live)
    }

    /// The current context, or the enclosing span's if nothing was opened below that.
    fn parent(&self) -> Context {
        let current = Context::current();
        match &self.enclosing {
            Some(enclosing)
                if !current.has_active_span() || enclosing.ambient.contains(&span_id(&current)) =>
            {
                enclosing.context.clone()
            }
            _ => current,
        }
    }
}

/// What of a text is wanted: see [`Db::text_wanted`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TextWanted {
    /// Whether the user asked for texts, where a system's page has none unless asked for.
    pub asked: bool,
    /// Whether the user wants it with the data in it; never with what logs somebody in.
    pub verbatim: bool,
    /// Whether names are shown that may be those of persons, as keys are: option
    /// [`keys`](crate::TelemetryBuilder::keys).
    pub keys: bool,
    /// How many bytes of it are shown; more is cut off.
    pub longest: usize,
}

impl TextWanted {
    /// What is wanted where the user says nothing.
    pub const DEFAULT: Self =
        Self { asked: false, verbatim: false, keys: true, longest: DEFAULT_MAX_LENGTH };
}

fn span_id(context: &Context) -> SpanId {
    context.span().span_context().span_id()
}

/// How an operation is told of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A call to the server: a CLIENT span and the metrics.
    Call,
    /// A call to the server whose end is not seen: a CLIENT span.
    HandOver,
    /// Something in the client itself: an INTERNAL span.
    Inside,
}

/// Starts what somebody listens to.
fn start(
    shared: Arc<Shared>,
    clock: Clock,
    parent: &Context,
    told: Told,
    mut call: DbCall<'_>,
) -> Live<Page> {
    call.kind.server = shared.number;
    let options = shared.site.telemetry().options();
    let shape = shared.shapes.get(&call.kind, || Shape::new(&call.kind, &shared.server, options));
    let page = Page { shared, shape, rows: None, status_code: None };
    let live = Live::start(clock, parent, page, true, |page| {
        span(told, &page.shape, call, page.shared.site.telemetry().options())
    });
    if told == Told::Call { live } else { live.without_measurement() }
}

/// A text that is emitted as it is, or its beginning where it is longer than the user wants it.
fn at_most(text: StringValue, options: &Options) -> StringValue {
    match options.cut(text.as_str()) {
        cut if cut.len() < text.as_str().len() => cut.to_owned().into(),
        _ => text,
    }
}

/// Attributes that a span may get after its start: room for them is made at once.
const LEARNT_LATER: usize = 3;

/// A span with all that is known: a sampler may look at any of it.
fn span(told: Told, shape: &Shape, call: DbCall<'_>, options: &Options) -> SpanBuilder {
    let (text, batch, more) = call.own();
    let common = shape.on_span();
    let mut attributes = Vec::with_capacity(common.len() + 2 + more.len() + LEARNT_LATER);
    attributes.extend_from_slice(common);
    let text = text.filter(|_| options.query_text != QueryText::Off);
    let text = text.map(|text| at_most(text, options)).filter(|text| !text.as_str().is_empty());
    attributes.extend(text.map(|text| KeyValue::new(names::DB_QUERY_TEXT, text)));
    attributes.extend(batch.map(|size| {
        KeyValue::new(names::DB_OPERATION_BATCH_SIZE, i64::try_from(size).unwrap_or(i64::MAX))
    }));
    attributes.extend(more);
    let kind = if told == Told::Inside { SpanKind::Internal } else { SpanKind::Client };
    let (span_kind, attributes) = (Some(kind), Some(attributes));
    SpanBuilder { span_kind, attributes, ..SpanBuilder::default() }
}

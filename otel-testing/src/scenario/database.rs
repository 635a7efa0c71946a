//! The scenarios of database clients.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, global};
use otel_core::{Telemetry, TelemetryBuilder};

use super::operation::{ERROR_TYPE, Judge, assert_off, with_parent};
use super::{Capability, Outcome, Skipped};
use crate::assert::ExpectedSpan;
use crate::{Capture, span};

const JUDGE: Judge = Judge { duration: "db.client.operation.duration" };

/// How long a call hangs before it is dropped: a real server must have got it.
const HANGING: Duration = Duration::from_millis(200);

/// An instrumented client and the calls that the scenarios make with it. Each call is one operation
/// to the conventions: one span, one measurement.
///
/// Calls deal with their results themselves; an unexpected one panics.
pub trait Database: Sized + Send + Sync + 'static {
    /// What the client can do; the scenarios about anything else are skipped.
    const CAPABILITIES: &'static [Capability] = &[];

    /// Connects and prepares what the calls need; what that emits is not looked at. `None` where
    /// the server is not there and the scenario is to be skipped.
    fn connect(telemetry: &Telemetry) -> impl Future<Output = Option<Self>> + Send;

    /// Makes a call that succeeds.
    fn succeed(&self) -> impl Future<Output = ()> + Send;

    /// Makes a call that fails.
    fn fail(&self) -> impl Future<Output = ()> + Send;

    /// Makes a call that does not end by itself; for [`Capability::Cancel`].
    fn hang(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Makes a call whose result is a stream of at least three rows; for [`Capability::Stream`].
    fn rows(&self) -> BoxStream<'_, ()> {
        stream::empty().boxed()
    }

    /// Makes a call and drops its future, or its stream, before it was polled; for
    /// [`Capability::Unpolled`]. An `async` block around the call would be no test.
    fn unpolled(&self) {}

    /// Makes a call inside which something panics, and lets the panic through; for
    /// [`Capability::Panic`].
    fn panic(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Makes a call to its end on this thread, best on a driver that does nothing; for
    /// [`Capability::Off`].
    fn off_call(&self) {}

    /// Makes the call of [`off_call`](Self::off_call) on the bare driver, if that allocates itself.
    fn bare_call(&self) {}

    /// The span expected of a call without a parent. The scenarios add the parent, and for
    /// [`Call::Hang`] and [`Call::Panic`] the status and the type of the error.
    fn expected(&self, call: Call) -> ExpectedSpan;
}

/// One of the calls of a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// [`Database::fail`].
    Fail,
    /// [`Database::hang`].
    Hang,
    /// [`Database::panic`].
    Panic,
    /// [`Database::rows`], and how many rows were taken.
    Rows(u64),
    /// [`Database::succeed`].
    Succeed,
}

/// One `#[test]` for each scenario of database clients, for a type that is a
/// [`Database`](crate::scenario::Database).
///
/// Put two clients into two modules.
#[macro_export]
macro_rules! database_scenarios {
    (@all $what:ident $client:ty) => {
        $crate::database_scenarios!(@$what $client: success failure cancelled
            cancelled_without_error never_polled panicking exhausted_stream abandoned_stream
            not_sampled suppressed disabled parent_required ambient_parent concurrent off);
    };
    (@test $client:ty: $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            $crate::scenario::execute($crate::scenario::database::$scenario::<$client>());
        }
    )*};
    (@run $client:ty: $($scenario:ident)*) => {$(
        match $crate::scenario::database::$scenario::<$client>().await {
            Ok(()) => println!("{}: passed", stringify!($scenario)),
            Err(skipped) => println!("{}: skipped, {skipped}", stringify!($scenario)),
        }
    )*};
    ($client:ty) => {
        $crate::database_scenarios!(@all test $client);
    };
}

/// Runs all scenarios one after another, and prints which ran and which were skipped.
pub async fn run<D: Database>() {
    database_scenarios!(@all run D);
}

/// A call that succeeds.
pub async fn success<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    client.succeed().await;
    JUDGE.assert_operation(&capture, &client.expected(Call::Succeed));
    Ok(())
}

/// A call that fails.
pub async fn failure<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    client.fail().await;
    let point_error = JUDGE.assert_operation(&capture, &client.expected(Call::Fail));
    assert!(point_error.is_some(), "a failed call must be measured with {ERROR_TYPE}");
    Ok(())
}

/// A call that is dropped while it is pending: an error of the type `cancelled`.
pub async fn cancelled<D: Database>() -> Outcome {
    needs::<D>(Capability::Cancel)?;
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    cancel(&client).await;
    let expected = client.expected(Call::Hang).any_error();
    JUDGE.assert_operation(&capture, &expected.attribute(ERROR_TYPE, "cancelled"));
    Ok(())
}

/// The same with the option by which such a call did not fail.
pub async fn cancelled_without_error<D: Database>() -> Outcome {
    needs::<D>(Capability::Cancel)?;
    let option = |options: TelemetryBuilder| options.cancelled_is_error(false);
    let (capture, client) = connect::<D>(Capture::new(), option).await?;
    cancel(&client).await;
    JUDGE.assert_operation(&capture, &client.expected(Call::Hang));
    Ok(())
}

/// A call that is dropped before it was polled: nothing happened.
pub async fn never_polled<D: Database>() -> Outcome {
    needs::<D>(Capability::Unpolled)?;
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    client.unpolled();
    JUDGE.assert_nothing(&capture);
    Ok(())
}

/// A call through which a panic passes: an error of the type `panic`.
pub async fn panicking<D: Database>() -> Outcome {
    needs::<D>(Capability::Panic)?;
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    let panic = AssertUnwindSafe(client.panic()).catch_unwind().await;
    assert!(panic.is_err(), "the panic must come through Database::panic");
    let expected = client.expected(Call::Panic).any_error();
    JUDGE.assert_operation(&capture, &expected.attribute(ERROR_TYPE, "panic"));
    Ok(())
}

/// A stream read to its end.
pub async fn exhausted_stream<D: Database>() -> Outcome {
    needs::<D>(Capability::Stream)?;
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    let mut taken = 0;
    let mut rows = client.rows();
    while rows.next().await.is_some() {
        taken += 1;
    }
    assert!(taken >= 3, "Database::rows must give at least three rows, it gave {taken}");
    // Its end ends the operation, not its drop.
    JUDGE.assert_operation(&capture, &client.expected(Call::Rows(taken)));
    drop(rows);
    capture.check();
    Ok(())
}

/// A stream dropped after its first row: no error.
pub async fn abandoned_stream<D: Database>() -> Outcome {
    needs::<D>(Capability::Stream)?;
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    let mut rows = client.rows();
    assert!(rows.next().await.is_some(), "Database::rows must give at least three rows");
    drop(rows);
    JUDGE.assert_operation(&capture, &client.expected(Call::Rows(1)));
    Ok(())
}

/// A call whose span the sampler drops: it is measured nevertheless.
pub async fn not_sampled<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::not_sampled(), |options| options).await?;
    client.succeed().await;
    capture.check();
    capture.assert_no_spans();
    JUDGE.assert_measured(&capture, &client.expected(Call::Succeed), None);
    Ok(())
}

/// A call in a context whose telemetry is suppressed: nothing is emitted.
pub async fn suppressed<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    client.succeed().with_context(Context::current().with_telemetry_suppressed()).await;
    JUDGE.assert_nothing(&capture);
    Ok(())
}

/// A call while instrumentation is switched off: nothing is emitted.
pub async fn disabled<D: Database>() -> Outcome {
    let option = |options: TelemetryBuilder| options.enabled(false);
    let (capture, client) = connect::<D>(Capture::new(), option).await?;
    client.succeed().await;
    JUDGE.assert_nothing(&capture);
    Ok(())
}

/// With a parent required, a call without one is measured and has no span; one with a parent has.
pub async fn parent_required<D: Database>() -> Outcome {
    let option = |options: TelemetryBuilder| options.require_parent(true);
    let (capture, client) = connect::<D>(Capture::new(), option).await?;
    let expected = client.expected(Call::Succeed);
    client.succeed().await;
    capture.check();
    capture.assert_no_spans();
    JUDGE.assert_measured(&capture, &expected, None);

    capture.clear();
    with_parent(&capture, client.succeed()).await;
    capture.assert_spans([expected.child_of("parent"), span("parent")]);
    Ok(())
}

/// A call below a span: that span is its parent, and a failed one's too.
pub async fn ambient_parent<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    with_parent(&capture, async {
        client.succeed().await;
        client.fail().await;
    })
    .await;
    capture.check();
    capture.assert_spans([
        client.expected(Call::Succeed).child_of("parent"),
        client.expected(Call::Fail).child_of("parent"),
        span("parent"),
    ]);
    Ok(())
}

/// Calls in turn on one thread, each below a span of its own: none gets another's parent.
pub async fn concurrent<D: Database>() -> Outcome {
    let (capture, client) = connect::<D>(Capture::new(), |options| options).await?;
    let tracer = capture.tracer("test");
    let contexts: Vec<Context> =
        (0..8).map(|_| Context::new().with_span(tracer.start("parent"))).collect();
    join_all(contexts.iter().map(|context| client.succeed().with_context(context.clone()))).await;
    let parents = contexts.iter().map(|context| context.span().span_context().clone());
    let expected = client.expected(Call::Succeed);
    capture.assert_spans_in_any_order(parents.map(|parent| expected.clone().child_of(parent)));
    drop(contexts);
    capture.check();
    Ok(())
}

/// A call while there is no provider: it allocates nothing, but for the rare ones that look
/// whether a provider has come.
pub async fn off<D: Database>() -> Outcome {
    needs::<D>(Capability::Off)?;
    let client = D::connect(&Telemetry::builder().build()).await;
    let client = client.ok_or_else(Skipped::no_server::<D>)?;
    assert_off(1, || client.off_call(), || client.bare_call());
    Ok(())
}

/// A provider that is set globally after the client was made: the next call is reported to it.
///
/// It is not among [`database_scenarios`], because global providers
/// belong to the process: give it a test binary of its own.
pub async fn late_provider<D: Database>() -> Outcome {
    let capture = Capture::new();
    let client = D::connect(&Telemetry::global()).await.ok_or_else(Skipped::no_server::<D>)?;
    client.succeed().await;
    global::set_tracer_provider(capture.tracer_provider());
    global::set_meter_provider(capture.meter_provider());
    client.succeed().await;
    JUDGE.assert_operation(&capture, &client.expected(Call::Succeed));
    Ok(())
}

fn needs<D: Database>(capability: Capability) -> Outcome {
    let declared = D::CAPABILITIES.contains(&capability);
    declared.then_some(()).ok_or_else(|| Skipped::lacks::<D>(capability))
}

/// Bound as `(capture, client)`, the client is dropped first, and the capture's check sees all.
async fn connect<D: Database>(
    capture: Capture,
    options: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder,
) -> Result<(Capture, D), Skipped> {
    let client = D::connect(&options(capture.telemetry_builder()).build()).await;
    let client = client.ok_or_else(Skipped::no_server::<D>)?;
    capture.clear();
    Ok((capture, client))
}

async fn cancel<D: Database>(client: &D) {
    let ended = tokio::time::timeout(HANGING, client.hang()).await.is_ok();
    assert!(!ended, "Database::hang must not end by itself");
}

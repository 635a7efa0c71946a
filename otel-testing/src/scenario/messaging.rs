//! The scenarios of clients of message brokers.

mod batch;
mod propagation;
mod way;

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;
use otel_core::{Telemetry, TelemetryBuilder};

pub use self::batch::{batch_without_create_spans, batches, partial_failure};
pub use self::propagation::{
    baggage_kept, own_headers_kept, without_provider, without_provider_handled,
};
pub use self::way::{
    ambient_parent, cancelled, cancelled_handler, disabled, failed_handler, failure, late_provider,
    never_polled, not_sampled, nothing_received, off, panicking_handler, parent_required, success,
    suppressed,
};
use super::operation::Judge;
use super::{Capability, Outcome, Skipped};
use crate::assert::ExpectedSpan;
use crate::{Capture, metric};

const CLIENT: Judge = Judge { duration: "messaging.client.operation.duration" };
const HANDLER: Judge = Judge { duration: "messaging.process.duration" };
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";

/// What a handler fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerFailed;

/// What a handler does, for [`Messaging::process`].
pub type Handler<'h> = BoxFuture<'h, Result<(), HandlerFailed>>;

/// An instrumented client and the calls that the scenarios make with it, at a destination that
/// nobody else uses. Each call is one operation to the conventions.
///
/// Calls deal with their results themselves; an unexpected one panics.
pub trait Messaging: Sized + Send + Sync + 'static {
    /// A received message, with what the adapter keeps beside it.
    type Message: Send + Sync + 'static;

    /// What the client can do; the scenarios about anything else are skipped.
    const CAPABILITIES: &'static [Capability] = &[];

    /// Connects and prepares what the calls need; what that emits is not looked at. `None` where
    /// the broker is not there and the scenario is to be skipped.
    fn connect(telemetry: &Telemetry) -> impl Future<Output = Option<Self>> + Send;

    /// Sends a message with these headers of the application's own.
    fn send(&self, headers: &[(&str, &str)]) -> impl Future<Output = ()> + Send;

    /// Sends a message, which fails.
    fn fail(&self) -> impl Future<Output = ()> + Send;

    /// Receives one message that was sent.
    fn receive(&self) -> impl Future<Output = Self::Message> + Send;

    /// Asks for a message where none is, and gives up.
    fn receive_nothing(&self) -> impl Future<Output = ()> + Send;

    /// The headers of a message that are text.
    fn headers(message: &Self::Message) -> HashMap<String, String>;

    /// Has a message processed by a handler, and lets its panic through.
    fn process<'m>(
        &'m self,
        message: &'m Self::Message,
        handler: Handler<'m>,
    ) -> impl Future<Output = Result<(), HandlerFailed>> + Send + 'm;

    /// Settles a message; for [`Capability::Settle`].
    fn settle(&self, _message: &Self::Message) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Sends so many messages by one call, of which the first `failing` fail; for
    /// [`Capability::Batch`].
    fn send_batch(&self, _messages: usize, _failing: usize) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Receives so many messages, or none, by one call; for [`Capability::Batch`].
    fn receive_batch(&self, _messages: usize) -> impl Future<Output = Vec<Self::Message>> + Send {
        std::future::ready(Vec::new())
    }

    /// Sends a message, and does not get to an end by itself; for [`Capability::Cancel`].
    fn hang(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Makes a call and drops its future before it was polled; for [`Capability::Unpolled`].
    fn unpolled(&self) {}

    /// Sends, receives, processes and settles a message on this thread, best with a broker that
    /// does nothing; for [`Capability::Off`].
    fn off_call(&self) {}

    /// Does the same with the bare driver, if that allocates itself.
    fn bare_call(&self) {}

    /// The span expected of a call without a parent. The scenarios add the parent and the links,
    /// and the failure of what is cancelled or handled.
    fn expected(&self, step: Step) -> ExpectedSpan;

    /// What the link to a message of a batch tells of it, by its place in the batch.
    fn link(&self, _step: Step, _place: usize) -> Vec<KeyValue> {
        Vec::new()
    }
}

/// One of the calls of a [`Messaging`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The creation of a message of [`Messaging::send_batch`], by its place.
    Create(usize),
    /// [`Messaging::fail`].
    Fail,
    /// [`Messaging::hang`].
    Hang,
    /// [`Messaging::process`].
    Process,
    /// [`Messaging::receive`].
    Receive,
    /// [`Messaging::receive_batch`], and how many messages.
    ReceiveBatch(usize),
    /// [`Messaging::send`].
    Send,
    /// [`Messaging::send_batch`], how many messages, and how many of them fail.
    SendBatch(usize, usize),
    /// [`Messaging::settle`].
    Settle,
}

/// One `#[test]` for each scenario of clients of brokers, for a type that is a
/// [`Messaging`](crate::scenario::Messaging).
///
/// Put two clients into two modules.
#[macro_export]
macro_rules! messaging_scenarios {
    (@all $what:ident $client:ty) => {
        $crate::messaging_scenarios!(@$what $client: success failure failed_handler
            panicking_handler cancelled cancelled_handler never_polled nothing_received not_sampled suppressed
            disabled parent_required ambient_parent without_provider without_provider_handled
            baggage_kept own_headers_kept batches batch_without_create_spans partial_failure off);
    };
    (@test $client:ty: $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            $crate::scenario::execute($crate::scenario::messaging::$scenario::<$client>());
        }
    )*};
    (@run $client:ty: $($scenario:ident)*) => {$(
        match $crate::scenario::messaging::$scenario::<$client>().await {
            Ok(()) => println!("{}: passed", stringify!($scenario)),
            Err(skipped) => println!("{}: skipped, {skipped}", stringify!($scenario)),
        }
    )*};
    ($client:ty) => {
        $crate::messaging_scenarios!(@all test $client);
    };
}

/// Runs all scenarios one after another, and prints which ran and which were skipped.
pub async fn run<M: Messaging>() {
    messaging_scenarios!(@all run M);
}

/// Sends and receives a message, and forgets what that emitted.
async fn on_its_way<M: Messaging>(capture: &Capture, client: &M) -> (M::Message, SpanContext) {
    client.send(&[]).await;
    let sent = identity(capture);
    let message = client.receive().await;
    capture.clear();
    (message, sent)
}

/// The identity of the one span that was captured.
#[track_caller]
fn identity(capture: &Capture) -> SpanContext {
    let spans = capture.spans();
    let [span] = &spans[..] else { panic!("one span expected, captured {spans:#?}") };
    arrived(&span.span_context)
}

/// A context as it comes out of a message.
fn arrived(context: &SpanContext) -> SpanContext {
    let state = context.trace_state().clone();
    SpanContext::new(context.trace_id(), context.span_id(), context.trace_flags(), true, state)
}

#[track_caller]
fn assert_count(capture: &Capture, name: &'static str, messages: usize) -> crate::Metric {
    let counted = capture.assert_metric(metric(name).counter().unit("{message}"));
    let sum: f64 = counted.points.iter().map(crate::Point::sum).sum();
    let messages = f64::from(u32::try_from(messages).unwrap_or(u32::MAX));
    assert!((sum - messages).abs() < f64::EPSILON, "{messages} expected: {counted:#?}");
    counted
}

fn needs<M: Messaging>(capability: Capability) -> Outcome {
    let declared = M::CAPABILITIES.contains(&capability);
    declared.then_some(()).ok_or_else(|| Skipped::lacks::<M>(capability))
}

/// Bound as `(capture, client)`, the client is dropped first, and the capture's check sees all.
async fn connect<M: Messaging>(
    capture: Capture,
    options: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder,
) -> Result<(Capture, M), Skipped> {
    let client = M::connect(&options(capture.telemetry_builder()).build()).await;
    let client = client.ok_or_else(Skipped::no_server::<M>)?;
    capture.clear();
    Ok((capture, client))
}

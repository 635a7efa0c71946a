//! The measurement `kafka`: what the core adds to a step of a message whose driver does nothing,
//! beside the bare SDK.

mod bare;
mod propagation;
#[cfg(feature = "kafka")]
mod throughput;

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::thread;

use anyhow::Result;
use bench::{CALLS, COMPARED, Pair as _, WARM_UP, cell, compared, poll_once, scaling, table};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::global::{BoxedTracer, ObjectSafeTracerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_core::messaging::{Delivery, Destination, fact};
use otel_core::propagation::ByteCarrier;
use otel_core::{Messaging, MessagingCall, MessagingServer, Telemetry};

use self::bare::Bare;
#[cfg(feature = "rabbitmq")]
pub(crate) use self::bare::Instruments;
use crate::stub::{Stub, providers};

pub(crate) const NAME: &str = "kafka";

const SYSTEM: &str = "kafka";
const BROKER: (&str, u16) = ("broker.example.com", 9092);
const CLIENT_ID: &str = "shop";
const TOPIC: &str = "orders";
const GROUP: &str = "warehouse";
const KEY: &str = "customer-4711";
const PARTITION: i32 = 3;
const OFFSET: i64 = 815;

pub(crate) const STATES: [&str; 3] = ["off", "not sampled", "sampled"];
const BAGGAGE: &str = "process baggage";
const STEPS: [&str; 4] = ["send", "receive", "process", BAGGAGE];
const HEADERS: [usize; 3] = [0, 10, 100];
const HANDLERS: [u32; 3] = [1, 8, 64];

type Headers = Vec<(String, Vec<u8>)>;

/// The driver: a broker that takes any record, and a handler that is done at once.
#[expect(clippy::unused_async, reason = "the future of a driver, without its work")]
async fn stub() -> Result<(), Infallible> {
    Ok(())
}

pub(crate) fn propagator() -> TextMapCompositePropagator {
    let trace: Box<dyn TextMapPropagator + Send + Sync> = Box::new(TraceContextPropagator::new());
    TextMapCompositePropagator::new(vec![trace, Box::new(BaggagePropagator::new())])
}

fn headers(number: usize) -> Headers {
    (0..number).map(|at| (format!("header-{at}"), b"value".to_vec())).collect()
}

/// The headers of a message that somebody sent, in a trace and with baggage.
fn sent_headers(number: usize) -> Headers {
    let mut headers = headers(number);
    propagator().inject_context(&remote(), &mut ByteCarrier::new(&mut headers));
    headers
}

/// The same, without baggage unless the step asks for it.
fn headers_for(step: &str, number: usize) -> Headers {
    let mut headers = sent_headers(number);
    headers.retain(|(name, _)| step != "process" || name != "baggage");
    headers
}

fn remote() -> Context {
    let state = TraceState::NONE;
    let span = SpanContext::new(
        TraceId::from(0x4bf9_2f35_77b3_4da6),
        SpanId::from(0x00f0_67aa),
        TraceFlags::SAMPLED,
        true,
        state,
    );
    Context::new().with_remote_span_context(span).with_baggage([KeyValue::new("tenant", "north")])
}

fn ours(telemetry: &Telemetry) -> Messaging<Stub> {
    let server = MessagingServer::new(SYSTEM).address(BROKER.0, Some(BROKER.1));
    Messaging::new(telemetry, server.client_id(CLIENT_ID))
}

fn orders(operation: &'static str) -> MessagingCall<'static> {
    MessagingCall::new(operation, Destination::named(TOPIC)).with(fact::KAFKA_MESSAGE_KEY, KEY)
}

fn received(operation: &'static str) -> MessagingCall<'static> {
    orders(operation).consumer_group(GROUP).partition(PARTITION).with(fact::KAFKA_OFFSET, OFFSET)
}

async fn send(ours: &Messaging<Stub>, mut headers: Headers) {
    let operation = ours.send(&mut ByteCarrier::new(&mut headers), || orders("send"));
    let sending = operation.run_with(stub(), |(), operation| {
        operation.learn(fact::PARTITION_ID, PARTITION.to_string());
        operation.learn(fact::KAFKA_OFFSET, OFFSET);
    });
    _ = sending.await;
    black_box(headers);
}

async fn process(ours: &Messaging<Stub>, delivery: &Delivery) {
    _ = ours.handle(delivery, &(), |()| received("process"), |()| stub()).await;
}

fn receive(ours: &Messaging<Stub>, headers: &Headers) -> Delivery {
    ours.poll().received(&ByteCarrier::new(headers), || received("poll"))
}

/// Both contenders, in one state, for one step.
struct Pair {
    ours: Messaging<Stub>,
    bare: Bare,
    step: Step,
    headers: Headers,
    delivery: Delivery,
    remote: Context,
    _providers: Option<(SdkTracerProvider, SdkMeterProvider)>,
}

#[derive(Clone, Copy)]
enum Step {
    Send,
    Receive,
    Process,
}

impl Pair {
    fn new(state: &str, step_name: &str, number: usize) -> Self {
        let providers = (state != "off").then(|| providers::new(state != "not sampled"));
        let (ours, bare) = match &providers {
            None => {
                let bare = Bare::new(global::tracer("bare"), &global::meter("bare"), None);
                (ours(&Telemetry::global()), bare)
            }
            Some((tracer, meter)) => {
                let telemetry = Telemetry::builder()
                    .tracer_provider(tracer.clone())
                    .meter_provider(meter.clone())
                    .propagator(propagator())
                    .build();
                let tracer = BoxedTracer::new(tracer.boxed_tracer(InstrumentationScope::default()));
                let bare = Bare::new(tracer, &meter.meter("bare"), Some(propagator()));
                (ours(&telemetry), bare)
            }
        };
        let step = match step_name {
            "send" => Step::Send,
            "receive" => Step::Receive,
            _ => Step::Process,
        };
        let headers = match step {
            Step::Send => headers(number),
            _ => headers_for(step_name, number),
        };
        let remote = propagator().extract(&ByteCarrier::new(&headers));
        let delivery = receive(&ours, &headers);
        let pair = Self { ours, bare, step, headers, delivery, remote, _providers: providers };
        pair.run_ours(WARM_UP);
        pair.run_bare(WARM_UP);
        pair
    }
}

impl bench::Pair for Pair {
    fn run_ours(&self, calls: u32) {
        for _ in 0..calls {
            match self.step {
                Step::Send => poll_once(pin!(send(&self.ours, self.headers.clone()))),
                Step::Receive => drop(black_box(receive(&self.ours, &self.headers))),
                Step::Process => poll_once(pin!(process(&self.ours, &self.delivery))),
            }
        }
    }

    fn run_bare(&self, calls: u32) {
        for _ in 0..calls {
            match self.step {
                Step::Send => poll_once(pin!(self.bare.send(self.headers.clone(), stub()))),
                Step::Receive => drop(black_box(self.bare.receive(&self.headers))),
                Step::Process => poll_once(pin!(self.bare.process(&self.remote, stub()))),
            }
        }
    }
}

/// Runs under callgrind.
pub(crate) fn child(who: &str, case: &[&str], calls: u32) -> Result<()> {
    match case {
        [state, step, number] => Pair::new(state, step, number.parse()?).run(who, calls),
        [step, number] => propagation::child(who, step, number.parse()?, calls),
        _ => {}
    }
    Ok(())
}

pub(crate) fn measure() -> Result<()> {
    for (title, steps, numbers) in [
        ("kafka: one step of a message, ours beside the bare SDK", &STEPS[..], &HEADERS[..1]),
        (
            "kafka: the same, by the number of headers that are no concern of ours",
            &STEPS[..2],
            &HEADERS[1..],
        ),
    ] {
        let mut rows = Vec::new();
        for state in STATES {
            for step in steps {
                for number in numbers.iter().map(usize::to_string) {
                    let pair = Pair::new(state, step, number.parse()?);
                    let mut row = vec![(*step).to_owned(), state.to_owned(), number.clone()];
                    row.extend(compared(NAME, &[state, step, &number], &pair)?);
                    rows.push(row);
                }
            }
        }
        table(title, &format!("step | state | headers | {COMPARED}"), &rows);
    }
    propagation::measure()?;
    handlers()?;
    #[cfg(feature = "kafka")]
    throughput::measure()?;
    Ok(())
}

/// How many handlers at once change what one costs.
fn handlers() -> Result<()> {
    let pair = Pair::new("sampled", "process", 0);
    let mut rows = Vec::new();
    for threads in HANDLERS {
        let ours = scaling(threads, |calls| pair.run_ours(calls), CALLS / threads);
        let bare = scaling(threads, |calls| pair.run_bare(calls), CALLS / threads);
        rows.push(vec![threads.to_string(), cell(Some(ours), 2), cell(Some(bare), 2)]);
    }
    let processors = thread::available_parallelism()?;
    let title = format!(
        "kafka: messages handled a second by so many threads, as a multiple of one thread's \
         ({processors} processors)"
    );
    table(&title, "handlers | ours | bare", &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use otel_testing::Capture;

    use super::*;
    use crate::stub::tests::told;

    /// Else the two would not be worth comparing.
    #[test]
    fn both_contenders_tell_the_same() {
        for step in STEPS {
            let [ours, bare] = [true, false].map(|is_ours| {
                let capture = Capture::new();
                let telemetry = |capture: &Capture| {
                    Telemetry::builder()
                        .tracer_provider(capture.tracer_provider().clone())
                        .meter_provider(capture.meter_provider().clone())
                        .propagator(propagator())
                        .build()
                };
                let scope = InstrumentationScope::default();
                let tracer = BoxedTracer::new(capture.tracer_provider().boxed_tracer(scope));
                let meter = capture.meter_provider().meter("bare");
                let bare = Bare::new(tracer, &meter, Some(propagator()));
                let headers = headers_for(step, 0);
                let ours = ours(&telemetry(&capture));
                match (step, is_ours) {
                    ("send", true) => poll_once(pin!(send(&ours, Headers::new()))),
                    ("send", false) => poll_once(pin!(bare.send(Headers::new(), stub()))),
                    ("receive", true) => drop(receive(&ours, &headers)),
                    ("receive", false) => drop(bare.receive(&headers)),
                    (_, true) => {
                        // Told elsewhere, so that the message has been counted.
                        let elsewhere = super::ours(&telemetry(&Capture::new()));
                        let delivery = receive(&elsewhere, &headers);
                        poll_once(pin!(process(&ours, &delivery)));
                    }
                    (_, false) => {
                        let remote = propagator().extract(&ByteCarrier::new(&headers));
                        poll_once(pin!(bare.process(&remote, stub())));
                    }
                }
                told(&capture)
            });
            assert_eq!(ours, bare, "{step}");
        }
    }
}

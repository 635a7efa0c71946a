//! The measurement `rabbitmq`: what is added to a step of a message that goes through lapin, to and from
//! a server that answers at once, beside the bare SDK; and messages a second on a real server.

mod bare;
mod server;
mod throughput;

use std::hint::black_box;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, Waker};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use bench::{allocations, cell, instructions, median, poll_once, table, uncounted};
use futures_util::{FutureExt as _, StreamExt as _};
use opentelemetry::InstrumentationScope;
use opentelemetry::global::{BoxedTracer, ObjectSafeTracerProvider};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use otel_core::Telemetry;
use otel_rabbitmq::lapin;
use otel_rabbitmq::message::Delivery;
use otel_rabbitmq::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions,
};
use otel_rabbitmq::types::FieldTable;
use otel_rabbitmq::uri::AMQPUri;
use otel_rabbitmq::{BasicProperties, Channel, Consumer};
use tokio::runtime::{Builder, Runtime};

use self::bare::Bare;
use crate::kafka::{STATES, propagator};
use crate::stub::{providers, telemetry};

pub(crate) const NAME: &str = "rabbitmq";

const STEPS: [&str; 4] = ["publish", "consume", "process", "ack"];
/// Who takes the step: lapin alone, with the bare SDK by hand, with this crate.
const WHO: [&str; 3] = ["lapin", "bare", "ours"];

/// What is said of the server that answers at once.
const HOST: &str = "broker.example.com";
const PORT: u16 = 5672;
const SHOP: &str = "shop";
const EXCHANGE: &str = "shop";
const KEY: &str = "paid";
const QUEUE_NAME: &str = "billing";
const CONSUMER_TAG: &str = "worker";
/// Destinations, as the conventions write them.
const TARGET: &str = "shop:paid";
const QUEUE: &str = "shop:paid:billing";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PAYLOAD: &[u8] = &[b'x'; 100];

/// Messages of one round; the driver takes them all before the next step.
const BATCH: u16 = 64;
/// More than the calls at each of which a late provider is asked for.
const WARM_UP: u32 = 20;
const ROUNDS: u32 = 400;
const COUNTED: u32 = 20;
/// Callgrind counts what runs within this function.
const MEASURED: &str = "*rabbitmq::measured*";

/// Both channels have the method and no trait for it.
macro_rules! publish {
    ($channel:expr, $properties:expr) => {
        $channel.basic_publish(
            $crate::rabbitmq::EXCHANGE.into(),
            $crate::rabbitmq::KEY.into(),
            otel_rabbitmq::options::BasicPublishOptions::default(),
            $crate::rabbitmq::PAYLOAD,
            $properties,
        )
    };
}
use publish;

/// Who takes the steps.
trait Contender {
    type Message;

    /// Until it is confirmed.
    fn publish(&self) -> impl Future<Output = lapin::Result<()>>;
    /// What is there already.
    fn next(&mut self) -> Option<Self::Message>;
    fn process(&self, message: &Self::Message) -> impl Future<Output = ()>;
    fn ack(&self, message: Self::Message) -> impl Future<Output = lapin::Result<()>>;
}

/// lapin's handles.
struct Raw {
    channel: lapin::Channel,
    consumer: lapin::Consumer,
}

impl Contender for Raw {
    type Message = lapin::message::Delivery;

    async fn publish(&self) -> lapin::Result<()> {
        publish!(self.channel, BasicProperties::default()).await?.await.map(drop)
    }

    fn next(&mut self) -> Option<Self::Message> {
        self.consumer.next().now_or_never()??.ok()
    }

    async fn process(&self, _: &Self::Message) {}

    async fn ack(&self, message: Self::Message) -> lapin::Result<()> {
        message.ack(BasicAckOptions::default()).await.map(drop)
    }
}

struct Ours {
    channel: Channel,
    consumer: Consumer,
}

impl Contender for Ours {
    type Message = Delivery;

    async fn publish(&self) -> lapin::Result<()> {
        publish!(self.channel, BasicProperties::default()).await?.await.map(drop)
    }

    fn next(&mut self) -> Option<Delivery> {
        self.consumer.next().now_or_never()??.ok()
    }

    async fn process(&self, message: &Delivery) {
        _ = message.process(async |_| Ok::<_, lapin::Error>(())).await;
    }

    async fn ack(&self, message: Delivery) -> lapin::Result<()> {
        message.ack(BasicAckOptions::default()).await.map(drop)
    }
}

/// A contender, and what a step of it took.
struct Steps<C> {
    runtime: Runtime,
    channel: lapin::Channel,
    contender: C,
    meter: Meter,
}

struct Meter {
    step: String,
    /// Allocations, rather than time.
    counts: bool,
    seconds: f64,
    allocations: u64,
}

#[inline(never)]
fn measured<T>(code: impl FnOnce() -> T) -> T {
    black_box(code())
}

impl Meter {
    /// Runs a step, or a part of one.
    fn take<T>(&mut self, step: &str, code: impl FnOnce() -> T) -> Result<T> {
        if step != self.step {
            return Ok(code());
        }
        if self.counts {
            let (made, result) = allocations(|| measured(code));
            self.allocations += made;
            return result.context("it ran");
        }
        let start = Instant::now();
        let result = uncounted(|| measured(code));
        self.seconds += start.elapsed().as_secs_f64();
        result.context("it ran")
    }
}

/// Whoever takes the steps.
trait Rounds {
    fn round(&mut self) -> Result<()>;
    fn meter(&mut self) -> &mut Meter;
}

type Call<'c> = Pin<Box<dyn Future<Output = lapin::Result<()>> + 'c>>;

/// Begins calls; the driver sends with the first poll.
fn begin<'c, F: Future<Output = lapin::Result<()>> + 'c>(
    calls: impl Iterator<Item = F>,
) -> Vec<(Call<'c>, bool)> {
    let task = &mut Task::from_waker(Waker::noop());
    let begun = calls.map(|call| {
        let mut call: Call<'_> = Box::pin(call);
        let is_done = call.as_mut().poll(task).is_ready();
        (call, is_done)
    });
    begun.collect()
}

/// Ends them, but for those that are not to be ended yet.
fn end(calls: Vec<(Call<'_>, bool)>) -> lapin::Result<Vec<(Call<'_>, bool)>> {
    let task = &mut Task::from_waker(Waker::noop());
    let mut left = Vec::new();
    for (mut call, is_done) in calls {
        if is_done {
            continue;
        }
        match call.as_mut().poll(task) {
            Poll::Ready(ended) => ended?,
            Poll::Pending => left.push((call, false)),
        }
    }
    Ok(left)
}

impl<C: Contender> Rounds for Steps<C> {
    fn round(&mut self) -> Result<()> {
        let Self { runtime, channel, contender, meter, .. } = self;
        // Everything that was sent is written, and answered; then so many messages have come. What settles
        // a message is passed on by a task, and written behind the first of these, or a later one.
        let settle = |messages| {
            runtime.block_on(async {
                for prefetch in [0, 0, 0, messages] {
                    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                }
                lapin::Result::Ok(())
            })
        };
        if meter.step == "publish" {
            let publish = || begin((0..BATCH).map(|_| contender.publish()));
            let mut calls = meter.take("publish", publish)?;
            while !calls.is_empty() {
                settle(0)?;
                calls = meter.take("publish", || end(calls))??;
            }
            return Ok(());
        }
        settle(BATCH)?;
        let mut messages = Vec::with_capacity(BATCH.into());
        let receive = || messages.extend((0..BATCH).filter_map(|_| contender.next()));
        meter.take("consume", receive)?;
        ensure!(messages.len() == usize::from(BATCH), "{} have come", messages.len());
        let process = |message| poll_once(pin!(contender.process(message)));
        meter.take("process", || messages.iter().for_each(process))?;
        let ack = || begin(messages.into_iter().map(|it| contender.ack(it)));
        let mut calls = meter.take("ack", ack)?;
        while !calls.is_empty() {
            settle(0)?;
            calls = meter.take("ack", || end(calls))??;
        }
        Ok(())
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

/// The facts of the connection, which are not those of the stub: its port is another one each time.
fn facts() -> Result<AMQPUri> {
    let uri = format!("amqp://{HOST}:{PORT}");
    uri.parse().map_err(|error: String| anyhow!(error))
}

/// Connects, and lets a contender have the channel.
fn connected<C: Contender>(
    url: &str,
    step: &str,
    contender: impl AsyncFnOnce(&lapin::Connection, lapin::Channel) -> Result<C>,
) -> Result<Steps<C>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (channel, contender) = runtime.block_on(async {
        let properties = lapin::ConnectionProperties::default();
        let connection = lapin::Connection::connect(url, properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        anyhow::Ok((channel.clone(), contender(&connection, channel).await?))
    })?;
    let meter = Meter { step: step.to_owned(), counts: false, seconds: 0.0, allocations: 0 };
    Ok(Steps { runtime, channel, contender, meter })
}

/// Both channels have the method and no trait for it.
macro_rules! consumer {
    ($channel:expr) => {{
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        $channel.basic_consume(QUEUE_NAME.into(), CONSUMER_TAG.into(), options, arguments).await?
    }};
}

fn raw(url: &str, step: &str) -> Result<Steps<Raw>> {
    connected(url, step, async |_, channel| {
        let consumer = consumer!(channel);
        Ok(Raw { channel, consumer })
    })
}

fn bare(
    url: &str,
    step: &str,
    tracer: &dyn ObjectSafeTracerProvider,
    meter: &SdkMeterProvider,
) -> Result<Steps<Bare>> {
    let tracer = BoxedTracer::new(tracer.boxed_tracer(InstrumentationScope::default()));
    let meter = meter.meter("bare");
    connected(url, step, async |_, channel| {
        let consumer = consumer!(channel);
        Ok(Bare::new(Raw { channel, consumer }, tracer, &meter, propagator()))
    })
}

fn ours(url: &str, step: &str, telemetry: &Telemetry) -> Result<Steps<Ours>> {
    connected(url, step, async |connection, channel| {
        let builder = Channel::builder(channel).connection(connection).uri(&facts()?).name(SHOP);
        let channel = builder.telemetry(telemetry).build();
        let consumer = consumer!(channel);
        Ok(Ours { channel, consumer })
    })
}

/// One of [`WHO`], warmed up.
fn contender(url: &str, who: &str, state: &str, step: &str) -> Result<Box<dyn Rounds>> {
    let mut steps: Box<dyn Rounds> = match who {
        "lapin" => Box::new(raw(url, step)?),
        "bare" => {
            let (tracer, meter) = providers::new(state != "not sampled");
            Box::new(bare(url, step, &tracer, &meter)?)
        }
        _ => Box::new(ours(url, step, &telemetry(state))?),
    };
    for _ in 0..WARM_UP {
        steps.round()?;
    }
    Ok(steps)
}

/// Runs under callgrind, which counts what is measured.
pub(crate) fn child(who: &str, state: &str, step: &str, rounds: u32) -> Result<()> {
    let mut steps = contender(&server::start()?, who, state, step)?;
    (0..rounds).try_for_each(|_| steps.round())
}

pub(crate) fn measure() -> Result<()> {
    let url = server::start()?;
    let mut rows = Vec::new();
    for step in STEPS {
        for state in STATES {
            rows.push(compared(&url, state, step)?);
        }
    }
    let title = "rabbitmq: what is added to a step of a message through lapin, to a server that \
                 answers at once, by this crate and by the bare SDK by hand";
    let head = "step | state | lapin ns | + | bare + | ratio | instructions | + | bare + | ratio | \
                allocations | + | bare +";
    table(title, head, &rows);
    throughput::measure()
}

/// A line of the table. Where nobody listens there is nothing to write by hand.
fn compared(url: &str, state: &str, step: &str) -> Result<Vec<String>> {
    let mut row = vec![step.to_owned(), state.to_owned()];
    let who = WHO.iter().filter(|who| state != "off" || **who != "bare");
    let all: Result<Vec<_>> = who.clone().map(|who| contender(url, who, state, step)).collect();
    let mut all = all?;
    let mut took = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for (steps, took) in all.iter_mut().zip(&mut took) {
            steps.round()?;
            took.push(mem::take(&mut steps.meter().seconds) * 1e9 / f64::from(BATCH));
        }
    }
    let times = took.into_iter().map(|took| Some(median(took)));
    row.extend(added(&times.collect::<Vec<_>>(), true));
    let count = |who: &&str| {
        let counted = instructions(&[NAME, who, state, step], Some(MEASURED), COUNTED)?;
        Ok(counted.map(|counted| counted / f64::from(BATCH)))
    };
    row.extend(added(&who.clone().map(count).collect::<Result<Vec<_>>>()?, true));
    let made = all.iter_mut().map(|steps| {
        steps.meter().counts = true;
        (0..COUNTED).try_for_each(|_| steps.round())?;
        let made = u32::try_from(mem::take(&mut steps.meter().allocations))?;
        Ok(Some(f64::from(made) / f64::from(COUNTED * u32::from(BATCH))))
    });
    row.extend(added(&made.collect::<Result<Vec<_>>>()?, false));
    Ok(row)
}

/// Cells: what lapin takes, what this crate adds to it and what the bare SDK does, and the ratio of these.
fn added(took: &[Option<f64>], is_divided: bool) -> Vec<String> {
    let lapin = took.first().copied().flatten();
    let plus = |took: Option<&Option<f64>>| {
        took.copied().flatten().zip(lapin).map(|(it, lapin)| it - lapin)
    };
    let ours = plus(took.last());
    let decimals = if is_divided { 0 } else { 2 };
    let mut cells = vec![cell(lapin, decimals), cell(ours, decimals)];
    let bare = plus(took.get(1).filter(|_| took.len() > 2));
    // Not what was not counted.
    let or_empty = |value: Option<f64>, decimals| {
        value.map_or_else(String::new, |it| cell(Some(it), decimals))
    };
    cells.push(or_empty(bare, decimals));
    if is_divided {
        cells.push(or_empty(ours.zip(bare).map(|(ours, bare)| ours / bare), 2));
    }
    cells
}

#[cfg(test)]
mod tests {
    use otel_testing::Capture;

    use super::*;
    use crate::stub::tests::told;

    /// Else the two would not be worth comparing.
    #[test]
    fn both_contenders_tell_the_same() {
        let url = server::start().unwrap();
        for step in ["publish", "ack"] {
            let capture = Capture::new();
            let (tracer, meter) = (capture.tracer_provider(), capture.meter_provider());
            bare(&url, step, &tracer, &meter).unwrap().round().unwrap();
            let by_hand = told(&capture);
            let capture = Capture::new();
            let telemetry = capture.telemetry();
            ours(&url, step, &telemetry).unwrap().round().unwrap();
            assert_eq!(told(&capture), by_hand, "{step}");
        }
    }
}

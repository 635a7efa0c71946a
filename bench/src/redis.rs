//! The measurement `redis`: what is added to a call of a connection that answers at once, beside the
//! bare SDK, and calls a second on the server of `OTEL_TEST_REDIS`.

mod bare;
// The one that the tests of the adapter have.
#[path = "../../otel-redis/tests/support/stub.rs"]
mod stub;
mod throughput;

use std::hint::black_box;
use std::pin::pin;
use std::sync::Mutex;

use ::redis::aio::ConnectionLike as Async;
use ::redis::{Cmd, ConnectionLike, Pipeline, RedisResult, Value};
use anyhow::Result;
use bench::{COMPARED, Pair as _, WARM_UP, compared, poll_once, table};
use opentelemetry::InstrumentationScope;
use opentelemetry::global::{BoxedTracer, ObjectSafeTracerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_core::Telemetry;
use otel_redis::Connection;

use self::bare::Bare;
use self::stub::{Answers, Stub};
use crate::stub::{STATES, enter, providers};

pub(crate) const NAME: &str = "redis";

const ADDRESS: &str = "cache.example.com";
const CALLS: [&str; 3] = ["command", "blocking", "pipeline"];
/// Commands of the pipeline.
const COMMANDS: usize = 10;

fn key(number: usize) -> String {
    format!("customer:4711:basket:{number}")
}

fn pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new();
    for number in 0..COMMANDS {
        pipeline.get(key(number));
    }
    pipeline
}

/// The driver: a connection that answers at once.
struct AtOnce;

impl Answers for AtOnce {
    fn one(&mut self, _: Option<&Cmd>) -> RedisResult<Value> {
        Ok(Value::Okay)
    }
}

fn ours(telemetry: &Telemetry) -> Connection<Stub<AtOnce>> {
    Connection::builder(Stub(AtOnce)).server(ADDRESS, Some(6379)).telemetry(telemetry).build()
}

/// What is sent, made before it is measured.
struct Sent {
    cmd: Cmd,
    key: String,
    pipeline: Pipeline,
    keys: Vec<String>,
}

impl Sent {
    fn new() -> Self {
        let keys: Vec<String> = (0..COMMANDS).map(key).collect();
        let cmd = ::redis::cmd("GET").arg(key(0)).take();
        Self { cmd, key: key(0), pipeline: pipeline(), keys }
    }
}

/// One call; whoever answers.
fn call<C: ConnectionLike + Async>(connection: &mut C, call: Call, sent: &Sent) {
    match call {
        Call::Command => poll_once(pin!(Async::req_packed_command(connection, &sent.cmd))),
        Call::Blocking => drop(black_box(connection.req_command(&sent.cmd))),
        Call::Pipeline => {
            let pipeline = Async::req_packed_commands(connection, &sent.pipeline, 0, COMMANDS);
            poll_once(pin!(pipeline));
        }
    }
}

fn call_bare(bare: &Bare, call: Call, sent: &Sent) {
    let mut stub = Stub(AtOnce);
    match call {
        Call::Command => {
            let command = Async::req_packed_command(&mut stub, &sent.cmd);
            poll_once(pin!(bare.get(&sent.key, command)));
        }
        Call::Blocking => {
            drop(black_box(bare.get_blocking(&sent.key, || stub.req_command(&sent.cmd))));
        }
        Call::Pipeline => {
            let pipeline = Async::req_packed_commands(&mut stub, &sent.pipeline, 0, COMMANDS);
            poll_once(pin!(bare.get_all(&sent.keys, pipeline)));
        }
    }
}

#[derive(Clone, Copy)]
enum Call {
    Command,
    Blocking,
    Pipeline,
}

impl Call {
    fn named(name: &str) -> Self {
        match name {
            "command" => Self::Command,
            "blocking" => Self::Blocking,
            _ => Self::Pipeline,
        }
    }
}

/// Both contenders in one state, warmed up. Where nothing is told, the bare one is the driver alone.
struct Pair {
    ours: Mutex<Connection<Stub<AtOnce>>>,
    bare: Option<Bare>,
    call: Call,
    sent: Sent,
    _providers: Option<(SdkTracerProvider, SdkMeterProvider)>,
}

impl Pair {
    fn new(state: &str, call: &str) -> Self {
        let providers = (state != "off").then(|| providers::new(state != "not sampled"));
        let telemetry = Telemetry::builder();
        let (telemetry, bare) = match &providers {
            None => (telemetry, None),
            Some((tracer, meter)) => {
                let telemetry =
                    telemetry.tracer_provider(tracer.clone()).meter_provider(meter.clone());
                let tracer = BoxedTracer::new(tracer.boxed_tracer(InstrumentationScope::default()));
                (telemetry, Some(Bare::new(tracer, &meter.meter("bare"))))
            }
        };
        let bare = bare.filter(|_| state != "suppressed");
        let ours = Mutex::new(ours(&telemetry.build()));
        let (call, sent) = (Call::named(call), Sent::new());
        let pair = Self { ours, bare, call, sent, _providers: providers };
        pair.run_ours(WARM_UP);
        pair.run_bare(WARM_UP);
        pair
    }
}

impl bench::Pair for Pair {
    fn run_ours(&self, calls: u32) {
        let Ok(mut ours) = self.ours.lock() else { return };
        for _ in 0..calls {
            call(&mut *ours, self.call, &self.sent);
        }
    }

    fn run_bare(&self, calls: u32) {
        for _ in 0..calls {
            match &self.bare {
                Some(bare) => call_bare(bare, self.call, &self.sent),
                None => call(&mut Stub(AtOnce), self.call, &self.sent),
            }
        }
    }
}

/// Runs under callgrind.
pub(crate) fn child(who: &str, state: &str, call: &str, calls: u32) {
    let _guard = enter(state);
    Pair::new(state, call).run(who, calls);
}

pub(crate) fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for state in STATES {
        let _guard = enter(state);
        for call in CALLS {
            let mut row = vec![call.to_owned(), state.to_owned()];
            row.extend(compared(NAME, &[state, call], &Pair::new(state, call))?);
            rows.push(row);
        }
    }
    let title = "redis: a call of a connection that answers at once, ours beside the bare SDK; off and \
                 suppressed beside the connection alone";
    table(title, &format!("call | state | {COMPARED}"), &rows);
    throughput::measure()
}

#[cfg(test)]
mod tests {
    use otel_testing::Capture;

    use super::*;
    use crate::stub::tests::told;

    /// Else the two would not be worth comparing.
    #[test]
    fn both_contenders_tell_the_same() {
        let sent = Sent::new();
        for name in CALLS {
            let [ours, bare] = [true, false].map(|is_ours| {
                let capture = Capture::new();
                if is_ours {
                    call(&mut ours(&capture.telemetry()), Call::named(name), &sent);
                } else {
                    let scope = InstrumentationScope::default();
                    let tracer = BoxedTracer::new(capture.tracer_provider().boxed_tracer(scope));
                    let bare = Bare::new(tracer, &capture.meter_provider().meter("bare"));
                    call_bare(&bare, Call::named(name), &sent);
                }
                told(&capture)
            });
            assert_eq!(ours, bare, "{name}");
        }
    }
}

//! Without a provider the driver's own future is handed out, and nothing is allocated.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::future::{Ready, ready};
use std::pin::Pin;

use futures_util::FutureExt as _;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_redis::{Connection, Messaging, Telemetry};
use redis::aio::ConnectionLike as _;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use support::stub::{Answers, Stub};

/// Its futures are made before they are asked for, so that whoever allocates is not it.
struct Prepared {
    one: Option<RedisFuture<'static, Value>>,
    many: Option<RedisFuture<'static, Vec<Value>>>,
}

impl Answers for Prepared {
    fn future(&mut self, _: &Cmd) -> RedisFuture<'static, Value> {
        self.one.take().unwrap()
    }

    fn futures(&mut self, _: &Pipeline) -> RedisFuture<'static, Vec<Value>> {
        self.many.take().unwrap()
    }
}

#[test]
fn a_call_allocates_nothing() {
    let done: Ready<RedisResult<Value>> = ready(Ok(Value::Okay));
    let one: RedisFuture<'static, Value> = Box::pin(done);
    let address = std::ptr::from_ref(Pin::as_ref(&one).get_ref()).addr();
    let many: RedisFuture<'static, Vec<Value>> = Box::pin(ready(Ok(Vec::new())));
    let prepared = Stub(Prepared { one: Some(one), many: Some(many) });
    let telemetry = Telemetry::builder().build();
    let mut connection = Connection::with(prepared, &telemetry);
    let (cmd, mut pipeline) = (redis::cmd("SELECT").arg(1).take(), redis::pipe());
    pipeline.get("a").get("b");
    let (packed, batch) = (cmd.get_packed_command(), pipeline.get_packed_pipeline());
    // Each of a client's first thousand calls looks for a provider, which allocates.
    for _ in 0..1100 {
        redis::ConnectionLike::req_command(&mut connection, &cmd).unwrap();
    }
    let mut found = 0;
    let counted = allocation_counter::measure(|| {
        let future = connection.req_packed_command(&cmd);
        found = std::ptr::from_ref(Pin::as_ref(&future).get_ref()).addr();
        future.now_or_never().unwrap().unwrap();
        let future = connection.req_packed_commands(&pipeline, 0, 2);
        future.now_or_never().unwrap().unwrap();
        redis::ConnectionLike::req_command(&mut connection, &cmd).unwrap();
        redis::ConnectionLike::req_packed_command(&mut connection, &packed).unwrap();
        redis::ConnectionLike::req_packed_commands(&mut connection, &batch, 0, 2).unwrap();
    });
    assert_eq!(found, address, "the future is another one");
    assert_eq!(counted.count_total, 0);
}

/// The same where streams and pub/sub are messaging: what carries nothing is the user's own command.
#[test]
fn a_message_without_a_context_allocates_nothing() {
    let telemetry = Telemetry::builder().propagator(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]));
    let prepared = Stub(Prepared { one: None, many: None });
    let messaging = Messaging::new().stream_fields(true).envelopes(true);
    let builder = Connection::builder(prepared).messaging(messaging);
    let mut connection = builder.telemetry(&telemetry.build()).build();
    let commands = ["XADD s * a 1", "PUBLISH c m", "XACK s g 5-1"].map(|text| {
        let mut words = text.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = command.arg(word));
        command
    });
    let packed = commands.clone().map(|command| command.get_packed_command());
    for command in commands.iter().cycle().take(3000) {
        redis::ConnectionLike::req_command(&mut connection, command).unwrap();
    }
    for (command, packed) in commands.iter().zip(&packed) {
        // Two handles look for a provider now and then, each of them in one of these rounds at most.
        let counts = [(); 3].map(|()| {
            let done: Ready<RedisResult<Value>> = ready(Ok(Value::Okay));
            let one: RedisFuture<'static, Value> = Box::pin(done);
            let address = std::ptr::from_ref(Pin::as_ref(&one).get_ref()).addr();
            connection.raw_mut().0.one = Some(one);
            let mut found = 0;
            let counted = allocation_counter::measure(|| {
                let future = connection.req_packed_command(command);
                found = std::ptr::from_ref(Pin::as_ref(&future).get_ref()).addr();
                future.now_or_never().unwrap().unwrap();
                redis::ConnectionLike::req_command(&mut connection, command).unwrap();
                redis::ConnectionLike::req_packed_command(&mut connection, packed).unwrap();
            });
            assert_eq!(found, address, "the future is another one");
            counted.count_total
        });
        assert_eq!(counts.into_iter().min(), Some(0), "{counts:?}");
    }
}

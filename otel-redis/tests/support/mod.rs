//! A driver that answers what it is told to, without a server.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::future::ready;

use otel_redis::Connection;
use otel_testing::Capture;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

/// Answers one after the other; without one left, nil.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stub(VecDeque<RedisResult<Value>>);

impl Stub {
    fn next(&mut self) -> RedisResult<Value> {
        self.0.pop_front().unwrap_or(Ok(Value::Nil))
    }

    fn all(&mut self) -> RedisResult<Vec<Value>> {
        self.next().map(|value| match value {
            Value::Array(values) => values,
            value => vec![value],
        })
    }
}

/// What a server sends.
#[expect(clippy::unnecessary_wraps, reason = "as the driver gives it")]
pub(crate) fn answer(bytes: &str) -> RedisResult<Value> {
    Ok(redis::parse_redis_value(bytes.as_bytes()).unwrap())
}

/// The bare connection.
pub(crate) fn stub(answers: impl IntoIterator<Item = RedisResult<Value>>) -> Stub {
    Stub(answers.into_iter().collect())
}

/// A connection that is told of at `capture`.
pub(crate) fn connection(
    capture: &Capture,
    answers: impl IntoIterator<Item = RedisResult<Value>>,
) -> Connection<Stub> {
    let stub = stub(answers);
    let builder = Connection::builder(stub).server("cache.example", Some(6380));
    builder.telemetry(&capture.telemetry()).build()
}

impl redis::aio::ConnectionLike for Stub {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(ready(self.next()))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(ready(self.all()))
    }

    fn get_db(&self) -> i64 {
        2
    }
}

impl redis::ConnectionLike for Stub {
    fn req_packed_command(&mut self, _: &[u8]) -> RedisResult<Value> {
        self.next()
    }

    fn req_packed_commands(&mut self, _: &[u8], _: usize, _: usize) -> RedisResult<Vec<Value>> {
        self.all()
    }

    fn get_db(&self) -> i64 {
        2
    }

    fn check_connection(&mut self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

//! A connection without a server: what it answers is said by who uses it.
#![allow(dead_code, reason = "each program uses a part of it")]

use std::future::ready;

use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

/// What is answered. Bytes that are packed already are not read: then there is no command.
pub(crate) trait Answers {
    const DATABASE: i64 = 0;

    fn one(&mut self, _: Option<&Cmd>) -> RedisResult<Value> {
        Ok(Value::Nil)
    }

    fn many(&mut self, _: Option<&Pipeline>) -> RedisResult<Vec<Value>> {
        Ok(Vec::new())
    }

    fn future(&mut self, cmd: &Cmd) -> RedisFuture<'static, Value> {
        Box::pin(ready(self.one(Some(cmd))))
    }

    fn futures(&mut self, pipeline: &Pipeline) -> RedisFuture<'static, Vec<Value>> {
        Box::pin(ready(self.many(Some(pipeline))))
    }
}

/// The connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stub<A>(pub(crate) A);

impl<A: Answers> redis::aio::ConnectionLike for Stub<A> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.future(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.futures(pipeline)
    }

    fn get_db(&self) -> i64 {
        A::DATABASE
    }
}

impl<A: Answers> redis::ConnectionLike for Stub<A> {
    fn req_packed_command(&mut self, _: &[u8]) -> RedisResult<Value> {
        self.0.one(None)
    }

    fn req_packed_commands(&mut self, _: &[u8], _: usize, _: usize) -> RedisResult<Vec<Value>> {
        self.0.many(None)
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.0.one(Some(cmd))
    }

    fn get_db(&self) -> i64 {
        A::DATABASE
    }

    fn check_connection(&mut self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

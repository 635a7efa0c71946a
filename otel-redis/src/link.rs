//! What a handle and its clones share, and the calls that are made over it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
#[cfg(any(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
use std::time::Duration;

use otel_core::{Db, DbOperation, Telemetry};
use redis::{RedisResult, ServerErrorKind};

use crate::call;
use crate::driver::{self, Answer, Redis};
use crate::message::{Messaging, Queue};
use crate::request::Request;

/// In place of the number of a database: nobody knows it.
const UNKNOWN: i64 = -1;
/// In place of the number of a database: the one that the driver connected to.
const AS_CONNECTED: i64 = -2;

/// What a handle and its clones share: where its calls are told, and the database that they go to.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) db: Db<Redis>,
    /// None for a client, which connects anew for each call.
    database: Option<Arc<AtomicI64>>,
    /// The one that its connections begin with, where the driver does not say it.
    pub(crate) first: i64,
    /// Whether the connection stays the same: one that is made anew works in its first database.
    stays: bool,
    /// Where streams and pub/sub are messaging.
    pub(crate) queue: Option<Arc<Queue>>,
    /// How long it took to connect, until a pool has told it.
    #[cfg(any(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
    pub(crate) created: Option<Duration>,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("db", &self.db).finish_non_exhaustive()
    }
}

/// What the answer of a request decides.
pub(crate) struct Then {
    switch: Option<Switch>,
    /// Whether it runs a script that the server may not have.
    may_miss: bool,
}

/// A database that is being chosen.
struct Switch {
    before: i64,
    to: i64,
}

impl Link {
    pub(crate) fn of_client(telemetry: &Telemetry, server: otel_core::DbServer) -> Self {
        Self {
            db: Db::new(telemetry, server),
            database: None,
            first: AS_CONNECTED,
            stays: false,
            queue: None,
            #[cfg(any(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
            created: None,
        }
    }

    /// That of a client whose streams and pub/sub are messaging, if they are to be.
    pub(crate) fn of_broker(
        telemetry: &Telemetry,
        server: otel_core::DbServer,
        messaging: Option<Messaging>,
    ) -> Self {
        let queue = messaging.map(|messaging| Queue::new(telemetry, &server, messaging));
        Self { queue, ..Self::of_client(telemetry, server) }
    }

    /// Whom a request concerns, if it is about messages.
    pub(crate) fn queue_of(&self, request: &impl Request) -> Option<&Arc<Queue>> {
        self.queue.as_ref().filter(|queue| queue.concerns(request))
    }

    /// That of a new connection of the same client.
    pub(crate) fn connected(&self, stays: bool) -> Self {
        let database = Some(Arc::new(AtomicI64::new(self.first)));
        Self { database, stays, ..self.clone() }
    }

    /// Whether a request is to go to the driver as it is.
    pub(crate) fn passes(&self, request: &impl Request) -> bool {
        if !self.db.is_off() {
            return request.is_nothing();
        }
        // Nobody looks at the answer.
        if let (Some(database), Some(_)) = (&self.database, request.database()) {
            database.store(UNKNOWN, Ordering::Relaxed);
        }
        true
    }

    /// Makes a request. The driver says which database it `connected` to.
    #[cfg(feature = "aio")]
    pub(crate) async fn run<R: Request, T: Answer, F: Future<Output = RedisResult<T>>>(
        &self,
        request: R,
        connected: i64,
        call: impl FnOnce(R) -> F,
    ) -> RedisResult<T> {
        let (operation, then) = self.start(&request, connected);
        let ending = |operation: DbOperation<Redis>, result: &RedisResult<T>| {
            self.end(operation, &then, result);
        };
        operation.run_to_end(call(request), ending).await
    }

    /// Makes a request that blocks.
    pub(crate) fn call<R: Request, T: Answer>(
        &self,
        request: R,
        connected: i64,
        call: impl FnOnce(R) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let (operation, then) = self.start(&request, connected);
        let result = operation.carried().run(|| call(request));
        self.end(operation, &then, &result);
        result
    }

    pub(crate) fn start(
        &self,
        request: &impl Request,
        connected: i64,
    ) -> (DbOperation<Redis>, Then) {
        let known = self.database.as_ref().map_or(AS_CONNECTED, |it| it.load(Ordering::Relaxed));
        let known = if known == AS_CONNECTED { connected } else { known };
        let namespace = Some(known).filter(|known| *known >= 0);
        let wanted = self.db.text_wanted();
        let operation = self.db.start(|| call::describe(request, namespace, wanted));
        // Until there is an answer, nobody knows what others' calls work in.
        let switch = self.database.as_ref().zip(request.database()).map(|(database, to)| {
            let to = if self.stays { to } else { UNKNOWN };
            let before = database.swap(UNKNOWN, Ordering::Relaxed);
            // Of several commands nobody knows which one failed.
            Switch { before: if request.is_batch() { UNKNOWN } else { before }, to }
        });
        (operation, Then { switch, may_miss: call::may_miss(request) })
    }

    pub(crate) fn end<T: Answer>(
        &self,
        mut operation: DbOperation<Redis>,
        then: &Then,
        result: &RedisResult<T>,
    ) {
        let error = result.as_ref().ok().and_then(Answer::error);
        if let (Some(database), Some(switch)) = (&self.database, &then.switch) {
            let now = match result {
                Ok(_) if error.is_some() => switch.before,
                Ok(answer) if answer.is_done() => switch.to,
                _ => UNKNOWN,
            };
            database.store(now, Ordering::Relaxed);
        }
        // A script that the server does not have is loaded and run again.
        let is_missing = |kind| then.may_miss && kind == Some(ServerErrorKind::NoScript);
        match result {
            Err(error) if is_missing(server_kind(error)) => operation.finish(),
            Err(error) => operation.fail(error),
            Ok(_) => {
                let error = error.filter(|error| !is_missing(error.kind()));
                if let Some(error) = error {
                    operation.failed(driver::failure(error));
                }
                operation.finish();
            }
        }
    }
}

fn server_kind(error: &redis::RedisError) -> Option<ServerErrorKind> {
    match error.kind() {
        redis::ErrorKind::Server(kind) => Some(kind),
        _ => None,
    }
}

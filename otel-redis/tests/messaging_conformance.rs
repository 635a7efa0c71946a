//! The scenarios that all adapters of brokers share, with a stream and a group on a real server.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use otel_redis::{Connection, Messaging, Received, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::KeyValue;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{Capability, Step};
use otel_testing::{scenario, span};
use redis::aio::ConnectionLike as _;
use redis::streams::{StreamRangeReply, StreamReadReply};
use redis::{AsyncCommands as _, Cmd, RedisFuture, Value, cmd};
use support::Server;
use support::stub::{Answers, Stub};

const GROUP: &str = "conformance";

struct OnStream {
    server: Server,
    stream: String,
    /// What was read last.
    ids: Mutex<Vec<String>>,
}

/// Never answers.
struct Silent;

impl Answers for Silent {
    fn future(&mut self, _: &Cmd) -> RedisFuture<'static, Value> {
        Box::pin(pending())
    }
}

struct Message {
    id: String,
    headers: HashMap<String, String>,
    received: Received,
}

/// An id that no entry can have.
const NONE: &str = "0-0";

fn add(stream: &str, id: &str, headers: &[(&str, &str)]) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(stream).arg(id).arg("item").arg(1).arg(headers).take()
}

fn messaging() -> Messaging {
    Messaging::new().stream_fields(true)
}

impl OnStream {
    async fn read(&self, count: usize) -> Vec<Message> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("one").arg("COUNT").arg(count);
        let read = read.arg("STREAMS").arg(&self.stream).arg(">").take();
        let mut connection = self.server.connection();
        let read: StreamReadReply = read.query_async(&mut connection).await.unwrap();
        let mut messages = Vec::new();
        self.ids.lock().unwrap().clear();
        for entry in read.keys.into_iter().flat_map(|key| key.ids) {
            // What really stands in the stream.
            let mut bare = self.server.bare();
            let whole: StreamRangeReply =
                bare.xrange(&self.stream, &entry.id, &entry.id).await.unwrap();
            let headers = whole.ids[0].map.keys();
            let headers = headers.map(|name| (name.clone(), whole.ids[0].get(name).unwrap()));
            let received = connection.received(&self.stream, &entry.id);
            self.ids.lock().unwrap().push(entry.id.clone());
            messages.push(Message { headers: headers.collect(), id: entry.id, received });
        }
        messages
    }
}

impl scenario::Messaging for OnStream {
    type Message = Message;

    const CAPABILITIES: &'static [Capability] =
        &[Capability::Batch, Capability::Cancel, Capability::Settle, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = Server::connect(telemetry, Some(messaging())).await?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stream = format!("conformance_{:08x}{number:04x}", std::process::id());
        let mut bare = server.bare();
        let () = bare.xgroup_create_mkstream(&stream, GROUP, 0).await.unwrap();
        let () = bare.expire(&stream, 600).await.unwrap();
        Some(Self { server, stream, ids: Mutex::default() })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        let sent = add(&self.stream, "*", headers);
        sent.exec_async(&mut self.server.connection()).await.unwrap();
    }

    async fn fail(&self) {
        add(&self.stream, NONE, &[]).exec_async(&mut self.server.connection()).await.unwrap_err();
    }

    async fn receive(&self) -> Message {
        self.read(1).await.remove(0)
    }

    async fn receive_nothing(&self) {
        assert!(self.read(1).await.is_empty());
    }

    fn headers(message: &Message) -> HashMap<String, String> {
        message.headers.clone()
    }

    async fn process<'m>(
        &'m self,
        message: &'m Message,
        handler: Handler<'m>,
    ) -> Result<(), HandlerFailed> {
        message.received.process(|| handler).await
    }

    async fn settle(&self, message: &Message) {
        let settled = self.server.connection().xack(&self.stream, GROUP, &[&message.id]).await;
        assert_eq!(settled, Ok(1));
    }

    async fn send_batch(&self, messages: usize, failing: usize) {
        let mut pipeline = redis::pipe();
        for number in 0..messages {
            let id = if number < failing { NONE } else { "*" };
            pipeline.add_command(add(&self.stream, id, &[]));
        }
        let sent = pipeline.exec_async(&mut self.server.connection()).await;
        assert_eq!(sent.is_err(), failing > 0);
    }

    async fn receive_batch(&self, messages: usize) -> Vec<Message> {
        self.read(messages.max(2)).await
    }

    async fn hang(&self) {
        let Server { telemetry, host, port, .. } = &self.server;
        let builder = Connection::builder(Stub(Silent)).messaging(messaging());
        let builder = builder.server(host.clone(), Some(*port)).telemetry(telemetry);
        let mut silent = builder.build();
        add(&self.stream, "*", &[]).exec_async(&mut silent).await.unwrap();
    }

    fn unpolled(&self) {
        drop(self.server.connection().req_packed_command(&add(&self.stream, "*", &[])));
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        let (operation, kind) = match step {
            Step::Create(_) => ("create", "create"),
            Step::Fail | Step::Send | Step::Hang | Step::SendBatch(..) => ("XADD", "send"),
            Step::Receive | Step::ReceiveBatch(_) => ("XREADGROUP", "receive"),
            Step::Process => ("process", "process"),
            _ => ("XACK", "settle"),
        };
        let expected = span(format!("{operation} {}", self.stream))
            .attribute("messaging.system", "redis")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.operation.type", kind)
            .attribute("messaging.destination.name", self.stream.clone());
        let expected = self.server.at(expected);
        let peer = |expected: ExpectedSpan| self.server.contacted(expected);
        let id = "messaging.message.id";
        let group = |it: ExpectedSpan| it.attribute("messaging.consumer.group.name", GROUP);
        let size = |it: ExpectedSpan, size: usize| {
            it.attribute("messaging.batch.message_count", i64::try_from(size).unwrap())
        };
        match step {
            Step::Send => peer(expected).producer().any_attribute(id),
            Step::Create(_) | Step::Hang => expected.producer(),
            Step::Fail => peer(expected).producer().attribute("error.type", "ERR").error(""),
            Step::Process => group(expected).consumer().any_attribute(id),
            Step::ReceiveBatch(count) => size(group(peer(expected)).client(), count),
            Step::SendBatch(count, failing) if failing > 0 => {
                let expected = size(peer(expected).client(), count);
                expected.attribute("error.type", "ERR").error("")
            }
            Step::SendBatch(count, _) => size(peer(expected).client(), count),
            _ => group(peer(expected)).client().any_attribute(id),
        }
    }

    fn link(&self, step: Step, place: usize) -> Vec<KeyValue> {
        if !matches!(step, Step::ReceiveBatch(_)) {
            return Vec::new();
        }
        let id = self.ids.lock().unwrap()[place].clone();
        vec![KeyValue::new("messaging.message.id", id)]
    }
}

otel_testing::messaging_scenarios!(OnStream);

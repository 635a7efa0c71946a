//! The scenarios that all adapters of brokers share, with a stream and a group on a real server.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::collections::HashMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Connection, Messaging, Received, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::KeyValue;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{Capability, Step};
use otel_testing::{live, scenario, span};
use redis::aio::ConnectionLike as _;
use redis::streams::{StreamRangeReply, StreamReadReply};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, RedisResult, Value, cmd,
};

const GROUP: &str = "conformance";

struct OnStream {
    connection: MultiplexedConnection,
    telemetry: Telemetry,
    stream: String,
    /// What was read last.
    ids: Mutex<Vec<String>>,
    host: String,
    port: u16,
}

/// Never answers.
struct Silent;

impl redis::aio::ConnectionLike for Silent {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(pending::<RedisResult<Value>>())
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(pending::<RedisResult<Vec<Value>>>())
    }

    fn get_db(&self) -> i64 {
        0
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
    fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    async fn read(&self, count: usize) -> Vec<Message> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("one").arg("COUNT").arg(count);
        let read = read.arg("STREAMS").arg(&self.stream).arg(">").take();
        let mut connection = self.connection();
        let read: StreamReadReply = read.query_async(&mut connection).await.unwrap();
        let mut messages = Vec::new();
        self.ids.lock().unwrap().clear();
        for entry in read.keys.into_iter().flat_map(|key| key.ids) {
            // What really stands in the stream.
            let mut bare = connection.raw().clone();
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
        let client = redis::Client::open(live::address("REDIS")?).unwrap();
        let client = Client::builder(client).messaging(messaging()).telemetry(telemetry).build();
        let redis::ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr().clone()
        else {
            panic!("the server of tests is reached by its address")
        };
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let settings = settings.set_connection_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        let connection = connecting.await.unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stream = format!("conformance_{:08x}{number:04x}", std::process::id());
        let mut bare = connection.raw().clone();
        let () = bare.xgroup_create_mkstream(&stream, GROUP, 0).await.unwrap();
        let () = bare.expire(&stream, 600).await.unwrap();
        let telemetry = telemetry.clone();
        Some(Self { connection, telemetry, stream, ids: Mutex::default(), host, port })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        let sent = add(&self.stream, "*", headers);
        sent.exec_async(&mut self.connection()).await.unwrap();
    }

    async fn fail(&self) {
        add(&self.stream, NONE, &[]).exec_async(&mut self.connection()).await.unwrap_err();
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
        let settled = self.connection().xack(&self.stream, GROUP, &[&message.id]).await;
        assert_eq!(settled, Ok(1));
    }

    async fn send_batch(&self, messages: usize, failing: usize) {
        let mut pipeline = redis::pipe();
        for number in 0..messages {
            let id = if number < failing { NONE } else { "*" };
            pipeline.add_command(add(&self.stream, id, &[]));
        }
        let sent = pipeline.exec_async(&mut self.connection()).await;
        assert_eq!(sent.is_err(), failing > 0);
    }

    async fn receive_batch(&self, messages: usize) -> Vec<Message> {
        self.read(messages.max(2)).await
    }

    async fn hang(&self) {
        let builder = Connection::builder(Silent).messaging(messaging());
        let builder = builder.server(self.host.clone(), Some(self.port));
        let mut silent = builder.telemetry(&self.telemetry).build();
        add(&self.stream, "*", &[]).exec_async(&mut silent).await.unwrap();
    }

    fn unpolled(&self) {
        drop(self.connection().req_packed_command(&add(&self.stream, "*", &[])));
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
            .attribute("messaging.destination.name", self.stream.clone())
            .attribute("server.address", self.host.clone())
            .attribute("server.port", i64::from(self.port));
        let peer = |expected: ExpectedSpan| {
            if self.host.parse::<IpAddr>().is_err() {
                return expected;
            }
            let expected = expected.attribute("network.peer.address", self.host.clone());
            expected.attribute("network.peer.port", i64::from(self.port))
        };
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

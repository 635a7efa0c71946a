//! otel-nats on JetStream: what is stored, each kind of consumer, and each way to settle.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use integration_tests::{count, eventually, soon, total, unique_name};
use otel_nats::Client;
use otel_nats::jetstream::consumer::{PushConsumer, pull, push};
use otel_nats::jetstream::context::PublishErrorKind;
use otel_nats::jetstream::message::{Acker, PublishMessage};
use otel_nats::jetstream::{self, AckKind, Context, Message, stream as streams};
use otel_testing::Capture;
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::Context as Ambient;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, TraceContextExt as _, Tracer as _,
};
use tokio::io::AsyncReadExt as _;

use super::Live;
use crate::nats_support::{
    about, call, carried, jetstream, next, of_many, options, stream, tracer, worker,
};

const DURATION: &str = "messaging.client.operation.duration";
const CONSUMED: &str = "messaging.client.consumed.messages";
const ID: &str = "messaging.message.id";
const SUBSCRIPTION: &str = "messaging.destination.subscription.name";

/// A stream of one test's own, and who sends to it.
struct Shop {
    url: String,
    name: String,
    capture: Capture,
    client: Client,
    context: Context,
    stream: streams::Stream,
}

impl Shop {
    async fn open(live: &Live) -> Self {
        let (url, (capture, client)) = (live.url.clone(), live.captured().await);
        let (context, name) = (jetstream(client.clone()), unique_name());
        let stream = stream(&context, &name).await;
        Self { url, name, capture, client, context, stream }
    }

    fn subject(&self) -> String {
        format!("{}.new", self.name)
    }

    fn pattern(&self) -> String {
        format!("{}.>", self.name)
    }

    /// Stores messages, and gives the spans that they carry.
    async fn store(&self, messages: usize) -> Vec<SpanContext> {
        self.capture.clear();
        for _ in 0..messages {
            self.context.publish(self.subject(), "order".into()).await.unwrap().await.unwrap();
        }
        let sent = self.capture.spans().iter().map(|span| carried(&span.span_context)).collect();
        self.capture.clear();
        sent
    }

    /// A call about the message with this number.
    fn received(&self, operation: &'static str, step: &'static str, number: u64) -> ExpectedSpan {
        of_many(&self.url, operation, step, (&self.pattern(), &self.subject()))
            .attribute(ID, format!("{}:{number}", self.name))
    }

    fn by_worker(&self, operation: &'static str, step: &'static str, number: u64) -> ExpectedSpan {
        self.received(operation, step, number).attribute(SUBSCRIPTION, "worker")
    }

    /// One call that gave so many messages.
    fn fetched(&self, messages: i64) -> ExpectedSpan {
        call(&self.url, format!("fetch {}", self.pattern()), "fetch", "receive")
            .attribute("messaging.destination.template", self.pattern())
            .attribute("messaging.batch.message_count", messages)
            .attribute(SUBSCRIPTION, "worker")
            .client()
            .root()
    }

    /// With a link to each message, from the one with this number on.
    fn linked(&self, mut span: ExpectedSpan, sent: &[SpanContext], first: u64) -> ExpectedSpan {
        for (number, link) in (first..).zip(sent) {
            let id = format!("{}:{number}", self.name);
            span = span.link_with(link.clone(), [(ID, id)]);
        }
        span
    }
}

pub async fn a_message_is_sent_once_it_is_stored(live: &Live) {
    let shop = Shop::open(live).await;
    let publish = || about(&shop.url, "publish", "send", &shop.subject()).producer().root();
    let number = |number| format!("{}:{number}", shop.name);
    shop.capture.assert_silent();

    let receipt = shop.context.publish(shop.subject(), "order".into()).await.unwrap();
    shop.capture.assert_no_spans();
    receipt.await.unwrap();
    shop.capture.assert_spans([publish().attribute(ID, number(1))]);
    assert_eq!(count(&shop.capture, DURATION), 1);

    // A duplicate is no error, and has the id that the application gave it.
    for duplicate in [false, true] {
        shop.capture.clear();
        let message = PublishMessage::build().payload("order".into()).message_id("order-7");
        let stored =
            shop.context.send_publish(shop.subject(), message).await.unwrap().await.unwrap();
        assert_eq!((stored.sequence, stored.duplicate), (2, duplicate));
        shop.capture.assert_spans([publish().attribute(ID, "order-7")]);
    }

    // Nobody waits for it.
    shop.capture.clear();
    drop(shop.context.publish(shop.subject(), "order".into()).await.unwrap());
    eventually("it is told", async || !shop.capture.spans().is_empty()).await;
    shop.capture.assert_spans([publish().attribute(ID, number(3))]);
    soon("nothing is in flight", shop.context.wait_for_acks()).await;

    // Nobody waits any more: it is out of the caller's hands, which is no error.
    shop.capture.clear();
    let waiting = shop.context.publish(shop.subject(), "order".into()).await.unwrap().into_future();
    drop(waiting);
    shop.capture.assert_spans([publish()]);

    // Dropped where there is no runtime.
    shop.capture.clear();
    let receipt = shop.context.publish(shop.subject(), "order".into()).await.unwrap();
    std::thread::spawn(move || drop(receipt)).join().unwrap();
    shop.capture.assert_spans([publish()]);
    eventually("it is stored all the same", async || {
        shop.stream.get_info().await.unwrap().state.messages == 5
    })
    .await;
}

/// The driver's own receipt is looked at when it is dropped, and else by who asks for the answer.
pub async fn a_receipt_ends_with_the_answer_or_when_it_is_asked_for(live: &Live) {
    let shop = Shop::open(live).await;
    let publish = async || shop.context.publish(shop.subject(), "order".into()).await.unwrap();
    let id = |number| format!("{}:{number}", shop.name);
    let ids = || {
        let spans = shop.capture.spans().into_iter();
        let ids = spans.map(|span| span.attributes.into_iter().find(|it| it.key.as_str() == ID));
        ids.map(|id| id.unwrap().value.to_string()).collect::<Vec<_>>()
    };
    let kept = publish().await;
    drop(publish().await);
    // Answers come one after another: with the third, the one of the second was told.
    publish().await.await.unwrap();
    assert_eq!(ids(), [id(2), id(3)]);
    let asked = SystemTime::now();
    assert_eq!(kept.await.unwrap().sequence, 1);
    assert_eq!(ids(), [id(2), id(3), id(1)]);
    assert!(shop.capture.spans()[2].end_time >= asked);
}

pub async fn what_is_not_stored_is_told_by_the_streams_word(live: &Live) {
    let shop = Shop::open(live).await;
    let publish = |error: &'static str| {
        let publish = about(&shop.url, "publish", "send", &shop.subject());
        publish.producer().error("").attribute("error.type", error)
    };
    let refused = |message| async {
        shop.capture.clear();
        let receipt = shop.context.send_publish(shop.subject(), message).await.unwrap();
        receipt.await.unwrap_err().kind()
    };
    let wrong = PublishMessage::build().expected_last_sequence(7);
    assert_eq!(refused(wrong).await, PublishErrorKind::WrongLastSequence);
    shop.capture.assert_spans([publish("WrongLastSequence")]);
    let wrong = PublishMessage::build().expected_last_message_id("none");
    assert_eq!(refused(wrong).await, PublishErrorKind::WrongLastMessageId);
    shop.capture.assert_spans([publish("WrongLastMessageId")]);
    let wrong = PublishMessage::build().expected_stream("another");
    assert_eq!(refused(wrong).await, PublishErrorKind::Other);
    shop.capture.assert_spans([publish("10060")]);

    // A stream that is full.
    let mut config = shop.stream.cached_info().config.clone();
    config.max_messages = 1;
    config.discard = streams::DiscardPolicy::New;
    shop.context.update_stream(&config).await.unwrap();
    shop.store(1).await;
    assert_eq!(refused(PublishMessage::build()).await, PublishErrorKind::Other);
    shop.capture.assert_spans([publish("10077")]);
    // Also where nobody waits.
    shop.capture.clear();
    drop(shop.context.publish(shop.subject(), "order".into()).await.unwrap());
    eventually("it is told", async || !shop.capture.spans().is_empty()).await;
    shop.capture.assert_spans([publish("10077")]);

    // No stream at all.
    shop.capture.clear();
    let nowhere = unique_name();
    let receipt = shop.context.publish(nowhere.clone(), "order".into()).await.unwrap();
    assert_eq!(receipt.await.unwrap_err().kind(), PublishErrorKind::StreamNotFound);
    let expected = about(&shop.url, "publish", "send", &nowhere).producer().error("");
    shop.capture.assert_spans([expected.attribute("error.type", "StreamNotFound")]);

    // Too many in flight.
    let few = jetstream::ContextBuilder::new().max_ack_inflight(1).backpressure_on_inflight(false);
    let few = few.build(shop.client.clone());
    shop.capture.clear();
    let held = few.publish(shop.subject(), "order".into()).await.unwrap();
    // The receipt is not looked at before it is asked for, as the driver's is not.
    let error = few.publish(shop.subject(), "order".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxAckPending);
    shop.capture.assert_spans([publish("MaxAckPending")]);
    held.await.unwrap_err();
}

pub async fn a_consumer_that_asks_by_itself(live: &Live) {
    let shop = Shop::open(live).await;
    let consumer = worker(&shop.stream).await;
    let sent = shop.store(1).await;
    let link = sent[0].clone();
    let message = next(&mut consumer.messages().await.unwrap()).await.unwrap();
    shop.capture.assert_spans([shop
        .by_worker("receive", "receive", 1)
        .client()
        .root()
        .link(link.clone())]);
    assert_eq!(total(&shop.capture, CONSUMED), 1);
    assert_eq!(count(&shop.capture, DURATION), 0, "to wait for a message is nobody's work");

    shop.capture.clear();
    let handled = message.process(async |message| message.double_ack().await);
    handled.await.unwrap();
    let process = shop.capture.spans_named(&format!("process {}", shop.pattern()));
    let processed = process[0].span_context.clone();
    shop.capture.assert_spans([
        shop.by_worker("double_ack", "settle", 1).client().child_of(processed).link(link.clone()),
        shop.by_worker("process", "process", 1).consumer().child_of(link.clone()).link(link),
    ]);
    assert_eq!(count(&shop.capture, DURATION), 1);
    assert_eq!(count(&shop.capture, "messaging.process.duration"), 1);
    assert_eq!(total(&shop.capture, CONSUMED), 0);
}

/// Asks once for what is there.
pub async fn a_fetch_is_one_call_with_a_link_to_each(live: &Live) {
    let shop = Shop::open(live).await;
    let consumer = worker(&shop.stream).await;
    // Nothing is there.
    let batch = consumer.fetch().max_messages(3).messages().await.unwrap();
    assert_eq!(soon("it is over", batch.count()).await, 0);
    shop.capture.assert_silent();

    let sent = shop.store(3).await;
    let batch = consumer.fetch().max_messages(3).messages().await.unwrap();
    let messages: Vec<_> = soon("all are there", batch.try_collect()).await.unwrap();
    // The subject is the same for all.
    let expected = shop.fetched(3).attribute("messaging.destination.name", shop.subject());
    shop.capture.assert_spans([shop.linked(expected, &sent, 1)]);
    assert_eq!(total(&shop.capture, CONSUMED), 3);
    assert_eq!(count(&shop.capture, DURATION), 1);
    shop.capture.clear();
    for (number, (message, link)) in (1..).zip(messages.iter().zip(&sent)) {
        message.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
        let process = shop.by_worker("process", "process", number).consumer();
        shop.capture.assert_spans([process.child_of(link.clone()).link(link.clone())]);
        message.ack().await.unwrap();
        shop.capture.clear();
    }

    // A batch that is waited for, and left before its end.
    let sent = shop.store(2).await;
    let mut batch =
        consumer.batch().max_messages(5).expires(Duration::from_secs(30)).messages().await.unwrap();
    for _ in 0..2 {
        next(&mut batch).await.unwrap().ack().await.unwrap();
    }
    assert_eq!(shop.capture.spans_named(&format!("fetch {}", shop.pattern())).len(), 0);
    shop.capture.clear();
    drop(batch);
    let expected = shop.fetched(2).attribute("messaging.destination.name", shop.subject());
    shop.capture.assert_spans([shop.linked(expected, &sent, 4)]);
}

/// A sequence, and a consumer that goes away while a batch is waited for.
pub async fn one_batch_after_another(live: &Live) {
    let shop = Shop::open(live).await;
    let consumer = worker(&shop.stream).await;
    let sent = shop.store(2).await;
    let mut sequence = consumer.sequence(1).unwrap();
    for (number, link) in (1..).zip(&sent) {
        shop.capture.clear();
        let mut batch = next(&mut sequence).await.unwrap();
        next(&mut batch).await.unwrap().double_ack().await.unwrap();
        assert!(soon("it is over", batch.next()).await.is_none());
        let settle = shop.by_worker("double_ack", "settle", number).client();
        let expected = shop.fetched(1).attribute("messaging.destination.name", shop.subject());
        let fetched = shop.linked(expected, std::slice::from_ref(link), number);
        shop.capture.assert_spans([settle.link(link.clone()), fetched]);
    }
    drop(sequence);

    // The consumer goes away meanwhile.
    shop.capture.clear();
    let mut batch =
        consumer.batch().max_messages(5).expires(Duration::from_secs(30)).messages().await.unwrap();
    eventually("it is waited for", async || consumer.get_info().await.unwrap().num_waiting == 1)
        .await;
    shop.stream.delete_consumer("worker").await.unwrap();
    soon("it is told", batch.next()).await.unwrap().unwrap_err();
    let failed = shop.fetched(0).error("").attribute("error.type", "409");
    shop.capture.assert_spans([failed]);
}

pub async fn each_way_to_settle(live: &Live) {
    let shop = Shop::open(live).await;
    let durable_name = Some("worker".to_owned());
    let config = pull::Config { durable_name, max_deliver: 5, ..pull::Config::default() };
    let mut consumer = shop.stream.create_consumer(config).await.unwrap();
    let sent = shop.store(1).await;
    let fetch = async || {
        let fetching = async {
            let mut batch = consumer.batch().max_messages(1).expires(Duration::from_secs(30));
            batch = batch.heartbeat(Duration::from_secs(1));
            batch.messages().await.unwrap().next().await
        };
        let message = soon("a message is there", fetching).await.unwrap().unwrap();
        shop.capture.clear();
        message
    };
    let settled =
        |operation| shop.by_worker(operation, "settle", 1).client().root().link(sent[0].clone());
    let message = fetch().await;
    // Work goes on, which settles nothing.
    message.ack_with(AckKind::Progress).await.unwrap();
    message.double_ack_with(AckKind::Progress).await.unwrap();
    shop.capture.assert_silent();
    message.ack_with(AckKind::Nak(None)).await.unwrap();
    shop.capture.assert_spans([settled("nak")]);
    // Delivered again, it is the same message.
    let again = fetch().await;
    assert_eq!(again.info().unwrap().delivered, 2);
    again.double_ack_with(AckKind::Nak(None)).await.unwrap();
    shop.capture.assert_spans([settled("nak")]);
    let again = fetch().await;
    let (message, acker) = again.split();
    assert_eq!((message.payload.as_ref(), message.reply), (&b"order"[..], None));
    acker.ack_with(AckKind::Next).await.unwrap();
    shop.capture.assert_spans([settled("next")]);
    shop.capture.clear();
    acker.ack_with(AckKind::Term).await.unwrap();
    shop.capture.assert_spans([settled("term")]);
    shop.capture.clear();
    acker.double_ack().await.unwrap();
    shop.capture.assert_spans([settled("double_ack")]);
    shop.capture.clear();
    acker.ack().await.unwrap();
    shop.capture.assert_spans([settled("ack")]);
    eventually("nothing is left", async || {
        let info = consumer.info().await.unwrap();
        (info.num_pending, info.num_ack_pending) == (0, 0)
    })
    .await;

    // Which message it is, is not known: only that something was settled.
    shop.capture.clear();
    let nothing = Acker::new(shop.context.clone(), None);
    let server: otel_nats::ServerAddr = shop.url.parse().unwrap();
    let name = format!("ack {}:{}", server.host(), server.port());
    assert_eq!(
        nothing.ack().await.unwrap_err().to_string(),
        "No reply subject, not a JetStream message"
    );
    let failed = call(&shop.url, name, "ack", "settle").client().error("");
    shop.capture.assert_spans([failed.attribute("error.type", "_OTHER")]);
}

/// What acknowledges by hand, as users of the bare client do: no series grows with it.
pub async fn acknowledged_by_hand(live: &Live) {
    let shop = Shop::open(live).await;
    let mut consumer = worker(&shop.stream).await;
    shop.store(1).await;
    let message = next(&mut consumer.messages().await.unwrap()).await.unwrap();
    shop.capture.clear();
    let reply = message.reply.clone().unwrap();
    shop.client.publish(reply.clone(), "+ACK".into()).await.unwrap();
    let expected = of_many(&shop.url, "publish", "send", ("$JS.ACK", &reply));
    shop.capture
        .assert_spans([expected.attribute("messaging.destination.temporary", true).producer()]);
    let told = format!("{:?}", shop.capture.metrics());
    assert!(!told.contains(reply.as_str()), "{told}");
    eventually("the trace in it hurts nothing", async || {
        consumer.info().await.unwrap().num_ack_pending == 0
    })
    .await;
}

pub async fn consumers_that_are_sent_to_and_ordered_ones(live: &Live) {
    let shop = Shop::open(live).await;
    let sent = shop.store(2).await;
    let check = |expected: &dyn Fn(u64) -> ExpectedSpan| {
        let spans = (1..)
            .zip(&sent)
            .map(|(number, link)| expected(number).client().root().link(link.clone()));
        shop.capture.assert_spans(spans);
        shop.capture.clear();
    };
    let config = push::Config {
        deliver_subject: shop.client.new_inbox(),
        deliver_group: Some("workers".to_owned()),
        durable_name: Some("pushed".to_owned()),
        ..push::Config::default()
    };
    let consumer: PushConsumer = shop.stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let first: Message = next(&mut messages).await.unwrap();
    next(&mut messages).await.unwrap();
    check(&|number| {
        shop.received("receive", "receive", number)
            .attribute(SUBSCRIPTION, "pushed")
            .attribute("messaging.consumer.group.name", "workers")
    });
    first.ack().await.unwrap();
    shop.capture.clear();

    // What async-nats makes by itself, and makes anew, has no name that is worth telling.
    let plain = |number| shop.received("receive", "receive", number);
    let ordered = push::OrderedConfig {
        deliver_subject: shop.client.new_inbox(),
        ..push::OrderedConfig::default()
    };
    let consumer = shop.stream.create_consumer(ordered).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..2 {
        next(&mut messages).await.unwrap();
    }
    check(&plain);
    let consumer = shop.stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..2 {
        next(&mut messages).await.unwrap();
    }
    check(&plain);
    drop(messages);

    // By a filter without a wildcard, the name is what is told.
    let config = pull::Config { filter_subject: shop.subject(), ..pull::Config::default() };
    let filtered = shop.stream.create_consumer(config).await.unwrap();
    next(&mut filtered.messages().await.unwrap()).await.unwrap();
    let id = format!("{}:1", shop.name);
    let expected = about(&shop.url, "receive", "receive", &shop.subject()).attribute(ID, id);
    shop.capture.assert_spans([expected.client().link(sent[0].clone())]);
    // Of several, the one that it matches.
    shop.capture.clear();
    let filter_subjects = vec![format!("{}.old.*", shop.name), format!("{}.*", shop.name)];
    let config = pull::Config { filter_subjects, ..pull::Config::default() };
    let filtered = shop.context.create_consumer_on_stream(config, &shop.name).await.unwrap();
    next(&mut filtered.messages().await.unwrap()).await.unwrap();
    let template = format!("receive {}.*", shop.name);
    assert_eq!(shop.capture.spans_named(&template).len(), 1);
}

/// The consumer on the server goes away, and the driver makes another one.
pub async fn ordered_consumers_are_made_anew(live: &Live) {
    let shop = Shop::open(live).await;
    let first = shop.store(1).await;
    let consumer = shop.stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    next(&mut messages).await.unwrap();
    let name: String = next(&mut shop.stream.consumer_names()).await.unwrap();
    shop.stream.delete_consumer(&name).await.unwrap();
    let receive = shop.received("receive", "receive", 1).client().root();
    shop.capture.assert_spans([receive.link(first[0].clone())]);
    let second = shop.store(1).await;
    assert_eq!(next(&mut messages).await.unwrap().info().unwrap().stream_sequence, 2);
    let receive = shop.received("receive", "receive", 2).client().root();
    shop.capture.assert_spans([receive.link(second[0].clone())]);
    let anew: String = next(&mut shop.stream.consumer_names()).await.unwrap();
    assert_ne!(anew, name);
}

pub async fn a_consumer_that_goes_away_is_told(live: &Live) {
    let shop = Shop::open(live).await;
    let consumer = worker(&shop.stream).await;
    let mut messages = consumer.messages().await.unwrap();
    shop.store(1).await;
    next(&mut messages).await.unwrap();
    shop.capture.clear();
    shop.stream.delete_consumer("worker").await.unwrap();
    next(&mut messages).await.unwrap_err();
    let name = format!("receive {}", shop.pattern());
    let expected = call(&shop.url, name, "receive", "receive")
        .attribute("messaging.destination.template", shop.pattern())
        .attribute(SUBSCRIPTION, "worker")
        .client()
        .error("");
    shop.capture.assert_spans([expected.attribute("error.type", "ConsumerDeleted")]);
}

/// The store is async-nats's own: what it reads was written in other traces, often long ago.
pub async fn reading_an_old_entry_chains_no_traces(live: &Live) {
    let (capture, client) = live.captured().await;
    let context = jetstream(client.clone());
    let bucket = unique_name();
    let config = jetstream::kv::Config { bucket: bucket.clone(), ..Default::default() };
    let store = context.create_key_value(config).await.unwrap();
    // Put in a trace, which the entry carries.
    let subject = format!("$KV.{bucket}.color");
    context.publish(subject, "blue".into()).await.unwrap().await.unwrap();
    let raw = context.get_stream(format!("KV_{bucket}")).await.unwrap();
    let stored = raw.get_last_raw_message_by_subject(&format!("$KV.{bucket}.color")).await.unwrap();
    assert!(stored.headers.get("traceparent").is_some());
    capture.clear();
    let entry = store.entry("color").await.unwrap().unwrap();
    assert_eq!(entry.value, "blue");
    assert!(!Ambient::current().has_active_span());
    let mut changes = store.watch_with_history(">").await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().value, "blue");
    store.put("size", "large".into()).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().value, "large");
    assert!(!Ambient::current().has_active_span());
    capture.assert_silent();
    let stored = raw.get_last_raw_message_by_subject(&format!("$KV.{bucket}.size")).await.unwrap();
    assert!(stored.headers.get("traceparent").is_none());
    context.delete_key_value(&bucket).await.unwrap();
}

/// The same of its objects, which are many messages.
pub async fn objects_carry_no_trace(live: &Live) {
    let (capture, client) = live.captured().await;
    let (context, bucket) = (jetstream(client), unique_name());
    let config = jetstream::object_store::Config { bucket: bucket.clone(), ..Default::default() };
    let store = context.create_object_store(config).await.unwrap();
    let upload = Ambient::new().with_span(tracer(&capture).start("upload"));
    store.put("photo", &mut &b"pixels"[..]).with_context(upload).await.unwrap();
    assert_eq!(capture.spans().len(), 1, "that of the upload");
    capture.clear();
    let mut pixels = Vec::new();
    store.get("photo").await.unwrap().read_to_end(&mut pixels).await.unwrap();
    assert_eq!(pixels, b"pixels");
    assert!(!Ambient::current().has_active_span());
    capture.assert_silent();
    let raw = context.get_stream(format!("OBJ_{bucket}")).await.unwrap();
    assert_eq!(raw.cached_info().state.messages, 2);
    for number in 1..=2 {
        let stored = raw.get_raw_message(number).await.unwrap();
        assert!(stored.headers.get("traceparent").is_none());
    }
    context.delete_object_store(&bucket).await.unwrap();
}

/// Where the answer does not come: the driver's timeout, which begins when the receipt is asked.
pub async fn an_answer_that_does_not_come(live: &Live) {
    let shop = Shop::open(live).await;
    let plain = options(&shop.url).name("live");
    let plain = plain.telemetry(&live.telemetry(&shop.capture).build());
    let client = plain.connect(&shop.url).await.unwrap();
    // What answers to this is nobody: a subscriber, and no stream.
    let silent = unique_name();
    let _listens = client.subscribe(silent.clone()).await.unwrap();
    client.flush().await.unwrap();
    let mut context = jetstream::new(client.clone());
    context.set_timeout(Duration::from_millis(50));
    shop.capture.clear();
    let receipt = context.publish(silent.clone(), "order".into()).await.unwrap();
    assert_eq!(receipt.await.unwrap_err().kind(), PublishErrorKind::TimedOut);
    let expected = about(&shop.url, "publish", "send", &silent).producer().error("");
    let expected = expected.attribute("error.type", "TimedOut");
    shop.capture.assert_spans([expected.clone()]);
    shop.capture.clear();
    drop(context.publish(silent, "order".into()).await.unwrap());
    eventually("it is told", async || !shop.capture.spans().is_empty()).await;
    shop.capture.assert_spans([expected]);
}

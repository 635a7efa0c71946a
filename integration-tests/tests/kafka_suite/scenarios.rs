//! What an application does; compiled with either driver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::{eventually, soon, unique_name};
use native::Private;
// That of a callback is rdkafka's with either driver.
use rdkafka::consumer::BaseConsumer as RawConsumer;
use tokio::select;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

use super::super::{Outcome, World};
use super::driver::client::{ClientContext, DefaultClientContext};
use super::driver::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, DefaultConsumerContext, Rebalance,
    StreamConsumer,
};
use super::driver::error::{KafkaError, RDKafkaErrorCode};
use super::driver::message::{Header, Headers as _, Message, OwnedHeaders};
use super::driver::producer::{
    BaseRecord, DeliveryResult, FutureProducer, FutureRecord, Producer, ProducerContext,
};
use super::driver::util::Timeout;
use super::driver::{ClientConfig, Offset, TopicPartitionList};
use super::{base_consumer, base_producer, handle, producer, stream_consumer, threaded_producer};
use crate::kafka_support::{PATIENCE, config, in_group, topic};

/// What is the application's own of a message: what propagators write is not.
macro_rules! shown {
    ($message:expr) => {{
        let message = $message;
        let own = |header: &Header<'_, &[u8]>| {
            !["traceparent", "tracestate", "baggage"].contains(&header.key)
        };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers: Vec<_> =
            headers.filter(own).map(|header| (header.key.to_owned(), header.value)).collect();
        let payload = message.payload().map(|payload| match payload.len() {
            0..50 => String::from_utf8_lossy(payload).into_owned(),
            length => format!("{length} bytes"),
        });
        let key = message.key().map(String::from_utf8_lossy);
        let place = (message.partition(), message.offset());
        format!("{place:?}, {key:?}, {payload:?}, {headers:?}")
    }};
}

/// So that it is told from the first call on.
fn know_the_cluster<C: ClientContext + 'static>(producer: &FutureProducer<C>) {
    block_in_place(|| producer.client().fetch_cluster_id(PATIENCE)).unwrap();
}

/// An error by its code; texts name addresses.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    }
}

fn note(text: &str) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "note", value: Some(text) })
}

async fn send<C: ClientContext + 'static>(
    producer: &FutureProducer<C>,
    record: FutureRecord<'_, str, [u8]>,
) -> Result<(i32, i64), String> {
    let sent = soon("the message is stored or refused", producer.send(record, Timeout::Never));
    match sent.await {
        Ok(delivery) => Ok((delivery.partition, delivery.offset)),
        Err((error, message)) => Err(format!("{error:?}, {}", shown!(&message))),
    }
}

fn subscribed(world: &World, group: &str, topic: &str) -> StreamConsumer {
    let consumer = stream_consumer(world, &in_group(&world.brokers, group), DefaultConsumerContext);
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Messages of all sorts, there and back.
pub async fn bodies(world: &World) -> Outcome {
    let (topic, group) = (topic(&world.brokers, 1).await, unique_name());
    let mut outcome = Outcome { topics: vec![topic], groups: vec![group], ..Outcome::default() };
    let (topic, group) = (outcome.topics[0].clone(), outcome.groups[0].clone());
    let mut config = config(&world.brokers);
    let config = config.set("message.max.bytes", "2000000");
    let producer = producer(world, config, DefaultClientContext);
    know_the_cluster(&producer);
    let large = vec![b'x'; 1_000_000];
    let to = || FutureRecord::<str, [u8]>::to(&topic);
    for record in [
        to().key("whole")
            .payload(b"a body")
            .headers(note("first").insert(Header { key: "note", value: None::<&str> })),
        to().key("tombstone"),
        to().key("empty").payload(b"").partition(0),
        to().payload(&[0, 0xff]),
        to().key("large").payload(&large).headers(note("large")),
    ] {
        outcome.see("sent", send(&producer, record).await);
    }
    let consumer = subscribed(world, &group, &topic);
    block_in_place(|| consumer.client().fetch_cluster_id(PATIENCE)).unwrap();
    for number in 0..5 {
        let message = soon("a message is there", consumer.recv()).await.unwrap();
        outcome.see("received", shown!(&message));
        if number == 4 {
            let committed = block_in_place(|| consumer.commit_message(&message, CommitMode::Sync));
            outcome.see("committed", committed);
        }
    }
    outcome.see("committed", block_in_place(|| consumer.committed(PATIENCE)).unwrap());
    outcome
}

/// One message by each way that consumers have.
pub async fn ways(world: &World) -> Outcome {
    let (topic, groups) = (topic(&world.brokers, 1).await, (0..6).map(|_| unique_name()));
    let mut outcome =
        Outcome { topics: vec![topic], groups: groups.collect(), ..Outcome::default() };
    let (topic, groups) = (outcome.topics[0].clone(), outcome.groups.clone());
    let producer = producer(world, &config(&world.brokers), DefaultClientContext);
    know_the_cluster(&producer);
    let record = FutureRecord::to(&topic).key("key").payload(&b"body"[..]);
    outcome.see("sent", send(&producer, record).await);
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&topic, 0, Offset::Beginning).unwrap();
    let config = |group: usize| in_group(&world.brokers, &groups[group]);
    let stream = |group| {
        let consumer = stream_consumer(world, &config(group), DefaultConsumerContext);
        block_in_place(|| consumer.client().fetch_cluster_id(PATIENCE)).unwrap();
        Arc::new(consumer)
    };
    let base = |group| {
        let consumer = base_consumer(world, &config(group));
        block_in_place(|| consumer.client().fetch_cluster_id(PATIENCE)).unwrap();
        Arc::new(consumer)
    };

    let consumer = stream(0);
    consumer.assign(&all).unwrap();
    let message = soon("a message is there", consumer.recv()).await.unwrap();
    outcome.see("recv", shown!(&message));

    let consumer = stream(1);
    consumer.assign(&all).unwrap();
    let message = soon("a message is there", consumer.stream().next()).await.unwrap().unwrap();
    outcome.see("stream", shown!(&message));

    let consumer = stream(2);
    let queue = consumer.split_partition_queue(&topic, 0).unwrap();
    consumer.assign(&all).unwrap();
    let received = async {
        select! {
            message = consumer.recv() => panic!("not in the queue: {:?}", message.is_ok()),
            message = queue.recv() => message.unwrap(),
        }
    };
    let message = soon("a message is there", received).await;
    outcome.see("queue", shown!(&message));

    let consumer = base(3);
    consumer.assign(&all).unwrap();
    let message = block_in_place(|| consumer.iter().next()).unwrap().unwrap();
    outcome.see("iter", shown!(&message));

    let consumer = base(4);
    consumer.assign(&all).unwrap();
    let seen = poll_until(&consumer, || false).unwrap().unwrap();
    outcome.see("poll", seen);

    let consumer = base(5);
    let queue = consumer.split_partition_queue(&topic, 0).unwrap();
    consumer.assign(&all).unwrap();
    let message = block_in_place(|| {
        (0..300).find_map(|_| {
            assert!(consumer.poll(Duration::ZERO).is_none());
            queue.poll(Duration::from_millis(100))
        })
    });
    outcome.see("poll of a queue", shown!(&message.unwrap().unwrap()));
    outcome
}

/// Messages that client and broker refuse for their size.
pub async fn too_large(world: &World) -> Outcome {
    let mut outcome = Outcome { topics: vec![topic(&world.brokers, 1).await], ..<_>::default() };
    let topic = outcome.topics[0].clone();
    let large = vec![b'x'; 2_000_000];
    // More than the client lets out, and more than the broker lets in.
    for limit in ["1000000", "4000000"] {
        let mut config = config(&world.brokers);
        let config = config.set("message.max.bytes", limit);
        let producer = producer(world, config, DefaultClientContext);
        know_the_cluster(&producer);
        let record = FutureRecord::to(&topic).key("large").payload(&large[..]);
        outcome.see(limit, send(&producer, record.headers(note("back"))).await);
        let record = FutureRecord::to(&topic).payload(&large[..]);
        outcome.see(limit, send(&producer, record).await);
    }
    outcome
}

/// Messages with no byte to spare for a trace, and with one byte too many, by each producer.
pub async fn just_fits(world: &World, limit: usize, length: usize) -> Outcome {
    let mut outcome = Outcome { topics: vec![topic(&world.brokers, 1).await], ..<_>::default() };
    let topic = outcome.topics[0].clone();
    let mut config = config(&world.brokers);
    let config = config.set("message.max.bytes", limit.to_string());
    let producer = producer(world, config, DefaultClientContext);
    know_the_cluster(&producer);
    let [fits, does_not] = [length, length + 1].map(|length| vec![b'x'; length]);
    let record = |payload| FutureRecord::<str, [u8]>::to(&topic).payload(payload);
    outcome.see("send", send(&producer, record(&fits)).await);
    outcome.see("send", send(&producer, record(&does_not)).await);
    let receipt =
        producer.send_result(record(&fits)).map_err(|(error, _)| error).map(|receipt| async {
            soon("the message is stored", receipt)
                .await
                .unwrap()
                .map(|it| it.offset)
                .map_err(|it| it.0)
        });
    match receipt {
        Ok(receipt) => outcome.see("send_result", receipt.await),
        Err(error) => outcome.see("send_result", error),
    }
    let refused = producer.send_result(record(&does_not)).err();
    outcome.see("send_result", refused.map(|(error, record)| (error, record.headers.is_some())));

    let context = Remembering::default();
    let base = base_producer(world, config, context.clone());
    block_in_place(|| base.client().fetch_cluster_id(PATIENCE)).unwrap();
    let record = |number, payload| {
        BaseRecord::<str, [u8], _>::with_opaque_to(&topic, Box::new(number)).payload(payload)
    };
    let shown = |(error, record): (KafkaError, BaseRecord<'_, str, [u8], Box<usize>>)| {
        (error, record.delivery_opaque, record.headers.is_some())
    };
    outcome.see("polled", base.send(record(1, &fits)).map_err(shown));
    outcome.see("polled", base.send(record(2, &does_not)).map_err(shown));
    outcome.see("flushed", block_in_place(|| base.flush(PATIENCE)));
    let threaded = threaded_producer(world, config, context.clone());
    block_in_place(|| threaded.client().fetch_cluster_id(PATIENCE)).unwrap();
    outcome.see("threaded", threaded.send(record(3, &fits)).map_err(shown));
    outcome.see("threaded", threaded.send(record(4, &does_not)).map_err(shown));
    outcome.see("flushed", block_in_place(|| threaded.flush(PATIENCE)));
    outcome.see("reports", context.all());
    outcome
}

/// A topic without messages, for a consumer that asks with a bound.
pub async fn empty(world: &World) -> Outcome {
    let mut outcome = Outcome { topics: vec![topic(&world.brokers, 1).await], ..<_>::default() };
    let topic = outcome.topics[0].clone();
    let consumer = base_consumer(world, &in_group(&world.brokers, &unique_name()));
    consumer.subscribe(&[&topic]).unwrap();
    let assigned = || consumer.assignment().unwrap().count() == 1;
    outcome.see("no message", poll_until(&consumer, assigned));
    // Once more, with the partition.
    let polled = block_in_place(|| consumer.poll(Duration::from_millis(300)).is_none());
    outcome.see("nothing", polled);
    outcome
}

/// Polls with a bound, at most for the time of a test, until something comes or holds.
fn poll_until(
    consumer: &BaseConsumer,
    holds: impl Fn() -> bool,
) -> Option<Result<String, KafkaError>> {
    block_in_place(|| {
        for _ in 0..300 {
            let polled = consumer.poll(Duration::from_millis(100));
            if polled.is_some() || holds() {
                return polled.map(|polled| polled.map(|message| shown!(&message)));
            }
        }
        panic!("nothing came");
    })
}

/// A topic that nobody made.
pub async fn unknown(world: &World) -> Outcome {
    let (topic, group) = (unique_name(), unique_name());
    let mut outcome = Outcome { topics: vec![topic], groups: vec![group], ..Outcome::default() };
    let (topic, group) = (outcome.topics[0].clone(), outcome.groups[0].clone());
    let mut config = config(&world.brokers);
    // By default it waits half a minute for the topic to be known everywhere.
    let config = config.set("topic.metadata.propagation.max.ms", "1");
    let producer = producer(world, config, DefaultClientContext);
    know_the_cluster(&producer);
    for payload in [b"first", b"again"] {
        let record = FutureRecord::to(&topic).key("key").payload(&payload[..]);
        outcome.see("not sent", send(&producer, record).await);
    }
    let consumer = base_consumer(world, &in_group(&world.brokers, &group));
    consumer.subscribe(&[&topic]).unwrap();
    outcome.see("not received", poll_until(&consumer, || false).unwrap());
    outcome
}

/// Remembers what it is called with.
#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Vec<String>>>);

impl Remembering {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn in_words(rebalance: &Rebalance<'_>) -> String {
    match rebalance {
        Rebalance::Assign(list) => format!("{} assigned", list.count()),
        Rebalance::Revoke(list) => format!("{} revoked", list.count()),
        Rebalance::Error(error) => format!("{error:?}"),
    }
}

impl ClientContext for Remembering {
    fn error(&self, error: KafkaError, _reason: &str) {
        self.push(format!("error {:?}", code(&error)));
    }
}

impl ProducerContext for Remembering {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let told = result.as_ref().map(Message::offset).map_err(|it| code(&it.0));
        self.push(format!("{number}: {told:?}"));
    }
}

impl ConsumerContext for Remembering {
    fn pre_rebalance(&self, _: &RawConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.push(format!("before {}", in_words(rebalance)));
    }

    fn post_rebalance(&self, _: &RawConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.push(format!("after {}", in_words(rebalance)));
    }
}

/// A second consumer joins while handlers of the first one run.
pub async fn rebalance(world: &World) -> Outcome {
    let (topic, group) = (topic(&world.brokers, 2).await, unique_name());
    let mut outcome = Outcome { topics: vec![topic], groups: vec![group], ..Outcome::default() };
    let (topic, group) = (outcome.topics[0].clone(), outcome.groups[0].clone());
    let producer = producer(world, &config(&world.brokers), DefaultClientContext);
    know_the_cluster(&producer);
    for partition in [0, 1] {
        let record = FutureRecord::to(&topic).partition(partition).payload(&b"work"[..]);
        outcome.see("sent", send(&producer, record).await);
    }
    let join = || {
        let context = Remembering::default();
        let config = in_group(&world.brokers, &group);
        let consumer = stream_consumer(world, &config, context.clone());
        block_in_place(|| consumer.client().fetch_cluster_id(PATIENCE)).unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        (consumer, context)
    };
    let (first, callbacks) = join();
    let (open, gate) = watch::channel(false);
    let mut handling = JoinSet::new();
    for _ in 0..2 {
        let message = soon("a message is there", first.recv()).await.unwrap().detach();
        let mut gate = gate.clone();
        handling.spawn(handle(message, async move |message: &_| -> Result<i64, KafkaError> {
            gate.wait_for(|open| *open).await.unwrap();
            let message: &super::driver::message::OwnedMessage = message;
            Ok(message.offset())
        }));
    }
    let (second, others) = join();
    // Nothing was committed, so each partition begins anew where it is assigned now.
    let again = async {
        let mut places = Vec::new();
        while places.len() < 2 {
            let message = select! {
                message = first.recv() => message.unwrap(),
                message = second.recv() => message.unwrap(),
            };
            places.push((message.partition(), message.offset()));
        }
        places.sort_unstable();
        places
    };
    outcome.see("again", soon("both have a partition", again).await);
    let assigned = [&first, &second].map(|consumer| consumer.assignment().unwrap().count());
    outcome.see("assigned", assigned);
    open.send(true).unwrap();
    while let Some(handled) = soon("the handlers end", handling.join_next()).await {
        outcome.see("handled", handled.unwrap());
    }
    // One of them belongs to the other consumer by now.
    let mut offsets = TopicPartitionList::new();
    for partition in [0, 1] {
        offsets.add_partition_offset(&topic, partition, Offset::Offset(1)).unwrap();
    }
    let committed = block_in_place(|| first.commit(&offsets, CommitMode::Sync));
    outcome.see("committed", committed);
    outcome.see("first", callbacks.all());
    outcome.see("second", others.all());
    outcome
}

/// Messages and offsets of transactions that are given up, made, and taken over.
pub async fn transactions(world: &World) -> Outcome {
    let mut outcome = Outcome { groups: vec![unique_name(), unique_name()], ..<_>::default() };
    for _ in 0..2 {
        outcome.topics.push(topic(&world.brokers, 1).await);
    }
    let [from, to] = [0, 1].map(|number: usize| outcome.topics[number].clone());
    let feeder = producer(world, &config(&world.brokers), DefaultClientContext);
    know_the_cluster(&feeder);
    let record = FutureRecord::to(&from).payload(&b"order"[..]);
    outcome.see("sent", send(&feeder, record).await);
    let consumer = subscribed(world, &outcome.groups[0].clone(), &from);
    block_in_place(|| consumer.client().fetch_cluster_id(PATIENCE)).unwrap();
    let message = soon("a message is there", consumer.recv()).await.unwrap();
    outcome.see("received", shown!(&message));

    let mut config = config(&world.brokers);
    let config = config.set("transactional.id", unique_name());
    let transactional = producer(world, config, DefaultClientContext);
    know_the_cluster(&transactional);
    outcome.see("init", block_in_place(|| transactional.init_transactions(PATIENCE)));
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&from, 0, Offset::Offset(1)).unwrap();
    let group = consumer.group_metadata().unwrap();
    for commits in [false, true] {
        outcome.see("begin", transactional.begin_transaction());
        let payload: &[u8] = if commits { b"made" } else { b"given up" };
        let record = FutureRecord::to(&to).payload(payload);
        outcome.see("sent", send(&transactional, record).await);
        let ended = block_in_place(|| {
            transactional.send_offsets_to_transaction(&offsets, &group, PATIENCE)?;
            if commits {
                transactional.commit_transaction(PATIENCE)
            } else {
                transactional.abort_transaction(PATIENCE)
            }
        });
        outcome.see("ended", ended);
        outcome.see("committed", block_in_place(|| consumer.committed(PATIENCE)).unwrap());
    }
    let reader = subscribed(world, &outcome.groups[1].clone(), &to);
    block_in_place(|| reader.client().fetch_cluster_id(PATIENCE)).unwrap();
    let message = soon("a message is there", reader.recv()).await.unwrap();
    outcome.see("read", shown!(&message));

    // Whoever has its id now has fenced it off.
    let successor = producer(world, config, DefaultClientContext);
    outcome.see("init", block_in_place(|| successor.init_transactions(PATIENCE)));
    outcome.see("begin", transactional.begin_transaction());
    let record = FutureRecord::to(&to).payload(&b"late"[..]);
    outcome.see("sent", send(&transactional, record).await);
    let ended =
        block_in_place(|| transactional.send_offsets_to_transaction(&offsets, &group, PATIENCE));
    outcome.see("offsets", ended.map_err(|error| code(&error)));
    let ended = block_in_place(|| transactional.commit_transaction(PATIENCE));
    outcome.see("commit", ended.map_err(|error| code(&error)));
    outcome
}

/// A broker that answers nothing for a while.
pub async fn paused(world: &World, server: &Mutex<Private>) -> Outcome {
    let mut outcome = Outcome { topics: vec![topic(&world.brokers, 1).await], ..<_>::default() };
    let (topic, group) = (outcome.topics[0].clone(), unique_name());
    let mut config = config(&world.brokers);
    config.set("queue.buffering.max.messages", "3").set("message.timeout.ms", "5000");
    let producer = producer(world, &config, DefaultClientContext);
    know_the_cluster(&producer);
    let record = |key| FutureRecord::to(&topic).key(key).payload(&b"body"[..]);
    outcome.see("sent", send(&producer, record("before")).await);
    let consumer = base_consumer(world, &in_group(&world.brokers, &group));
    let mut end = TopicPartitionList::new();
    end.add_partition_offset(&topic, 0, Offset::Offset(1)).unwrap();
    consumer.assign(&end).unwrap();

    block_in_place(|| server.lock().unwrap().pause()).unwrap();
    let mut receipts = Vec::new();
    for key in ["first", "second", "third"] {
        receipts.push(producer.send_result(record(key)).map_err(|(error, _)| error).unwrap());
    }
    // It is sent, whoever waits for that.
    drop(receipts.remove(1));
    let refused = producer.send(record("too many"), Duration::ZERO).await;
    outcome.see("refused", refused.map_err(|(error, message)| (error, shown!(&message))));
    let waiting = producer.send(record("given up"), Timeout::Never);
    let given_up = timeout(Duration::from_millis(300), waiting).await;
    outcome.see("given up", given_up.is_err());
    outcome.see("nothing", block_in_place(|| consumer.poll(Duration::from_millis(300)).is_none()));
    for receipt in receipts {
        let sent = soon("the message is given up", receipt).await.unwrap();
        let sent = sent.map_err(|(error, message)| (error, shown!(&message)));
        outcome.see("not sent", sent);
    }
    outcome.see("waiting", block_in_place(|| producer.flush(PATIENCE)));
    block_in_place(|| server.lock().unwrap().resume()).unwrap();
    // Those given up may be stored all the same, before it.
    outcome.see("sent", send(&producer, record("after")).await.is_ok());
    outcome
}

/// Clients that the broker lets in, or does not.
pub async fn authentication(world: &World, listener: &str, password: &str) -> Outcome {
    let (topic, group) = (topic(&world.brokers, 1).await, unique_name());
    let mut outcome = Outcome { topics: vec![topic], groups: vec![group], ..Outcome::default() };
    let (topic, group) = (outcome.topics[0].clone(), outcome.groups[0].clone());
    let with = |mut config: ClientConfig| {
        config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN");
        config.set("sasl.username", "alice").set("sasl.password", password);
        config
    };
    let context = Remembering::default();
    let refused = format!("error {:?}", Some(RDKafkaErrorCode::Authentication));
    let is_refused = || context.all().contains(&refused);
    let mut config = with(config(listener));
    config.set("message.timeout.ms", "5000");
    let producer = producer(world, &config, context.clone());
    let record = FutureRecord::to(&topic).key("key").payload(&b"body"[..]);
    let sent = send(&producer, record.headers(note("back"))).await;
    if sent.is_err() {
        eventually("the producer is told why", async || is_refused()).await;
    }
    outcome.see("sent", sent);
    outcome.see("refused", is_refused());

    let consumer =
        stream_consumer(world, &with(in_group(listener, &group)), DefaultConsumerContext);
    consumer.subscribe(&[&topic]).unwrap();
    let answer = async {
        loop {
            let answer = consumer.recv().await;
            let told = answer.map(|message| shown!(&message)).map_err(|error| code(&error));
            // What follows from it may come first.
            if told != Err(Some(RDKafkaErrorCode::AllBrokersDown)) {
                return told;
            }
        }
    };
    outcome.see("received", soon("an answer", answer).await);
    outcome
}

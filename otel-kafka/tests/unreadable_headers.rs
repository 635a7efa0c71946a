//! rdkafka panics where the name of a header is read that is no UTF-8. A message that has one, as a
//! forwarded message of another client may, goes on its way as it is.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use otel_kafka::FutureProducer;
use otel_kafka::producer::FutureRecord;
use otel_testing::Capture;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedHeaders, Headers as _, Message as _, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use support::{Cluster, LONG, TOPIC};

/// A number below 64, as a record has it.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap() * 2
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&[small(bytes.len())], bytes].concat()
}

/// Produces, by the protocol itself, a message with headers: rdkafka's only take text.
fn produce(cluster: &Cluster, headers: &[(&[u8], &[u8])]) {
    let mut record = vec![0, 0, 0, 1];
    record.extend(sized(b"{}"));
    record.push(small(headers.len()));
    for (name, value) in headers {
        record.extend([sized(name), sized(value)].concat());
    }
    let length = u8::try_from(record.len()).unwrap();
    let length = [length << 1 & 0x7f | 0x80, length >> 6];
    // No epoch, version 2, no checksum, which librdkafka does not check by itself.
    let mut batch = [&[0xff; 4][..], &[2], &[0; 4], &[0; 2], &[0; 4], &[0; 16]].concat();
    batch.extend([&[0xff; 8 + 2 + 4][..], &1_i32.to_be_bytes(), &length, &record].concat());
    let size = |bytes: &[u8]| i32::try_from(bytes.len()).unwrap().to_be_bytes();
    let batch = [&[0; 8][..], &size(&batch), &batch].concat();
    let text = |text: &str| {
        [&i16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
    };
    // Produce in version 3: no transaction, all replicas, ten seconds.
    let head =
        [&[0, 0, 0, 3, 0, 0, 0, 7][..], &text("other"), &[0xff; 4], &10_000_i32.to_be_bytes()];
    let topic = [&1_i32.to_be_bytes()[..], &text(TOPIC), &1_i32.to_be_bytes(), &[0; 4]].concat();
    let request = [&head.concat()[..], &topic, &size(&batch), &batch].concat();
    let mut stream = TcpStream::connect(cluster.mock().bootstrap_servers()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(&[&size(&request)[..], &request].concat()).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
}

#[tokio::test]
async fn a_message_with_an_unreadable_name_is_sent_as_it_is() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let consumer: BaseConsumer = cluster
        .config()
        .set("group.id", "readers")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    produce(&cluster, &[(b"traceparent", b"7"), (b"\xff\xfe", b"8")]);
    let received = consumer.poll(LONG).unwrap().unwrap();
    assert_eq!(received.payload(), Some(&b"{}"[..]));
    let odd: OwnedHeaders = received.headers().map(BorrowedHeaders::detach).unwrap();
    assert_eq!(odd.count(), 2);
    assert!(std::panic::catch_unwind(|| odd.get(1).key.len()).is_err(), "it can be read");

    let raw: rdkafka::producer::FutureProducer = cluster.config().create().unwrap();
    for replace in [false, true] {
        capture.clear();
        let telemetry = capture.telemetry_builder().replace_trace_headers(replace).build();
        let producer = FutureProducer::with(raw.clone(), &telemetry);
        let record = |topic| FutureRecord::<(), _> {
            headers: Some(odd.clone()),
            ..FutureRecord::to(topic).payload("{}")
        };
        producer.send(record(TOPIC), LONG).await.unwrap();
        let arrived = consumer.poll(LONG).unwrap().unwrap().detach();
        assert_eq!(arrived.payload(), Some(&b"{}"[..]));
        let headers = arrived.headers().unwrap();
        assert_eq!(headers.count(), 2);
        assert_eq!(headers.get(0).value, Some(&b"7"[..]));
        assert_eq!(capture.spans().len(), 1);

        let (_, back) = producer.send_result(record("or\0ders")).err().unwrap();
        assert_eq!(back.headers.map(|headers| headers.count()), Some(2));
    }
}

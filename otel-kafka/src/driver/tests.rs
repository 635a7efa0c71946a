//! What is read of configurations, and how errors are told.

use std::ffi::CString;

use rdkafka::error::RDKafkaError;
use rdkafka::types::{RDKafkaConfRes, RDKafkaRespErr};

use super::*;

#[test]
fn the_first_broker() {
    for (servers, expected) in [
        ("a:1,b:2", Some(("a", Some(1)))),
        (" , b", Some(("b", Some(9092)))),
        ("SASL_SSL://kafka.example:9094", Some(("kafka.example", Some(9094)))),
        ("[::1]:9093", Some(("::1", Some(9093)))),
        ("[::1]", Some(("::1", Some(9092)))),
        ("fe80::1", Some(("fe80::1", Some(9092)))),
        ("a:b", None),
        ("SASL_SSL://user:secret@kafka.example:9094", None),
        ("user:12345,x@kafka.example:9094", None),
        ("", None),
        (":9092", None),
    ] {
        let broker = first_broker(servers);
        let broker = broker.as_ref().map(|(host, port)| (host.as_str(), *port));
        assert_eq!(broker, expected, "{servers:?}");
    }
}

#[test]
fn facts_of_a_configuration() {
    let facts = Facts::of(&ClientConfig::new());
    assert_eq!((facts.broker, facts.client_id.as_deref()), (None, Some("rdkafka")));
    let mut config = ClientConfig::new();
    config.set("metadata.broker.list", "a,b").set("client.id", "shop").set("group.id", "readers");
    let facts = Facts::of(&config);
    assert_eq!(facts.broker, Some(("a".to_owned(), Some(9092))));
    assert_eq!(facts.client_id.as_deref(), Some("shop"));
    assert_eq!(facts.group.as_deref(), Some("readers"));
}

#[test]
fn a_password_is_not_shown() {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "SASL_SSL://user:secret@kafka.example:9094");
    let shown = format!("{:?}", Facts::of(&config));
    assert!(shown.contains("kafka") && !shown.contains("secret"), "{shown}");
}

#[test]
fn keys_that_are_told() {
    let long = "x".repeat(LONGEST_KEY);
    for (key, expected) in [
        (&b"customer-7"[..], Some("customer-7")),
        ("Größe".as_bytes(), Some("Größe")),
        (b"", Some("")),
        (b"\0\0\0\x07", None),
        (b"\xff", None),
        (long.as_bytes(), Some(&*long)),
        (format!("{long}x").as_bytes(), None),
    ] {
        assert_eq!(key_text(key).as_deref(), expected);
    }
}

/// All codes that there are.
fn codes() -> impl Iterator<Item = (RDKafkaRespErr, RDKafkaErrorCode)> {
    let codes = (-300..400).filter_map(|code| RDKafkaRespErr::try_from(code).ok());
    codes.map(|code| (code, RDKafkaErrorCode::from(code))).filter(|(code, _)| {
        let name = format!("{code:?}");
        !["__BEGIN", "__END", "_END_ALL"].iter().any(|mark| name.ends_with(mark))
    })
}

#[test]
fn every_code_has_its_name() {
    let mut count = 0;
    for (native, code) in codes() {
        count += 1;
        let name = name_of(code).unwrap_or_else(|| panic!("{code:?} has no name"));
        assert_eq!(Kafka::classify(&code), Failure::new(name));
        if (code as i32) < -1 {
            // What librdkafka made up has its own name.
            assert_eq!(format!("RD_KAFKA_RESP_ERR_{name}"), format!("{native:?}"));
        }
    }
    assert_eq!(count, include_str!("../codes.txt").lines().count());
    for (code, name) in [
        (RDKafkaErrorCode::UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION"),
        (RDKafkaErrorCode::MessageSizeTooLarge, "MESSAGE_TOO_LARGE"),
        (RDKafkaErrorCode::NotLeaderForPartition, "NOT_LEADER_OR_FOLLOWER"),
        (RDKafkaErrorCode::MessageTimedOut, "_MSG_TIMED_OUT"),
        (RDKafkaErrorCode::PurgeQueue, "_PURGE_QUEUE"),
        (RDKafkaErrorCode::Unknown, "UNKNOWN_SERVER_ERROR"),
        (RDKafkaErrorCode::RebootstrapRequired, "REBOOTSTRAP_REQUIRED"),
    ] {
        assert_eq!(name_of(code), Some(name));
    }
}

#[test]
fn every_error_is_told_and_none_is_quoted() {
    use KafkaError::*;

    let secret = || "secret".to_owned();
    let nul = CString::new("sec\0ret").unwrap_err();
    let code = RDKafkaErrorCode::RequestTimedOut;
    let invalid = RDKafkaConfRes::RD_KAFKA_CONF_INVALID;
    for (error, expected) in [
        (AdminOpCreation(secret()), "AdminOpCreation"),
        (AdminOp(code), "REQUEST_TIMED_OUT"),
        (Canceled, "Canceled"),
        (ClientConfig(invalid, secret(), secret(), secret()), "ClientConfig"),
        (ClientCreation(secret()), "ClientCreation"),
        (ConsumerCommit(code), "REQUEST_TIMED_OUT"),
        (ConsumerQueueClose(code), "REQUEST_TIMED_OUT"),
        (Flush(code), "REQUEST_TIMED_OUT"),
        (Global(code), "REQUEST_TIMED_OUT"),
        (GroupListFetch(code), "REQUEST_TIMED_OUT"),
        (MessageConsumption(code), "REQUEST_TIMED_OUT"),
        (MessageConsumptionFatal(code), "REQUEST_TIMED_OUT"),
        (MessageProduction(code), "REQUEST_TIMED_OUT"),
        (MetadataFetch(code), "REQUEST_TIMED_OUT"),
        (NoMessageReceived, "NoMessageReceived"),
        (Nul(nul), "Nul"),
        (OffsetFetch(code), "REQUEST_TIMED_OUT"),
        (PartitionEOF(7), "_PARTITION_EOF"),
        (PauseResume(secret()), "PauseResume"),
        (Rebalance(code), "REQUEST_TIMED_OUT"),
        (Seek(secret()), "Seek"),
        (SetPartitionOffset(code), "REQUEST_TIMED_OUT"),
        (StoreOffset(code), "REQUEST_TIMED_OUT"),
        (Subscription(secret()), "Subscription"),
        (MockCluster(code), "REQUEST_TIMED_OUT"),
    ] {
        assert_eq!(Kafka::classify(&error), Failure::new(expected), "{error:?}");
        assert_eq!(Kafka::classify(&(error, "secret")), Failure::new(expected));
    }
    // An error of a transaction is librdkafka's own: tests of producers have one.
    let _: fn(RDKafkaError) -> KafkaError = Transaction;
}

#[test]
fn the_cluster_is_asked_until_it_is_known_and_not_for_ever() {
    let asked = std::cell::Cell::new(0);
    let ask = |answer: Option<&str>| {
        asked.set(asked.get() + 1);
        answer.map(str::to_owned)
    };
    let cluster = Cluster::default();
    assert_eq!(cluster.id(|| ask(None)), None);
    assert_eq!(cluster.id(|| ask(Some("one"))).as_deref(), Some("one"));
    assert_eq!(cluster.id(|| ask(Some("two"))).as_deref(), Some("one"));
    assert_eq!(asked.get(), 2);
    let never = Cluster::default();
    for _ in 0..2 * MOST_QUESTIONS {
        assert_eq!(never.id(|| ask(None)), None);
    }
    assert_eq!(asked.get(), 2 + MOST_QUESTIONS);
}

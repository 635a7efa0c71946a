//! Errors by their names, patterns, inboxes, and what replies say.

use super::*;

fn named(name: &'static str) -> Failure {
    Failure::new(name)
}

/// Each kind of an error by its name.
macro_rules! kinds {
    ($($kind:ident: $($name:ident),*;)*) => {$(
        $(assert_eq!(Nats::classify(&Error::new($kind::$name)), named(stringify!($name)));)*
        // The compiler says so where there is one more.
        let _all = |kind: $kind| match kind { $($kind::$name)|* => () };
    )*};
}

#[test]
fn of_the_client() {
    use async_nats::{PublishErrorKind, RequestErrorKind, SubscribeErrorKind};
    kinds! {
        PublishErrorKind: MaxPayloadExceeded, InvalidSubject, Send;
        RequestErrorKind: TimedOut, NoResponders, InvalidSubject, MaxPayloadExceeded, Other;
        SubscribeErrorKind: InvalidSubject, InvalidQueueName, Other;
    }
}

#[cfg(feature = "jetstream")]
#[test]
fn of_jetstream() {
    use async_nats::jetstream::consumer::StreamErrorKind;
    use async_nats::jetstream::consumer::pull::{
        BatchErrorKind, MessagesErrorKind, OrderedErrorKind,
    };
    use async_nats::jetstream::consumer::push::{
        MessagesErrorKind as Pushed, OrderedErrorKind as Ordered,
    };
    use async_nats::jetstream::context::PublishErrorKind;
    kinds! {
        PublishErrorKind: StreamNotFound, WrongLastMessageId, WrongLastSequence, TimedOut,
            BrokenPipe, MaxAckPending, MaxPayloadExceeded, Other;
        BatchErrorKind: Subscribe, Pull, Flush, Serialize, PinnedClient;
        MessagesErrorKind: MissingHeartbeat, ConsumerDeleted, Pull, PushBasedConsumer, NoResponders, RequestLimitExceeded,
            Other;
        OrderedErrorKind: MissingHeartbeat, ConsumerDeleted, Pull, PushBasedConsumer, Recreate,
            NoResponders, RequestLimitExceeded, Other;
        StreamErrorKind: TimedOut, Other;
    }
    kinds! {
        Pushed: MissingHeartbeat, ConsumerDeleted, PullBasedConsumer, Other;
        Ordered: MissingHeartbeat, ConsumerDeleted, PullBasedConsumer, Recreate, Other;
    }
}

#[cfg(feature = "jetstream")]
fn from_server(error: &str) -> async_nats::jetstream::Error {
    serde_json::from_str(error).unwrap()
}

/// What the server has a number for is told by it, where the driver has no kind for it.
#[cfg(feature = "jetstream")]
#[test]
fn by_the_servers_number() {
    use async_nats::jetstream::context::{PublishError, PublishErrorKind};
    let of =
        |kind, error: &str| Nats::classify(&PublishError::with_source(kind, from_server(error)));
    let full = r#"{"code": 503, "err_code": 10077, "description": "secret"}"#;
    assert_eq!(of(PublishErrorKind::Other, full), named("10077"));
    assert_eq!(of(PublishErrorKind::WrongLastSequence, full), named("WrongLastSequence"));
    assert_eq!(of(PublishErrorKind::Other, r#"{"code": 503}"#), named("503"));
    let other = PublishError::with_source(PublishErrorKind::Other, "secret");
    assert_eq!(Nats::classify(&other), named("Other"));
}

#[test]
fn of_acknowledgements_and_batches() {
    use async_nats::PublishErrorKind;
    let of = |error: async_nats::Error| Nats::classify(&error);
    assert_eq!(of(PublishError::new(PublishErrorKind::Send).into()), named("Send"));
    let refused = SubscribeError::new(async_nats::SubscribeErrorKind::Other);
    assert_eq!(of(refused.into()), named("Other"));
    assert_eq!(of(io::Error::new(io::ErrorKind::TimedOut, "secret").into()), named("TimedOut"));
    let ended = |status: &str| io::Error::other(format!("{ENDED_BY}{status}, Some(\"secret\")"));
    assert_eq!(of(ended("409").into()), named("409"));
    assert_eq!(of(ended("secret").into()), Failure::default());
    assert_eq!(of(io::Error::other("secret").into()), Failure::default());
    assert_eq!(of("secret".into()), Failure::default());
}

#[test]
fn codes_of_services() {
    for code in ["0", "404", "99999"] {
        assert_eq!(service_error(code), Failure::new(code));
    }
    for text in ["", "123456", "-1", "4o4", "secret", "４０４", "4 "] {
        assert_eq!(service_error(text), Failure::default(), "{text}");
    }
}

#[test]
fn patterns() {
    let (yes, no) = (true, false);
    for (pattern, subject, expected) in [
        ("orders.*", "orders.new", yes),
        ("orders.*", "orders", no),
        ("orders.*", "orders.new.eu", no),
        ("orders.>", "orders.new.eu", yes),
        ("orders.>", "orders", no),
        (">", "a", yes),
        ("*.new", "orders.new", yes),
        ("*.new", "orders.old", no),
        ("orders", "orders", yes),
        ("orders.new", "orders", no),
        // Only as whole tokens.
        ("orders.a*", "orders.ab", no),
    ] {
        assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
    }
    assert!(is_pattern("a.*.b") && is_pattern(">") && is_pattern("a.>"));
    assert!(!is_pattern("a.b") && !is_pattern("a*.b>") && !is_pattern(""));
}

#[test]
fn stored_by_both_forms() {
    let time = "1790230470084404000";
    let id = |reply: &str| Stored::read(reply).map(|stored| stored.id());
    let known = Some("events:100".to_owned());
    assert_eq!(id(&format!("$JS.ACK.events.durable.3.100.7.{time}.42")), known);
    assert_eq!(id(&format!("$JS.ACK._.hash.events.durable.3.100.7.{time}.42")), known);
    assert_eq!(id(&format!("$JS.ACK.hub.hash.events.durable.3.100.7.{time}.42.token.more")), known);
    for other in
        ["$JS.ACK.events.durable.3.100.7.1", "$JS.ACK", "$JS.FC.a.b.c.d.e.f.g", "_INBOX.a.b"]
    {
        assert_eq!(id(other), None, "{other}");
    }
}

/// As async-nats reads it.
#[cfg(feature = "jetstream")]
#[test]
fn info_is_read_as_the_driver_does() {
    let time = "1790230470084404000";
    let old = format!("$JS.ACK.events.durable.3.100.7.{time}.42");
    let new = format!("$JS.ACK.hub.hash.events.durable.2.50.9.{time}.0.rand.future");
    let old = info(&old).unwrap();
    assert_eq!((old.domain, old.acc_hash, old.token), (None, None, None));
    assert_eq!((old.stream, old.consumer), ("events", "durable"));
    assert_eq!((old.delivered, old.stream_sequence, old.consumer_sequence), (3, 100, 7));
    assert_eq!(old.pending, 42);
    let new = info(&new).unwrap();
    assert_eq!((new.domain, new.acc_hash, new.token), (Some("hub"), Some("hash"), Some("rand")));
    assert_eq!(info(&format!("$JS.ACK._.h.a.b.1.1.1.{time}.1")).unwrap().domain, None);
    for wrong in [
        format!("$JS.ACK.events.durable.3.100.7.{time}"),
        format!("$JS.ACK.hub.hash.events.durable.2.50.9.{time}"),
        format!("$JS.FC.events.durable.3.100.7.{time}.42"),
        format!("$JS.ACK.events.durable.3.abc.7.{time}.42"),
    ] {
        assert!(info(&wrong).is_err(), "{wrong}");
    }
}

fn instrumentation(own_inbox: &str, others: &[&str]) -> Instrumentation {
    let inboxes = others.iter().map(|&prefix| prefix.to_owned()).collect();
    let facts = Facts { inboxes, ..Facts::default() };
    let telemetry = Telemetry::builder().enabled(false).build();
    Instrumentation::new(facts.messaging(&telemetry), own_inbox, &facts)
}

#[test]
fn inboxes_and_acknowledgements_are_one_each() {
    let ours = instrumentation("shop.inbox.7Yx", &["billing"]);
    for (subject, template) in [
        ("_INBOX.abc", "_INBOX"),
        ("_INBOX.abc.def", "_INBOX"),
        ("shop.inbox.abc.def", "shop.inbox"),
        ("billing.abc", "billing"),
        ("$JS.ACK.stream.consumer.1.2.3.4.5", "$JS.ACK"),
    ] {
        let expected = Destination::temporary(subject).template(template);
        assert_eq!(ours.destination(subject, None), expected);
    }
    for subject in ["orders", "_INBOX", "_INBOXES.abc", "shop.inbox", "billing", "$JS.API.INFO"] {
        assert_eq!(ours.destination(subject, Some("b")), Destination::named(subject));
        let answer = ours.destination(subject, Some(subject));
        assert_eq!(answer, Destination::temporary(subject));
    }
}

#[test]
fn conversations() {
    let ours = instrumentation("_INBOX.7Yx", &[]);
    let inbox = Some("_INBOX.abc");
    assert_eq!(ours.conversation("prices", inbox), inbox);
    assert_eq!(ours.conversation("_INBOX.abc", None), inbox);
    assert_eq!(ours.conversation("prices", Some("answers")), Some("answers"));
    assert_eq!(ours.conversation("orders", Some("$JS.ACK.a.b.1.2.3.4.5")), None);
    assert_eq!(ours.conversation("orders", None), None);
}

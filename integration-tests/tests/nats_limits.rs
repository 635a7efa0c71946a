//! What otel-nats adds never breaks a message: sizes at the limit, odd headers, servers without them;
//! and what a server makes of a trace by itself.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_support;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use integration_tests::{as_user, assert_nowhere, eventually, private, unique_name};
use native::{Extra, Private, Server};
use otel_nats::client::{PublishErrorKind, Request, RequestErrorKind};
use otel_nats::service::ServiceExt as _;
use otel_nats::{HeaderMap, HeaderName, HeaderValue, Message, ServerAddr, service};
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::propagation::text_map_propagator::FieldIter;
use otel_testing::opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use otel_testing::opentelemetry::trace::{FutureExt as _, SpanKind};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, live};
use tempfile::NamedTempFile;
use tokio::task::block_in_place;

use crate::nats_support::{about, captured, connect, heard, jetstream, next, stream};

/// `NATS/1.0`, `traceparent` with its value, and the ends of lines.
const TRACE: usize = 12 + 11 + 2 + 55 + 2;

fn names(message: &Message) -> Vec<String> {
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let mut names: Vec<_> = headers.map(|(name, _)| name.to_string()).collect();
    names.sort_unstable();
    names
}

/// Who a private server is started for.
const USERS: &str = "users: [{user: otel, password: otel}]";

/// A server of the test's own with such a configuration beside its arguments.
fn configured(text: &str) -> Option<(NamedTempFile, Private)> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let extra = Extra::new().argument("--config").argument(file.path().to_str().unwrap());
    // Users are those of the file alone.
    let extra = extra.argument("--user").argument("").argument("--pass").argument("");
    let server = block_in_place(|| private(Server::nats(), extra))?;
    Some((file, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_greatest_size_is_sent_without_a_trace() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    let most = client.max_payload();
    let mut own = HeaderMap::new();
    own.insert("own", "1");
    let own_length = 12 + "own: 1\r\n".len();
    for (payload, headers, expected, kind) in [
        (most, None, &[][..], SpanKind::Client),
        (most - TRACE + 1, None, &[], SpanKind::Client),
        (most - TRACE, None, &["traceparent"], SpanKind::Producer),
        (most - own_length, Some(&own), &["own"], SpanKind::Client),
        (most - own_length - TRACE + 13, Some(&own), &["own"], SpanKind::Client),
        (most - own_length - TRACE + 12, Some(&own), &["own", "traceparent"], SpanKind::Producer),
    ] {
        capture.clear();
        let (payload, subject) = (vec![b' '; payload].into(), subject.clone());
        match headers {
            Some(headers) => client.publish_with_headers(subject, headers.clone(), payload).await,
            None => client.publish(subject, payload).await,
        }
        .unwrap();
        assert_eq!(capture.spans()[0].span_kind, kind);
        let message = next(&mut messages).await;
        assert_eq!(names(&message), expected);
        assert_eq!(message.delivery().span_context().is_some(), kind == SpanKind::Producer);
    }

    // What has no room alone is left out alone.
    capture.clear();
    let baggage = Context::new().with_baggage([KeyValue::new("a", "b".repeat(100))]);
    let payload = vec![b' '; most - TRACE - 50].into();
    client.publish(subject.clone(), payload).with_context(baggage).await.unwrap();
    assert_eq!(names(&next(&mut messages).await), ["traceparent"]);

    // One more than there is room for at all: the driver's own error, and its words.
    for headers in [HeaderMap::new(), own] {
        let payload = vec![b' '; most + 1];
        let (subject, raw) = (subject.clone(), client.raw());
        let bare =
            raw.publish_with_headers(subject.clone(), headers.clone(), payload.clone().into());
        let bare = bare.await.unwrap_err();
        let ours = client.publish_with_headers(subject, headers, payload.into()).await.unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (bare.kind(), bare.to_string()));
        assert_eq!(ours.kind(), PublishErrorKind::MaxPayloadExceeded);
    }

    // Requests, services and JetStream have the same limit.
    capture.clear();
    let request = Request::new().payload(vec![b' '; most].into());
    let error = client.send_request(unique_name(), request).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    let (context, name) = (jetstream(client.clone()), unique_name());
    let stored = stream(&context, &name).await;
    let payload = vec![b' '; most].into();
    context.publish(format!("{name}.a"), payload).await.unwrap().await.unwrap();
    assert!(stored.get_raw_message(1).await.unwrap().headers.is_empty());
    let kinds: Vec<_> = capture.spans().into_iter().map(|span| span.span_kind).collect();
    assert_eq!(kinds, [SpanKind::Client, SpanKind::Client]);
    context.delete_stream(&name).await.unwrap();

    let service = client.service_builder().start("limits", "1.0.0").await.unwrap();
    let mut endpoint = service.endpoint(name.clone()).await.unwrap();
    heard(&client).await;
    let asking = {
        let (client, name) = (client.clone(), name.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..2 {
                answers.push(client.request(name.clone(), "".into()).await.unwrap());
            }
            answers
        })
    };
    let request = next(&mut endpoint).await;
    request.respond(Ok(vec![b' '; most].into())).await.unwrap();
    let request = next(&mut endpoint).await;
    // With the two headers that the driver adds, to the byte.
    let around = 12 + "Nats-Service-Error: \r\n".len() + "Nats-Service-Error-Code: 500\r\n".len();
    let error = service::error::Error { status: "a".repeat(most - around), code: 500 };
    request.respond(Err(error)).await.unwrap();
    let answers = asking.await.unwrap();
    assert_eq!(answers[0].payload.len(), most);
    assert_eq!(names(&answers[1]), ["Nats-Service-Error", "Nats-Service-Error-Code"]);
}

/// A server that takes less than it did is asked again after it was reached anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_changes_is_heeded() {
    let taking = |most: usize| {
        format!("max_payload: {most}\naccounts {{ shop {{ jetstream: enabled, {USERS} }} }}")
    };
    let Some((file, mut server)) = configured(&taking(1 << 20)) else { return };
    let (capture, client) = captured(server.url()).await;
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    let mut sent = async |most: usize| {
        assert_eq!(client.max_payload(), most);
        client.publish(subject.clone(), vec![b' '; 2000].into()).await.unwrap();
        names(&next(&mut messages).await)
    };
    assert_eq!(sent(1 << 20).await, ["traceparent"]);
    fs::write(file.path(), taking(2000)).unwrap();
    block_in_place(|| server.restart()).unwrap();
    eventually("it is there", async || client.max_payload() == 2000).await;
    assert_eq!(sent(2000).await, [""; 0]);
    let kinds = capture.spans_named(&format!("publish {subject}"));
    let kinds: Vec<_> = kinds.into_iter().map(|span| span.span_kind).collect();
    assert_eq!(kinds, [SpanKind::Producer, SpanKind::Client]);
}

/// An account that may not use JetStream.
#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_all_is_as_with_the_driver() {
    let accounts = format!(
        "accounts {{ shop {{ jetstream: enabled, {USERS} }}, \
         plain {{ users: [{{user: plain, password: plain}}] }} }}"
    );
    let Some((_file, server)) = configured(&accounts) else { return };
    let url = as_user(server.url(), "plain");
    let (capture, client) = captured(&url).await;
    let (context, subject) = (jetstream(client), unique_name());
    let bare = context.raw().publish(subject.clone(), "order".into()).await.unwrap();
    let ours = context.publish(subject.clone(), "order".into()).await.unwrap();
    let (bare, ours) = (bare.await.unwrap_err(), ours.await.unwrap_err());
    assert_eq!((ours.kind(), ours.to_string()), (bare.kind(), bare.to_string()));
    let expected = about(&url, "publish", "send", &subject).producer().error("");
    capture.assert_spans([expected.attribute("error.type", "StreamNotFound")]);
    let bare = context.raw().get_stream("orders").await.map(|_| ()).unwrap_err();
    let ours = context.get_stream("orders").await.map(|_| ()).unwrap_err();
    assert_eq!(ours.to_string(), bare.to_string());
}

/// Writes what no header of NATS may be, around one that may.
#[derive(Debug)]
struct Odd;

impl TextMapPropagator for Odd {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        for name in ["", "a b", "a:b", "naïve", "\0", "a\r\nb", &"long".repeat(100_000)] {
            injector.set(name, "value".to_owned());
        }
        for value in ["a\r\nInjected: b", "\n", "\r"] {
            injector.set("odd-value", value.to_owned());
        }
        injector.set("x-even", "value".to_owned());
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        for name in ["", "a b", "a:b", "naïve", "\0", "a\r\nb"] {
            assert_eq!(extractor.get(name), None);
        }
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_of_headers_are_left_out() {
    let Some(url) = live::address("NATS") else { return };
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().propagator(Odd).build();
    let client = connect(&url, &telemetry).await;
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject.clone(), "order".into()).await.unwrap();
    let message = next(&mut messages).await;
    let mut expected = vec!["x-even".to_owned(), "long".repeat(100_000)];
    expected.sort_unstable();
    assert_eq!(names(&message), expected);
}

/// Names and payloads of all sorts: what is told is what a name says, and never a payload.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_headers() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    let mut headers = HeaderMap::new();
    for parent in ["", "00", "00-secret-secret-01", &"0".repeat(20_000), "00-0-0-00"] {
        headers.append("traceparent", parent);
    }
    headers.append("TRACEPARENT", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.append("tracestate", "=,=,secret");
    headers.append("baggage", ",=secret;;%%%,");
    for number in 0..2000 {
        headers.append(HeaderName::try_from(format!("h{number}")).unwrap(), HeaderValue::new());
    }
    client
        .raw()
        .publish_with_headers(subject.clone(), headers.clone(), "secret".into())
        .await
        .unwrap();
    let message = next(&mut messages).await;
    assert_eq!(message.headers, Some(headers));
    assert!(message.delivery().span_context().is_none());
    message.process(async |_| Err::<(), _>("secret")).await.unwrap_err();

    // No subject of the protocol: refused as the driver does, and told.
    let large = "a".repeat(1_000_000);
    for odd in ["", " ", "a b", "\r\n", "\u{1}", "naïve.*", "..", &large] {
        let bare = client.raw().publish(odd.to_owned(), "secret".into()).await;
        let ours = client.publish(odd.to_owned(), "secret".into()).await;
        let told =
            |result: Result<(), otel_nats::PublishError>| result.map_err(|it| it.to_string());
        assert_eq!(told(ours), told(bare), "{odd:.20}");
        assert!(
            client.subscribe(odd.to_owned()).await.is_ok()
                == client.raw().subscribe(odd.to_owned()).await.is_ok()
        );
    }
    assert_nowhere(&capture, "secret");
}

/// In front of a server, says that it takes no headers: the driver connects to none that really is such,
/// but to those that are so old that they do not know what it asks them for.
fn without_headers(server: &ServerAddr) -> SocketAddr {
    let (server, listener) =
        ((server.host().to_owned(), server.port()), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect((server.0.as_str(), server.1)).unwrap();
            let mut greeting = BufReader::new(server.try_clone().unwrap());
            let mut info = String::new();
            greeting.read_line(&mut info).unwrap();
            let info = info.replace("\"headers\":true", "\"headers\":false");
            (&client).write_all(info.as_bytes()).unwrap();
            let (mut to_client, mut to_server) = (client.try_clone().unwrap(), server);
            thread::spawn(move || io::copy(&mut greeting, &mut to_client));
            thread::spawn(move || io::copy(&mut &client, &mut to_server));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_headers_gets_none() {
    let Some(url) = live::address("NATS") else { return };
    let server: ServerAddr = url.parse().unwrap();
    let address = without_headers(&server);
    let url = format!("nats://otel:otel@{address}");
    let (capture, client) = captured(&url).await;
    assert!(!client.server_info().headers);
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject.clone(), "order".into()).await.unwrap();
    let message = next(&mut messages).await;
    assert_eq!((message.payload.as_ref(), message.headers), (&b"order"[..], None));
    capture.assert_spans([
        about(&url, "publish", "send", &subject).client(),
        about(&url, "receive", "receive", &subject).client(),
    ]);
}

/// By ADR-41 of NATS, a server tells of each message of an account that carries a sampled trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_sampled_trace_is_followed_by_the_server() {
    let account = format!(
        "accounts {{ shop {{ jetstream: enabled, {USERS}, \
         msg_trace: {{dest: \"traces\", sampling: 100}} }} }}"
    );
    let Some((_file, server)) = configured(&account) else { return };
    let (_capture, client) = captured(server.url()).await;
    let mut traces = client.subscribe("traces").await.unwrap();
    let subject = unique_name();
    let mut messages = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject.clone(), "order".into()).await.unwrap();
    let message = next(&mut messages).await;
    let sent = message.delivery().span_context().unwrap();
    let event = next(&mut traces).await;
    // What the server tells belongs to no trace by itself, but names it.
    assert!(event.delivery().span_context().is_none());
    let told: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    let parent = told["request"]["header"]["traceparent"][0].as_str().unwrap();
    assert_eq!(parent, format!("00-{}-{}-01", sent.trace_id(), sent.span_id()));
    let hops = told["events"].as_array().unwrap();
    assert!(hops.iter().any(|hop| hop["type"] == "in" && hop["subj"] == *subject), "{told:#}");

    // One that is not sampled is not followed: the next event is of the one after it.
    let quiet = Capture::not_sampled();
    let unsampled = connect(server.url(), &quiet.telemetry()).await;
    unsampled.publish(subject.clone(), "quiet".into()).await.unwrap();
    unsampled.flush().await.unwrap();
    client.publish(subject.clone(), "loud".into()).await.unwrap();
    let quiet = next(&mut messages).await;
    assert!(names(&quiet).contains(&"traceparent".to_owned()));
    let sent = next(&mut messages).await.delivery().span_context().unwrap();
    let event = next(&mut traces).await;
    let told: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    let parent = told["request"]["header"]["traceparent"][0].as_str().unwrap();
    assert!(parent.contains(&sent.span_id().to_string()), "{parent}");
}

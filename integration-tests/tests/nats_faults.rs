//! What may happen to a client of NATS: each ends as with bare async-nats, and with true spans.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_alike;
mod nats_support;

use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::crowd::{Crowd, TASKS};
use integration_tests::{error_type, eventually, private, soon, total, unique_name};
use native::{Extra, Server};
use otel_nats::client::{Request, RequestErrorKind};
use otel_nats::connection::State;
use otel_nats::{ConnectErrorKind, Event};
use otel_testing::{Capture, live};
use tokio::task::block_in_place;

use crate::nats_alike::{bare, ours};
use crate::nats_support::{about, captured, heard, jetstream, next, options, stream};

const RECONNECTS: &str = "nats.client.reconnects";
const DROPPED: &str = "nats.client.messages.dropped";

#[tokio::test(flavor = "multi_thread")]
async fn connecting_fails_as_with_the_driver() {
    let Some(url) = live::address("NATS") else { return };
    let capture = Capture::new();
    let wrong = options(&url).user_and_password("otel".to_owned(), "secret".to_owned());
    let error = wrong.telemetry(&capture.telemetry()).connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);
    let error = options(&url).connect("nats://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    let error = options(&url).connect("http://127.0.0.1").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::ServerParse);
    capture.assert_silent();
}

/// What all of it gave is what the driver gave, line by line.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let bare = bare::scenarios::killed(&mut server, bare::plain).await;
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let told = move |options: ours::driver::ConnectOptions| options.telemetry(&telemetry);
    let ours = ours::scenarios::killed(&mut server, told).await;
    assert_eq!(ours, bare);
    assert!(total(&capture, RECONNECTS) >= 1);
    let failed: Vec<_> = capture.spans().iter().filter_map(error_type).collect();
    assert!(failed.contains(&"TimedOut".to_owned()), "{failed:?}");
    capture.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let bare = bare::scenarios::stopped(&mut server, bare::plain).await;
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let told = move |options: ours::driver::ConnectOptions| options.telemetry(&telemetry);
    let ours = ours::scenarios::stopped(&mut server, told).await;
    assert_eq!(ours, bare);
    assert_eq!(ours[..2], ["request: TimedOut", "publish: TimedOut"]);
    let failed: Vec<_> = capture.spans().iter().filter_map(error_type).collect();
    assert_eq!(failed, ["TimedOut", "TimedOut"]);
}

/// Bodies, names, order and back-pressure, by both.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_as_with_the_driver() {
    let Some(url) = live::address("NATS") else { return };
    let bare = bare::scenarios::alike(&url, bare::plain).await;
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let told = move |options: ours::driver::ConnectOptions| options.telemetry(&telemetry);
    let ours = ours::scenarios::alike(&url, told).await;
    assert_eq!(ours, bare);
    assert!(ours.len() > 15, "{ours:#?}");
    // Nor where nobody listens.
    let off = ours::driver::Telemetry::builder().enabled(false).build();
    let silent = move |options: ours::driver::ConnectOptions| options.telemetry(&off);
    let off = ours::scenarios::alike(&url, silent).await;
    assert_eq!(off, bare);
}

/// What the client throws away because nobody takes it, and the application's own listener beside it.
#[tokio::test(flavor = "multi_thread")]
async fn slow_consumers_are_counted() {
    let Some(url) = live::address("NATS") else { return };
    let capture = Capture::new();
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let listener = std::sync::Arc::clone(&heard);
    let options =
        options(&url).name("live").subscription_capacity(5).event_callback(move |event| {
            if let Event::SlowConsumer(_) = event {
                listener.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            async {}
        });
    let client = options.telemetry(&capture.telemetry()).connect(&url).await.unwrap();
    let subject = unique_name();
    let messages = client.subscribe(subject.clone()).await.unwrap();
    for _ in 0..20 {
        client.publish(subject.clone(), "order".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    eventually("all are told", async || total(&capture, DROPPED) == 15).await;
    assert_eq!(heard.load(std::sync::atomic::Ordering::Relaxed), 15);
    let point = otel_testing::point().attribute("client-id", "live").value(15);
    capture.assert_metric(otel_testing::metric(DROPPED).counter().unit("{message}").point(point));
    capture.assert_no_metric(RECONNECTS);
    // What it kept is there.
    assert_eq!(soon("they come", messages.take(5).count()).await, 5);

    client.force_reconnect().await.unwrap();
    eventually("it is told", async || total(&capture, RECONNECTS) == 1).await;
    eventually("it is there", async || client.connection_state() == State::Connected).await;
}

/// Ten thousand tasks, each with a span of its own, some of which are dropped at some point.
#[tokio::test(flavor = "multi_thread")]
async fn each_span_is_below_its_tasks_own() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let (_, service) = captured(&url).await;
    let subject = unique_name();
    let requests = service.subscribe(subject.clone()).await.unwrap();
    heard(&service).await;
    let answering = tokio::spawn(requests.for_each_concurrent(64, move |request| {
        let service = service.clone();
        async move {
            if let Some(reply) = request.reply {
                service.publish(reply, request.payload).await.unwrap();
            }
        }
    }));
    let context = jetstream(client.clone());
    let name = unique_name();
    let _stream = stream(&context, &name).await;
    capture.clear();
    let crowd = Crowd::run(&capture, |number| {
        let (client, context, subject) = (client.clone(), context.clone(), subject.clone());
        let (stored, body) = (format!("{name}.order"), number.to_string().into());
        async move {
            match number % 3 {
                0 => drop(client.request(subject, body).await.unwrap()),
                1 => client.publish(subject, body).await.unwrap_or(()),
                _ => drop(context.publish(stored, body).await.unwrap().await),
            }
        }
    })
    .await;
    let calls = crowd.calls(&capture);
    for (number, span) in &calls {
        let expected = match number % 3 {
            0 => format!("request {subject}"),
            1 => format!("publish {subject}"),
            _ => format!("publish {name}.order"),
        };
        assert_eq!(span.name, expected);
        let error = error_type(span);
        assert!(matches!(error.as_deref(), None | Some("cancelled")), "{error:?}");
        assert!(error.is_none() || number % 2 == 1, "nobody dropped {number}");
    }
    // A task whose patience was over before it was polled has none.
    assert!(calls.len() > TASKS * 2 / 3, "{}", calls.len());
    answering.abort();
    context.delete_stream(&name).await.unwrap();
    capture.check();
}

/// A server that takes nothing fills the client's queue: who gives up waiting for room has sent nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_is_dropped_while_the_queue_is_full_is_cancelled() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let capture = Capture::new();
    let options = options(server.url()).name("live").client_capacity(1);
    let client = options.telemetry(&capture.telemetry()).connect(server.url()).await.unwrap();
    server.pause().unwrap();
    let large = vec![b' '; 1_000_000];
    let mut sent = 0;
    let filling = async {
        loop {
            let publish = client.publish("orders", large.clone().into());
            match tokio::time::timeout(Duration::from_millis(100), publish).await {
                Ok(done) => done.unwrap(),
                Err(_) => break,
            }
            sent += 1;
        }
    };
    soon("the queue is full", filling).await;
    let spans = capture.spans();
    assert_eq!(spans.len(), sent + 1);
    let expected = about(server.url(), "publish", "send", "orders").producer();
    let cancelled = expected.clone().error("").attribute("error.type", "cancelled");
    let sent_ones = std::iter::repeat_n(expected, sent);
    capture.assert_spans(sent_ones.chain([cancelled]));
    server.resume().unwrap();
    soon("it goes on", client.flush()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_is_cancelled() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, client) = captured(&url).await;
    let subject = unique_name();
    let mut silent = client.subscribe(subject.clone()).await.unwrap();
    let request = Request::new().payload("order".into()).timeout(None);
    let asking = tokio::spawn({
        let (client, subject) = (client.clone(), subject.clone());
        async move { client.send_request(subject, request).await }
    });
    next(&mut silent).await;
    capture.clear();
    asking.abort();
    asking.await.unwrap_err();
    let expected = about(&url, "request", "send", &subject).producer().error("");
    capture.assert_spans([expected.attribute("error.type", "cancelled")]);
    // What came of it is as ever.
    let error = client.request(unique_name(), "order".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
}

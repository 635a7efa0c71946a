//! What may happen to a client of RabbitMQ: each ends as with bare lapin, and with true spans.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_suite;
mod rabbitmq_support;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::{private, soon, total};
use native::{Extra, Server};
use otel_rabbitmq::options::{BasicAckOptions, BasicGetOptions};
use otel_rabbitmq::{Connection, ErrorKind, Event};
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use otel_testing::{Capture, live, metric, point};
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, block_in_place};

use crate::rabbitmq_suite::{bare, ours};
use crate::rabbitmq_support::{
    captured, confirming, error_type, properties, publish, queue, recovering, tracer,
};

const RECONNECTS: &str = "rabbitmq.client.reconnects";
const BLOCKED: &str = "rabbitmq.client.blocked";

type Properties = ours::driver::ConnectionProperties;

fn told(capture: &Capture) -> impl Fn(Properties) -> Properties + use<> {
    let telemetry = capture.telemetry();
    move |properties| properties.with_telemetry(&telemetry)
}

/// The errors, each once, in the order of the alphabet.
fn errors(capture: &Capture) -> Vec<String> {
    let mut errors: Vec<_> = capture.spans().iter().filter_map(error_type).collect();
    errors.sort();
    errors.dedup();
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_fails_as_with_the_driver() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let capture = Capture::new();
    let wrong = [
        url.replace("otel:otel@", "otel:secret@"),
        url.replace("%2f", "nowhere"),
        "amqp://127.0.0.1:1".to_owned(),
        "http://127.0.0.1".to_owned(),
        "no url".to_owned(),
    ];
    for url in wrong {
        let bare = lapin::Connection::connect(&url, lapin::ConnectionProperties::default());
        let bare = soon(&url, bare).await.map(drop).unwrap_err();
        let properties = properties().with_telemetry(&capture.telemetry());
        let ours = soon(&url, Connection::connect(&url, properties.clone())).await;
        let ours = ours.map(drop).unwrap_err();
        assert_eq!(ours.to_string(), bare.to_string());
        let builder = otel_rabbitmq::DefaultConnectionBuilder::new().unwrap();
        let builder = builder.with_properties(properties).with_uri_str(url.clone());
        let ours = soon(&url, builder.connect()).await.map(drop).unwrap_err();
        assert_eq!(ours.to_string(), bare.to_string());
    }
    capture.assert_silent();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_as_with_the_driver() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let bare = bare::scenarios::alike(&url, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::alike(&url, told(&capture)).await;
    assert_eq!(ours, bare);
    assert!(ours.len() > 25, "{ours:#?}");
    // And when nobody listens.
    let off = Capture::new().telemetry_builder().enabled(false).build();
    let off = ours::scenarios::alike(&url, move |it| it.with_telemetry(&off)).await;
    assert_eq!(off, bare);
}

/// What all of it gave is what the driver gave, line by line.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_to_another_connection() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let bare = bare::scenarios::killed(&mut server, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::killed(&mut server, told(&capture)).await;
    assert_eq!(ours, bare);
    let errors = errors(&capture);
    for error in ["InvalidChannelState", "channel_lost"] {
        assert!(errors.contains(&error.to_owned()), "{errors:?}");
    }
    capture.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_recovers_goes_on() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let bare = bare::scenarios::recovered(&mut server, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::recovered(&mut server, told(&capture)).await;
    assert_eq!(ours, bare);
    assert!(total(&capture, RECONNECTS) >= 1);
    let mut acks: Vec<_> = capture.spans();
    acks.retain(|span| span.name.starts_with("ack "));
    let told: Vec<_> = acks.iter().map(|span| (error_type(span), span.links.len())).collect();
    let lost = || (Some("channel_lost".to_owned()), 1);
    // Those of before settle nothing; the tags of now are not mixed up with theirs.
    assert_eq!(told, [lost(), lost(), lost(), (None, 2), (None, 1), (None, 1)]);
    capture.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let bare = bare::scenarios::stopped(&mut server, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::stopped(&mut server, told(&capture)).await;
    assert_eq!(ours, bare);
    // The publish was given up, and is confirmed; of a get that is given up nothing is told.
    assert_eq!(errors(&capture), Vec::<String>::new());
    assert_eq!(capture.spans().len(), 1);
}

/// A broker without memory takes nothing, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_blocked_is_counted() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"[{rabbit, [{vm_memory_high_watermark, {absolute, 1}}]}].\n").unwrap();
    let extra = Extra::new().variable("RABBITMQ_ADVANCED_CONFIG_FILE", file.path());
    let Some(server) = block_in_place(|| private(Server::rabbitmq(), extra)) else { return };
    let (capture, connection) = captured(server.url()).await;
    let mut events = Box::pin(connection.events_listener());
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let _waits = publish(&channel, &queue, b"order").await;
    let event = soon("it says so", events.next()).await;
    assert!(matches!(event, Some(Event::ConnectionBlocked(_))), "{event:?}");
    let point = point().attribute("client-id", "live").value(1);
    capture.assert_metric(metric(BLOCKED).counter().unit("{event}").point(point));
    capture.assert_no_metric(RECONNECTS);
}

/// The first connection nobody can hear of.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_comes_back_is_counted() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let capture = Capture::new();
    let properties = recovering().with_telemetry(&capture.telemetry());
    let connection = Connection::connect(server.url(), properties).await.unwrap();
    let mut events = Box::pin(connection.events_listener());
    block_in_place(|| server.kill()).unwrap();
    block_in_place(|| server.restart()).unwrap();
    let back = async { while !matches!(events.next().await, Some(Event::Connected)) {} };
    soon("it is back", back).await;
    let point = point().attribute("client-id", "live").value(1);
    capture.assert_metric(metric(RECONNECTS).counter().unit("{event}").point(point));
}

const TASKS: usize = 10_000;

/// Ten thousand tasks, each with a span of its own, some of which are dropped at some point.
#[tokio::test(flavor = "multi_thread")]
async fn each_span_is_below_its_tasks_own() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let tracer = tracer(&capture);
    let mut tasks = JoinSet::new();
    let mut parents = HashMap::new();
    let permits = Arc::new(Semaphore::new(128));
    for number in 0..TASKS {
        let span = tracer.start(format!("task {number}"));
        let task = Context::new().with_span(span);
        parents.insert(task.span().span_context().span_id(), number);
        let (channel, queue) = (channel.clone(), queue.clone());
        let permits = Arc::clone(&permits);
        // By its number: chance that is the same at each run.
        let patience = Duration::from_micros((number as u64).wrapping_mul(2_654_435_761) % 3000);
        let work = async move {
            let _permit = permits.acquire().await.unwrap();
            let calls = async {
                let body = number.to_string();
                match number % 3 {
                    0 => drop(publish(&channel, &queue, body.as_bytes()).await),
                    1 => assert!(
                        publish(&channel, &queue, body.as_bytes()).await.await.unwrap().is_ack()
                    ),
                    _ => {
                        let got = channel.basic_get(queue, BasicGetOptions::default()).await;
                        if let Some(got) = got.unwrap() {
                            got.ack(BasicAckOptions::default()).await.unwrap();
                        }
                    }
                }
            };
            if number % 2 == 0 {
                calls.await;
            } else {
                let _dropped = tokio::time::timeout(patience, calls).await;
            }
            Context::current().span().end();
        };
        tasks.spawn(work.with_context(task));
    }
    soon("all are done", async { while tasks.join_next().await.transpose().unwrap().is_some() {} })
        .await;
    soon("all are confirmed", channel.wait_for_confirms()).await.unwrap();
    let mut calls = 0;
    for span in capture.spans() {
        if span.name.starts_with("task ") {
            continue;
        }
        calls += 1;
        let number = parents[&span.parent_span_id];
        let operations = if number % 3 == 2 { &["get", "ack"][..] } else { &["publish"] };
        let name = operations.iter().map(|it| format!("{it} {queue}")).find(|it| *it == span.name);
        assert!(name.is_some(), "{} of {number}", span.name);
        // Nothing that is dropped is taken back.
        assert_eq!(error_type(&span), None);
    }
    assert!(calls > TASKS / 2, "{calls}");
    capture.check();
}

/// lapin's own words for what it refuses by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_fails_at_once() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    channel.close(200, "done".into()).await.unwrap();
    let error = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidChannelState(..)), "{error:?}");
    channel.basic_ack(1, BasicAckOptions::default()).await.unwrap_err();
    let told: Vec<_> = capture.spans().iter().map(|it| (it.name.clone(), error_type(it))).collect();
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().all(|(_, error)| error.as_deref() == Some("InvalidChannelState")),
        "{told:?}"
    );
    connection.close(200, "done".into()).await.unwrap();
}

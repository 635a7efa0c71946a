//! What may happen to a client of RabbitMQ: each ends as with bare lapin, and with true spans.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_alike;
mod rabbitmq_support;

use futures_util::StreamExt as _;
use integration_tests::{private, soon, total};
use native::{Extra, Server};
use otel_rabbitmq::{Connection, Event};
use otel_testing::{Capture, live, metric, point};
use tokio::task::block_in_place;

use crate::rabbitmq_alike::{bare, ours};
use crate::rabbitmq_support::{
    captured, confirming, error_type, properties, publish, published, queue, recovering,
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

/// By `rabbitmqctl close_all_connections`.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_an_operator_closes() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(server) = server else { return };
    let bare = bare::scenarios::forced(&server, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::forced(&server, told(&capture)).await;
    assert_eq!(ours, bare);
    assert_eq!(errors(&capture), ["CONNECTION_FORCED", "InvalidChannelState", "channel_lost"]);
    capture.check();
}

/// By `rabbitmqctl stop_app` and `start_app`.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_restarted_in_good_order() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(server) = server else { return };
    let bare = bare::scenarios::restarted(&server, bare::plain).await;
    let capture = Capture::new();
    let ours = ours::scenarios::restarted(&server, told(&capture)).await;
    assert_eq!(ours, bare);
    // How often it was tried meanwhile is chance; each try that failed says why.
    for error in errors(&capture) {
        assert!(["CONNECTION_FORCED", "InvalidChannelState"].contains(&&*error), "{error}");
    }
    let stored = capture.spans().iter().filter(|it| error_type(it).is_none()).count();
    assert_eq!(stored, 2 + 2 + 2, "two are sent, got and acknowledged");
    capture.check();
}

/// A broker without memory takes nothing, and says so; what was sent meanwhile is confirmed once it has
/// some again.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_blocked_is_counted() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(server) = server else { return };
    let memory = |bytes: u64| {
        let line = format!("rabbitmqctl set_vm_memory_high_watermark absolute {bytes}");
        block_in_place(|| server.ask(&line)).unwrap();
    };
    let (capture, connection) = captured(server.url()).await;
    let mut events = Box::pin(connection.events_listener());
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    memory(1);
    let waits = publish(&channel, &queue, b"order").await;
    let event = soon("it says so", events.next()).await;
    assert!(matches!(event, Some(Event::ConnectionBlocked(_))), "{event:?}");
    capture.assert_no_spans();
    memory(1 << 30);
    let event = soon("it says so", events.next()).await;
    assert!(matches!(event, Some(Event::ConnectionUnblocked)), "{event:?}");
    assert!(soon("it is confirmed", waits).await.unwrap().is_ack());
    capture.assert_spans([published(server.url(), &queue).producer()]);
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

//! Code in the manner of the driver's own examples, compiled against the driver and against this
//! crate with nothing changed but the name, and run against one server.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "code as the driver's examples have it")]

use opentelemetry::global;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_testing::live;
#[cfg(all(feature = "bb8", feature = "r2d2", feature = "sentinel"))]
use otel_testing::{Capture, metric, point};

/// Against the driver.
mod bare {
    #![allow(unused_qualifications, reason = "the same text serves two crates")]
    use ::redis;
    include!("user_code/code.rs");
}

/// Against this crate.
mod ours {
    #![allow(unused_qualifications, reason = "the same text serves two crates")]
    use otel_redis as redis;
    include!("user_code/code.rs");
}

/// Whoever listens to nothing would get the driver's own calls.
fn listen() {
    global::set_tracer_provider(SdkTracerProvider::builder().build());
}

#[test]
fn blocking_code_gets_the_same_answers() {
    let Some(url) = live::address("REDIS") else { return };
    listen();
    let expected = bare::blocking(&url, "user-code-sync").unwrap();
    assert_eq!(ours::blocking(&url, "user-code-sync").unwrap(), expected);
    assert!(expected.len() > 20, "{expected:?}");
}

#[tokio::test]
async fn asynchronous_code_gets_the_same_answers() {
    let Some(url) = live::address("REDIS") else { return };
    listen();
    let expected = bare::asynchronous(&url, "user-code-async").await.unwrap();
    assert_eq!(ours::asynchronous(&url, "user-code-async").await.unwrap(), expected);
    assert!(expected.len() > 15, "{expected:?}");
}

/// Types are as the driver's are.
#[test]
fn handles_are_what_the_driver_s_are() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    fn is_unpin<T: Unpin>() {}
    fn is_clone<T: Clone>() {}
    fn is_debug<T: std::fmt::Debug>() {}
    is_send::<otel_redis::Connection>();
    is_unpin::<otel_redis::Connection>();
    is_send::<otel_redis::cluster::ClusterConnection>();
    is_unpin::<otel_redis::cluster::ClusterConnection>();
    macro_rules! all {
        ($($handle:ty),*) => {$(
            is_send::<$handle>();
            is_sync::<$handle>();
            is_unpin::<$handle>();
            is_clone::<$handle>();
            is_debug::<$handle>();
        )*};
    }
    all!(
        otel_redis::Client,
        otel_redis::aio::MultiplexedConnection,
        otel_redis::aio::ConnectionManager,
        otel_redis::cluster::ClusterClient,
        otel_redis::Msg,
        otel_redis::Received,
        otel_redis::aio::PubSubSink
    );
    is_send::<otel_redis::PubSub<'_>>();
    is_send::<otel_redis::aio::PubSub>();
    is_send::<otel_redis::aio::PubSubStream>();
    is_sync::<otel_redis::aio::PubSubStream>();
    is_unpin::<otel_redis::aio::PubSubStream>();
    is_send::<otel_redis::cluster_async::ClusterConnection>();
    is_sync::<otel_redis::cluster_async::ClusterConnection>();
    is_unpin::<otel_redis::cluster_async::ClusterConnection>();
    is_clone::<otel_redis::cluster_async::ClusterConnection>();
    fn future_is_send<F: Future + Send>(_: F) {}
    fn is_used(mut connection: otel_redis::aio::MultiplexedConnection) {
        use redis::AsyncCommands as _;
        let received = connection.received("stream", "5-1");
        future_is_send(async move { received.process(async || Ok::<_, ()>(())).await });
        future_is_send(async move { connection.get::<_, i64>("key").await });
    }
    let _ = is_used;
}

/// Each line of the README's table of what the twins do not have.
#[cfg(all(feature = "bb8", feature = "r2d2", feature = "sentinel"))]
#[tokio::test]
async fn what_is_left_to_the_driver_is_done_as_the_table_says() {
    use otel_redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
    use otel_redis::sentinel::{SentinelClient, SentinelServerType};
    use redis::sentinel::{AsyncLockedSentinelClient, LockedSentinelClient};

    fn query(con: &mut ClusterConnection) -> redis::RedisResult<(i64, i64)> {
        con.query(cluster_pipe().get("a").get("b"))
    }
    let _ = query;

    // Nobody listens there.
    const NOWHERE: &str = "redis://127.0.0.1:1";
    let short = std::time::Duration::from_millis(10);
    let capture = Capture::new();
    let client = redis::Client::open(NOWHERE).unwrap();
    let client = otel_redis::Client::with(client, &capture.telemetry());
    let sentinel = || {
        let kind = SentinelServerType::Master;
        SentinelClient::build(vec![NOWHERE], "primary", None, kind).unwrap().into_inner()
    };
    let manager = LockedSentinelClient::new(sentinel());
    let pool = client.pool("r2d2", r2d2::Pool::builder().build_unchecked(manager));
    assert!(pool.get_timeout(short).is_err());
    let pool = bb8::Pool::builder().connection_timeout(short);
    let pool = pool.build_unchecked(AsyncLockedSentinelClient::new(sentinel()));
    assert!(client.pool("bb8", pool).get().await.is_err());
    let timeouts = ["r2d2", "bb8"]
        .map(|name| point().attribute("db.client.connection.pool.name", name).value(1));
    let counted = metric("db.client.connection.timeouts").counter();
    capture.assert_metric(timeouts.into_iter().fold(counted, |all, point| all.point(point)));

    let cluster = redis::cluster::ClusterClient::new(vec![NOWHERE]).unwrap();
    assert!(ClusterClient::from(cluster).get_connection().is_err());
    let client = otel_redis::Client::from(redis::Client::open(NOWHERE).unwrap());
    assert!(client.get_connection().is_err());
}

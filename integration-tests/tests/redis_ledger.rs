//! What goes past otel-redis, by what the server counts.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod redis_suite;

use integration_tests::ledger::redis::Redis;
use integration_tests::{eventually_ok, private};
use native::{Extra, Private, Server};
use otel_testing::ledger::{Balance, Count, Ledger, Traced};
use redis::caching::CacheConfig;
use redis::{AsyncCommands as _, AsyncConnectionConfig, Commands as _};
use tokio::task::block_in_place;

use crate::redis_suite::{Live, scenarios};

/// A server of a test's own, and what it counts from now on.
async fn counted() -> Option<(Private, Ledger<Redis>)> {
    let server = block_in_place(|| private(Server::redis(), Extra::new()))?;
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    Some((server, Ledger::open(Redis(connection)).await.unwrap()))
}

/// Once that went past, and that is told and was not counted.
async fn balance(
    ledger: &mut Ledger<Redis>,
    traced: &Traced,
    past: &[(&str, u64)],
    uncounted: &[(&str, u64)],
) -> Balance {
    let is = |counts: &[Count], expected: &[(&str, u64)]| {
        let expected = expected.iter().map(|(text, times)| Count::new(*text, *times));
        counts == expected.collect::<Vec<_>>()
    };
    // What nobody waits for is counted a little later.
    eventually_ok("the ledger is even", async || {
        let read = ledger.balance(traced).await.unwrap();
        let is_even = is(&read.past, past) && is(&read.uncounted, uncounted);
        if is_even { Ok(read) } else { Err(read) }
    })
    .await
}

/// Over all that the live tests of one server do.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_server_counted_was_traced() {
    let traced = Traced::new();
    let Some((server, mut ledger)) = counted().await else { return };
    macro_rules! run {
        ($($scenario:ident)*) => {$(
            redis_suite::$scenario(&Live::watched(server.url(), &traced)).await;
        )*};
    }
    scenarios!(run);
    // The driver chooses the configured database of two connections; a transaction of one command is
    // told as that command, and one that somebody else was faster than is told and was not run.
    let past = [("EXEC", 1), ("MULTI", 1), ("SELECT", 2)];
    let balance = balance(&mut ledger, &traced, &past, &[("DECRBY", 2)]).await;
    assert!(balance.traced > 60, "{balance}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_go_past_the_wrapper_are_found() {
    let traced = Traced::new();
    let Some((server, mut ledger)) = counted().await else { return };
    let live = Live::watched(server.url(), &traced);
    let mut ours = live.connection().await;
    let mut bare = ours.clone().into_inner();
    for number in 0..20 {
        ours.set::<_, _, ()>("number", number).await.unwrap();
        if number % 10 == 0 {
            let _: i64 = bare.get("number").await.unwrap();
        }
    }
    let mut blocking = live.client.clone();
    let _: i64 = blocking.get("number").unwrap();
    let _: i64 = live.client.raw().clone().strlen("number").unwrap();
    let balance = balance(&mut ledger, &traced, &[("GET", 2), ("STRLEN", 1)], &[]).await;
    assert_eq!((balance.traced, balance.counted), (21, 24));
    let expected = "21 of 24 commands traced\npast the instrumentation: 2 x GET\n\
                    past the instrumentation: 1 x STRLEN";
    assert_eq!(balance.to_string(), expected);
}

/// With the driver's cache a call may have no command, and commands are sent that nobody called.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_out_of_the_cache_is_a_call_without_a_command() {
    let traced = Traced::new();
    let Some((server, mut ledger)) = counted().await else { return };
    let live = Live::watched(&format!("{}/?protocol=resp3", server.url()), &traced);
    let settings = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
    let connecting = live.client.get_multiplexed_async_connection_with_config(&settings);
    let mut connection = connecting.await.unwrap();
    connection.set::<_, _, ()>("number", 7).await.unwrap();
    live.capture.clear();
    for _ in 0..3 {
        assert_eq!(connection.get::<_, i64>("number").await.unwrap(), 7);
    }
    assert_eq!(connection.get_cache_statistics().unwrap().hit, 2);
    balance(&mut ledger, &traced, &[("CLIENT", 1), ("PTTL", 1)], &[("GET", 2)]).await;
    live.capture.assert_spans(std::iter::repeat_with(|| live.command("GET", "GET number")).take(3));
}

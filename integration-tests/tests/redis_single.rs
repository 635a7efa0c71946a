//! `otel-redis` on one server that others use too, and on one with users.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod redis_suite;

use integration_tests::{assert_nowhere, unique_name};
use otel_testing::ledger::Traced;
use otel_testing::live;
use redis::{AsyncCommands as _, Commands as _, cmd};

use crate::redis_suite::{Live, failed, scenarios};

impl Live {
    fn new(name: &str) -> Option<Self> {
        Some(Self::with(&live::address(name)?))
    }

    fn with(url: &str) -> Self {
        Self::watched(url, &Traced::new())
    }
}

macro_rules! on_a_shared_server {
    ($name:literal, $($scenario:ident)*) => {$(
        #[tokio::test]
        async fn $scenario() {
            if let Some(live) = super::Live::new($name) {
                super::redis_suite::$scenario(&live).await;
            }
        }
    )*};
}

macro_rules! on_redis {
    ($($scenario:ident)*) => { on_a_shared_server! { "REDIS", $($scenario)* } };
}

macro_rules! on_valkey {
    ($($scenario:ident)*) => { on_a_shared_server! { "VALKEY", $($scenario)* } };
}

mod redis_itself {
    super::scenarios!(on_redis);
}

mod valkey {
    super::scenarios!(on_valkey);
}

#[tokio::test]
async fn who_is_refused_is_told_why_and_no_password_is_told() {
    let Some(live) = Live::new("REDIS_ACL") else { return };
    let reader = Live::with(&live::address("REDIS_ACL_READER").unwrap());
    let mut connection = reader.connection().await;
    connection.set::<_, _, ()>("live_none", "s3cr3t").await.unwrap_err();
    reader.capture.assert_spans([failed(reader.command("SET", "SET live_none ?"), "NOPERM")]);

    let mut connection = live.connection().await;
    let login = cmd("AUTH").arg("otel").arg("s3cr3t").take();
    login.exec_async(&mut connection).await.unwrap_err();
    let login = cmd("HELLO").arg(2).arg("AUTH").arg("otel").arg("s3cr3t").take();
    login.exec_async(&mut connection).await.unwrap_err();
    let user = unique_name();
    let mut set = cmd("ACL");
    set.arg("SETUSER").arg(&user).arg("on").arg(">s3cr3t");
    set.exec_async(&mut connection).await.unwrap();
    cmd("ACL").arg("DELUSER").arg(&user).exec_async(&mut connection).await.unwrap();
    live.capture.assert_spans([
        failed(live.command("AUTH", "AUTH ? ?"), "WRONGPASS"),
        failed(live.command("HELLO", "HELLO ? ? ? ?"), "WRONGPASS"),
        live.command("ACL", "ACL SETUSER ? ? ?"),
        live.command("ACL", "ACL DELUSER ?"),
    ]);
    assert_nowhere(&live.capture, "s3cr3t");

    // A client connects for each of its calls: that is a part of the call.
    let url = live::address("REDIS_ACL").unwrap();
    let (_, server) = url.split_once('@').unwrap();
    let mut refused = Live::with(&format!("redis://otel:s3cr3t@{server}"));
    refused.client.get::<_, Option<i64>>("live_none").unwrap_err();
    let get = refused.command("GET", "GET live_none");
    let expected = get.attribute("error.type", "AuthenticationFailed").error("");
    refused.capture.assert_spans([expected]);
    assert_nowhere(&refused.capture, "s3cr3t");
    let nobody = Live::with(&format!("redis://{server}"));
    let mut nobody_s = nobody.connection().await;
    nobody_s.get::<_, Option<i64>>("live_none").await.unwrap_err();
    nobody.capture.assert_spans([failed(nobody.command("GET", "GET live_none"), "NOAUTH")]);
}

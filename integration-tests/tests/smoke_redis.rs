//! The bare driver of Redis: one server, one with users, a cluster.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use integration_tests::{PATIENCE, eventually, private, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, ErrorKind, RedisError, ServerErrorKind,
};
use tokio::task::block_in_place;

/// One connection, which does not come back.
async fn connection(url: &str) -> MultiplexedConnection {
    // By default it waits half a second for an answer, which a busy machine may need.
    let settings = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let settings = settings.set_connection_timeout(Some(PATIENCE));
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
}

async fn shared() -> Option<MultiplexedConnection> {
    Some(connection(&live::address("REDIS")?).await)
}

/// One that connects anew.
async fn manager(url: &str) -> ConnectionManager {
    // A test waits for the server, not for the delay.
    let settings =
        ConnectionManagerConfig::new().set_max_delay(std::time::Duration::from_millis(50));
    let settings = settings.set_response_timeout(Some(PATIENCE));
    let settings = settings.set_connection_timeout(Some(PATIENCE));
    let client = Client::open(url).unwrap();
    client.get_connection_manager_with_config(settings).await.unwrap()
}

async fn cluster(url: &str) -> ClusterConnection {
    // From one node it finds the others.
    let client = ClusterClient::builder([url]).response_timeout(PATIENCE);
    let client = client.connection_timeout(PATIENCE).build().unwrap();
    client.get_async_connection().await.unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let Some(mut redis) = shared().await else { return };
    let key = unique_name();
    redis.set::<_, _, ()>(&key, "value").await.unwrap();
    assert_eq!(redis.get::<_, String>(&key).await.unwrap(), "value");
    assert_eq!(redis.del::<_, u64>(&key).await.unwrap(), 1);
    assert_eq!(redis.get::<_, Option<String>>(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_pipeline_and_a_transaction_answer_each_command() {
    let Some(mut redis) = shared().await else { return };
    let key = unique_name();
    for atomic in [false, true] {
        let mut pipeline = redis::pipe();
        if atomic {
            pipeline.atomic();
        }
        pipeline.set(&key, 1).ignore().incr(&key, 2).get(&key).del(&key);
        let answers: (i64, i64, u64) = pipeline.query_async(&mut redis).await.unwrap();
        assert_eq!(answers, (3, 3, 1));
    }
}

#[tokio::test]
async fn a_command_for_another_type_is_refused() {
    let Some(mut redis) = shared().await else { return };
    let key = unique_name();
    redis.rpush::<_, _, ()>(&key, "member").await.unwrap();
    let error = redis.incr::<_, _, i64>(&key, 1).await.unwrap_err();
    // To the driver it is one that it does not know.
    assert_eq!((error.code(), error.kind()), (Some("WRONGTYPE"), ErrorKind::Extension));
    redis.del::<_, ()>(&key).await.unwrap();
}

#[tokio::test]
async fn an_unknown_command_is_an_error_of_the_server() {
    let Some(mut redis) = shared().await else { return };
    let error = redis::cmd("NOSUCH").query_async::<()>(&mut redis).await.unwrap_err();
    assert_eq!(error.code(), Some("ERR"));
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
}

/// The error of a pipeline has no code of its own: that of a command is inside.
#[tokio::test]
async fn a_pipeline_tells_which_of_its_commands_failed() {
    let Some(mut redis) = shared().await else { return };
    let key = unique_name();
    let mut pipeline = redis::pipe();
    pipeline.rpush(&key, "member").incr(&key, 1).llen(&key);
    let result: Result<(u64, i64, u64), RedisError> = pipeline.query_async(&mut redis).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), None, "{error:?}");
    let errors = error.into_server_errors().unwrap();
    let errors: Vec<_> = errors.iter().map(|(place, error)| (*place, error.code())).collect();
    assert_eq!(errors, [(1, "WRONGTYPE")]);
    assert_eq!(redis.llen::<_, u64>(&key).await.unwrap(), 1);
    redis.del::<_, ()>(&key).await.unwrap();
}

/// The URL of the server with users, for this one.
fn url_of(url: &str, user: &str, password: &str) -> String {
    let (_, server) = url.split_once('@').unwrap();
    format!("redis://{user}:{password}@{server}")
}

#[tokio::test]
async fn without_a_login_every_command_is_refused() {
    let Some(url) = live::address("REDIS_ACL") else { return };
    let (_, server) = url.split_once('@').unwrap();
    // What it says of itself when it connects is refused as well, and passed over.
    let mut nobody = connection(&format!("redis://{server}")).await;
    let error = nobody.get::<_, Option<String>>("key").await.unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let Some(url) = live::address("REDIS_ACL") else { return };
    let client = Client::open(url_of(&url, "otel", "wrong")).unwrap();
    let error = client.get_multiplexed_async_connection().await.err().unwrap();
    // The driver does not keep the code, which is WRONGPASS.
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error:?}");
    let mut owner = connection(&url).await;
    let login = redis::cmd("AUTH").arg("otel").arg("wrong").query_async::<()>(&mut owner).await;
    assert_eq!(login.unwrap_err().code(), Some("WRONGPASS"));
}

#[tokio::test]
async fn who_may_only_read_is_refused_a_write() {
    let Some(url) = live::address("REDIS_ACL") else { return };
    let (mut owner, name) = (connection(&url).await, unique_name());
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg(&name).arg(&["on", ">secret", "~*", "+@read", "+@connection"]);
    user.query_async::<()>(&mut owner).await.unwrap();
    owner.set::<_, _, ()>(&name, "value").await.unwrap();
    let mut reader = connection(&url_of(&url, &name, "secret")).await;
    assert_eq!(reader.get::<_, String>(&name).await.unwrap(), "value");
    let error = reader.set::<_, _, ()>(&name, "other").await.unwrap_err();
    assert_eq!(error.code(), Some("NOPERM"), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm));
    owner.del::<_, ()>(&name).await.unwrap();
    redis::cmd("ACL").arg("DELUSER").arg(&name).query_async::<()>(&mut owner).await.unwrap();
}

#[tokio::test]
async fn a_cluster_finds_the_node_of_each_key() {
    let Some(url) = live::address("REDIS_CLUSTER") else { return };
    let (mut cluster, mut one) = (cluster(&url).await, connection(&url).await);
    let (mut here, mut elsewhere) = (0, 0);
    for _ in 0..60 {
        let key = unique_name();
        cluster.set::<_, _, ()>(&key, &key).await.unwrap();
        assert_eq!(cluster.get::<_, String>(&key).await.unwrap(), key);
        match one.get::<_, String>(&key).await {
            Ok(value) => {
                assert_eq!(value, key);
                here += 1;
            }
            Err(error) => {
                assert_eq!(error.code(), Some("MOVED"), "{error:?}");
                let (node, _) = error.redirect_node().unwrap();
                assert!(!url.ends_with(node), "{node}");
                elsewhere += 1;
            }
        }
        cluster.del::<_, ()>(&key).await.unwrap();
    }
    assert!(here > 0 && elsewhere > 0, "{here} here, {elsewhere} elsewhere");
}

#[tokio::test]
async fn one_command_on_keys_of_two_slots_is_refused() {
    let Some(url) = live::address("REDIS_CLUSTER") else { return };
    let mut one = connection(&url).await;
    // What is in braces makes the slot.
    let name = unique_name();
    let apart = ["{a}", "{b}"].map(|slot| format!("{slot}{name}"));
    let error = one.mset::<_, _, ()>(&[(&apart[0], 1), (&apart[1], 2)]).await.unwrap_err();
    assert_eq!(error.code(), Some("CROSSSLOT"), "{error:?}");
    let mut cluster = cluster(&url).await;
    let together = ["a", "b"].map(|key| format!("{{{name}}}{key}"));
    cluster.mset::<_, _, ()>(&[(&together[0], 1), (&together[1], 2)]).await.unwrap();
    assert_eq!(cluster.mget::<_, (i32, i32)>(&together).await.unwrap(), (1, 2));
    cluster.del::<_, ()>(&together).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_has_moved_is_followed() {
    let server = block_in_place(|| private(Server::redis_cluster(), Extra::new()));
    let Some(server) = server else { return };
    let (mut cluster, key) = (cluster(server.url()).await, unique_name());
    cluster.set::<_, _, ()>(&key, 1).await.unwrap();
    cluster.del::<_, ()>(&key).await.unwrap();

    let mut nodes = vec![connection(server.url()).await];
    for name in ["NODE2", "NODE3"] {
        nodes.push(connection(&server.address(name).unwrap()).await);
    }
    let slot: u16 = ask(&mut nodes[0], &["KEYSLOT", &key]).await;
    let mut owners = Vec::new();
    for node in &mut nodes {
        // Any other answer would be a redirection.
        owners.push(node.exists::<_, bool>(&key).await.is_ok());
    }
    let [old, new] = [true, false].map(|is| owners.iter().position(|owns| *owns == is).unwrap());
    let [old_id, new_id]: [String; 2] =
        [ask(&mut nodes[old], &["MYID"]).await, ask(&mut nodes[new], &["MYID"]).await];
    let slot = slot.to_string();
    // Only who imports a slot outvotes the others, which would take it back.
    ask::<()>(&mut nodes[new], &["SETSLOT", &slot, "IMPORTING", &old_id]).await;
    ask::<()>(&mut nodes[new], &["SETSLOT", &slot, "NODE", &new_id]).await;
    for node in &mut nodes {
        ask::<()>(node, &["SETSLOT", &slot, "NODE", &new_id]).await;
    }

    cluster.set::<_, _, ()>(&key, 2).await.unwrap();
    assert_eq!(cluster.get::<_, i32>(&key).await.unwrap(), 2);
    assert_eq!(nodes[new].get::<_, i32>(&key).await.unwrap(), 2);
}

async fn ask<T: redis::FromRedisValue>(node: &mut MultiplexedConnection, what: &[&str]) -> T {
    redis::cmd("CLUSTER").arg(what).query_async(node).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_driver_reconnects_and_all_that_was_acknowledged_is_there() {
    // By default nothing of the last second is promised.
    let extra = Extra::new().argument("--appendfsync").argument("always");
    let Some(mut server) = block_in_place(|| private(Server::redis(), extra)) else { return };
    let (mut manager, mut plain) = (manager(server.url()).await, connection(server.url()).await);
    for number in 0..10 {
        manager.rpush::<_, _, ()>("numbers", number).await.unwrap();
    }
    block_in_place(|| server.kill()).unwrap();
    let error = manager.llen::<_, u64>("numbers").await.unwrap_err();
    assert!(error.code().is_none() && error.is_io_error(), "{error:?}");
    block_in_place(|| server.restart()).unwrap();
    eventually("the manager connects anew", async || {
        manager.llen::<_, u64>("numbers").await.is_ok()
    })
    .await;
    let numbers: Vec<i32> = manager.lrange("numbers", 0, -1).await.unwrap();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    // The bare connection is lost for good.
    assert!(plain.llen::<_, u64>("numbers").await.unwrap_err().is_io_error());
}

/// Its nodes write to the disk once in a second, so of what it held nothing is demanded.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_of_all_nodes_the_cluster_is_found_again() {
    let server = block_in_place(|| private(Server::redis_cluster(), Extra::new()));
    let Some(mut server) = server else { return };
    let mut cluster = cluster(server.url()).await;
    let keys = [unique_name(), unique_name(), unique_name(), unique_name()];
    block_in_place(|| server.kill()).unwrap();
    let error = cluster.get::<_, Option<String>>(&keys[0]).await.unwrap_err();
    assert_eq!(error.code(), None, "{error:?}");
    block_in_place(|| server.restart()).unwrap();
    for key in &keys {
        eventually("its node is found", async || cluster.set::<_, _, ()>(key, key).await.is_ok())
            .await;
        assert_eq!(&cluster.get::<_, String>(key).await.unwrap(), key);
    }
}

use redis::{
    AsyncCommands, AsyncTypedCommands, Client, Commands, ControlFlow, ExistenceCheck, Pipeline,
    PubSubCommands, RedisResult, Script, SetExpiry, SetOptions, TypedCommands,
};
use std::collections::{BTreeMap, BTreeSet};

type Seen = Vec<String>;

/// Helpers that are generic over the driver's traits.
fn generic<C: Commands>(connection: &mut C, key: &str) -> RedisResult<i64> {
    connection.incr(key, 1)
}

fn dynamic(connection: &mut dyn redis::ConnectionLike, key: &str) -> RedisResult<i64> {
    redis::cmd("INCR").arg(key).query(connection)
}

async fn generic_async<C: AsyncCommands>(connection: &mut C, key: &str) -> RedisResult<i64> {
    connection.incr(key, 1).await
}

pub(crate) fn blocking(url: &str, prefix: &str) -> RedisResult<Seen> {
    let mut seen = Seen::new();
    let key = |name: &str| format!("{prefix}:{name}");
    let client = Client::open(url)?;
    let mut con: redis::Connection = client.get_connection()?;

    // basic.rs
    redis::cmd("DEL").arg(key("a")).exec(&mut con)?;
    let () = Commands::set(&mut con, key("a"), 42)?;
    seen.push(format!("{:?}", redis::cmd("GET").arg(key("a")).query::<i64>(&mut con)));
    seen.push(format!("{:?}", generic(&mut con, &key("a"))));
    seen.push(format!("{:?}", dynamic(&mut con, &key("a"))));
    seen.push(format!("{:?}", Commands::get::<_, Option<String>>(&mut con, key("none"))));
    let () = Commands::hset_multiple(&mut con, key("h"), &[("f", 1), ("g", 2)])?;
    let hash: BTreeMap<String, i64> = Commands::hgetall(&mut con, key("h"))?;
    seen.push(format!("{hash:?}"));
    seen.push(format!("{:?}", Commands::incr::<_, _, i64>(&mut con, key("h"), 1)));
    let () = Commands::del(&mut con, key("l"))?;
    let () = Commands::rpush(&mut con, key("l"), &[1, 2, 3])?;
    seen.push(format!("{:?}", Commands::lrange::<_, Vec<i64>>(&mut con, key("l"), 0, -1)));
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(60));
    let set: Option<String> = Commands::set_options(&mut con, key("a"), 1, options)?;
    seen.push(format!("{set:?}"));

    // Pipelines and transactions.
    let (a, b): (i64, i64) = redis::pipe()
        .cmd("SET")
        .arg(key("p"))
        .arg(42)
        .ignore()
        .cmd("GET")
        .arg(key("p"))
        .incr(key("p"), 1)
        .query(&mut con)?;
    seen.push(format!("{a} {b}"));
    let failed = redis::pipe().get(key("l")).get(key("p")).query::<(i64, i64)>(&mut con);
    seen.push(format!("{failed:?}"));
    let aborted = redis::pipe().atomic().cmd("NOSUCH").get(key("p")).query::<Seen>(&mut con);
    seen.push(format!("{aborted:?}"));
    let watched = key("p");
    let (new,): (i64,) = redis::transaction(&mut con, &[&watched], |con, pipe: &mut Pipeline| {
        let old: i64 = Commands::get(con, &watched)?;
        pipe.set(&watched, old + 1).ignore().get(&watched).query(con)
    })?;
    seen.push(format!("{new}"));
    // Somebody else was faster.
    let mut other = client.get_connection_with_timeout(std::time::Duration::from_secs(5))?;
    redis::cmd("WATCH").arg(&watched).exec(&mut con)?;
    let () = Commands::set(&mut other, &watched, 0)?;
    let lost: Option<(i64,)> = redis::pipe().atomic().incr(&watched, 1).query(&mut con)?;
    seen.push(format!("{lost:?}"));

    // Scan iterators.
    let () = Commands::sadd(&mut con, key("s"), (0..300).collect::<Vec<i64>>())?;
    let found: BTreeSet<i64> = Commands::sscan(&mut con, key("s"))?.collect::<RedisResult<_>>()?;
    seen.push(format!("{}", found.len()));

    // Scripts.
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut con)?;
    let script = Script::new("return tonumber(ARGV[1]) + tonumber(redis.call('GET', KEYS[1]))");
    seen.push(format!("{:?}", script.key(&watched).arg(1).invoke::<i64>(&mut con)));

    // typed.rs
    TypedCommands::set(&mut con, key("t"), "x")?;
    seen.push(format!("{:?}", TypedCommands::get(&mut con, key("t"))?));

    // A client is a connection.
    let mut client = client;
    seen.push(format!("{:?}", Commands::get::<_, i64>(&mut client, key("a"))));
    seen.push(format!("{:?}", redis::ConnectionLike::get_db(&con)));
    seen.push(format!("{:?}", redis::ConnectionLike::check_connection(&mut con)));

    // A command without an answer, packed commands, and a database of its own.
    redis::cmd("SELECT").arg(5).exec(&mut other)?;
    seen.push(format!("{:?}", Commands::get::<_, Option<i64>>(&mut other, key("a"))));
    let packed = redis::cmd("PING").get_packed_command();
    seen.push(format!("{:?}", redis::ConnectionLike::req_packed_command(&mut con, &packed)));
    con.send_packed_command(&packed)?;
    seen.push(format!("{:?}", con.recv_response()));

    // Publish and subscribe.
    let channel = key("channel");
    let subscriber = std::thread::spawn({
        let (client, channel) = (client.clone(), channel.clone());
        move || -> RedisResult<(String, String)> {
            let mut con = client.get_connection()?;
            let mut pubsub = con.as_pubsub();
            pubsub.subscribe(&channel)?;
            let message = pubsub.get_message()?;
            drop(pubsub);
            let got = message.get_payload::<String>()?;
            con.subscribe(&[&channel], |message| {
                ControlFlow::Break((got.clone(), message.get_payload().unwrap()))
            })
        }
    });
    while !subscriber.is_finished() {
        let _: i64 = Commands::publish(&mut con, &channel, "hello")?;
        std::thread::yield_now();
    }
    seen.push(format!("{:?}", subscriber.join().unwrap()));

    // acl.rs, geospatial.rs, streams.rs
    seen.push(format!("{:?}", Commands::acl_whoami::<String>(&mut con)));
    let place = (redis::geo::Coord::lon_lat("13.361389", "38.115556"), "Palermo");
    let () = Commands::geo_add(&mut con, key("g"), place)?;
    let positions: Vec<redis::geo::Coord<f64>> = Commands::geo_pos(&mut con, key("g"), "Palermo")?;
    seen.push(format!("{:.2}", positions[0].latitude));
    let id: String = Commands::xadd(&mut con, key("x"), "5-*", &[("field", "value")])?;
    let read = redis::streams::StreamReadOptions::default().count(1);
    let reply: redis::streams::StreamReadReply =
        Commands::xread_options(&mut con, &[key("x")], &["0"], &read)?;
    seen.push(format!("{} {}", id.starts_with("5-"), reply.keys[0].ids.len()));
    let names = ["a", "h", "l", "p", "s", "t", "g", "x"].map(key);
    let () = Commands::del(&mut con, &names)?;
    Ok(seen)
}

pub(crate) async fn asynchronous(url: &str, prefix: &str) -> RedisResult<Seen> {
    let mut seen = Seen::new();
    let key = |name: &str| format!("{prefix}:{name}");
    let client = Client::open(url)?;

    // async-await.rs, async-multiplexed.rs
    let mut con = client.get_multiplexed_async_connection().await?;
    let () = AsyncCommands::set(&mut con, key("a"), b"foo").await?;
    redis::cmd("SET").arg(&[key("b"), "bar".to_owned()]).exec_async(&mut con).await?;
    let values: (String, Vec<u8>) =
        redis::cmd("MGET").arg(&[key("a"), key("b")]).query_async(&mut con).await?;
    seen.push(format!("{values:?}"));
    let mut clones = Vec::new();
    for number in 0..10 {
        let (mut con, key) = (con.clone(), key(&format!("n{number}")));
        clones.push(tokio::spawn(async move {
            let () = AsyncCommands::set(&mut con, &key, number).await?;
            AsyncCommands::get::<_, i64>(&mut con, &key).await
        }));
    }
    for clone in clones {
        seen.push(format!("{:?}", clone.await.unwrap()));
    }
    seen.push(format!("{:?}", generic_async(&mut con, &key("n1")).await));
    seen.push(format!("{:?}", generic_async(&mut con, &key("a")).await));

    // Pipelines and transactions.
    let (a, b): (i64, i64) = redis::pipe()
        .atomic()
        .set(key("p"), 1)
        .ignore()
        .incr(key("p"), 1)
        .get(key("p"))
        .query_async(&mut con)
        .await?;
    seen.push(format!("{a} {b}"));
    let (a, b, c): (i64, Option<i64>, Vec<i64>) = redis::pipe()
        .get(key("p"))
        .get(key("none"))
        .cmd("MGET")
        .arg(&[key("p"), key("n1")])
        .query_async(&mut con)
        .await?;
    seen.push(format!("{a} {b:?} {c:?}"));
    let watched = key("p");
    let new: Option<i64> =
        redis::aio::transaction_async(con.clone(), &[&watched], |mut con, mut pipe| {
            let watched = watched.clone();
            async move {
                let old: i64 = AsyncCommands::get(&mut con, &watched).await?;
                let done: Option<(i64,)> = pipe
                    .set(&watched, old + 1)
                    .ignore()
                    .get(&watched)
                    .query_async(&mut con)
                    .await?;
                Ok(done.map(|(new,)| Some(new)))
            }
        })
        .await?;
    seen.push(format!("{new:?}"));

    // async-scan.rs
    let () = AsyncCommands::sadd(&mut con, key("s"), (0..300).collect::<Vec<i64>>()).await?;
    let mut count = 0;
    let mut iter: redis::AsyncIter<'_, i64> = AsyncCommands::sscan(&mut con, key("s")).await?;
    while let Some(member) = iter.next_item().await {
        member?;
        count += 1;
    }
    drop(iter);
    seen.push(format!("{count}"));

    // async-typed.rs, scripts
    AsyncTypedCommands::set(&mut con, key("t"), "x").await?;
    seen.push(format!("{:?}", AsyncTypedCommands::get(&mut con, key("t")).await?));
    let script = Script::new("return ARGV[1]");
    seen.push(format!("{:?}", script.arg("v").invoke_async::<String>(&mut con).await));

    // async-connection-loss.rs
    let mut manager = redis::aio::ConnectionManager::new(client.clone()).await?;
    seen.push(format!("{:?}", AsyncCommands::get::<_, String>(&mut manager, key("t")).await));
    let config = redis::aio::ConnectionManagerConfig::new().set_number_of_retries(1);
    let mut lazy = client.get_connection_manager_lazy(config)?;
    seen.push(format!("{:?}", redis::cmd("PING").query_async::<String>(&mut lazy).await));

    // async-resp3-pub-sub.rs
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let resp3 = Client::open(format!("{url}/?protocol=resp3"))?;
    let mut subscriber = resp3.get_multiplexed_async_connection_with_config(&config).await?;
    subscriber.subscribe(key("channel")).await?;
    let _: i64 = AsyncCommands::publish(&mut con, key("channel"), "hello").await?;
    loop {
        let push = pushed.recv().await.unwrap();
        if push.kind == redis::PushKind::Message {
            seen.push(format!("{:?}", push.data[1]));
            break;
        }
    }
    subscriber.unsubscribe(key("channel")).await?;

    // async-resp2-pub-sub.rs
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(key("channel")).await?;
    let _: i64 = AsyncCommands::publish(&mut con, key("channel"), "again").await?;
    let message = futures_util::StreamExt::next(&mut pubsub.on_message()).await.unwrap();
    seen.push(message.get_payload::<String>()?);
    let names = (0..10).map(|number| key(&format!("n{number}")));
    let names = names.chain(["a", "b", "p", "s", "t"].map(key)).collect::<Vec<_>>();
    let () = AsyncCommands::del(&mut con, names).await?;
    Ok(seen)
}

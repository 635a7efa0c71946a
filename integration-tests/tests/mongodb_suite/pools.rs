//! The metrics of pools, beside what the driver says.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use integration_tests::{PATIENCE, count, eventually, eventually_ok, total};
use mongodb::bson::doc;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use tokio::sync::Semaphore;

use crate::suite::{Scratch, connections};

/// What the driver's events come to.
#[derive(Default)]
struct Driver {
    ready: HashSet<u32>,
    used: HashSet<u32>,
    times: HashMap<&'static str, u64>,
}

impl Driver {
    fn hear(&mut self, event: &CmapEvent) {
        let mut timed = |name| *self.times.entry(name).or_default() += 1;
        match event {
            CmapEvent::ConnectionReady(event) => {
                timed("create_time");
                self.ready.insert(event.connection_id);
            }
            CmapEvent::ConnectionCheckedOut(event) => {
                timed("wait_time");
                self.used.insert(event.connection_id);
            }
            // One for which nobody waits any more is handed back without having been used.
            CmapEvent::ConnectionCheckedIn(event) if self.used.remove(&event.connection_id) => {
                timed("use_time");
            }
            CmapEvent::ConnectionClosed(event) => {
                self.ready.remove(&event.connection_id);
                if self.used.remove(&event.connection_id) {
                    timed("use_time");
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_are_measured_as_the_driver_tells() {
    let driver = Arc::new(Mutex::new(Driver::default()));
    let heard = Arc::clone(&driver);
    let scratch = Scratch::with(
        |it| it,
        |options| {
            options.max_pool_size = Some(5);
            options.min_pool_size = Some(1);
            let hear = move |event| heard.lock().unwrap().hear(&event);
            options.cmap_event_handler = Some(EventHandler::callback(hear));
        },
    );
    let Some(scratch) = scratch.await else { return };
    let numbers = scratch.numbers();
    let turns = Arc::new(Semaphore::new(20));
    let calls = (0..500_i64).map(|id| {
        let (numbers, turns) = (numbers.clone(), Arc::clone(&turns));
        tokio::spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            let insert = numbers.insert_one(doc! { "_id": id }).into_future();
            // A third of them is dropped, in whatever state it is.
            if id % 3 == 0 {
                _ = tokio::time::timeout(Duration::from_micros(20 * id.unsigned_abs()), insert)
                    .await;
            } else {
                tokio::time::timeout(PATIENCE, insert).await.unwrap().unwrap();
            }
        })
    });
    join_all(calls.collect::<Vec<_>>()).await.into_iter().for_each(|done| done.unwrap());
    let capture = &scratch.capture;
    let settled = async || {
        let driver = driver.lock().unwrap();
        let open = HashMap::from([
            ("used".to_owned(), 0),
            ("idle".to_owned(), i64::try_from(driver.ready.len()).unwrap()),
        ]);
        let name = |name: &str| format!("db.client.connection.{name}");
        let times = driver.times.iter().map(|(it, times)| (*it, *times, count(capture, &name(it))));
        let times: Vec<_> = times.filter(|(_, theirs, ours)| theirs != ours).collect();
        let is_even = driver.used.is_empty() && connections(capture) == open && times.is_empty();
        let why = || format!("{:?}, {:?}, {times:?}", driver.used, connections(capture));
        if is_even { Ok(()) } else { Err(why()) }
    };
    eventually_ok("ours are the driver's", settled).await;
    assert!(!driver.lock().unwrap().ready.is_empty());
    assert_eq!(driver.lock().unwrap().times.len(), 3);
    assert_eq!(total(capture, "db.client.connection.max"), 5);
    assert_eq!(total(capture, "db.client.connection.idle.min"), 1);
    for never in ["pending_requests", "timeouts", "idle.max"] {
        capture.assert_no_metric(&format!("db.client.connection.{never}"));
    }
    scratch.assert_measured();

    // While one is used.
    let slow = doc! { "blockConnection": true, "blockTimeMS": 500 };
    let guard = scratch.fail_next("find", slow).await;
    let found = numbers.clone();
    let finding = tokio::spawn(async move { found.find_one(doc! {}).await });
    scratch.until_one_runs().await;
    finding.await.unwrap().unwrap();
    drop(guard);
    scratch.database.drop().await.unwrap();
    scratch.client.clone().shutdown().await;
    eventually("the pool is gone", async || {
        !capture.metrics().iter().any(|metric| metric.name == "db.client.connection.count")
    })
    .await;
    scratch.audited().await;
}

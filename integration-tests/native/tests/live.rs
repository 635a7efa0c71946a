//! The launcher on real servers: start, query, crash, come back, leave nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test code")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use native::{Private, Server, Services, State};
use support::available;

/// Runs one statement as a test's client would; the error is what the client said.
fn query(url: &str, sql: &str) -> Result<String, String> {
    let port = url.split([':', '/']).rfind(|part| part.parse::<u16>().is_ok()).unwrap();
    let mut client = if url.starts_with("postgres") {
        let mut psql = Command::new("/usr/lib/postgresql/15/bin/psql");
        psql.args(["-XqAt", "-h", "127.0.0.1", "-U", "otel", "-d", "otel", "-p", port, "-c", sql]);
        psql
    } else {
        let mut mariadb = Command::new("mariadb");
        mariadb.args([
            "--no-defaults",
            "-N",
            "-h127.0.0.1",
            "-uotel",
            "-P",
            port,
            "otel",
            "-e",
            sql,
        ]);
        mariadb
    };
    let output = client.env("PGPASSWORD", "otel").env("MYSQL_PWD", "otel").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn pid(services: &Services, server: &Server) -> Option<i32> {
    let status = services.status().unwrap();
    match status.iter().find(|status| status.server.name() == server.name()).unwrap().state {
        State::Running { pid } => Some(pid),
        State::Down | State::Dead => None,
    }
}

/// Every data folder of this home, also those outside of it.
fn data_folders(home: &Path) -> Vec<PathBuf> {
    let states = ["postgres", "mariadb"].map(|name| home.join(name).join("state.json"));
    let states = states.iter().filter_map(|path| fs::read_to_string(path).ok());
    states
        .map(|state| state.split('"').find(|part| part.contains("/otel-")).unwrap().into())
        .collect()
}

fn private_life(server: &'static Server) {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(mut private) = available(Private::start_in(&services, server)) else {
        return;
    };
    let url = private.url().to_string();
    query(&url, "create table t (i int); insert into t values (7)").unwrap();

    // Killed in the middle of a statement: the client learns of it at once.
    let sleeping = url.clone();
    let sleep =
        if url.starts_with("postgres") { "select pg_sleep(60)" } else { "select sleep(60)" };
    let client = std::thread::spawn(move || query(&sleeping, sleep));
    let running = if url.starts_with("postgres") {
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'"
    } else {
        "select count(*) from information_schema.processlist where info = 'select sleep(60)'"
    };
    let start = std::time::Instant::now();
    while query(&url, running) != Ok("1".into()) {
        assert!(start.elapsed().as_secs() < 30, "the statement does not start");
    }
    private.kill().unwrap();
    assert!(client.join().unwrap().is_err());
    assert!(query(&url, "select 1").is_err());

    private.restart().unwrap();
    assert_eq!(private.url(), url);
    assert_eq!(query(&url, "select i from t"), Ok("7".into()));
    private.restart().unwrap();
    assert_eq!(query(&url, "select i from t"), Ok("7".into()));

    // Another one beside it has its own port and data.
    let other = Private::start_in(&services, server).unwrap();
    assert_ne!(other.url(), url);
    assert!(query(other.url(), "select i from t").is_err());
    drop(other);
    assert_eq!(query(&url, "select i from t"), Ok("7".into()));

    drop(private);
    assert!(query(&url, "select 1").is_err());
    assert_eq!(fs::read_dir(home.path().join("private")).unwrap().count(), 0);
}

#[test]
fn a_private_postgres_is_killed_and_comes_back() {
    private_life(Server::postgres());
}

#[test]
fn a_private_mariadb_is_killed_and_comes_back() {
    private_life(Server::mariadb());
}

fn shared_life(server: &'static Server) {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    assert!(pid(&services, server).is_none());
    let Some(started) = available(services.up(server)) else {
        return;
    };
    assert!(started);
    let first = pid(&services, server).unwrap();
    let data = data_folders(home.path());
    assert!(data.len() == 1 && data[0].exists(), "{data:?}");

    // Twice is a no-op, also for two launchers at once.
    std::thread::scope(|scope| {
        let launchers = [0, 1].map(|_| scope.spawn(|| services.up(server).unwrap()));
        assert!(launchers.into_iter().all(|launcher| !launcher.join().unwrap()));
    });
    assert_eq!(pid(&services, server), Some(first));

    let addresses = fs::read_to_string(services.addresses()).unwrap();
    let url = addresses.split('"').find(|part| part.contains("://")).unwrap().to_string();
    assert!(addresses.contains(&format!("\"{}\": \"{url}\"", server.key())), "{addresses}");
    query(&url, "create table t (i int); insert into t values (7)").unwrap();

    // A crash is noticed, and `up` brings back the data where it was.
    services.kill(server).unwrap();
    assert!(pid(&services, server).is_none());
    assert!(services.kill(server).unwrap_err().to_string().contains("does not run; start it with"));
    assert!(services.up(server).unwrap());
    assert_ne!(pid(&services, server), Some(first));
    assert_eq!(query(&url, "select i from t"), Ok("7".into()));
    services.restart(server).unwrap();
    assert_eq!(query(&url, "select i from t"), Ok("7".into()));

    let log = fs::read_to_string(services.log(server)).unwrap();
    assert!(log.contains("ready"), "{log}");

    // A port that somebody else took meanwhile is said, not fought for.
    services.kill(server).unwrap();
    let port: u16 = url.split([':', '/']).find_map(|part| part.parse().ok()).unwrap();
    let thief = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = services.up(server).unwrap_err().to_string();
    assert!(error.contains("is in use by another process"), "{error}");
    drop(thief);

    assert!(services.down(server).unwrap());
    assert!(!services.down(server).unwrap());
    assert!(!data[0].exists());
    assert_eq!(fs::read_to_string(services.addresses()).unwrap().trim(), "{}");
}

#[test]
fn a_wished_port_is_had_or_it_is_told_why_not() {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let server = Server::redis();
    let wish = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = wish.local_addr().unwrap().port();
    if available(services.fetch(server)).is_none() {
        return;
    }
    let error = services.up_on(server, Some(port)).unwrap_err().to_string();
    assert!(error.starts_with(&format!("port {port} of redis is in use by another")), "{error}");
    assert!(pid(&services, server).is_none());
    drop(wish);

    assert!(services.up_on(server, Some(port)).unwrap());
    let status = services.status().unwrap();
    let url = status.into_iter().find(|it| it.server.name() == "redis").unwrap().url.unwrap();
    assert_eq!(url, format!("redis://127.0.0.1:{port}"));
    assert!(!services.up_on(server, Some(port)).unwrap());
    let error = services.up_on(server, Some(1)).unwrap_err().to_string();
    assert!(error.starts_with(&format!("redis has port {port} already; ")), "{error}");
    services.down(server).unwrap();
}

#[test]
fn a_shared_postgres_is_started_once_and_removed() {
    shared_life(Server::postgres());
}

#[test]
fn a_shared_mariadb_is_started_once_and_removed() {
    shared_life(Server::mariadb());
}

#[test]
fn what_a_killed_test_left_is_swept() {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(left) = available(Private::start_in(&services, Server::postgres())) else {
        return;
    };
    let url = left.url().to_string();
    // Its owner is alive, so it stays.
    services.sweep().unwrap();
    query(&url, "select 1").unwrap();

    let folders = || fs::read_dir(home.path().join("private")).unwrap();
    let state = folders().next().unwrap().unwrap().path().join("state.json");
    let (server, owner) = {
        let text = fs::read_to_string(&state).unwrap();
        let (server, owner) = text.split_once("\"owner\"").unwrap();
        (server.to_string(), owner.replace("started\": \"", "started\": \"before "))
    };
    fs::write(&state, format!("{server}\"owner\"{owner}")).unwrap();
    std::mem::forget(left);
    services.sweep().unwrap();
    assert!(query(&url, "select 1").is_err());
    assert_eq!(folders().count(), 0);
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = Server::named("oracle").unwrap_err().to_string();
    let known: Vec<&str> = Server::all().iter().map(|server| server.name()).collect();
    let known = known.join(", ");
    assert_eq!(error, format!("there is no server named `oracle`; use one of: {known}"));
    assert!(known.starts_with("postgres, postgres18, mariadb, "), "{known}");
    let error = Server::named("postgers").unwrap_err().to_string();
    assert!(error.contains("; did you mean `postgres`? use one of: "), "{error}");
    assert_eq!(Server::named("MariaDB").unwrap().title(), "MariaDB 10.11");
}

#[test]
fn a_server_that_dies_at_start_shows_its_log() {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(_) = available(services.up(Server::postgres())) else {
        return;
    };
    services.kill(Server::postgres()).unwrap();
    let data = data_folders(home.path()).remove(0);
    fs::remove_file(data.join("db/PG_VERSION")).unwrap();
    let start = std::time::Instant::now();
    let error = services.up(Server::postgres()).unwrap_err().to_string();
    assert!(error.contains("PostgreSQL 15 ended while starting; its log:"), "{error}");
    assert!(error.contains("is not a valid data directory"), "{error}");
    let log = services.log(Server::postgres()).display().to_string();
    assert!(error.contains(&log) && error.contains("services logs postgres"), "{error}");
    assert!(start.elapsed().as_secs() < 10);
    services.down(Server::postgres()).unwrap();
}

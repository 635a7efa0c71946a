//! PostgreSQL 15 from Debian's package, and what another version has in common with it.

use nix::sys::signal::Signal;

use crate::place::run;
use crate::server::{PLAIN, Server};

pub(crate) static POSTGRES: Server = Server {
    name: "postgres",
    title: "PostgreSQL 15",
    packages: &["postgresql-15"],
    folders: &["/usr/lib/postgresql/15/bin"],
    account: "postgres",
    ports: &[25432],
    ..ANY
};

/// What holds for every version; initdb and postgres refuse root.
pub(crate) const ANY: Server = Server {
    programs: &["postgres", "initdb", "psql", "pg_isready"],
    init: |place| {
        place.write("password", "otel")?;
        let mut initdb = place.command(
            "initdb -D {data}/db -U otel --pwfile {data}/password --auth=scram-sha-256 \
             -E UTF8 --locale=C.UTF-8 --no-sync",
        );
        run(&mut initdb, "")?;
        // The single-user mode makes the database without a server to wait for.
        let mut single = place.command("postgres --single -D {data}/db postgres");
        run(&mut single, "create database otel")
    },
    // fsync off: the page cache outlives a killed server, and the machine is not what is tested.
    // Shared memory in the data folder: a killed server leaves nothing in /dev/shm.
    // Messages: tests provoke errors by the hundred; a log is for starts, stops and FATAL.
    // Statements are counted, and none is forgotten within a run.
    command: |place| {
        place.command(
            "postgres -D {data}/db -c port={port} -c listen_addresses=127.0.0.1 \
             -c unix_socket_directories= -c max_connections=100 -c shared_buffers=32MB \
             -c fsync=off -c full_page_writes=off -c dynamic_shared_memory_type=mmap \
             -c log_min_messages=log -c log_checkpoints=off -c timezone=UTC \
             -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.max=20000",
        )
    },
    ready: |place| {
        run(&mut place.command("pg_isready -h 127.0.0.1 -p {port} -q -t 2"), "")?;
        let mut psql = place.command("psql -h 127.0.0.1 -p {port} -U otel -d otel -X -q");
        psql.env("PGPASSWORD", "otel").env("PGCONNECT_TIMEOUT", "2");
        run(psql.args(["-c", "select 1"]), "")
    },
    pid_file: Some("db/postmaster.pid"),
    url: "postgres://otel:otel@127.0.0.1:{port}/otel",
    // "Fast": sessions are ended, not waited for.
    stop: Signal::SIGINT,
    ..PLAIN
};

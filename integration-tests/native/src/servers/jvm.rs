//! What the servers on the JVM have in common: their jars come from Maven Central.

use std::time::Duration;

use crate::server::{PLAIN, Server};

/// A description says what differs.
pub(crate) const JVM: Server = Server {
    packages: &["default-jdk-headless", "maven"],
    programs: &["java", "javac"],
    jdk: Some(17..=u16::MAX),
    // Seconds of a whole core each.
    patience: Duration::from_secs(300),
    ..PLAIN
};

pub(crate) const TOOLS: &[(&str, &str)] = &[
    ("java", "JDK 17 or newer from https://adoptium.net"),
    ("mvn", "Maven from https://maven.apache.org"),
];

/// Puts the jars that this project depends on into this folder. The repository is the build's own:
/// Maven does not lock it, and several builds may run.
macro_rules! jars {
    ($project:literal, $folder:literal) => {
        concat!(
            "mvn -B -q -ntp -Dstyle.color=never -Dmaven.repo.local=repository -f ",
            $project,
            " org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
            " -DincludeScope=runtime -DoutputDirectory=",
            $folder
        )
    };
}
pub(crate) use jars;

/// Small and soon there rather than fast for long. Nothing outside of the data folder: without the
/// counters for `jps`, which a killed server would leave in /tmp.
macro_rules! java {
    ($($more:literal)*) => {
        concat!(
            "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -XX:-UsePerfData",
            " -Djava.awt.headless=true -Djava.net.preferIPv4Stack=true -Djava.io.tmpdir={data} ",
            $($more),*
        )
    };
}
pub(crate) use java;

/// For those that log by Log4j: to the standard stream.
pub(crate) const LOG4J: &str = include_str!("../../jvm/log4j2.properties");

//! RabbitMQ 3.10 from Debian's package.

use std::time::Duration;

use crate::server::{PLAIN, Server};
use crate::wire::ask;

pub(crate) static RABBITMQ: Server = Server {
    name: "rabbitmq",
    title: "RabbitMQ 3.10",
    packages: &["rabbitmq-server"],
    programs: &["rabbitmq-server", "rabbitmqctl", "epmd"],
    // What is in /usr/sbin changes to a user, a folder and a log of its own.
    folders: &["/usr/lib/rabbitmq/bin"],
    // Clients, other nodes, and the register of nodes.
    ports: &[25672, 25673, 24369],
    init: |place| {
        place.write("rabbitmq.conf", &place.fill(CONFIGURATION))?;
        place.write("enabled_plugins", "[].")
    },
    // Else the first node starts it as a daemon, which nobody would end.
    beside: &[|place| place.command("epmd -address 127.0.0.1 -port {port3}")],
    command: |place| place.command("rabbitmq-server"),
    environment: &[
        // Nothing of /etc/rabbitmq and /var/lib/rabbitmq; the cookie is in HOME.
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null"),
        ("RABBITMQ_CONFIG_FILE", "{data}/rabbitmq.conf"),
        ("RABBITMQ_CONFIG_FILES", "{data}/conf.d"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "{data}/advanced.config"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "{data}/enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "{data}/mnesia"),
        ("RABBITMQ_LOG_BASE", "{data}"),
        ("RABBITMQ_LOGS", "-"),
        ("RABBITMQ_NODENAME", "otel{port}@localhost"),
        ("RABBITMQ_DIST_PORT", "{port2}"),
        ("ERL_EPMD_PORT", "{port3}"),
        ("ERL_EPMD_ADDRESS", "127.0.0.1"),
        // For all programs of Erlang's: the server also runs short-lived nodes.
        ("ERL_ZFLAGS", "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"),
        // The script becomes the server instead of waiting for it.
        ("RUNNING_UNDER_SYSTEMD", "true"),
    ],
    ready: |place| ask(place.port(0), LOGIN, b"\0\x0a\0\x33"),
    url: "amqp://otel:otel@127.0.0.1:{port}/%2f",
    // Seconds of a whole core, as for those of the JVM: minutes, where others keep it busy.
    patience: Duration::from_secs(300),
    ..PLAIN
};

const CONFIGURATION: &str = "listeners.tcp.1 = 127.0.0.1:{port}
default_user = otel
default_pass = otel
loopback_users = none
log.connection.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 100MB
";

// Header, then as frames of channel 0: start-ok with user and password, tune-ok, open of `/`, and
// close, which is answered by close-ok (10, 51) once all of this was right.
const LOGIN: &[u8] = b"AMQP\0\0\x09\x01\
    \x01\0\0\0\0\0\x22\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0a\0otel\0otel\x05en_US\xce\
    \x01\0\0\0\0\0\x0c\0\x0a\0\x1f\0\x01\0\x02\0\0\0\0\xce\
    \x01\0\0\0\0\0\x08\0\x0a\0\x28\x01/\0\0\xce\
    \x01\0\0\0\0\0\x0b\0\x0a\0\x32\0\xc8\0\0\0\0\0\xce";

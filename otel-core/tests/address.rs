//! Cases of connection URLs from `testdata/urls.toml`, and what no URL may give away.

use std::collections::HashSet;

use otel_core::address::{Address, default_port};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// What is missing is expected to be none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    url: String,
    system: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    namespace: Option<String>,
    /// Why, where the case is a decision.
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

fn cases() -> Result<Vec<Case>, toml::de::Error> {
    let cases: Cases = toml::from_str(include_str!("../testdata/urls.toml"))?;
    Ok(cases.case)
}

#[test]
fn every_url_has_its_address() {
    let mut failures = Vec::new();
    let mut urls = HashSet::new();
    for case in cases().unwrap() {
        assert!(urls.insert(case.url.clone()), "two cases {}", case.url);
        let Address { system, address, port, namespace } = Address::parse(&case.url);
        let found = (system.map(str::to_owned), address, port, namespace);
        let expected = (case.system, case.address, case.port, case.namespace);
        if found != expected {
            failures.push(format!("{}\n  {found:?}\n  not {expected:?}", case.url));
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

/// Lower and upper case, digits and every character that means something in a URL.
const PASSWORDS: [&str; 26] = [
    "zqjz",
    "@zqjz",
    "zqjz@",
    "zq@jz",
    "zq/jz",
    "/zqjz",
    "zq?jz",
    "?zqjz=zqjz",
    "zq#jz",
    "#zqjz",
    "zq:jz",
    ":zqjz",
    "zq/jz@zqjz",
    "zq@jz/zqjz",
    "zq?jz@zq/jz",
    "zq,jz",
    "zq%40jz",
    "zq%2Fjz",
    "zq[jz]",
    "zq&host=zqjz",
    "zq;jz",
    "zq;jz/zqjz",
    "zq=jz/zqjz",
    "zq?host=zqjz",
    "zq/jz?socket=/zqjz",
    "zq)/jz",
];

const TEMPLATES: [&str; 36] = [
    "postgres://user:%@host:5432/db",
    "postgresql://user:%@host/db?sslmode=require",
    "postgres://user:%@/db?host=/run/pg",
    "postgres://host/db?user=u&password=%",
    "postgres://host/db?password=%&sslpassword=%",
    "jdbc:postgresql://user:%@host/db",
    "mysql://user:%@host:3306/db",
    "mariadb://user:%@host/db",
    "mongodb://user:%@a:27017,b:27018/db?replicaSet=r",
    "mongodb+srv://user:%@host/db",
    "redis://:%@host:6379/0",
    "redis://user:%@host/1",
    "rediss://:%@host",
    "cassandra://user:%@host/ks",
    "elasticsearch://user:%@host:9200/index",
    "kafka://user:%@host:9092",
    "nats://user:%@host:4222",
    "nats://%@host",
    "amqp://user:%@host:5672/vhost",
    "pulsar+ssl://host:6651?token=%",
    "sqlite://file.db?key=%",
    "postgres://host;password=%",
    "postgres://user:plain@host;password=%",
    "postgres://host:5432;user=u;password=%",
    "postgres://host&password=%",
    "postgres://host password=%",
    "postgres://host/db;password=%",
    "postgres://host/db&password=%",
    "jdbc:mysql://host/db;user=u;password=%",
    "jdbc:mysql://(host=a,password=%)/db",
    "jdbc:mysql://address=(host=a)(password=%)/db",
    "mongodb://a:1,b:2;password=%",
    "redis://host:6379,password=%",
    "cassandra://host;password=%",
    "sqlite:file.db;Password=%",
    "sqlite://folder/file.db&key=%",
];

#[test]
fn no_password_comes_out() {
    for template in TEMPLATES {
        for password in PASSWORDS {
            if template.contains("=%") && password.contains('&') {
                // Another parameter by every reading.
                continue;
            }
            let url = template.replace('%', password);
            for end in (0..=url.len()).filter(|&end| url.is_char_boundary(end)) {
                let address = Address::parse(&url[..end]);
                let found = format!("{:?}{:?}", address.address, address.namespace);
                // Cut before its `@`, a password cannot be told from a host or a database.
                let whole = end == url.len();
                if whole || !template.contains("%@") {
                    assert!(!found.contains(['z', 'q', 'j']), "{url}: {found}");
                }
                assert!(!found.contains(['@', '?', '#', '&']), "{url}: {found}");
            }
        }
    }
}

#[test]
fn a_plain_password_hides_nothing() {
    for template in TEMPLATES.iter().filter(|template| template.contains("%@host")) {
        let address = Address::parse(&template.replace('%', "plain"));
        assert_eq!(address.address.as_deref(), Some("host"), "{template}");
    }
}

#[test]
fn systems_have_default_ports() {
    assert_eq!(default_port("postgresql"), Some(5432));
    assert_eq!(default_port("sqlite"), None);
    for case in cases().unwrap() {
        let system = Address::parse(&case.url).system;
        assert!(system.is_none_or(|system| system == "sqlite" || default_port(system).is_some()));
    }
}

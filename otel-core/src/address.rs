//! Beside the pages: where a connection URL leads, without what it proves.
//!
//! [`Address::parse`] takes the URL a client is given and returns what may be emitted of it as
//! `server.address`, `server.port` and `db.namespace` of the [conventions page for database
//! spans][page]. It never fails; what cannot be told without doubt is left out, above all what may
//! be a piece of a password.
//!
//! [page]: https://opentelemetry.io/docs/specs/semconv/database/database-spans/

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::Arc;

use opentelemetry::StringValue;

/// What a connection URL tells about the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// `db.system.name` or `messaging.system`.
    pub system: Option<&'static str>,
    /// Host name, IP address (version 6 without brackets) or path of a Unix socket; of several
    /// hosts the first.
    pub address: Option<String>,
    /// The port as the URL has it, also where it is the default one.
    pub port: Option<u16>,
    /// Database, keyspace or index; `database|schema` for PostgreSQL where the URL chooses a
    /// schema; the name of the file, or `:memory:`, for SQLite.
    pub namespace: Option<String>,
}

/// The port a server of this `db.system.name` or `messaging.system` listens on if nobody says
/// otherwise; `db.client` spans leave it out.
pub fn default_port(system: &str) -> Option<u16> {
    Some(match system {
        "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "mongodb" => 27017,
        "redis" => 6379,
        "cassandra" => 9042,
        "elasticsearch" => 9200,
        "kafka" => 9092,
        "nats" => 4222,
        "rabbitmq" => 5672,
        "pulsar" => 6650,
        _ => return None,
    })
}

fn system_of(scheme: &str) -> Option<&'static str> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" => "postgresql",
        "mysql" => "mysql",
        "mariadb" => "mariadb",
        "sqlite" | "sqlite3" => "sqlite",
        "mongodb" | "mongodb+srv" => "mongodb",
        "redis" | "rediss" | "redis+unix" | "unix" => "redis",
        "cassandra" | "scylla" => "cassandra",
        // A client's URL is plain HTTP in most cases: those say nothing about the system.
        "elasticsearch" | "elasticsearch+http" | "elasticsearch+https" => "elasticsearch",
        "kafka" => "kafka",
        "nats" | "tls" => "nats",
        "amqp" | "amqps" => "rabbitmq",
        "pulsar" | "pulsar+ssl" => "pulsar",
        _ => return None,
    })
}

impl Address {
    /// Reads a connection URL, `jdbc:` in front of it allowed. A URL of an unknown scheme, or none
    /// at all, gives an empty address.
    ///
    /// ```
    /// use otel_core::address::Address;
    ///
    /// let address = Address::parse("postgres://shop:secret@db.example.com:5433/orders");
    /// assert_eq!(address.system, Some("postgresql"));
    /// assert_eq!(address.address.as_deref(), Some("db.example.com"));
    /// assert_eq!(address.port, Some(5433));
    /// assert_eq!(address.namespace.as_deref(), Some("orders"));
    /// ```
    pub fn parse(url: &str) -> Self {
        let url = url.trim();
        let url = match url.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("jdbc:") => url.get(5..).unwrap_or(""),
            _ => url,
        };
        let Some((scheme, rest)) = url.split_once(':') else {
            return Address::default();
        };
        let Some(system) = system_of(scheme) else {
            return Address::default();
        };
        let mut address = Address { system: Some(system), ..Address::default() };
        if system == "sqlite" {
            address.namespace = sqlite_file(rest.strip_prefix("//").unwrap_or(rest));
        } else if let Some(url) = rest.strip_prefix("//").and_then(Parts::split) {
            address.fill(&url);
        }
        address
    }

    fn fill(&mut self, url: &Parts<'_>) {
        let mut host = Cow::Borrowed(url.host);
        let mut port = url.port;
        let mut namespace = name(url.path);
        match self.system {
            Some("postgresql") => {
                namespace = url.parameter("dbname").and_then(|value| name(&value)).or(namespace);
                namespace = with_schema(namespace, url.schema());
                if let Some(value) = url.parameter("host").or_else(|| url.parameter("hostaddr")) {
                    host = value;
                }
                if let Some(value) = url.parameter("port") {
                    port = first(&value).parse().ok();
                }
            }
            Some("mysql" | "mariadb") => host = url.parameter("socket").unwrap_or(host),
            Some("redis") if url.host.is_empty() && url.path.len() > 1 => {
                host = Cow::Owned(format!("/{}", url.path));
                namespace = url.parameter("db").and_then(|value| index(&value));
            }
            Some("redis") => {
                namespace = index(url.path).or_else(|| index(&url.parameter("db")?));
            }
            Some("mongodb" | "cassandra") => {}
            // The path is an index, a virtual host or nothing.
            _ => namespace = None,
        }
        self.namespace = namespace;
        self.address = address(first(&host));
        if self.address.as_ref().is_some_and(|address| !address.starts_with('/')) {
            self.port = port;
        }
    }
}

/// The parts of a URL between which no credential is.
struct Parts<'a> {
    /// Still percent-encoded; of several hosts the first.
    host: &'a str,
    port: Option<u16>,
    /// Without the first `/`.
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// What follows `//`, or none if it is not plain where the user info ends, or where a parameter
    /// that may be a password does.
    fn split(text: &'a str) -> Option<Self> {
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, tail) = text.split_at(end);
        // Then a password may have an unescaped `/`, `?` or `#`, and begin before it.
        if tail.contains('@') {
            return None;
        }
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if has_parameter(user) || (has_separator(hosts) && !is_described(hosts)) {
            return None;
        }
        let (host, port) = host_and_port(first(hosts))?;
        let tail = tail.split_once('#').map_or(tail, |(tail, _)| tail);
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        // The password may have an unescaped `?`.
        let query = if has_separator(path) { "" } else { query };
        Some(Parts { host, port, path, query })
    }

    /// The decoded value of a parameter.
    fn parameter(&self, key: &str) -> Option<Cow<'a, str>> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(name, _)| {
            decode(name, true).is_some_and(|name| name.eq_ignore_ascii_case(key))
        })?;
        decode(value, true).filter(|value| !value.is_empty())
    }

    /// The first schema of the search path a PostgreSQL URL chooses.
    fn schema(&self) -> Option<String> {
        let direct = ["currentSchema", "search_path", "options[search_path]"];
        let direct =
            direct.iter().find_map(|key| self.parameter(key)).map(|path| first_schema(&path));
        direct.unwrap_or_else(|| search_path(&self.parameter("options")?))
    }
}

/// The first schema of the search path that PostgreSQL's start-up options set
/// (`-c search_path=sales,public`).
///
/// Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>.
pub fn search_path(options: &str) -> Option<String> {
    let (_, path) = options.rsplit_once("search_path=")?;
    let end = path.find(|character: char| character.is_whitespace());
    first_schema(path.get(..end.unwrap_or(path.len()))?)
}

fn first_schema(path: &str) -> Option<String> {
    let schema = first(path).trim().trim_matches('"');
    let sensible = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    (!schema.is_empty() && schema.chars().all(sensible)).then(|| schema.to_owned())
}

/// None if what stands for the port is none: then the host may be a user, the port a password.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) if !host.contains(':') => return None,
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or(rest)),
        None if text.parse::<Ipv6Addr>().is_ok() => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    match port {
        "" => Some((host, None)),
        _ => Some((host, Some(port.parse().ok()?))),
    }
}

/// Whether parameters begin within what is something else, as in `host;password=`: what follows may
/// be a piece of one, however it goes on.
fn has_separator(text: &str) -> bool {
    decode(text, false).is_some_and(|text| text.contains([';', '&', '=']))
}

/// The same of a text that may be a password, which may have one of these characters alone.
fn has_parameter(text: &str) -> bool {
    let separators = [';', '&', ',', '(', '|', ' '];
    text.split_once(separators).is_some_and(|(_, rest)| rest.contains('='))
}

/// Whether hosts are described as in `address=(host=a)(port=1)`, and nothing else is.
fn is_described(hosts: &str) -> bool {
    let known = |part: &str| {
        let key = part.split_once('=').map_or("", |(key, _)| key);
        ["address", "protocol", "host", "port"].iter().any(|known| key.eq_ignore_ascii_case(known))
    };
    let mut parts = hosts.split(['(', ')', ',']).filter(|part| !part.is_empty());
    hosts.ends_with(')') && !hosts.contains([';', '&']) && parts.all(known)
}

fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or(list)
}

/// A host name, an IP address or the path of a Unix socket.
fn address(host: &str) -> Option<String> {
    let host = decode(host, false)?;
    let (before_zone, zone) = host.split_once('%').unwrap_or((&host, ""));
    let plain = |character: char| character.is_alphanumeric() || "._-".contains(character);
    let valid = if host.starts_with('/') {
        host.len() > 1
            && host.chars().all(|character| plain(character) || "/+~ ".contains(character))
    } else if before_zone.contains(':') {
        before_zone.parse::<Ipv6Addr>().is_ok() && zone.chars().all(plain)
    } else {
        !host.is_empty() && host.len() <= 253 && host.chars().all(plain)
    };
    valid.then(|| host.into_owned())
}

/// A host without the brackets that a URL, and drivers that read one, have around an IPv6 address.
pub(crate) fn host(host: StringValue) -> StringValue {
    let inside = host.as_str().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside.filter(|inside| inside.contains(':')) {
        Some(address) => StringValue::from(Arc::<str>::from(address)),
        None => host,
    }
}

/// An address and its port as one text, in which the brackets tell one's colons from the other's.
pub(crate) fn with_port(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    }
}

/// The name of a database or a keyspace.
fn name(path: &str) -> Option<String> {
    let name = decode(path, false)?;
    (!name.is_empty() && is_plain(&name)).then(|| name.into_owned())
}

/// Whether a name holds none of the characters that show it to be a piece of something else, as
/// `;password=` is. The colon of SQLite's `:memory:` is no such piece.
pub(crate) fn is_plain(name: &str) -> bool {
    let odd = |character: char| character.is_control() || "/@:?#=&;".contains(character);
    name == ":memory:" || !name.contains(odd)
}

/// The number of a Redis database.
fn index(path: &str) -> Option<String> {
    path.parse::<u32>().ok().map(|index| index.to_string())
}

fn with_schema(database: Option<String>, schema: Option<String>) -> Option<String> {
    match (database, schema) {
        (Some(database), Some(schema)) => Some(format!("{database}|{schema}")),
        (database, schema) => database.or(schema),
    }
}

/// The name of an SQLite file without its folders, and without the parameters of a `file:` URI, of
/// which one may be a key.
pub fn sqlite_file(text: &str) -> Option<String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path = decode(path, false)?;
    // `file;password=ab/cd`
    if path.split_once([';', '&']).is_some_and(|(_, rest)| rest.contains('=')) {
        return None;
    }
    let in_memory = query.split('&').any(|pair| pair.eq_ignore_ascii_case("mode=memory"));
    if in_memory || path.ends_with(":memory:") {
        return Some(":memory:".to_owned());
    }
    let file = path.rsplit(['/', '\\']).next()?;
    let file = file.strip_prefix("file:").unwrap_or(file);
    // `user:password@file`, `file;password=`
    let odd = |character: char| character.is_control() || "@=&;".contains(character);
    let usable = !matches!(file, "" | "." | "..") && !file.contains(odd);
    usable.then(|| file.to_owned())
}

/// Percent-decoding; none if the result is no text. In a query `+` may be a space.
fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let encoded = |character| character == '%' || (plus_is_space && character == '+');
    if !text.contains(encoded) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) if plus_is_space => b' ',
            (b'%', [high, low, after @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => byte,
            },
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

//! Layer `telemetry`: options under one name for all crates, and the environment variables that set
//! them.

use std::borrow::Cow;
use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use opentelemetry::otel_warn;

use crate::contain::contain;
use crate::sql::DEFAULT_MAX_LENGTH;
use crate::text::told;

/// What becomes of the text of a query.
///
/// Comments are removed in every setting but [`Verbatim`](Self::Verbatim). A text that cannot be
/// analysed safely is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryText {
    /// The default: a text whose values were bound as it is, any other with `?` for its literals.
    #[default]
    Auto,
    /// Every text with `?` for its literals, also where values were bound.
    Sanitized,
    /// Every text as the application wrote it: literals and comments are exported.
    Verbatim,
    /// No text; the summary stays.
    Off,
}

impl FromStr for QueryText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "sanitized" => Ok(Self::Sanitized),
            "verbatim" => Ok(Self::Verbatim),
            "off" => Ok(Self::Off),
            _ => Err("auto, sanitized, verbatim or off".to_owned()),
        }
    }
}

/// Which statements carry the context of their span in a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlCommenter {
    /// The default: none.
    #[default]
    Off,
    /// Those that are sent for one use: neither the driver nor the server keeps them prepared for
    /// the next call.
    Uncached,
    /// Also those that would be kept. Each trace makes another text of a statement, of which none is
    /// worth keeping, so they are sent for one use too: while a trace is sampled, the server parses
    /// and plans each of its statements anew.
    All,
}

impl FromStr for SqlCommenter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "uncached" => Ok(Self::Uncached),
            "all" => Ok(Self::All),
            _ => Err("off, uncached or all".to_owned()),
        }
    }
}

/// A hook that names a query: gets its text, answers the summary or `None` for the usual one.
pub(crate) type SummaryHook = Arc<dyn Fn(&str) -> Option<Cow<'static, str>> + Send + Sync>;

/// Which context is the parent of the span of a handler; the message's is linked in any case.
///
/// Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/#consumer-spans>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessParent {
    /// The default: the span that is active where the handler runs; the message's if there is none.
    #[default]
    Ambient,
    /// The message's; the span that is active, if there is one, is linked.
    Message,
    /// The span that is active, if there is one: traces end at the message.
    Link,
}

impl FromStr for ProcessParent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "ambient" => Ok(Self::Ambient),
            "message" => Ok(Self::Message),
            "link" => Ok(Self::Link),
            _ => Err("ambient, message or link".to_owned()),
        }
    }
}

/// What becomes of the baggage that a message brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboundBaggage {
    /// The default: all of it is in the context while the message is handled.
    #[default]
    All,
    /// Only what has one of these names.
    Only(Vec<String>),
    /// None of it.
    Drop,
}

impl FromStr for InboundBaggage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "all" => Self::All,
            "drop" => Self::Drop,
            _ => Self::Only(text.split(',').map(|name| name.trim().to_owned()).collect()),
        })
    }
}

/// A hook that names a destination: gets its name, answers the template or `None` for the name.
pub(crate) type TemplateHook = Arc<dyn Fn(&str) -> Option<Cow<'static, str>> + Send + Sync>;
/// A hook that drops spans: gets the span's name, answers whether the span is wanted.
pub(crate) type SpanFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The common options, as set by the environment and then in code.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each with a name of its own"
)]
pub(crate) struct Options {
    /// In code: `None` leaves it to the client's own variable.
    pub(crate) enabled: Option<bool>,
    pub(crate) query_text: QueryText,
    pub(crate) query_text_max_length: usize,
    pub(crate) sqlcommenter: SqlCommenter,
    pub(crate) sqlcommenter_tracestate: bool,
    pub(crate) require_parent: bool,
    pub(crate) returned_rows: bool,
    pub(crate) cancelled_is_error: bool,
    pub(crate) pool_wait_spans: bool,
    pub(crate) transaction_spans: bool,
    pub(crate) prepare_spans: bool,
    pub(crate) create_spans: bool,
    pub(crate) receive_spans: bool,
    pub(crate) replace_trace_headers: bool,
    pub(crate) message_sizes: bool,
    pub(crate) keys: bool,
    pub(crate) process_parent: ProcessParent,
    pub(crate) inbound_baggage: InboundBaggage,
    pub(crate) template: Option<TemplateHook>,
    pub(crate) summary: Option<SummaryHook>,
    pub(crate) filter: Option<SpanFilter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: None,
            query_text: QueryText::Auto,
            query_text_max_length: DEFAULT_MAX_LENGTH,
            sqlcommenter: SqlCommenter::Off,
            sqlcommenter_tracestate: false,
            require_parent: false,
            returned_rows: false,
            cancelled_is_error: true,
            pool_wait_spans: false,
            transaction_spans: false,
            prepare_spans: false,
            create_spans: true,
            receive_spans: true,
            replace_trace_headers: false,
            message_sizes: false,
            keys: true,
            process_parent: ProcessParent::Ambient,
            inbound_baggage: InboundBaggage::All,
            template: None,
            summary: None,
            filter: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("enabled", &self.enabled)
            .field("query_text", &self.query_text)
            .field("query_text_max_length", &self.query_text_max_length)
            .field("sqlcommenter", &self.sqlcommenter)
            .field("sqlcommenter_tracestate", &self.sqlcommenter_tracestate)
            .field("require_parent", &self.require_parent)
            .field("returned_rows", &self.returned_rows)
            .field("cancelled_is_error", &self.cancelled_is_error)
            .field("pool_wait_spans", &self.pool_wait_spans)
            .field("transaction_spans", &self.transaction_spans)
            .field("prepare_spans", &self.prepare_spans)
            .field("create_spans", &self.create_spans)
            .field("receive_spans", &self.receive_spans)
            .field("replace_trace_headers", &self.replace_trace_headers)
            .field("message_sizes", &self.message_sizes)
            .field("keys", &self.keys)
            .field("process_parent", &self.process_parent)
            .field("inbound_baggage", &self.inbound_baggage)
            .field("template", &self.template.is_some())
            .field("summary", &self.summary.is_some())
            .field("filter", &self.filter.is_some())
            .finish()
    }
}

impl Options {
    /// The defaults with the environment's word, read once per process.
    pub(crate) fn from_environment() -> Self {
        static READ: LazyLock<Options> = LazyLock::new(|| Options::read(variable));
        READ.clone()
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let common = |option: &str| {
            let name = format!("OTEL_INSTRUMENTATION_COMMON_{option}");
            // An empty variable counts as one that is not set.
            let value = variable(&name).filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        };
        let mut options = Self::default();
        let mut flag = |option: &str, place: fn(&mut Self) -> &mut bool| {
            if let Some((name, value)) = common(option) {
                let place = place(&mut options);
                *place = parse_flag(&name, &value, *place);
            }
        };
        flag("REQUIRE_PARENT", |options| &mut options.require_parent);
        flag("RETURNED_ROWS", |options| &mut options.returned_rows);
        flag("CANCELLED_IS_ERROR", |options| &mut options.cancelled_is_error);
        flag("POOL_WAIT_SPANS", |options| &mut options.pool_wait_spans);
        flag("TRANSACTION_SPANS", |options| &mut options.transaction_spans);
        flag("PREPARE_SPANS", |options| &mut options.prepare_spans);
        flag("CREATE_SPANS", |options| &mut options.create_spans);
        flag("RECEIVE_SPANS", |options| &mut options.receive_spans);
        flag("REPLACE_TRACE_HEADERS", |options| &mut options.replace_trace_headers);
        flag("MESSAGE_SIZES", |options| &mut options.message_sizes);
        flag("KEYS", |options| &mut options.keys);
        flag("SQLCOMMENTER_TRACESTATE", |options| &mut options.sqlcommenter_tracestate);
        parse(common("QUERY_TEXT"), str::parse, "auto", &mut options.query_text);
        parse(common("SQLCOMMENTER"), str::parse, "off", &mut options.sqlcommenter);
        parse(common("PROCESS_PARENT"), str::parse, "ambient", &mut options.process_parent);
        parse(common("INBOUND_BAGGAGE"), str::parse, "all", &mut options.inbound_baggage);
        let bytes = |text: &str| text.parse().map_err(|_| "a number of bytes".to_owned());
        parse(common("QUERY_TEXT_MAX_LENGTH"), bytes, "4096", &mut options.query_text_max_length);
        options
    }

    /// The beginning of a text that is emitted as it is, at most as long as the user wants it.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        let longest = self.query_text_max_length.min(text.len());
        // Not within a character.
        (0..=longest).rev().find_map(|end| text.get(..end)).unwrap_or_default()
    }

    /// Whether a client emits anything: the word in code, else the client's variable, else yes.
    pub(crate) fn enabled_for(&self, client: &str) -> bool {
        self.enabled.unwrap_or_else(|| {
            let name = enabled_variable(client);
            variable(&name).is_none_or(|value| parse_flag(&name, &value, true))
        })
    }

    /// The user's own summary of a text, if the hook is set and gives one.
    pub(crate) fn summarize(&self, text: &str) -> Option<Cow<'static, str>> {
        let hook = self.summary.as_ref()?;
        contain(|| hook(text)).flatten().and_then(told)
    }

    /// The user's own template of a destination, if the hook is set and gives one.
    pub(crate) fn template_of(&self, destination: &str) -> Option<Cow<'static, str>> {
        let hook = self.template.as_ref()?;
        contain(|| hook(destination)).flatten().and_then(told)
    }

    /// Whether a span of this name is wanted; a filter that panics drops nothing.
    pub(crate) fn wants_span(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| contain(|| filter(name)).unwrap_or(true))
    }
}

/// `otel-sqlx` is switched by `OTEL_INSTRUMENTATION_SQLX_ENABLED`.
fn enabled_variable(client: &str) -> String {
    let client = client.strip_prefix("otel-").unwrap_or(client);
    let client = client.to_ascii_uppercase().replace('-', "_");
    format!("OTEL_INSTRUMENTATION_{client}_ENABLED")
}

/// Whether the operator wants no SDK, as the specification names it: then none is missing.
pub(crate) fn sdk_disabled() -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// A value that is no Unicode is an unknown one, which is said, and not one that is not there.
fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn parse_flag(name: &str, value: &str, default: bool) -> bool {
    match value.trim().to_ascii_lowercase().as_str() {
        "" => default,
        "true" | "1" => true,
        "false" | "0" => false,
        _ => {
            warn(name, value, "true or false", if default { "true" } else { "false" });
            default
        }
    }
}

fn parse<T>(
    variable: Option<(String, String)>,
    parse: impl Fn(&str) -> Result<T, String>,
    default: &str,
    place: &mut T,
) {
    let Some((name, value)) = variable else { return };
    match parse(value.trim()) {
        Ok(parsed) => *place = parsed,
        Err(known) => warn(&name, &value, &known, default),
    }
}

/// One line per bad value: it is read once per process.
fn warn(name: &str, value: &str, known: &str, default: &str) {
    otel_warn!(
        name: "Instrumentation.UnknownOption",
        message = format!("{name}={value:?} is not known; set it to {known}. It counts as {default}.")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Options {
        Options::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_variable_sets_its_option() {
        let options = read(&[
            ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT", "off"),
            ("OTEL_INSTRUMENTATION_COMMON_REQUIRE_PARENT", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_RETURNED_ROWS", "1"),
            ("OTEL_INSTRUMENTATION_COMMON_CANCELLED_IS_ERROR", "FALSE"),
            ("OTEL_INSTRUMENTATION_COMMON_POOL_WAIT_SPANS", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_TRANSACTION_SPANS", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_PREPARE_SPANS", " true "),
            ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH", " 100 "),
            ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER", "Uncached"),
            ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER_TRACESTATE", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_CREATE_SPANS", "false"),
            ("OTEL_INSTRUMENTATION_COMMON_RECEIVE_SPANS", "0"),
            ("OTEL_INSTRUMENTATION_COMMON_REPLACE_TRACE_HEADERS", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_MESSAGE_SIZES", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_KEYS", "false"),
            ("OTEL_INSTRUMENTATION_COMMON_PROCESS_PARENT", "Message"),
            ("OTEL_INSTRUMENTATION_COMMON_INBOUND_BAGGAGE", "tenant, region"),
        ]);
        assert!(!options.create_spans && !options.receive_spans && !options.keys);
        assert!(options.replace_trace_headers && options.message_sizes);
        assert_eq!(options.process_parent, ProcessParent::Message);
        let names = ["tenant", "region"].map(str::to_owned).to_vec();
        assert_eq!(options.inbound_baggage, InboundBaggage::Only(names));
        assert_eq!(options.query_text, QueryText::Off);
        assert!(options.require_parent);
        assert!(options.returned_rows);
        assert!(!options.cancelled_is_error);
        assert!(options.pool_wait_spans);
        assert!(options.transaction_spans);
        assert!(options.prepare_spans);
        assert_eq!(options.query_text_max_length, 100);
        assert_eq!(options.sqlcommenter, SqlCommenter::Uncached);
        assert!(options.sqlcommenter_tracestate);
    }

    #[test]
    fn an_unknown_value_counts_as_the_default() {
        let options = read(&[
            ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT", "everything"),
            ("OTEL_INSTRUMENTATION_COMMON_CANCELLED_IS_ERROR", "perhaps"),
            ("OTEL_INSTRUMENTATION_COMMON_REQUIRE_PARENT", ""),
            ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH", "-1"),
            ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER", "true"),
            ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER_TRACESTATE", ""),
        ]);
        assert_eq!(options.query_text, QueryText::Auto);
        assert!(options.cancelled_is_error);
        assert!(!options.require_parent);
        assert_eq!(options.query_text_max_length, DEFAULT_MAX_LENGTH);
        assert_eq!(options.sqlcommenter, SqlCommenter::Off);
        assert!(!options.sqlcommenter_tracestate);
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        let cut = |bytes, text| {
            Options { query_text_max_length: bytes, ..Options::default() }.cut(text).to_owned()
        };
        assert_eq!(cut(3, "año"), "añ");
        assert_eq!(cut(2, "año"), "a");
        assert_eq!(cut(0, "año"), "");
        assert_eq!(cut(4, "año"), "año");
        assert_eq!(cut(usize::MAX, "año"), "año");
    }

    #[test]
    fn the_client_variable_carries_the_name_of_the_crate() {
        assert_eq!(enabled_variable("otel-sea-orm"), "OTEL_INSTRUMENTATION_SEA_ORM_ENABLED");
    }
}

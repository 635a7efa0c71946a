//! Beside the pages: statements that tell the server their trace, in a comment as [sqlcommenter]
//! has it.
//!
//! ```text
//! SELECT * FROM songs /*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/
//! ```
//!
//! Who reads the server's log, or its list of what runs, finds the span of a statement by it. It is
//! off by default: [`TelemetryBuilder::sqlcommenter`](crate::TelemetryBuilder::sqlcommenter).
//!
//! MariaDB's query cache, where it is on, compares texts with their comments: a statement with one
//! is not found there, and takes a place.
//!
//! Only a statement whose own span is sampled gets a comment. A text is left alone if there is, or
//! may be, a comment in it already (`--`, `/*` or `#` stands anywhere, be it in a literal), if a
//! server may store it as it is (the words `CREATE`, `ALTER` and `PREPARE`), and if it is longer
//! than 64 KiB.
//!
//! [sqlcommenter]: https://google.github.io/sqlcommenter/spec/

use std::fmt::Write as _;

use opentelemetry::trace::SpanContext;

/// A longer text is data for the most part. It would be copied for each call, and may be just as
/// long as the server takes it.
const LONGEST_TEXT: usize = 64 * 1024;
/// What every participant of a trace propagates; longer ones are left out.
const LONGEST_TRACESTATE: usize = 512;
/// The room that a `traceparent` takes.
const TRACEPARENT: usize = " /*traceparent='00---01'*/".len() + 32 + 16;

/// The text of a statement with a span's context in a comment, or none if the span is not sampled or
/// the text is to be left alone.
///
/// The comment stands before the semicolons that end the text: what follows one may be taken for
/// another statement.
///
/// ```
/// use otel_core::opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
/// use otel_core::sqlcommenter::commented;
///
/// let (trace, span) = (TraceId::from(7), SpanId::from(9));
/// let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
/// assert_eq!(
///     commented("SELECT 1;", &span, false).as_deref(),
///     Some("SELECT 1 /*traceparent='00-00000000000000000000000000000007-0000000000000009-01'*/;"),
/// );
/// assert_eq!(commented("SELECT 1 -- by hand", &span, false), None);
/// ```
pub fn commented(text: &str, span: &SpanContext, tracestate: bool) -> Option<String> {
    if !span.is_valid() || !span.is_sampled() || is_left_alone(text) {
        return None;
    }
    // The vertical tab is white space to the servers, if not to Rust.
    let ends = |end: char| matches!(end, ';' | '\u{b}') || end.is_ascii_whitespace();
    let statement = text.trim_end_matches(ends);
    let end = text.get(statement.len()..)?;
    if statement.is_empty() {
        return None;
    }
    let state = if tracestate { span.trace_state().header() } else { String::new() };
    let mut commented = String::with_capacity(text.len() + TRACEPARENT);
    // Writing to a `String` cannot fail.
    let (trace, id) = (span.trace_id(), span.span_id());
    let _ = write!(commented, "{statement} /*traceparent='00-{trace}-{id}-01'");
    if (1..=LONGEST_TRACESTATE).contains(&state.len()) {
        commented.push_str(",tracestate='");
        encode(&state, &mut commented);
        commented.push('\'');
    }
    commented.push_str("*/");
    commented.push_str(end);
    Some(commented)
}

/// Whether a text has, or may have, what a comment must not be added to. It errs on this side, so
/// that it need not know how the server reads the text.
fn is_left_alone(text: &str) -> bool {
    text.len() > LONGEST_TEXT
        || text.contains(['\0', '#'])
        || text.contains("--")
        || text.contains("/*")
        || text.split(|end: char| !end.is_alphanumeric() && end != '_').any(is_stored)
}

/// Whether a word begins a statement whose text the server may store, as it does with a view's: it
/// would carry this one trace for good.
fn is_stored(word: &str) -> bool {
    ["ALTER", "CREATE", "PREPARE"].iter().any(|stored| stored.eq_ignore_ascii_case(word))
}

/// Percent-encodes everything that is not unreserved in a URL: nothing is left that could end the
/// comment, or that anything could take for a quote or a parameter.
fn encode(value: &str, encoded: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

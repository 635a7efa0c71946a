//! What is told of a request: the name of its command, or what its commands share.

use std::borrow::Cow;

use otel_core::db::TextWanted;
use otel_core::{DbCall, attribute};

use crate::request::{Arguments, Request};
use crate::text::Text;

/// The longest name of a command or a function that is told.
pub(crate) const LONGEST: usize = 64;

/// Whether this may be the name of a command or a function, and no piece of something else.
pub(crate) fn is_name(word: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=LONGEST).contains(&word.len()) && word.iter().all(is_letter)
}

/// The name of a command as it was sent, or that of one which nobody has.
pub(crate) fn name(word: Option<&[u8]>) -> &str {
    let word = word.filter(|word| is_name(word));
    word.and_then(|word| str::from_utf8(word).ok()).unwrap_or(attribute::OTHER)
}

/// The script or the function that a command runs.
fn procedure<'a>(name: &str, mut arguments: impl Arguments<'a>) -> Option<&'a str> {
    let runs = ["EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"];
    if !runs.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    arguments.next().filter(|word| is_name(word)).and_then(|word| str::from_utf8(word).ok())
}

/// The name of the span of one command.
pub(crate) fn span_name<'a>(mut command: impl Arguments<'a>) -> String {
    let name = name(command.next());
    match procedure(name, command) {
        Some(procedure) => format!("{name} {procedure}"),
        None => name.to_owned(),
    }
}

/// Whether a request runs a script that the server may not have, after which it is loaded.
pub(crate) fn may_miss(request: &impl Request) -> bool {
    let first = request.commands().next().and_then(|mut command| command.next());
    let is_script = |name: &[u8]| {
        [&b"EVALSHA"[..], b"EVALSHA_RO"].iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    !request.is_batch() && first.is_some_and(is_script)
}

/// The number of a database as text: without a copy for those that a server has by default.
fn number(database: i64) -> Cow<'static, str> {
    const NUMBERS: [&str; 16] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    let known = usize::try_from(database).ok().and_then(|at| NUMBERS.get(at));
    known.map_or_else(|| database.to_string().into(), |known| (*known).into())
}

/// What is told of a request to a database, if that is known.
pub(crate) fn describe(
    request: &impl Request,
    database: Option<i64>,
    wanted: Option<TextWanted>,
) -> DbCall<'_> {
    let mut size = 0;
    // The first word and its name, and what all of them share; `None` once two differ.
    let (mut first, mut named, mut operation, mut ran) = (None, "", None, None);
    for mut command in request.commands() {
        let word = command.next();
        // Most say the same as the first one.
        let this = if size > 0 && word == first { named } else { name(word) };
        let runs = procedure(this, command);
        if size == 0 {
            (first, named, operation, ran) = (word, this, Some(this), runs);
        } else {
            operation = operation.filter(|name| *name == this);
            ran = ran.filter(|_| ran == runs);
        }
        size += 1;
    }
    let mut call = DbCall::new();
    if request.is_batch() && size != 1 {
        let prefix = if request.is_transaction() { "MULTI" } else { "PIPELINE" };
        call = call.batch(size).prefix(prefix);
    } else {
        operation = operation.or(Some(attribute::OTHER));
    }
    if let Some(operation) = operation {
        call = call.operation(operation);
    }
    if let Some(ran) = ran {
        call = call.stored_procedure(ran);
    }
    if let Some(database) = database {
        call = call.namespace(number(database));
    }
    match wanted {
        Some(wanted) => call.sanitized_text(text(request, wanted)),
        None => call,
    }
}

/// The text of a request: of several commands the one that all share, or all of them.
fn text(request: &impl Request, wanted: TextWanted) -> String {
    let mut text = Text::new(wanted);
    for command in request.commands() {
        if text.is_full() {
            break;
        }
        text.add(command);
    }
    text.into_string()
}

#[cfg(test)]
mod tests;

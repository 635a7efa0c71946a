//! What is read of a command, and of the server's reply to it.

use mongodb::bson::{Bson, Document};
use otel_core::sql::DEFAULT_MAX_LENGTH;
use otel_core::{Db, DbCall, Failure, Telemetry};

use crate::driver::{Mongo, deployment, failure};
use crate::text;

/// The commands whose first value names a collection. That of others may name a user.
const OF_A_COLLECTION: &str = "\
    aggregate analyze cloneCollectionAsCapped collMod collStats compact convertToCapped count \
    create createIndexes createSearchIndexes delete distinct drop dropIndexes dropSearchIndex \
    find findAndModify findandmodify insert killCursors listIndexes mapReduce planCacheClear \
    planCacheClearFilters planCacheListFilters planCacheSetFilter reIndex update \
    updateSearchIndex validate";

/// The name of a command, unless it is none that a server could have: then it may be anything.
pub(crate) fn named(command: &str) -> &str {
    const LONGEST: usize = 64;
    let is_name = (1..=LONGEST).contains(&command.len())
        && command.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_name { command } else { "_OTHER" }
}

/// Whether its first value is the name of a collection, where it is a text.
pub(crate) fn is_of_a_collection(command: &str) -> bool {
    OF_A_COLLECTION.split(' ').any(|known| known == command)
}

/// Those of which the driver's events show nothing, in whatever letters.
const REDACTED: &str = "\
    authenticate copydb copydbgetnonce copydbsaslstart createuser getnonce saslcontinue saslstart \
    updateuser";

/// A command as it is sent; of one that the driver redacts the body is empty.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) name: &'a str,
    pub(crate) database: &'a str,
    pub(crate) body: &'a Document,
}

impl<'a> Command<'a> {
    /// What it is to the core, with a text of at most so many bytes where one is wanted.
    pub(crate) fn call(self, text: Option<usize>) -> DbCall<'a> {
        let (database, collection) = self.target();
        let call = DbCall::new().operation(named(self.name)).namespace(database);
        let call = collection.into_iter().fold(call, DbCall::collection);
        let call = call.batch_by_itself(self.operations());
        let text = text.filter(|_| !self.body.is_empty());
        text.and_then(|longest| text::sanitized(self, longest))
            .into_iter()
            .fold(call, DbCall::sanitized_text)
    }

    /// Whether it holds what logs somebody in.
    pub(crate) fn is_redacted(self) -> bool {
        let is = |word: &str| word.eq_ignore_ascii_case(self.name);
        REDACTED.split(' ').any(is)
            || (["hello", "ismaster"].into_iter().any(is)
                && self.body.contains_key("speculativeAuthenticate"))
    }

    /// Database and collection. A `bulkWrite` is sent to `admin`, and has those that it writes to in
    /// a list.
    pub(crate) fn target(self) -> (&'a str, Option<&'a str>) {
        if self.name == "bulkWrite" {
            return self.only_namespace().unwrap_or((self.database, None));
        }
        let collection = match self.name {
            "getMore" => self.body.get_str("collection").ok(),
            "explain" => self.body.get_document("explain").ok().and_then(first_collection),
            _ => first_collection(self.body).filter(|_| is_of_a_collection(self.name)),
        };
        // Of cursors over no collection the server says `$cmd.aggregate`.
        (self.database, collection.filter(|name| !name.starts_with("$cmd")))
    }

    fn only_namespace(self) -> Option<(&'a str, Option<&'a str>)> {
        let [Bson::Document(only)] = &**self.body.get_array("nsInfo").ok()? else { return None };
        let (database, collection) = only.get_str("ns").ok()?.split_once('.')?;
        Some((database, Some(collection)))
    }

    /// How many documents it writes, or operations it is made of; 1 where it is no batch.
    pub(crate) fn operations(self) -> usize {
        let list = match self.name {
            "bulkWrite" => "ops",
            "delete" => "deletes",
            "insert" => "documents",
            "update" => "updates",
            _ => return 1,
        };
        self.body.get_array(list).map_or(1, Vec::len)
    }

    /// The cursor that it goes on with, or ends; of several the first.
    pub(crate) fn cursor(self) -> Option<i64> {
        match self.name {
            "getMore" => self.body.get_i64("getMore").ok(),
            "killCursors" => self.body.get_array("cursors").ok()?.first()?.as_i64(),
            _ => None,
        }
    }
}

fn first_collection(body: &Document) -> Option<&str> {
    let (name, value) = body.iter().next()?;
    value.as_str().filter(|_| is_of_a_collection(name))
}

/// What the reply to a command says beyond that it succeeded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// Documents in the cursor's batch.
    pub(crate) rows: Option<usize>,
    /// The cursor that has more.
    pub(crate) cursor: Option<i64>,
    /// That something of it was not written.
    pub(crate) failure: Option<Failure>,
}

impl Reply {
    pub(crate) fn of(command: &str, reply: &Document) -> Self {
        let cursor = reply.get_document("cursor").ok();
        let batch = cursor.and_then(|cursor| {
            cursor.get_array("firstBatch").or_else(|_| cursor.get_array("nextBatch")).ok()
        });
        let is_bulk = command == "bulkWrite";
        let writes = reply.get_array("writeErrors").ok().and_then(|errors| errors.first());
        let of_bulk = batch.filter(|_| is_bulk && reply.get_i32("nErrors").is_ok_and(|of| of > 0));
        let of_bulk = of_bulk.and_then(|results| results.iter().find(|result| failed(result)));
        let error = writes.or(of_bulk).or_else(|| reply.get("writeConcernError"));
        Self {
            // Those of a `bulkWrite` are no documents.
            rows: batch.filter(|_| !is_bulk).map(Vec::len),
            cursor: cursor.and_then(|cursor| cursor.get_i64("id").ok().filter(|id| *id != 0)),
            failure: error.and_then(Bson::as_document).map(failure),
        }
    }
}

/// Whether this result of a `bulkWrite` is an error.
fn failed(result: &Bson) -> bool {
    let ok = result.as_document().and_then(|result| result.get("ok"));
    match ok {
        Some(Bson::Double(ok)) => *ok == 0.0,
        Some(Bson::Int32(ok)) => *ok == 0,
        _ => false,
    }
}

/// The text of a command, and the name of its span. Its database is that of the driver's field `$db`.
pub(crate) fn analyze(body: &Document) -> (Option<String>, String) {
    let name = body.keys().next().map_or("", |name| name);
    let database = body.get_str("$db").unwrap_or_default();
    let command = Command { name, database, body };
    let db = Db::<Mongo>::new(&Telemetry::builder().build(), deployment());
    let text = Some(DEFAULT_MAX_LENGTH).filter(|_| !body.is_empty());
    let text = text.and_then(|longest| text::sanitized(command, longest));
    (text, db.span_name(&command.call(None)).into_owned())
}

#[cfg(test)]
mod tests;

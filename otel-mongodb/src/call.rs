//! A call of the user's, before it is an operation.

use std::borrow::Cow;

use mongodb::bson::{Bson, Document, RawDocument};
use otel_core::{Db, DbCall, DbOperation};

use crate::command::{Command, is_of_a_collection, named};
use crate::driver::Mongo;
use crate::text::{self, Text};

/// What is told of a call: of the command that it will be.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) db: Cow<'a, Db<Mongo>>,
    /// None of what sends nothing.
    command: Option<Cow<'a, str>>,
    database: Cow<'a, str>,
    collection: Option<Cow<'a, str>>,
    batch: usize,
    /// The fields that are shown, where texts are wanted.
    shown: Option<Text>,
    /// All of a command as the user wrote it.
    text: Option<String>,
}

impl<'a> Call<'a> {
    /// Of no collection.
    pub(crate) fn new(db: &'a Db<Mongo>, command: &'static str, database: &'a str) -> Self {
        Self {
            shown: longest(db).map(Text::new),
            ..Self::about(Cow::Borrowed(db), command, database)
        }
    }

    fn about(db: Cow<'a, Db<Mongo>>, command: &'static str, database: &'a str) -> Self {
        let (command, database) = (Some(command.into()), database.into());
        Self { db, command, database, collection: None, batch: 1, shown: None, text: None }
    }

    /// What sends nothing itself, and is not told.
    pub(crate) fn quiet(db: &'a Db<Mongo>) -> Self {
        Self { command: None, ..Self::about(Cow::Borrowed(db), "", "") }
    }

    /// The end of a client, which is handed over.
    pub(crate) fn ending_sessions(db: Db<Mongo>) -> Call<'static> {
        Call::about(Cow::Owned(db), "endSessions", "admin")
    }

    /// What a cursor that this opened waits for.
    pub(crate) fn goes_on(&self) -> Call<'static> {
        let db = Cow::Owned(Db::clone(&self.db));
        Call {
            database: self.database.clone().into_owned().into(),
            collection: self.collection.clone().map(|name| name.into_owned().into()),
            ..Call::about(db, "getMore", "")
        }
    }

    pub(crate) fn on(self, collection: impl Into<Cow<'a, str>>) -> Self {
        Self { collection: Some(collection.into()), ..self }
    }

    /// Of another database than that of the handle.
    pub(crate) fn of(self, database: impl Into<Cow<'a, str>>) -> Self {
        Self { database: database.into(), ..self }
    }

    pub(crate) fn batch(self, operations: usize) -> Self {
        Self { batch: operations, ..self }
    }

    /// Of a command as the user wrote it.
    pub(crate) fn command(db: &'a Db<Mongo>, database: &'a str, body: &Document) -> Self {
        if db.is_off() {
            return Self::quiet(db);
        }
        let name = body.keys().next().map_or("", |name| name);
        let command = Command { name, database, body };
        let (namespace, collection) = command.target();
        Self {
            command: Some(named(name).to_owned().into()),
            database: namespace.to_owned().into(),
            collection: collection.map(|it| it.to_owned().into()),
            batch: command.operations(),
            text: longest(db).and_then(|longest| text::sanitized(command, longest)),
            ..Self::quiet(db)
        }
    }

    /// Of a command that is not parsed: of its first field.
    pub(crate) fn raw_command(db: &'a Db<Mongo>, database: &'a str, body: &RawDocument) -> Self {
        let first = body.iter().next().and_then(Result::ok);
        let first = first.filter(|_| !db.is_off()).map(|(name, value)| {
            let value = value.as_str().map_or(Bson::Null, |text| Bson::String(text.to_owned()));
            let mut first = Document::new();
            first.insert(name.to_string(), value);
            first
        });
        first.map_or_else(|| Self::quiet(db), |first| Self::command(db, database, &first))
    }

    /// With these fields in its text, where one is wanted.
    pub(crate) fn showing(mut self, fields: impl FnOnce() -> Document) -> Self {
        if let Some(shown) = &mut self.shown {
            shown.more(&fields());
        }
        self
    }

    pub(crate) fn start(&mut self) -> DbOperation<Mongo> {
        let Some(command) = self.command.as_deref() else { return DbOperation::empty() };
        self.db.start(|| {
            let call = DbCall::new().operation(command).namespace(&*self.database);
            let call = self.collection.as_deref().into_iter().fold(call, DbCall::collection);
            let call = call.batch_by_itself(self.batch);
            let shown = self.shown.take();
            let named = self.collection.as_deref().filter(|_| is_of_a_collection(command));
            let shown = shown.map(|shown| shown.of(command, named));
            self.text.take().or(shown).into_iter().fold(call, DbCall::sanitized_text)
        })
    }
}

/// How long the text of a call may be, where one is wanted.
fn longest(db: &Db<Mongo>) -> Option<usize> {
    db.text_wanted().filter(|wanted| wanted.asked).map(|wanted| wanted.longest)
}

//! A call of the user's, before it is an operation.

use std::borrow::Cow;

use mongodb::bson::{Bson, Document, RawDocument};
use mongodb::options::UpdateModifications;
use otel_core::{Db, DbCall, DbOperation};

use crate::command::Command;
use crate::driver::Mongo;
use crate::text;

/// What is told of a call: of the command that it will be.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) db: Cow<'a, Db<Mongo>>,
    /// None of what sends nothing.
    command: Option<Cow<'a, str>>,
    database: Cow<'a, str>,
    collection: Option<Cow<'a, str>>,
    batch: usize,
    text: Option<String>,
}

impl<'a> Call<'a> {
    /// Of no collection.
    pub(crate) fn new(db: &'a Db<Mongo>, command: &'static str, database: &'a str) -> Self {
        let (db, command, database) = (Cow::Borrowed(db), Some(command.into()), database.into());
        Self { db, command, database, collection: None, batch: 1, text: None }
    }

    /// What sends nothing itself, and is not told.
    pub(crate) fn quiet(db: &'a Db<Mongo>) -> Self {
        Self { command: None, ..Self::new(db, "", "") }
    }

    /// The end of a client, which is handed over.
    pub(crate) fn ending_sessions(db: Db<Mongo>) -> Call<'static> {
        let (db, command) = (Cow::Owned(db), Some("endSessions".into()));
        Call { db, command, database: "admin".into(), collection: None, batch: 1, text: None }
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
        let call = Self {
            command: Some(name.to_owned().into()),
            database: namespace.to_owned().into(),
            collection: collection.map(|it| it.to_owned().into()),
            batch: command.operations(),
            ..Self::quiet(db)
        };
        call.with_text(|longest| text::sanitized(command, longest))
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

    /// With a text where one is asked for: of the fields that the user gave.
    pub(crate) fn showing(self, fields: impl FnOnce() -> Document) -> Self {
        let (name, collection) = (self.command.clone(), self.collection.clone());
        self.with_text(|longest| {
            let name = name.unwrap_or_default();
            let target = collection.map_or(Bson::Int32(1), |it| Bson::String(it.into_owned()));
            let mut body = Document::new();
            body.insert(&*name, target);
            body.extend(fields());
            text::sanitized(Command { name: &name, database: "", body: &body }, longest)
        })
    }

    fn with_text(self, make: impl FnOnce(usize) -> String) -> Self {
        let wanted = self.db.text_wanted().filter(|wanted| wanted.asked);
        Self { text: wanted.map(|wanted| make(wanted.longest)), ..self }
    }

    pub(crate) fn start(&mut self) -> DbOperation<Mongo> {
        let Some(command) = self.command.as_deref() else { return DbOperation::empty() };
        self.db.start(|| {
            let call = DbCall::new().operation(command).namespace(&*self.database);
            let call = self.collection.as_deref().into_iter().fold(call, DbCall::collection);
            let call = call.batch_by_itself(self.batch);
            self.text.take().into_iter().fold(call, DbCall::sanitized_text)
        })
    }
}

/// As a command has them.
pub(crate) fn modifications(update: &UpdateModifications) -> Bson {
    match update {
        UpdateModifications::Document(document) => Bson::Document(document.clone()),
        UpdateModifications::Pipeline(stages) => stages.clone().into(),
        // Of a later version of the driver.
        _ => Bson::Null,
    }
}

//! Cursors of the blocking client.

use std::fmt;

use mongodb::bson::{Document, RawDocument};
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::Result;
use mongodb::sync;
use serde::de::{Deserialize, DeserializeOwned};

use super::ClientSession;
use crate::action::{Answer, Answered};
use crate::reading::{self, Reading};

/// As [`mongodb::sync::Cursor`]. Its operation is that of the call that opened it, and ends with its
/// last document, with its first error, or when it is dropped.
#[derive(Debug)]
pub struct Cursor<T> {
    raw: sync::Cursor<T>,
    reading: Reading,
}

impl<T> Answer for Result<sync::Cursor<T>> {
    type Ours = Result<Cursor<T>>;

    fn ours(self, answered: Answered<'_>) -> Self::Ours {
        answered.open(self, |raw, it| Cursor { raw, reading: Reading::of(it.operation) })
    }
}

impl<T> Cursor<T> {
    /// As the driver's.
    pub fn advance(&mut self) -> Result<bool> {
        self.reading.step(|| self.raw.advance(), reading::advanced)
    }

    /// As the driver's.
    pub fn current(&self) -> &RawDocument {
        self.raw.current()
    }

    /// As the driver's.
    pub fn has_next(&self) -> bool {
        self.raw.has_next()
    }

    /// As the driver's.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.raw.deserialize_current()
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Iterator for Cursor<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reading.step(|| self.raw.next(), reading::next)
    }
}

/// As [`mongodb::sync::SessionCursor`]; its operation as that of a [`Cursor`].
#[derive(Debug)]
pub struct SessionCursor<T> {
    raw: sync::SessionCursor<T>,
    reading: Reading,
}

impl<T> Answer for Result<sync::SessionCursor<T>> {
    type Ours = Result<SessionCursor<T>>;

    fn ours(self, answered: Answered<'_>) -> Self::Ours {
        answered.open(self, |raw, it| SessionCursor { raw, reading: Reading::of(it.operation) })
    }
}

impl<T> SessionCursor<T> {
    /// As the driver's.
    pub fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.reading.step(|| self.raw.advance(&mut session.raw), reading::advanced)
    }

    /// As the driver's.
    pub fn current(&self) -> &RawDocument {
        self.raw.current()
    }

    /// As the driver's.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.raw.deserialize_current()
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> SessionCursor<T> {
    /// As the driver's.
    pub fn iter<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionCursorIter<'_, 'session, T> {
        let Self { raw, reading } = self;
        SessionCursorIter { raw: raw.iter(&mut session.raw), reading }
    }

    /// As the driver's.
    pub fn next(&mut self, session: &mut ClientSession) -> Option<Result<T>> {
        self.iter(session).next()
    }
}

/// As [`mongodb::sync::SessionCursorIter`].
pub struct SessionCursorIter<'cursor, 'session, T = Document>
where
    T: DeserializeOwned + Unpin + Send + Sync,
{
    raw: sync::SessionCursorIter<'cursor, 'session, T>,
    reading: &'cursor mut Reading,
}

impl<T> fmt::Debug for SessionCursorIter<'_, '_, T>
where
    T: DeserializeOwned + Unpin + Send + Sync,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionCursorIter").finish_non_exhaustive()
    }
}

impl<'cursor, 'session: 'cursor, T> Iterator for SessionCursorIter<'cursor, 'session, T>
where
    T: DeserializeOwned + Unpin + Send + Sync,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reading.step(|| self.raw.next(), reading::next)
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Answer for Result<sync::ChangeStream<T>> {
    type Ours = Self;

    fn ours(self, answered: Answered<'_>) -> Self {
        answered.end(self)
    }
}

/// As [`mongodb::sync::SessionChangeStream`].
pub struct SessionChangeStream<T: DeserializeOwned + Unpin>(sync::SessionChangeStream<T>);

impl<T: DeserializeOwned + Unpin> fmt::Debug for SessionChangeStream<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionChangeStream").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Unpin> Answer for Result<sync::SessionChangeStream<T>> {
    type Ours = Result<SessionChangeStream<T>>;

    fn ours(self, answered: Answered<'_>) -> Self::Ours {
        answered.end(self).map(SessionChangeStream)
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> SessionChangeStream<T> {
    /// As the driver's.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.0.resume_token()
    }

    /// As the driver's.
    pub fn with_type<D>(self) -> SessionChangeStream<D>
    where
        D: DeserializeOwned + Unpin + Send + Sync,
    {
        SessionChangeStream(self.0.with_type())
    }

    /// As the driver's.
    pub fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        self.0.next(&mut session.raw)
    }

    /// As the driver's.
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// As the driver's.
    pub fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        self.0.next_if_any(&mut session.raw)
    }
}

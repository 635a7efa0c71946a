//! Cursors of the blocking client.

use std::fmt;

use mongodb::bson::{Document, RawDocument};
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::Result;
use mongodb::sync;
use serde::de::{Deserialize, DeserializeOwned};

use super::ClientSession;
use crate::action::{Answer, Answered, opened};
use crate::change_stream::{Waiting, change_stream};
use crate::cursor::cursor;
use crate::reading::{self, Reading};

cursor!(sync, Cursor);
cursor!(sync, SessionCursor);

impl<T> Cursor<T> {
    /// As the driver's.
    pub fn advance(&mut self) -> Result<bool> {
        self.reading.step(|| self.raw.advance(), reading::advanced)
    }

    /// As the driver's.
    pub fn has_next(&self) -> bool {
        self.raw.has_next()
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Iterator for Cursor<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reading.step(|| self.raw.next(), reading::next)
    }
}

impl<T> SessionCursor<T> {
    /// As the driver's.
    pub fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.reading.step(|| self.raw.advance(&mut session.raw), reading::advanced)
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

change_stream! {
    /// As [`mongodb::sync::ChangeStream`].
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    ChangeStream<T: DeserializeOwned + Unpin + Send + Sync>, sync::ChangeStream
}

impl<T: DeserializeOwned + Unpin + Send + Sync> ChangeStream<T> {
    /// As the driver's.
    pub fn next_if_any(&mut self) -> Result<Option<T>> {
        self.waiting.piece(|| self.raw.next_if_any())
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Iterator for ChangeStream<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.waiting.piece(|| self.raw.next())
    }
}

change_stream! {
    /// As [`mongodb::sync::SessionChangeStream`].
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    SessionChangeStream<T: DeserializeOwned + Unpin + Send + Sync>, sync::SessionChangeStream
}

impl<T: DeserializeOwned + Unpin + Send + Sync> SessionChangeStream<T> {
    /// As the driver's.
    pub fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        self.waiting.piece(|| self.raw.next(&mut session.raw))
    }

    /// As the driver's.
    pub fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        self.waiting.piece(|| self.raw.next_if_any(&mut session.raw))
    }
}

//! Cursors, whose operation ends with the last document.

use std::pin::Pin;
use std::task::{self, Poll};

use futures_core::Stream;
use mongodb::bson::{Document, RawDocument};
use mongodb::error::Result;
use serde::de::{Deserialize, DeserializeOwned};

use crate::action::{Answer, Answered, opened};
use crate::reading::{self, Reading};
use crate::session::ClientSession;

/// What the cursors of both drivers have.
macro_rules! cursor {
    ($driver:ident, $name:ident) => {
        opened! {
            #[doc = concat!(
                "As [`mongodb::", stringify!($name), "`]. Its operation is that of the call that ",
                "opened it, and ends with its last document, with its first error, or when it is ",
                "dropped."
            )]
            $name<T>, $driver::$name, of
        }

        /// Of documents of any type, as the driver's.
        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl<T> $name<T> {
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
    };
}
#[cfg(feature = "sync")]
pub(crate) use cursor;

cursor!(mongodb, Cursor);
cursor!(mongodb, SessionCursor);

impl<T> Cursor<T> {
    /// As [`mongodb::Cursor::advance`].
    pub async fn advance(&mut self) -> Result<bool> {
        self.reading.advance(self.raw.advance()).await
    }

    /// As [`mongodb::Cursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.raw.has_next()
    }

    /// As [`mongodb::Cursor::with_type`].
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> Cursor<D> {
        Cursor { raw: self.raw.with_type(), reading: self.reading }
    }
}

impl<T: DeserializeOwned> Stream for Cursor<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_next(task), reading::next)
    }
}

impl<T> SessionCursor<T> {
    /// As [`mongodb::SessionCursor::stream`].
    pub fn stream<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionCursorStream<'_, 'session, T> {
        let Self { raw, reading } = self;
        SessionCursorStream { raw: raw.stream(&mut session.raw), reading }
    }

    /// As [`mongodb::SessionCursor::next`].
    pub async fn next(&mut self, session: &mut ClientSession) -> Option<Result<T>>
    where
        T: DeserializeOwned,
    {
        let mut stream = self.stream(session);
        std::future::poll_fn(|task| Pin::new(&mut stream).poll_next(task)).await
    }

    /// As [`mongodb::SessionCursor::advance`].
    pub async fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.reading.advance(self.raw.advance(&mut session.raw)).await
    }

    /// As [`mongodb::SessionCursor::with_type`].
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> SessionCursor<D> {
        SessionCursor { raw: self.raw.with_type(), reading: self.reading }
    }
}

/// As [`mongodb::SessionCursorStream`].
#[expect(missing_debug_implementations, reason = "the driver's has none")]
pub struct SessionCursorStream<'cursor, 'session, T = Document> {
    raw: mongodb::SessionCursorStream<'cursor, 'session, T>,
    reading: &'cursor mut Reading,
}

impl<'cursor, 'session: 'cursor, T> Stream for SessionCursorStream<'cursor, 'session, T>
where
    T: DeserializeOwned,
{
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_next(task), reading::next)
    }
}

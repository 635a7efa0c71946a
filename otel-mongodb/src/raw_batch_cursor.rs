//! Cursors of whole batches; as [`mongodb::raw_batch_cursor`].

use std::pin::Pin;
use std::task::{self, Poll};

use futures_core::Stream;
use mongodb::error::Result;
use mongodb::raw_batch_cursor as driver;
pub use mongodb::raw_batch_cursor::RawBatch;
use otel_core::Classify as _;

use crate::action::{Answer, Answered, opened};
use crate::driver::Mongo;
use crate::reading::{Came, Reading};
use crate::session::ClientSession;

opened! {
    /// As [`mongodb::raw_batch_cursor::RawBatchCursor`].
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    RawBatchCursor, driver::RawBatchCursor, of
}

impl Stream for RawBatchCursor {
    type Item = Result<RawBatch>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_next(task), came)
    }
}

opened! {
    /// As [`mongodb::raw_batch_cursor::SessionRawBatchCursor`].
    #[derive(Debug)]
    SessionRawBatchCursor, driver::SessionRawBatchCursor, of
}

impl SessionRawBatchCursor {
    /// As [`mongodb::raw_batch_cursor::SessionRawBatchCursor::stream`].
    pub fn stream<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionRawBatchCursorStream<'_, 'session> {
        let Self { raw, reading } = self;
        SessionRawBatchCursorStream { raw: raw.stream(&mut session.raw), reading }
    }
}

/// As [`mongodb::raw_batch_cursor::SessionRawBatchCursorStream`].
#[expect(missing_debug_implementations, reason = "the driver's has none")]
pub struct SessionRawBatchCursorStream<'cursor, 'session> {
    raw: driver::SessionRawBatchCursorStream<'cursor, 'session>,
    reading: &'cursor mut Reading,
}

impl Stream for SessionRawBatchCursorStream<'_, '_> {
    type Item = Result<RawBatch>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_next(task), came)
    }
}

#[expect(clippy::ref_option, reason = "what a stream gives, as it is")]
fn came(item: &Option<Result<RawBatch>>) -> Came {
    match item {
        Some(Ok(batch)) => Came::Rows(
            batch.doc_slices().map_or(0, |documents| documents.into_iter().count() as u64),
        ),
        Some(Err(error)) => Came::Failed(Mongo::classify(error)),
        None => Came::End,
    }
}

//! Files in buckets; as [`mongodb::gridfs`].

use std::io;
use std::pin::Pin;
use std::task::{self, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use mongodb::action::gridfs as driver;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;
use mongodb::gridfs as raw;
pub use mongodb::gridfs::FilesCollectionDocument;
use mongodb::options::{GridFsBucketOptions, ReadConcern, SelectionCriteria, WriteConcern};
use otel_core::{Classify as _, Failure};

use crate::action::{Answer, Answered, Observed, forward_calls, opened};
use crate::call::Call;
use crate::database::Database;
use crate::driver::Mongo;
use crate::reading::{Came, Reading};

/// As [`mongodb::gridfs::GridFsBucket`]. What is called on it is told as what it does to the
/// collection of its files.
#[derive(Clone, Debug)]
pub struct GridFsBucket {
    pub(crate) raw: raw::GridFsBucket,
    pub(crate) database: Database,
    pub(crate) files: String,
}

/// The collection of a bucket's files.
pub(crate) fn files(options: Option<&GridFsBucketOptions>) -> String {
    let name = options.and_then(|options| options.bucket_name.as_deref()).unwrap_or("fs");
    format!("{name}.files")
}

/// The methods of a bucket that both drivers have.
macro_rules! bucket_methods {
    ($raw:path) => {
        fn call(&self, command: &'static str) -> Call<'_> {
            let Database { raw, client } = &self.database;
            Call::new(&client.db, command, raw.name()).on(&*self.files)
        }

        /// The driver's own bucket: what is called on it is not told.
        pub fn raw(&self) -> &$raw {
            &self.raw
        }

        /// The driver's own bucket.
        pub fn into_inner(self) -> $raw {
            self.raw
        }

        /// As the driver's.
        pub fn read_concern(&self) -> Option<&ReadConcern> {
            self.raw.read_concern()
        }

        /// As the driver's.
        pub fn write_concern(&self) -> Option<&WriteConcern> {
            self.raw.write_concern()
        }

        /// As the driver's.
        pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
            self.raw.selection_criteria()
        }

        forward_calls! {
            fn delete(id: Bson) -> Observed<'_, driver::Delete<'_>>, "delete";
            fn delete_by_name(filename: impl Into<String>)
                -> Observed<'_, driver::DeleteByName<'_>>, "delete";
            fn open_download_stream(id: Bson)
                -> Observed<'_, driver::OpenDownloadStream<'_>>, "find";
            fn open_download_stream_by_name(filename: impl Into<String>)
                -> Observed<'_, driver::OpenDownloadStreamByName<'_>>, "find";
            /// It is told when the file is whole.
            fn open_upload_stream(filename: impl AsRef<str>)
                -> Observed<'_, driver::OpenUploadStream<'_>>, "insert";
            fn drop() -> Observed<'_, driver::Drop<'_>>, "drop";
            fn rename(id: Bson, new_filename: impl Into<String>)
                -> Observed<'_, driver::Rename<'_>>, "update";
            fn rename_by_name(filename: impl Into<String>, new_filename: impl Into<String>)
                -> Observed<'_, driver::RenameByName<'_>>, "update";
        }

        /// As the driver's.
        pub fn find(&self, filter: Document) -> Observed<'_, driver::Find<'_>> {
            let call = self.call("find").showing(|| doc! { "filter": filter.clone() });
            Observed::new(self.raw.find(filter), call)
        }

        /// As the driver's.
        pub fn find_one(&self, filter: Document) -> Observed<'_, driver::FindOne<'_>> {
            let call = self.call("find").showing(|| doc! { "filter": filter.clone() });
            Observed::new(self.raw.find_one(filter), call)
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use bucket_methods;

impl GridFsBucket {
    bucket_methods!(raw::GridFsBucket);
}

opened! {
    /// As [`mongodb::gridfs::GridFsDownloadStream`]. Its operation is that of the call that opened
    /// it, and ends with the file, with an error, or when it is dropped.
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    GridFsDownloadStream, raw::GridFsDownloadStream, of_file
}

impl AsyncRead for GridFsDownloadStream {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { raw, reading } = self.get_mut();
        let is_asked = !bytes.is_empty();
        reading.poll(|| Pin::new(raw).poll_read(task, bytes), |read| came(read, is_asked))
    }
}

opened! {
    /// As [`mongodb::gridfs::GridFsUploadStream`]. Its operation is that of the call that opened
    /// it; to drop it before it is closed is to give it up.
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    GridFsUploadStream, raw::GridFsUploadStream, of_upload
}

impl GridFsUploadStream {
    /// As [`mongodb::gridfs::GridFsUploadStream::id`].
    pub fn id(&self) -> &Bson {
        self.raw.id()
    }

    /// As [`mongodb::gridfs::GridFsUploadStream::abort`].
    pub async fn abort(&mut self) -> Result<()> {
        self.reading.advance(async { self.raw.abort().await.map(|()| false) }).await.map(|_| ())
    }
}

impl AsyncWrite for GridFsUploadStream {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_write(task, bytes), |written| came(written, false))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_flush(task), |it| done(it, Came::Bytes))
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let Self { raw, reading } = self.get_mut();
        reading.poll(|| Pin::new(raw).poll_close(task), |it| done(it, Came::End))
    }
}

/// So many bytes; none are the end of what is read.
pub(crate) fn came(bytes: &io::Result<usize>, is_read: bool) -> Came {
    match bytes {
        Ok(0) if is_read => Came::End,
        Ok(_) => Came::Bytes,
        Err(error) => Came::Failed(failure(error)),
    }
}

pub(crate) fn done(done: &io::Result<()>, came: Came) -> Came {
    done.as_ref().map_or_else(|error| Came::Failed(failure(error)), |()| came)
}

/// The driver's error is inside.
fn failure(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    inner.map_or_else(
        || Failure::new(format!("{:?}", error.kind())),
        |error: &mongodb::error::Error| Mongo::classify(error),
    )
}

//! Files in buckets, for the blocking client; as [`mongodb::sync::gridfs`].

use std::fmt;
use std::io::{self, Read, Write};

use mongodb::action::gridfs as driver;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;
use mongodb::options::{ReadConcern, SelectionCriteria, WriteConcern};
use mongodb::sync::gridfs as raw;
pub use mongodb::sync::gridfs::FilesCollectionDocument;

use super::Database;
use crate::action::{Answer, Answered, Observed, forward_calls, opened};
use crate::call::Call;
use crate::gridfs::{bucket_methods, came, done};
use crate::reading::{Came, Reading, advanced};

/// As [`mongodb::sync::gridfs::GridFsBucket`]. What is called on it is told as what it does to the
/// collection of its files.
pub struct GridFsBucket {
    pub(crate) raw: raw::GridFsBucket,
    pub(crate) database: Database,
    pub(crate) files: String,
}

impl fmt::Debug for GridFsBucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GridFsBucket").field("files", &self.files).finish_non_exhaustive()
    }
}

impl GridFsBucket {
    bucket_methods!(raw::GridFsBucket);
}

opened! {
    /// As [`mongodb::sync::gridfs::GridFsDownloadStream`]. Its operation is that of the call that opened
    /// it, and ends with the file, with an error, or when it is dropped.
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    GridFsDownloadStream, raw::GridFsDownloadStream, of_file
}

impl Read for GridFsDownloadStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let is_asked = !bytes.is_empty();
        self.reading.step(|| self.raw.read(bytes), |read| came(read, is_asked))
    }
}

opened! {
    /// As [`mongodb::sync::gridfs::GridFsUploadStream`]. Its operation is that of the call that opened
    /// it; to drop it before it is closed is to give it up.
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    GridFsUploadStream, raw::GridFsUploadStream, of_upload
}

impl GridFsUploadStream {
    /// As the driver's.
    pub fn id(&self) -> &Bson {
        self.raw.id()
    }

    /// As the driver's.
    pub fn close(&mut self) -> io::Result<()> {
        self.reading.step(|| self.raw.close(), |it| done(it, Came::End))
    }

    /// As the driver's.
    pub fn abort(&mut self) -> Result<()> {
        self.reading.step(|| self.raw.abort().map(|()| false), advanced).map(|_| ())
    }
}

impl Write for GridFsUploadStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reading.step(|| self.raw.write(bytes), |written| came(written, false))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reading.step(|| self.raw.flush(), |it| done(it, Came::Bytes))
    }
}

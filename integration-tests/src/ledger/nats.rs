//! What NATS counted: the messages that a server got, those of each subject that a stream has, and those
//! that a consumer was given, and settled.

use std::fs;
use std::io;

use async_nats::jetstream::context::RequestError;
use async_nats::jetstream::stream::Stream;
use futures_util::TryStreamExt as _;
use native::Extra;
use otel_testing::ledger::{Count, Counted, Unit};
use tempfile::NamedTempFile;

/// The messages that a server got from its clients, by their subjects: by its trace of the protocol, in
/// which each has a line. What the driver sends by itself (requests to `$JS.API`, acknowledgements) is
/// in it too.
#[derive(Debug)]
pub struct Published(NamedTempFile);

impl Published {
    /// Of the server that is to be started with [`extra`](Self::extra).
    pub fn new() -> io::Result<Self> {
        NamedTempFile::new().map(Self)
    }

    /// What makes a server write its trace.
    pub fn extra(&self) -> Extra {
        Extra::new().argument("-V").argument("--log").argument(self.0.path().to_string_lossy())
    }
}

impl Counted for Published {
    type Error = io::Error;

    async fn counted(&mut self) -> io::Result<Vec<Count>> {
        let trace = fs::read(self.0.path())?;
        let subject = |line: &str| {
            let (_, sent) = line.split_once(" - <<- [")?;
            let rest = sent.strip_prefix("PUB ").or_else(|| sent.strip_prefix("HPUB "))?;
            Some(rest.split(' ').next()?.to_owned())
        };
        let trace = String::from_utf8_lossy(&trace);
        // The last line may not be whole yet.
        let lines = trace.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(lines.filter_map(subject).map(|subject| Count::new(subject, 1)).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Sent
    }
}

/// The messages that a stream has stored, by their subjects: of JetStream's publishing and of the plain
/// one, whatever matches the subjects of the stream.
///
/// What the driver sends by itself (requests to `$JS.API`, acknowledgements) has other subjects. Give
/// the stream no limits: what it dropped is not counted.
#[derive(Clone, Debug)]
pub struct Stored(Stream);

impl Stored {
    /// Of a stream that is a test's own.
    pub fn new(stream: Stream) -> Self {
        Self(stream)
    }
}

impl Counted for Stored {
    type Error = RequestError;

    async fn counted(&mut self) -> Result<Vec<Count>, RequestError> {
        let subjects: Vec<(String, usize)> =
            self.0.info_with_subjects(">").await?.try_collect().await?;
        let count =
            |(subject, times)| Count::new(subject, u64::try_from(times).unwrap_or(u64::MAX));
        Ok(subjects.into_iter().map(count).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Sent
    }
}

/// The messages that a consumer was given, each time anew, all under the one subject that it filters.
#[derive(Clone, Debug)]
pub struct Delivered {
    stream: Stream,
    consumer: String,
    subject: String,
}

impl Delivered {
    /// Of a consumer that filters this subject.
    pub fn new(stream: Stream, consumer: &str, subject: &str) -> Self {
        Self { stream, consumer: consumer.to_owned(), subject: subject.to_owned() }
    }
}

impl Counted for Delivered {
    type Error = async_nats::Error;

    async fn counted(&mut self) -> Result<Vec<Count>, async_nats::Error> {
        let info = self.stream.consumer_info(&self.consumer).await?;
        Ok(vec![Count::new(&self.subject, info.delivered.consumer_sequence)])
    }

    fn unit(&self) -> Unit {
        Unit::Received
    }
}

/// The messages that a consumer has settled for good, under the one subject that it filters: those that it
/// was given and does not wait for any more. One that was given twice counts twice.
#[derive(Clone, Debug)]
pub struct Settled(Delivered);

impl Settled {
    /// Of a consumer that filters this subject, and acknowledges one by one.
    pub fn new(stream: Stream, consumer: &str, subject: &str) -> Self {
        Self(Delivered::new(stream, consumer, subject))
    }
}

impl Counted for Settled {
    type Error = async_nats::Error;

    async fn counted(&mut self) -> Result<Vec<Count>, async_nats::Error> {
        let Delivered { stream, consumer, subject } = &self.0;
        let info = stream.consumer_info(consumer).await?;
        let waits_for = u64::try_from(info.num_ack_pending)?;
        Ok(vec![Count::new(subject, info.delivered.consumer_sequence - waits_for)])
    }

    fn unit(&self) -> Unit {
        Unit::Settled
    }
}

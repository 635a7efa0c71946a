//! Change streams; as [`mongodb::change_stream`]. The opening of one is a call that is told; what it
//! waits for afterwards is nobody's work, and only its errors are told.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;
use mongodb::change_stream as driver;
pub use mongodb::change_stream::event;
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::{Error, Result};
use serde::de::DeserializeOwned;

use crate::action::{Answer, Answered};
use crate::call::Call;
use crate::polled::{self, Address};

/// What a change stream waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// None where nobody listened to its opening.
    call: Option<Box<Call<'static>>>,
    /// What was asked last.
    node: Option<Arc<Address>>,
}

impl Waiting {
    pub(crate) fn new(opened: &Answered<'_>) -> Self {
        let call = (!opened.operation.is_empty()).then(|| Box::new(opened.call.goes_on()));
        Self { call, node: None }
    }

    /// Runs a piece of it. What fails is an operation of that moment: how long nothing had changed
    /// before, is not the database's time.
    pub(crate) fn piece<T: Fails>(&mut self, piece: impl FnOnce() -> T) -> T {
        let Some(call) = &mut self.call else { return piece() };
        let (output, sent) = polled::within(true, piece);
        self.node = sent.or_else(|| self.node.take());
        if let Some(error) = output.error() {
            let mut operation = call.start();
            if let Some(node) = &self.node {
                node.tell(&mut operation);
            }
            operation.fail(error);
        }
        output
    }

    async fn next<T>(&mut self, next: impl Future<Output = Result<T>>) -> Result<T> {
        let mut next = pin!(next);
        poll_fn(|task| self.piece(|| next.as_mut().poll(task))).await
    }
}

/// What may have failed.
pub(crate) trait Fails {
    fn error(&self) -> Option<&Error>;
}

impl<T> Fails for Result<T> {
    fn error(&self) -> Option<&Error> {
        self.as_ref().err()
    }
}

impl<T: Fails> Fails for Option<T> {
    fn error(&self) -> Option<&Error> {
        self.as_ref()?.error()
    }
}

impl<T: Fails> Fails for Poll<T> {
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Ready(output) => output.error(),
            Self::Pending => None,
        }
    }
}

/// What the change streams of both drivers have.
macro_rules! change_stream {
    (
        $(#[$attribute:meta])*
        $name:ident<T: $first:ident $(+ $bound:ident)*>, $($driver:ident)::+
    ) => {
        $(#[$attribute])*
        pub struct $name<T: $first $(+ $bound)*> {
            raw: $($driver)::+<T>,
            waiting: Waiting,
        }

        impl<T: $first $(+ $bound)*> Answer for Result<$($driver)::+<T>> {
            type Ours = Result<$name<T>>;

            fn ours(self, answered: Answered<'_>) -> Self::Ours {
                let waiting = Waiting::new(&answered);
                Ok($name { raw: answered.end(self)?, waiting })
            }
        }

        impl<T: $first $(+ $bound)*> $name<T> {
            /// As the driver's.
            pub fn resume_token(&self) -> Option<ResumeToken> {
                self.raw.resume_token()
            }

            /// As the driver's.
            pub fn with_type<D: $first $(+ $bound)*>(self) -> $name<D> {
                $name { raw: self.raw.with_type(), waiting: self.waiting }
            }

            /// As the driver's.
            pub fn is_alive(&self) -> bool {
                self.raw.is_alive()
            }
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use change_stream;

change_stream! {
    /// As [`mongodb::change_stream::ChangeStream`].
    ChangeStream<T: DeserializeOwned>, driver::ChangeStream
}

/// Of documents of any type, as the driver's.
impl<T: DeserializeOwned> fmt::Debug for ChangeStream<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChangeStream").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> ChangeStream<T> {
    /// As the driver's.
    pub async fn next_if_any(&mut self) -> Result<Option<T>> {
        self.waiting.next(self.raw.next_if_any()).await
    }
}

impl<T: DeserializeOwned> Stream for ChangeStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { raw, waiting } = self.get_mut();
        waiting.piece(|| Pin::new(raw).poll_next(task))
    }
}

/// As [`mongodb::change_stream::session`].
pub mod session {
    use mongodb::change_stream::event::ResumeToken;
    use mongodb::change_stream::session as driver;
    use mongodb::error::Result;
    use serde::de::DeserializeOwned;

    use super::Waiting;
    use crate::action::{Answer, Answered};
    use crate::session::ClientSession;

    change_stream! {
        /// As [`mongodb::change_stream::session::SessionChangeStream`].
        #[expect(missing_debug_implementations, reason = "the driver's has none")]
        SessionChangeStream<T: DeserializeOwned + Unpin + Send + Sync>, driver::SessionChangeStream
    }

    impl<T: DeserializeOwned + Unpin + Send + Sync> SessionChangeStream<T> {
        /// As the driver's.
        pub async fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
            self.waiting.next(self.raw.next(&mut session.raw)).await
        }

        /// As the driver's.
        pub async fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
            self.waiting.next(self.raw.next_if_any(&mut session.raw)).await
        }
    }
}

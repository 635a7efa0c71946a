//! Change streams; as [`mongodb::change_stream`]. The opening of one is a call that is told; what it
//! waits for afterwards is nobody's work.

pub use mongodb::change_stream::*;

use mongodb::error::Result;
use serde::de::DeserializeOwned;

use crate::action::{Answer, Answered};

impl<T: DeserializeOwned> Answer for Result<ChangeStream<T>> {
    type Ours = Self;

    fn ours(self, answered: Answered<'_>) -> Self {
        answered.end(self)
    }
}

/// As [`mongodb::change_stream::session`].
pub mod session {
    use mongodb::change_stream::event::ResumeToken;
    use mongodb::change_stream::session as driver;
    use mongodb::error::Result;
    use serde::de::DeserializeOwned;

    use crate::action::{Answer, Answered};
    use crate::session::ClientSession;

    /// As [`mongodb::change_stream::session::SessionChangeStream`].
    #[expect(missing_debug_implementations, reason = "the driver's has none")]
    pub struct SessionChangeStream<T: DeserializeOwned + Unpin>(driver::SessionChangeStream<T>);

    impl<T: DeserializeOwned + Unpin> Answer for Result<driver::SessionChangeStream<T>> {
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
        pub async fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
            self.0.next(&mut session.raw).await
        }

        /// As the driver's.
        pub fn is_alive(&self) -> bool {
            self.0.is_alive()
        }

        /// As the driver's.
        pub async fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
            self.0.next_if_any(&mut session.raw).await
        }
    }
}

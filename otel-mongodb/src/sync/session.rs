//! Sessions of the blocking client.

use std::fmt;

use mongodb::bson::Document;
use mongodb::error::Result;
use mongodb::{ClusterTime, sync};
use otel_core::Db;

use super::Client;
use crate::action::{AbortTransaction, Answer, Answered, CommitTransaction, Observed};
use crate::call::Call;
use crate::driver::Mongo;
use crate::lent::{Ending, Lent, Session};
use crate::session::{StartTransaction, session_methods};

/// As [`mongodb::sync::ClientSession`].
pub struct ClientSession {
    pub(crate) raw: sync::ClientSession,
    db: Db<Mongo>,
    in_transaction: bool,
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientSession").finish_non_exhaustive()
    }
}

/// For the actions, which take either.
impl<'a> From<&'a mut ClientSession> for &'a mut mongodb::ClientSession {
    fn from(session: &'a mut ClientSession) -> Self {
        (&mut session.raw).into()
    }
}

session_methods!(sync);

impl StartTransaction<&mut ClientSession> {
    /// As the driver's.
    pub fn run(self) -> Result<()> {
        self.session.in_transaction = true;
        self.session.raw.start_transaction().with_options(self.options).run()
    }

    /// As the driver's. The end of each attempt is told from the callback's end on: how often the
    /// driver repeats it is not known.
    pub fn and_run<R, F>(self, mut callback: F) -> Result<R>
    where
        F: for<'b> FnMut(&'b mut ClientSession) -> Result<R>,
    {
        let ClientSession { raw, db, .. } = self.session;
        let place = raw.client().start_session().run()?;
        let mut ours = ClientSession { raw: place, db: db.clone(), in_transaction: false };
        let ending = Ending::default();
        let start = raw.start_transaction().with_options(self.options);
        let callback = |raw: &mut sync::ClientSession| {
            ending.again();
            let lent = Lent::new(raw, &mut ours);
            let result = callback(&mut *lent.ours);
            ending.begin(&mut *lent.ours, &result);
            result
        };
        ending.of_blocking(|| start.and_run(callback))
    }
}

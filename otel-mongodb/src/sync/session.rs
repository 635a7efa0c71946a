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
use crate::session::StartTransaction;

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

impl Answer for Result<sync::ClientSession> {
    type Ours = Result<ClientSession>;

    fn ours(self, answered: Answered<'_>) -> Self::Ours {
        answered.open(self, |raw, it| ClientSession {
            raw,
            db: it.db.clone(),
            in_transaction: false,
        })
    }
}

impl Session for ClientSession {
    type Raw = sync::ClientSession;

    fn raw(&mut self) -> &mut Self::Raw {
        &mut self.raw
    }

    fn db(&self) -> &Db<Mongo> {
        &self.db
    }

    fn in_transaction(&mut self) -> &mut bool {
        &mut self.in_transaction
    }
}

/// For the actions, which take either.
impl<'a> From<&'a mut ClientSession> for &'a mut mongodb::ClientSession {
    fn from(session: &'a mut ClientSession) -> Self {
        (&mut session.raw).into()
    }
}

impl ClientSession {
    /// As [`mongodb::sync::ClientSession::client`].
    pub fn client(&self) -> Client {
        Client { raw: self.raw.client(), db: self.db.clone() }
    }

    /// As [`mongodb::sync::ClientSession::id`].
    pub fn id(&self) -> &Document {
        self.raw.id()
    }

    /// As [`mongodb::sync::ClientSession::cluster_time`].
    pub fn cluster_time(&self) -> Option<&ClusterTime> {
        self.raw.cluster_time()
    }

    /// As [`mongodb::sync::ClientSession::advance_cluster_time`].
    pub fn advance_cluster_time(&mut self, to: &ClusterTime) {
        self.raw.advance_cluster_time(to);
    }

    /// As [`mongodb::sync::ClientSession::start_transaction`]. Nothing is sent by it, and nothing
    /// told.
    pub fn start_transaction(&mut self) -> StartTransaction<&mut Self> {
        StartTransaction { session: self, options: None }
    }

    /// As [`mongodb::sync::ClientSession::commit_transaction`].
    pub fn commit_transaction(&mut self) -> CommitTransaction<'_> {
        self.in_transaction = false;
        let call = Call::new(&self.db, "commitTransaction", "admin");
        Observed::new(self.raw.commit_transaction(), call)
    }

    /// As [`mongodb::sync::ClientSession::abort_transaction`].
    pub fn abort_transaction(&mut self) -> AbortTransaction<'_> {
        self.in_transaction = false;
        let call = Call::new(&self.db, "abortTransaction", "admin");
        Observed::new(self.raw.abort_transaction(), call)
    }

    /// The driver's own session: what is called on it is not told.
    pub fn raw(&mut self) -> &mut sync::ClientSession {
        &mut self.raw
    }

    /// The driver's own session.
    pub fn into_inner(self) -> sync::ClientSession {
        self.raw
    }
}

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
        let mut ending = Ending::default();
        let start = raw.start_transaction().with_options(self.options);
        let result = start.and_run(|raw: &mut sync::ClientSession| {
            ending.again();
            let lent = Lent::new(raw, &mut ours);
            let result = callback(&mut *lent.ours);
            ending.begin(&mut *lent.ours, &result);
            result
        });
        ending.end(&result);
        result
    }
}

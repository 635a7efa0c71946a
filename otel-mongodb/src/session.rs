//! Sessions and their transactions.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use mongodb::action as driver;
use mongodb::bson::{Document, Timestamp};
use mongodb::error::Result;
use mongodb::options::{ReadConcern, SelectionCriteria, TransactionOptions, WriteConcern};
use mongodb::{BoxFuture, ClusterTime};
use otel_core::Db;

use crate::action::{AbortTransaction, Answer, Answered, CommitTransaction, Observed, Running};
use crate::call::Call;
use crate::client::Client;
use crate::driver::Mongo;
use crate::lent::{Ending, Lent, Session};

/// As [`mongodb::ClientSession`].
pub struct ClientSession {
    pub(crate) raw: mongodb::ClientSession,
    pub(crate) db: Db<Mongo>,
    /// Whether a transaction was started, and not ended by a call.
    pub(crate) in_transaction: bool,
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

/// For the actions, which take either.
impl<'a> From<&'a mut ClientSession> for &'a mut mongodb::ClientSession {
    fn from(session: &'a mut ClientSession) -> Self {
        &mut session.raw
    }
}

/// What the sessions of both drivers have.
macro_rules! session_methods {
    ($driver:ident) => {
        impl Answer for Result<$driver::ClientSession> {
            type Ours = Result<ClientSession>;

            fn ours(self, answered: Answered<'_>) -> Self::Ours {
                answered.open(self, |raw, it| ClientSession {
                    raw,
                    db: Db::clone(&it.call.db),
                    in_transaction: false,
                })
            }
        }

        impl Session for ClientSession {
            type Raw = $driver::ClientSession;

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

        impl ClientSession {
            /// As the driver's.
            pub fn client(&self) -> Client {
                Client { raw: self.raw.client(), db: self.db.clone() }
            }

            /// As the driver's.
            pub fn id(&self) -> &Document {
                self.raw.id()
            }

            /// As the driver's.
            pub fn cluster_time(&self) -> Option<&ClusterTime> {
                self.raw.cluster_time()
            }

            /// As the driver's.
            pub fn advance_cluster_time(&mut self, to: &ClusterTime) {
                self.raw.advance_cluster_time(to);
            }

            /// As the driver's. Nothing is sent by it, and nothing told.
            pub fn start_transaction(&mut self) -> StartTransaction<&mut Self> {
                StartTransaction { session: self, options: None }
            }

            /// As the driver's.
            pub fn commit_transaction(&mut self) -> CommitTransaction<'_> {
                self.in_transaction = false;
                let call = Call::new(&self.db, "commitTransaction", "admin");
                Observed::new(self.raw.commit_transaction(), call)
            }

            /// As the driver's.
            pub fn abort_transaction(&mut self) -> AbortTransaction<'_> {
                self.in_transaction = false;
                let call = Call::new(&self.db, "abortTransaction", "admin");
                Observed::new(self.raw.abort_transaction(), call)
            }

            /// The driver's own session: what is called on it is not told.
            pub fn raw(&mut self) -> &mut $driver::ClientSession {
                &mut self.raw
            }

            /// The driver's own session.
            pub fn into_inner(self) -> $driver::ClientSession {
                self.raw
            }
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use session_methods;

session_methods!(mongodb);

impl ClientSession {
    /// As [`mongodb::ClientSession::advance_operation_time`].
    pub fn advance_operation_time(&mut self, to: Timestamp) {
        self.raw.advance_operation_time(to);
    }

    /// As [`mongodb::ClientSession::operation_time`].
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.raw.operation_time()
    }

    /// As [`mongodb::ClientSession::snapshot_time`].
    pub fn snapshot_time(&self) -> Option<Timestamp> {
        self.raw.snapshot_time()
    }
}

/// As [`mongodb::action::StartTransaction`].
#[derive(Debug)]
#[must_use = "an action is not run before it is awaited, or before `run`"]
pub struct StartTransaction<S> {
    pub(crate) session: S,
    pub(crate) options: Option<TransactionOptions>,
}

/// Forwards what the options have.
macro_rules! forward_options {
    ($($name:ident: $type:ty,)*) => {
        impl<S> StartTransaction<S> {
            /// As the driver's.
            pub fn with_options(mut self, value: impl Into<Option<TransactionOptions>>) -> Self {
                self.options = value.into();
                self
            }
            $(
                /// As the driver's.
                pub fn $name(mut self, value: $type) -> Self {
                    self.options.get_or_insert_default().$name = Some(value);
                    self
                }
            )*
        }
    };
}

forward_options! {
    read_concern: ReadConcern,
    write_concern: WriteConcern,
    selection_criteria: SelectionCriteria,
    max_commit_time: Duration,
}

impl<S> crate::action::Action for StartTransaction<S> where Self: IntoFuture {}

type DriversStart<'a> = driver::StartTransaction<&'a mut mongodb::ClientSession>;

impl<'a> IntoFuture for StartTransaction<&'a mut ClientSession> {
    type Output = Result<()>;
    type IntoFuture = Running<'a, <DriversStart<'a> as IntoFuture>::IntoFuture>;

    fn into_future(self) -> Self::IntoFuture {
        let ClientSession { raw, db, in_transaction } = self.session;
        *in_transaction = true;
        let start = raw.start_transaction().with_options(self.options);
        Observed::new(start, Call::quiet(db)).into_future()
    }
}

impl StartTransaction<&mut ClientSession> {
    /// As [`mongodb::action::StartTransaction::and_run`]. The end of each attempt is told from the
    /// callback's end on: how often the driver repeats it is not known.
    pub async fn and_run<R, C, F>(self, context: C, callback: F) -> Result<R>
    where
        F: for<'b> FnMut(&'b mut ClientSession, &'b mut C) -> BoxFuture<'b, Result<R>> + Send,
        C: Send,
    {
        let (start, ours) = self.lend().await?;
        let ending = Ending::default();
        let state = (ours, &ending, context, callback);
        let whole = start.and_run(state, |raw, (ours, ending, context, callback)| {
            Box::pin(async move {
                ending.again();
                let lent = Lent::new(raw, ours);
                let result = callback(&mut *lent.ours, context).await;
                ending.begin(&mut *lent.ours, &result);
                result
            })
        });
        ending.of(whole).await
    }

    /// As [`mongodb::action::StartTransaction::and_run2`], told as [`and_run`](Self::and_run).
    pub async fn and_run2<R, F>(self, mut callback: F) -> Result<R>
    where
        F: for<'b> AsyncFnMut(&'b mut ClientSession) -> Result<R>,
    {
        let (start, mut ours) = self.lend().await?;
        let ending = Ending::default();
        let whole = start.and_run2(async |raw: &mut mongodb::ClientSession| {
            ending.again();
            let lent = Lent::new(raw, &mut ours);
            let result = callback(&mut *lent.ours).await;
            ending.begin(&mut *lent.ours, &result);
            result
        });
        ending.of(whole).await
    }
}

impl<'a> StartTransaction<&'a mut ClientSession> {
    /// The driver's own, and the session that takes its place in a callback.
    async fn lend(self) -> Result<(DriversStart<'a>, ClientSession)> {
        let ClientSession { raw, db, .. } = self.session;
        let place = raw.client().start_session().await?;
        let ours = ClientSession { raw: place, db: db.clone(), in_transaction: false };
        Ok((raw.start_transaction().with_options(self.options), ours))
    }
}

//! A client of which each call is one operation.

use std::borrow::Cow;

use mongodb::action::ListNames;
use mongodb::error::Result;
use mongodb::options::{
    ClientOptions, DatabaseOptions, DriverInfo, ReadConcern, SelectionCriteria, WriteConcern,
    WriteModel,
};
use mongodb::results::SummaryBulkWriteResult;
use otel_core::{Db, Telemetry};

use crate::action::{
    BulkWrite, ListDatabases, Observed, Shutdown, StartSession, WarmConnectionPool, Watch,
    forward_calls,
};
use crate::builder;
use crate::call::Call;
use crate::database::Database;
use crate::driver::{self, Mongo};

/// As [`mongodb::Client`]: what is called on it, on its databases and on their collections is told.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) raw: mongodb::Client,
    pub(crate) db: Db<Mongo>,
}

impl Client {
    /// As [`mongodb::Client::with_uri_str`].
    pub async fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        Self::with_options(ClientOptions::parse(uri.as_ref()).await?)
    }

    /// As [`mongodb::Client::with_options`]. See [`builder`](crate::builder) for other providers
    /// than the global ones.
    pub fn with_options(mut options: ClientOptions) -> Result<Self> {
        builder::Builder::of(&mut options).client()
    }

    /// As [`mongodb::Client::append_metadata`].
    pub fn append_metadata(&self, driver_info: DriverInfo) -> Result<()> {
        self.raw.append_metadata(driver_info)
    }
}

/// The methods of a client that both drivers have.
macro_rules! client_methods {
    ($driver:ident) => {
        /// Of a client that is there already, and of whose pools nothing is known: the node that a
        /// call goes to is not told, and no pool is measured.
        pub fn new(raw: $driver::Client) -> Self {
            Self::with(raw, &Telemetry::global())
        }

        /// As [`new`](Self::new), reporting to `telemetry`.
        pub fn with(raw: $driver::Client, telemetry: &Telemetry) -> Self {
            Self { raw, db: Db::new(telemetry, driver::deployment()) }
        }

        /// The driver's own client: what is called on it is not told.
        pub fn raw(&self) -> &$driver::Client {
            &self.raw
        }

        /// The driver's own client.
        pub fn into_inner(self) -> $driver::Client {
            self.raw
        }

        /// As the driver's.
        pub fn database(&self, name: &str) -> Database {
            Database { raw: self.raw.database(name), client: self.clone() }
        }

        /// As the driver's.
        pub fn database_with_options(&self, name: &str, options: DatabaseOptions) -> Database {
            let raw = self.raw.database_with_options(name, options);
            Database { raw, client: self.clone() }
        }

        /// As the driver's.
        pub fn default_database(&self) -> Option<Database> {
            Some(Database { raw: self.raw.default_database()?, client: self.clone() })
        }

        /// As the driver's.
        pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
            self.raw.selection_criteria()
        }

        /// As the driver's.
        pub fn read_concern(&self) -> Option<&ReadConcern> {
            self.raw.read_concern()
        }

        /// As the driver's.
        pub fn write_concern(&self) -> Option<&WriteConcern> {
            self.raw.write_concern()
        }

        fn call(&self, command: &'static str) -> Call<'_> {
            Call::new(&self.db, command, "admin")
        }

        forward_calls! {
            fn list_databases() -> ListDatabases<'_>, "listDatabases";
            fn list_database_names() -> ListDatabases<'_, ListNames>, "listDatabases";
            /// Of what it waits for after it is opened, errors are told.
            fn watch() -> Watch<'_>, "aggregate";
        }

        /// As the driver's. Of several collections, none is told.
        pub fn bulk_write(
            &self,
            models: impl IntoIterator<Item = impl Into<WriteModel>>,
        ) -> BulkWrite<'_, SummaryBulkWriteResult> {
            let mut targets = $crate::client::Targets::new(self.db.is_off());
            let models = models.into_iter().map(Into::into);
            let action = self.raw.bulk_write(models.inspect(|model| targets.see(model)));
            Observed::new(action, targets.of(self.call("bulkWrite")))
        }

        /// As the driver's; nothing is sent by it, and nothing told.
        pub fn start_session(&self) -> StartSession<'_> {
            Observed::new(self.raw.start_session(), Call::quiet(&self.db))
        }

        /// As the driver's: told by the metrics of the pools.
        pub fn warm_connection_pool(&self) -> WarmConnectionPool<'_> {
            Observed::new(self.raw.warm_connection_pool(), Call::quiet(&self.db))
        }

        /// As the driver's: it ends the sessions.
        pub fn shutdown(self) -> Shutdown {
            Observed::new(self.raw.shutdown(), $crate::call::Call::ending_sessions(self.db))
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use client_methods;

impl Client {
    client_methods!(mongodb);
}

/// What a `bulk_write` is about.
pub(crate) struct Targets {
    operations: usize,
    /// The first, if it is that of all.
    only: Option<mongodb::Namespace>,
    several: bool,
}

impl Targets {
    pub(crate) fn new(nobody_asks: bool) -> Self {
        Self { operations: 0, only: None, several: nobody_asks }
    }

    pub(crate) fn see(&mut self, model: &WriteModel) {
        self.operations += 1;
        let target = match model {
            WriteModel::InsertOne(model) => &model.namespace,
            WriteModel::UpdateOne(model) => &model.namespace,
            WriteModel::UpdateMany(model) => &model.namespace,
            WriteModel::ReplaceOne(model) => &model.namespace,
            WriteModel::DeleteOne(model) => &model.namespace,
            WriteModel::DeleteMany(model) => &model.namespace,
            _ => return self.several = true,
        };
        match &self.only {
            _ if self.several => {}
            None => self.only = Some(target.clone()),
            Some(only) => self.several = only != target,
        }
    }

    pub(crate) fn of(self, call: Call<'_>) -> Call<'_> {
        let call = call.batch(self.operations);
        match self.only.filter(|_| !self.several) {
            Some(only) => call.of(Cow::Owned(only.db)).on(only.coll),
            None => call,
        }
    }
}

#[cfg(test)]
mod tests;

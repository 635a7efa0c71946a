//! The blocking clients; as [`mongodb::sync`].
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

mod cursor;
pub mod gridfs;
mod session;

use std::borrow::Borrow;

use mongodb::action::{ListNames, Multiple};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Result;
use mongodb::options::{
    ClientOptions, CollectionOptions, DatabaseOptions, GridFsBucketOptions, ReadConcern,
    SelectionCriteria, UpdateModifications, WriteConcern, WriteModel,
};
use mongodb::results::SummaryBulkWriteResult;
use mongodb::{IndexModel, Namespace, SearchIndexModel, sync};
use otel_core::{Db, Telemetry};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use mongodb::sync::ChangeStream;

pub use self::cursor::{Cursor, SessionChangeStream, SessionCursor, SessionCursorIter};
use self::gridfs::GridFsBucket;
pub use self::session::ClientSession;
use crate::action::*;
use crate::call::{Call, modifications};
use crate::client::client_methods;
use crate::collection::{collection_methods, update_fields};
use crate::database::database_methods;
use crate::driver::{self, Mongo};

/// As [`mongodb::sync::Client`]: what is called on it, on its databases and on their collections is
/// told.
#[derive(Clone, Debug)]
pub struct Client {
    raw: sync::Client,
    db: Db<Mongo>,
}

impl From<crate::Client> for Client {
    fn from(client: crate::Client) -> Self {
        Self { raw: client.raw.into(), db: client.db }
    }
}

impl Client {
    /// As [`mongodb::sync::Client::with_uri_str`].
    pub fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        Self::with_options(ClientOptions::parse(uri.as_ref()).run()?)
    }

    /// As [`mongodb::sync::Client::with_options`]. For other providers than the global ones, see
    /// [`builder`](crate::builder), of which each client can be made into a blocking one.
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        crate::Client::with_options(options).map(Self::from)
    }

    /// Of a client that is there already, and of whose pools nothing is known: the node that a call
    /// goes to is not told, and no pool is measured.
    pub fn new(raw: sync::Client) -> Self {
        Self::with(raw, &Telemetry::global())
    }

    /// As [`new`](Self::new), reporting to `telemetry`.
    pub fn with(raw: sync::Client, telemetry: &Telemetry) -> Self {
        Self { raw, db: Db::new(telemetry, driver::deployment()) }
    }

    /// As [`mongodb::sync::Client::database`].
    pub fn database(&self, name: &str) -> Database {
        Database { raw: self.raw.database(name), client: self.clone() }
    }

    /// As [`mongodb::sync::Client::database_with_options`].
    pub fn database_with_options(&self, name: &str, options: DatabaseOptions) -> Database {
        Database { raw: self.raw.database_with_options(name, options), client: self.clone() }
    }

    /// As [`mongodb::sync::Client::default_database`].
    pub fn default_database(&self) -> Option<Database> {
        Some(Database { raw: self.raw.default_database()?, client: self.clone() })
    }

    /// The driver's own client: what is called on it is not told.
    pub fn raw(&self) -> &sync::Client {
        &self.raw
    }

    /// The driver's own client.
    pub fn into_inner(self) -> sync::Client {
        self.raw
    }

    client_methods!();
}

/// As [`mongodb::sync::Database`].
#[derive(Clone, Debug)]
pub struct Database {
    raw: sync::Database,
    client: Client,
}

impl Database {
    /// The driver's own database: what is called on it is not told.
    pub fn raw(&self) -> &sync::Database {
        &self.raw
    }

    /// The driver's own database.
    pub fn into_inner(self) -> sync::Database {
        self.raw
    }

    database_methods!();
}

/// As [`mongodb::sync::Collection`].
#[derive(Debug)]
pub struct Collection<T: Send + Sync> {
    raw: sync::Collection<T>,
    database: Database,
}

collection_methods!(sync);

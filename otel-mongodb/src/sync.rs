//! The blocking clients; as [`mongodb::sync`].
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

mod cursor;
pub mod gridfs;
mod session;

use std::borrow::Borrow;

use mongodb::action::{ListNames, Multiple};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
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

pub use self::cursor::{
    ChangeStream, Cursor, SessionChangeStream, SessionCursor, SessionCursorIter,
};
use self::gridfs::GridFsBucket;
pub use self::session::ClientSession;
use crate::action::*;
use crate::call::Call;
use crate::client::client_methods;
use crate::collection::collection_methods;
use crate::database::database_methods;
use crate::driver::{self, Mongo};
use crate::text::Shown as _;

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

    client_methods!(sync);
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

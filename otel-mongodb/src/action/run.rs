//! `run` of the blocking clients, which the driver has for each action that can be awaited.
#![cfg(feature = "sync")]
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

use mongodb::action::*;
use mongodb::bson::{Bson, Document};
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::error::Result;
use mongodb::gridfs::FilesCollectionDocument;
use mongodb::results::*;
use mongodb::{ClientSession as DriversSession, IndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Observed;
use crate::sync::gridfs::{GridFsDownloadStream, GridFsUploadStream};
use crate::sync::{ChangeStream, ClientSession, Cursor, SessionChangeStream, SessionCursor};

macro_rules! forward_run {
    ($([$($generics:tt)*] $action:ty => $output:ty;)*) => {
        $(impl<'a, $($generics)*> Observed<'a, $action> {
            /// As the driver's.
            pub fn run(self) -> $output {
                self.block_on(|action| action.run())
            }
        })*
    };
}

forward_run! {
    [] AbortTransaction<'a> => Result<()>;
    [T] Aggregate<'a, ImplicitSession, T> => Result<Cursor<T>>;
    [T] Aggregate<'a, ExplicitSession<'a>, T> => Result<SessionCursor<T>>;
    [] BulkWrite<'a, SummaryBulkWriteResult> => Result<SummaryBulkWriteResult>;
    [] BulkWrite<'a, VerboseBulkWriteResult> => Result<VerboseBulkWriteResult>;
    [] CommitTransaction<'a> => Result<()>;
    [] CountDocuments<'a> => Result<u64>;
    [] CreateCollection<'a> => Result<()>;
    [] CreateIndex<'a, Single> => Result<CreateIndexResult>;
    [] CreateIndex<'a, Multiple> => Result<CreateIndexesResult>;
    [] CreateSearchIndex<'a, Single> => Result<String>;
    [] CreateSearchIndex<'a, Multiple> => Result<Vec<String>>;
    [] Delete<'a> => Result<DeleteResult>;
    [] Distinct<'a> => Result<Vec<Bson>>;
    [] DropCollection<'a> => Result<()>;
    [] DropDatabase<'a> => Result<()>;
    [] DropIndex<'a> => Result<()>;
    [] DropSearchIndex<'a> => Result<()>;
    [] EstimatedDocumentCount<'a> => Result<u64>;
    [T: Send + Sync] Find<'a, T> => Result<Cursor<T>>;
    [T: Send + Sync] Find<'a, T, ExplicitSession<'a>> => Result<SessionCursor<T>>;
    [T: DeserializeOwned + Send + Sync] FindOne<'a, T> => Result<Option<T>>;
    [T: DeserializeOwned + Send + Sync] FindOneAndDelete<'a, T> => Result<Option<T>>;
    [T: Serialize + DeserializeOwned + Send + Sync] FindOneAndReplace<'a, T> => Result<Option<T>>;
    [T: DeserializeOwned + Send + Sync] FindOneAndUpdate<'a, T> => Result<Option<T>>;
    [] InsertMany<'a> => Result<InsertManyResult>;
    [] InsertOne<'a> => Result<InsertOneResult>;
    [] ListCollections<'a> => Result<Cursor<CollectionSpecification>>;
    [] ListCollections<'a, ListNames> => Result<Vec<String>>;
    [] ListCollections<'a, ListSpecifications, ExplicitSession<'a>>
        => Result<SessionCursor<CollectionSpecification>>;
    [] ListCollections<'a, ListNames, ExplicitSession<'a>> => Result<Vec<String>>;
    [] ListDatabases<'a> => Result<Vec<DatabaseSpecification>>;
    [] ListDatabases<'a, ListNames> => Result<Vec<String>>;
    [] ListIndexes<'a> => Result<Cursor<IndexModel>>;
    [] ListIndexes<'a, ListNames> => Result<Vec<String>>;
    [] ListIndexes<'a, ListSpecifications, ExplicitSession<'a>>
        => Result<SessionCursor<IndexModel>>;
    [] ListIndexes<'a, ListNames, ExplicitSession<'a>> => Result<Vec<String>>;
    [] ListSearchIndexes<'a> => Result<Cursor<Document>>;
    [] ReplaceOne<'a> => Result<UpdateResult>;
    [] RunCommand<'a> => Result<Document>;
    [] RunCursorCommand<'a> => Result<Cursor<Document>>;
    [] RunCursorCommand<'a, ExplicitSession<'a>> => Result<SessionCursor<Document>>;
    [] Shutdown => ();
    [] StartSession<'a> => Result<ClientSession>;
    [] StartTransaction<&'a mut DriversSession> => Result<()>;
    [] Update<'a> => Result<UpdateResult>;
    [] UpdateSearchIndex<'a> => Result<()>;
    [] WarmConnectionPool<'a> => ();
    [T: DeserializeOwned + Unpin + Send + Sync] Watch<'a, T>
        => Result<ChangeStream<ChangeStreamEvent<T>>>;
    [T: DeserializeOwned + Unpin + Send + Sync] Watch<'a, T, ExplicitSession<'a>>
        => Result<SessionChangeStream<ChangeStreamEvent<T>>>;
    [] gridfs::Delete<'a> => Result<()>;
    [] gridfs::DeleteByName<'a> => Result<()>;
    [] gridfs::Drop<'a> => Result<()>;
    [] gridfs::Find<'a> => Result<Cursor<FilesCollectionDocument>>;
    [] gridfs::FindOne<'a> => Result<Option<FilesCollectionDocument>>;
    [] gridfs::OpenDownloadStream<'a> => Result<GridFsDownloadStream>;
    [] gridfs::OpenDownloadStreamByName<'a> => Result<GridFsDownloadStream>;
    [] gridfs::OpenUploadStream<'a> => Result<GridFsUploadStream>;
    [] gridfs::Rename<'a> => Result<()>;
    [] gridfs::RenameByName<'a> => Result<()>;
}

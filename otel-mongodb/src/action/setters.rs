//! The setters of the driver's actions, each forwarded. `tests/surface.rs` compares them with the
//! driver's source, and writes what is missing.
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::action::*;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::change_stream::event::ResumeToken;
use mongodb::options::*;
use mongodb::results::{SummaryBulkWriteResult, VerboseBulkWriteResult};

use super::{Observed, forward_setters};
use crate::text::Shown as _;

forward_setters! { ['a, S, T] Aggregate<'a, S, T> {
    with_options: impl Into<Option<AggregateOptions>>,
    allow_disk_use: bool,
    batch_size: u32,
    bypass_document_validation: bool,
    collation: Collation as "collation",
    comment: impl Into<Bson>,
    hint: Hint as "hint",
    max_await_time: Duration,
    max_time: Duration,
    read_concern: ReadConcern,
    selection_criteria: SelectionCriteria,
    write_concern: WriteConcern,
    let_vars: Document as "let",
} }

forward_setters! { ['a] BulkWrite<'a, SummaryBulkWriteResult> {
    with_options: impl Into<Option<BulkWriteOptions>>,
    ordered: bool,
    bypass_document_validation: bool,
    comment: impl Into<Bson>,
    let_vars: Document as "let",
    write_concern: WriteConcern,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] BulkWrite<'a, VerboseBulkWriteResult> {
    with_options: impl Into<Option<BulkWriteOptions>>,
    ordered: bool,
    bypass_document_validation: bool,
    comment: impl Into<Bson>,
    let_vars: Document as "let",
    write_concern: WriteConcern,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] EstimatedDocumentCount<'a> {
    with_options: impl Into<Option<EstimatedDocumentCountOptions>>,
    max_time: Duration,
    selection_criteria: SelectionCriteria,
    read_concern: ReadConcern,
    comment: impl Into<Bson>,
} }

forward_setters! { ['a] CountDocuments<'a> {
    with_options: impl Into<Option<CountOptions>>,
    hint: Hint as "hint",
    limit: u64 as "limit",
    max_time: Duration,
    skip: u64 as "skip",
    collation: Collation as "collation",
    selection_criteria: SelectionCriteria,
    read_concern: ReadConcern,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] CreateCollection<'a> {
    with_options: impl Into<Option<CreateCollectionOptions>>,
    capped: bool,
    size: u64,
    max: u64,
    storage_engine: Document,
    validator: Document as "validator",
    validation_level: ValidationLevel,
    validation_action: ValidationAction,
    view_on: impl Into<String>,
    pipeline: impl IntoIterator<Item = Document> as "pipeline" collect,
    collation: Collation as "collation",
    write_concern: WriteConcern,
    index_option_defaults: IndexOptionDefaults,
    timeseries: TimeseriesOptions,
    expire_after_seconds: Duration,
    change_stream_pre_and_post_images: ChangeStreamPreAndPostImages,
    clustered_index: ClusteredIndex,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, M] CreateIndex<'a, M> {
    with_options: impl Into<Option<CreateIndexOptions>>,
    commit_quorum: CommitQuorum,
    max_time: Duration,
    write_concern: WriteConcern,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] Delete<'a> {
    with_options: impl Into<Option<DeleteOptions>>,
    collation: Collation as "collation",
    write_concern: WriteConcern,
    hint: Hint as "hint",
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] Distinct<'a> {
    with_options: impl Into<Option<DistinctOptions>>,
    max_time: Duration,
    selection_criteria: SelectionCriteria,
    read_concern: ReadConcern,
    collation: Collation as "collation",
    comment: impl Into<Bson>,
    hint: Hint as "hint",
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] DropDatabase<'a> {
    with_options: impl Into<Option<DropDatabaseOptions>>,
    write_concern: WriteConcern,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] DropCollection<'a> {
    with_options: impl Into<Option<DropCollectionOptions>>,
    write_concern: WriteConcern,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] DropIndex<'a> {
    with_options: impl Into<Option<DropIndexOptions>>,
    max_time: Duration,
    write_concern: WriteConcern,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, T: Send + Sync, S] Find<'a, T, S> {
    with_options: impl Into<Option<FindOptions>>,
    allow_disk_use: bool,
    allow_partial_results: bool,
    batch_size: u32,
    comment: impl Into<Bson>,
    cursor_type: CursorType,
    hint: Hint as "hint",
    limit: i64 as "limit",
    max: Document as "max",
    max_await_time: Duration,
    #[allow(deprecated)] max_scan: u64,
    max_time: Duration,
    min: Document as "min",
    no_cursor_timeout: bool,
    projection: Document as "projection",
    read_concern: ReadConcern,
    return_key: bool,
    selection_criteria: SelectionCriteria,
    show_record_id: bool,
    skip: u64 as "skip",
    sort: Document as "sort",
    collation: Collation as "collation",
    let_vars: Document as "let",
} }

forward_setters! { ['a, T: Send + Sync] FindOne<'a, T> {
    with_options: impl Into<Option<FindOneOptions>>,
    allow_partial_results: bool,
    collation: Collation as "collation",
    comment: impl Into<Bson>,
    hint: Hint as "hint",
    max: Document as "max",
    #[allow(deprecated)] max_scan: u64,
    max_time: Duration,
    min: Document as "min",
    projection: Document as "projection",
    read_concern: ReadConcern,
    return_key: bool,
    selection_criteria: SelectionCriteria,
    show_record_id: bool,
    skip: u64 as "skip",
    sort: Document as "sort",
    let_vars: Document as "let",
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, T: Send + Sync] FindOneAndDelete<'a, T> {
    with_options: impl Into<Option<FindOneAndDeleteOptions>>,
    max_time: Duration,
    projection: Document as "fields",
    sort: Document as "sort",
    write_concern: WriteConcern,
    collation: Collation as "collation",
    hint: Hint as "hint",
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, T: Send + Sync] FindOneAndUpdate<'a, T> {
    with_options: impl Into<Option<FindOneAndUpdateOptions>>,
    array_filters: impl IntoIterator<Item = Document> as "arrayFilters" collect,
    bypass_document_validation: bool,
    max_time: Duration,
    projection: Document as "fields",
    return_document: ReturnDocument,
    sort: Document as "sort",
    upsert: bool,
    write_concern: WriteConcern,
    collation: Collation as "collation",
    hint: Hint as "hint",
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, T: Send + Sync] FindOneAndReplace<'a, T> {
    with_options: impl Into<Option<FindOneAndReplaceOptions>>,
    bypass_document_validation: bool,
    max_time: Duration,
    projection: Document as "fields",
    return_document: ReturnDocument,
    sort: Document as "sort",
    upsert: bool,
    write_concern: WriteConcern,
    collation: Collation as "collation",
    hint: Hint as "hint",
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] gridfs::OpenDownloadStreamByName<'a> {
    with_options: impl Into<Option<GridFsDownloadByNameOptions>>,
    revision: i32,
} }

forward_setters! { ['a] gridfs::Find<'a> {
    with_options: impl Into<Option<GridFsFindOptions>>,
    allow_disk_use: bool,
    batch_size: u32,
    limit: i64 as "limit",
    max_time: Duration,
    skip: u64 as "skip",
    sort: Document as "sort",
} }

forward_setters! { ['a] gridfs::FindOne<'a> {
    with_options: impl Into<Option<GridFsFindOneOptions>>,
    max_time: Duration,
    skip: u64 as "skip",
    sort: Document as "sort",
} }

forward_setters! { ['a] gridfs::OpenUploadStream<'a> {
    with_options: impl Into<Option<GridFsUploadOptions>>,
    chunk_size_bytes: u32,
    metadata: Document,
    id: Bson,
} }

forward_setters! { ['a] InsertMany<'a> {
    with_options: impl Into<Option<InsertManyOptions>>,
    bypass_document_validation: bool,
    ordered: bool,
    write_concern: WriteConcern,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] InsertOne<'a> {
    with_options: impl Into<Option<InsertOneOptions>>,
    bypass_document_validation: bool,
    write_concern: WriteConcern,
    comment: impl Into<Bson>,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, S] ListCollections<'a, ListNames, S> {
    with_options: impl Into<Option<ListCollectionsOptions>>,
    batch_size: u32,
    comment: impl Into<Bson>,
    filter: Document as "filter",
    authorized_collections: bool,
} }

forward_setters! { ['a, S: ActionSession<'a>] ListCollections<'a, ListSpecifications, S> {
    with_options: impl Into<Option<ListCollectionsOptions>>,
    batch_size: u32,
    comment: impl Into<Bson>,
    filter: Document as "filter",
    authorized_collections: bool,
} }

forward_setters! { ['a, M] ListDatabases<'a, M> {
    with_options: impl Into<Option<ListDatabasesOptions>>,
    authorized_databases: bool,
    comment: impl Into<Bson>,
    filter: Document as "filter",
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, S: ActionSession<'a>] ListIndexes<'a, ListSpecifications, S> {
    with_options: impl Into<Option<ListIndexesOptions>>,
    max_time: Duration,
    batch_size: u32,
    comment: impl Into<Bson>,
} }

forward_setters! { ['a, S] ListIndexes<'a, ListNames, S> {
    with_options: impl Into<Option<ListIndexesOptions>>,
    max_time: Duration,
    batch_size: u32,
    comment: impl Into<Bson>,
} }

forward_setters! { ['a] ReplaceOne<'a> {
    with_options: impl Into<Option<ReplaceOptions>>,
    bypass_document_validation: bool,
    upsert: bool,
    collation: Collation as "collation",
    hint: Hint as "hint",
    write_concern: WriteConcern,
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    sort: Document as "sort",
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a] RunCommand<'a> {
    with_options: impl Into<Option<RunCommandOptions>>,
    selection_criteria: SelectionCriteria,
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, S] RunCursorCommand<'a, S> {
    with_options: impl Into<Option<RunCursorCommandOptions>>,
    selection_criteria: SelectionCriteria,
    cursor_type: CursorType,
    batch_size: u32,
    max_time: Duration,
    comment: impl Into<Bson>,
} }

forward_setters! { ['a, Mode] CreateSearchIndex<'a, Mode> {
    with_options: impl Into<Option<CreateSearchIndexOptions>>,
} }

forward_setters! { ['a] UpdateSearchIndex<'a> {
    with_options: impl Into<Option<UpdateSearchIndexOptions>>,
} }

forward_setters! { ['a] DropSearchIndex<'a> {
    with_options: impl Into<Option<DropSearchIndexOptions>>,
} }

forward_setters! { ['a] ListSearchIndexes<'a> {
    with_options: impl Into<Option<ListSearchIndexOptions>>,
    name: impl Into<String>,
    aggregate_options: AggregateOptions,
} }

forward_setters! { ['a] StartSession<'a> {
    with_options: impl Into<Option<SessionOptions>>,
    default_transaction_options: TransactionOptions,
    causal_consistency: bool,
    snapshot: bool,
    snapshot_time: Timestamp,
} }

forward_setters! { ['a] Update<'a> {
    with_options: impl Into<Option<UpdateOptions>>,
    array_filters: impl IntoIterator<Item = Document> as "arrayFilters" collect,
    bypass_document_validation: bool,
    upsert: bool,
    collation: Collation as "collation",
    hint: Hint as "hint",
    write_concern: WriteConcern,
    let_vars: Document as "let",
    comment: impl Into<Bson>,
    sort: Document as "sort",
    session: impl Into<&'a mut ClientSession>,
} }

forward_setters! { ['a, T] Watch<'a, T> {
    with_options: impl Into<Option<ChangeStreamOptions>>,
    full_document: FullDocumentType,
    full_document_before_change: FullDocumentBeforeChangeType,
    start_at_operation_time: Timestamp,
    start_after: ResumeToken,
    max_await_time: Duration,
    batch_size: u32,
    collation: Collation as "collation",
    read_concern: ReadConcern,
    selection_criteria: SelectionCriteria,
    show_expanded_events: bool,
    comment: impl Into<Bson>,
    pipeline: impl IntoIterator<Item = Document> as "pipeline" collect,
    resume_after: impl Into<Option<ResumeToken>>,
} }

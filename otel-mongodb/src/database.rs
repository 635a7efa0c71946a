//! A database of an instrumented client.

use mongodb::action::ListNames;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{
    CollectionOptions, GridFsBucketOptions, ReadConcern, SelectionCriteria, WriteConcern,
};

use crate::action::{
    Aggregate, CreateCollection, DropDatabase, ListCollections, Observed, RunCommand,
    RunCursorCommand, Watch, forward_calls,
};
use crate::call::Call;
use crate::client::Client;
use crate::collection::Collection;
use crate::gridfs::GridFsBucket;

/// As [`mongodb::Database`].
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) raw: mongodb::Database,
    pub(crate) client: Client,
}

impl Database {
    /// As [`mongodb::Database::client`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The driver's own database: what is called on it is not told.
    pub fn raw(&self) -> &mongodb::Database {
        &self.raw
    }

    /// The driver's own database.
    pub fn into_inner(self) -> mongodb::Database {
        self.raw
    }
}

/// The methods of a database that both drivers have.
macro_rules! database_methods {
    () => {
        fn call(&self, command: &'static str) -> Call<'_> {
            Call::new(&self.client.db, command, self.raw.name())
        }

        /// As the driver's.
        pub fn name(&self) -> &str {
            self.raw.name()
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

        /// As the driver's.
        pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
            Collection { raw: self.raw.collection(name), database: self.clone() }
        }

        /// As the driver's.
        pub fn collection_with_options<T: Send + Sync>(
            &self,
            name: &str,
            options: CollectionOptions,
        ) -> Collection<T> {
            let raw = self.raw.collection_with_options(name, options);
            Collection { raw, database: self.clone() }
        }

        /// As the driver's.
        pub fn gridfs_bucket(
            &self,
            options: impl Into<Option<GridFsBucketOptions>>,
        ) -> GridFsBucket {
            let options = options.into();
            let files = $crate::gridfs::files(options.as_ref());
            GridFsBucket { raw: self.raw.gridfs_bucket(options), database: self.clone(), files }
        }

        /// As the driver's.
        pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
            let pipeline: Vec<_> = pipeline.into_iter().collect();
            let call = self.call("aggregate").showing(|| doc! { "pipeline": pipeline.clone() });
            Observed::new(self.raw.aggregate(pipeline), call)
        }

        forward_calls! {
            fn drop() -> DropDatabase<'_>, "dropDatabase";
            fn list_collections() -> ListCollections<'_>, "listCollections";
            fn list_collection_names() -> ListCollections<'_, ListNames>, "listCollections";
            /// Of what it waits for after it is opened, errors are told.
            fn watch() -> Watch<'_>, "aggregate";
        }

        /// As the driver's.
        pub fn create_collection(&self, name: impl Into<String>) -> CreateCollection<'_> {
            let name = name.into();
            let told = (!self.client.db.is_off()).then(|| name.clone());
            let call = told.into_iter().fold(self.call("create"), Call::on);
            Observed::new(self.raw.create_collection(name), call)
        }

        /// As the driver's.
        pub fn run_command(&self, command: Document) -> RunCommand<'_> {
            let call = Call::command(&self.client.db, self.raw.name(), &command);
            Observed::new(self.raw.run_command(command), call)
        }

        /// As the driver's. Only the command and the collection are read of it.
        pub fn run_raw_command(&self, command: RawDocumentBuf) -> RunCommand<'_> {
            let call = Call::raw_command(&self.client.db, self.raw.name(), &command);
            Observed::new(self.raw.run_raw_command(command), call)
        }

        /// As the driver's.
        pub fn run_cursor_command(&self, command: Document) -> RunCursorCommand<'_> {
            let call = Call::command(&self.client.db, self.raw.name(), &command);
            Observed::new(self.raw.run_cursor_command(command), call)
        }

        /// As the driver's. Only the command and the collection are read of it.
        pub fn run_raw_cursor_command(&self, command: RawDocumentBuf) -> RunCursorCommand<'_> {
            let call = Call::raw_command(&self.client.db, self.raw.name(), &command);
            Observed::new(self.raw.run_raw_cursor_command(command), call)
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use database_methods;

impl Database {
    database_methods!();
}

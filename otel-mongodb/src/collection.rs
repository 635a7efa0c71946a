//! A collection of an instrumented database.
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

use std::borrow::Borrow;

use mongodb::action::{ListNames, Multiple};
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;
use mongodb::options::{
    InsertOneModel, ReadConcern, ReplaceOneModel, SelectionCriteria, UpdateModifications,
    WriteConcern,
};
use mongodb::{IndexModel, Namespace, SearchIndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::action::*;
use crate::call::Call;
use crate::client::Client;
use crate::database::Database;
use crate::text::Shown as _;

/// As [`mongodb::Collection`].
#[derive(Debug)]
pub struct Collection<T: Send + Sync> {
    pub(crate) raw: mongodb::Collection<T>,
    pub(crate) database: Database,
}

impl<T: Send + Sync> Collection<T> {
    /// As [`mongodb::Collection::client`].
    pub fn client(&self) -> &Client {
        self.database.client()
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// As [`mongodb::Collection::insert_one_model`].
    pub fn insert_one_model(&self, document: impl Borrow<T>) -> Result<InsertOneModel> {
        self.raw.insert_one_model(document)
    }

    /// As [`mongodb::Collection::replace_one_model`].
    pub fn replace_one_model(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> Result<ReplaceOneModel> {
        self.raw.replace_one_model(filter, replacement)
    }
}

/// The methods of a collection that both drivers have.
macro_rules! collection_methods {
    ($raw:ident) => {
        impl<T: Send + Sync> Clone for Collection<T> {
            fn clone(&self) -> Self {
                self.clone_with_type()
            }
        }

        impl<T: Send + Sync> Collection<T> {
            fn call(&self, command: &'static str) -> Call<'_> {
                let database = &self.database;
                Call::new(&database.client.db, command, database.raw.name()).on(self.raw.name())
            }

            fn delete(&self, query: &Document) -> Call<'_> {
                self.call("delete").showing(|| doc! { "deletes": [{ "q": query.clone() }] })
            }

            fn update(&self, query: &Document, update: &UpdateModifications) -> Call<'_> {
                let statement = || doc! { "q": query.clone(), "u": update.shown() };
                self.call("update").showing(|| doc! { "updates": [statement()] })
            }

            /// The driver's own collection: what is called on it is not told.
            pub fn raw(&self) -> &$raw::Collection<T> {
                &self.raw
            }

            /// The driver's own collection.
            pub fn into_inner(self) -> $raw::Collection<T> {
                self.raw
            }

            /// As the driver's.
            pub fn clone_with_type<U: Send + Sync>(&self) -> Collection<U> {
                Collection { raw: self.raw.clone_with_type(), database: self.database.clone() }
            }

            /// As the driver's.
            pub fn name(&self) -> &str {
                self.raw.name()
            }

            /// As the driver's.
            pub fn namespace(&self) -> Namespace {
                self.raw.namespace()
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
            pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
                let pipeline: Vec<_> = pipeline.into_iter().collect();
                let call = self.call("aggregate").showing(|| doc! { "pipeline": pipeline.clone() });
                Observed::new(self.raw.aggregate(pipeline), call)
            }

            forward_calls! {
                fn estimated_document_count() -> EstimatedDocumentCount<'_>, "count";
                fn create_index(index: IndexModel) -> CreateIndex<'_>, "createIndexes";
                fn create_indexes(indexes: impl IntoIterator<Item = IndexModel>)
                    -> CreateIndex<'_, Multiple>, "createIndexes";
                fn drop() -> DropCollection<'_>, "drop";
                fn drop_index(name: impl AsRef<str>) -> DropIndex<'_>, "dropIndexes";
                fn drop_indexes() -> DropIndex<'_>, "dropIndexes";
                fn list_indexes() -> ListIndexes<'_>, "listIndexes";
                fn list_index_names() -> ListIndexes<'_, ListNames>, "listIndexes";
                fn create_search_index(model: SearchIndexModel)
                    -> CreateSearchIndex<'_, Single>, "createSearchIndexes";
                fn create_search_indexes(models: impl IntoIterator<Item = SearchIndexModel>)
                    -> CreateSearchIndex<'_, Multiple>, "createSearchIndexes";
                fn update_search_index(name: impl Into<String>, definition: Document)
                    -> UpdateSearchIndex<'_>, "updateSearchIndex";
                fn drop_search_index(name: impl Into<String>)
                    -> DropSearchIndex<'_>, "dropSearchIndex";
                fn list_search_indexes() -> ListSearchIndexes<'_>, "aggregate";
                /// Of what it waits for after it is opened, errors are told.
                fn watch() -> Watch<'_, T>, "aggregate";
            }

            /// As the driver's.
            pub fn count_documents(&self, filter: Document) -> CountDocuments<'_> {
                let pipeline = || doc! { "pipeline": [{ "$match": filter.clone() }] };
                let call = self.call("aggregate").showing(pipeline);
                Observed::new(self.raw.count_documents(filter), call)
            }

            /// As the driver's.
            pub fn delete_one(&self, query: Document) -> Delete<'_> {
                let call = self.delete(&query);
                Observed::new(self.raw.delete_one(query), call)
            }

            /// As the driver's.
            pub fn delete_many(&self, query: Document) -> Delete<'_> {
                let call = self.delete(&query);
                Observed::new(self.raw.delete_many(query), call)
            }

            /// As the driver's.
            pub fn distinct(&self, field_name: impl AsRef<str>, filter: Document) -> Distinct<'_> {
                let fields = || doc! { "key": Bson::Null, "query": filter.clone() };
                let call = self.call("distinct").showing(fields);
                Observed::new(self.raw.distinct(field_name, filter), call)
            }

            /// As the driver's.
            pub fn find(&self, filter: Document) -> Find<'_, T> {
                let call = self.call("find").showing(|| doc! { "filter": filter.clone() });
                Observed::new(self.raw.find(filter), call)
            }

            /// As the driver's.
            pub fn update_one(
                &self,
                query: Document,
                update: impl Into<UpdateModifications>,
            ) -> Update<'_> {
                let update = update.into();
                let call = self.update(&query, &update);
                Observed::new(self.raw.update_one(query, update), call)
            }

            /// As the driver's.
            pub fn update_many(
                &self,
                query: Document,
                update: impl Into<UpdateModifications>,
            ) -> Update<'_> {
                let update = update.into();
                let call = self.update(&query, &update);
                Observed::new(self.raw.update_many(query, update), call)
            }
        }

        impl<T: DeserializeOwned + Send + Sync> Collection<T> {
            /// As the driver's.
            pub fn find_one(&self, filter: Document) -> FindOne<'_, T> {
                let call = self.call("find").showing(|| doc! { "filter": filter.clone() });
                Observed::new(self.raw.find_one(filter), call)
            }

            /// As the driver's.
            pub fn find_one_and_delete(&self, filter: Document) -> FindOneAndDelete<'_, T> {
                let call = self.call("findAndModify").showing(|| doc! { "query": filter.clone() });
                Observed::new(self.raw.find_one_and_delete(filter), call)
            }

            /// As the driver's.
            pub fn find_one_and_update(
                &self,
                filter: Document,
                update: impl Into<UpdateModifications>,
            ) -> FindOneAndUpdate<'_, T> {
                let update = update.into();
                let fields = || doc! { "query": filter.clone(), "update": update.shown() };
                let call = self.call("findAndModify").showing(fields);
                Observed::new(self.raw.find_one_and_update(filter, update), call)
            }
        }

        impl<T: Serialize + DeserializeOwned + Send + Sync> Collection<T> {
            /// As the driver's.
            pub fn find_one_and_replace(
                &self,
                filter: Document,
                replacement: impl Borrow<T>,
            ) -> FindOneAndReplace<'_, T> {
                let call = self.call("findAndModify").showing(|| doc! { "query": filter.clone() });
                Observed::new(self.raw.find_one_and_replace(filter, replacement), call)
            }
        }

        impl<T: Serialize + Send + Sync> Collection<T> {
            /// As the driver's.
            pub fn insert_one(&self, document: impl Borrow<T>) -> InsertOne<'_> {
                Observed::new(self.raw.insert_one(document), self.call("insert"))
            }

            /// As the driver's.
            pub fn insert_many(
                &self,
                documents: impl IntoIterator<Item = impl Borrow<T>>,
            ) -> InsertMany<'_> {
                let mut count = 0;
                let documents = documents.into_iter().inspect(|_| count += 1);
                let action = self.raw.insert_many(documents);
                Observed::new(action, self.call("insert").batch(count))
            }

            /// As the driver's.
            pub fn replace_one(
                &self,
                query: Document,
                replacement: impl Borrow<T>,
            ) -> ReplaceOne<'_> {
                let call =
                    self.call("update").showing(|| doc! { "updates": [{ "q": query.clone() }] });
                Observed::new(self.raw.replace_one(query, replacement), call)
            }
        }
    };
}
#[cfg(feature = "sync")]
pub(crate) use collection_methods;

collection_methods!(mongodb);

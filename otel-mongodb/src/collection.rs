//! A collection of an instrumented database.
#![allow(clippy::wildcard_imports, reason = "each of them is named below")]

use std::borrow::Borrow;

use mongodb::action::{ListNames, Multiple};
use mongodb::bson::{Document, doc};
use mongodb::error::Result;
use mongodb::options::{
    InsertOneModel, ReadConcern, ReplaceOneModel, SelectionCriteria, UpdateModifications,
    WriteConcern,
};
use mongodb::{IndexModel, Namespace, SearchIndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::action::*;
use crate::call::{Call, modifications};
use crate::client::Client;
use crate::database::Database;

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

            /// As the driver's.
            pub fn estimated_document_count(&self) -> EstimatedDocumentCount<'_> {
                Observed::new(self.raw.estimated_document_count(), self.call("count"))
            }

            /// As the driver's.
            pub fn count_documents(&self, filter: Document) -> CountDocuments<'_> {
                let pipeline = || doc! { "pipeline": [{ "$match": filter.clone() }] };
                let call = self.call("aggregate").showing(pipeline);
                Observed::new(self.raw.count_documents(filter), call)
            }

            /// As the driver's.
            pub fn create_index(&self, index: IndexModel) -> CreateIndex<'_> {
                Observed::new(self.raw.create_index(index), self.call("createIndexes"))
            }

            /// As the driver's.
            pub fn create_indexes(
                &self,
                indexes: impl IntoIterator<Item = IndexModel>,
            ) -> CreateIndex<'_, Multiple> {
                Observed::new(self.raw.create_indexes(indexes), self.call("createIndexes"))
            }

            /// As the driver's.
            pub fn delete_one(&self, query: Document) -> Delete<'_> {
                let call =
                    self.call("delete").showing(|| doc! { "deletes": [{ "q": query.clone() }] });
                Observed::new(self.raw.delete_one(query), call)
            }

            /// As the driver's.
            pub fn delete_many(&self, query: Document) -> Delete<'_> {
                let call =
                    self.call("delete").showing(|| doc! { "deletes": [{ "q": query.clone() }] });
                Observed::new(self.raw.delete_many(query), call)
            }

            /// As the driver's.
            pub fn distinct(&self, field_name: impl AsRef<str>, filter: Document) -> Distinct<'_> {
                let call = self.call("distinct").showing(|| doc! { "query": filter.clone() });
                Observed::new(self.raw.distinct(field_name, filter), call)
            }

            /// As the driver's.
            pub fn drop(&self) -> DropCollection<'_> {
                Observed::new(self.raw.drop(), self.call("drop"))
            }

            /// As the driver's.
            pub fn drop_index(&self, name: impl AsRef<str>) -> DropIndex<'_> {
                Observed::new(self.raw.drop_index(name), self.call("dropIndexes"))
            }

            /// As the driver's.
            pub fn drop_indexes(&self) -> DropIndex<'_> {
                Observed::new(self.raw.drop_indexes(), self.call("dropIndexes"))
            }

            /// As the driver's.
            pub fn find(&self, filter: Document) -> Find<'_, T> {
                let call = self.call("find").showing(|| doc! { "filter": filter.clone() });
                Observed::new(self.raw.find(filter), call)
            }

            /// As the driver's.
            pub fn list_indexes(&self) -> ListIndexes<'_> {
                Observed::new(self.raw.list_indexes(), self.call("listIndexes"))
            }

            /// As the driver's.
            pub fn list_index_names(&self) -> ListIndexes<'_, ListNames> {
                Observed::new(self.raw.list_index_names(), self.call("listIndexes"))
            }

            /// As the driver's.
            pub fn create_search_index(
                &self,
                model: SearchIndexModel,
            ) -> CreateSearchIndex<'_, Single> {
                let call = self.call("createSearchIndexes");
                Observed::new(self.raw.create_search_index(model), call)
            }

            /// As the driver's.
            pub fn create_search_indexes(
                &self,
                models: impl IntoIterator<Item = SearchIndexModel>,
            ) -> CreateSearchIndex<'_, Multiple> {
                let call = self.call("createSearchIndexes");
                Observed::new(self.raw.create_search_indexes(models), call)
            }

            /// As the driver's.
            pub fn update_search_index(
                &self,
                name: impl Into<String>,
                definition: Document,
            ) -> UpdateSearchIndex<'_> {
                let call = self.call("updateSearchIndex");
                Observed::new(self.raw.update_search_index(name, definition), call)
            }

            /// As the driver's.
            pub fn drop_search_index(&self, name: impl Into<String>) -> DropSearchIndex<'_> {
                Observed::new(self.raw.drop_search_index(name), self.call("dropSearchIndex"))
            }

            /// As the driver's.
            pub fn list_search_indexes(&self) -> ListSearchIndexes<'_> {
                Observed::new(self.raw.list_search_indexes(), self.call("aggregate"))
            }

            /// As the driver's.
            pub fn update_one(
                &self,
                query: Document,
                update: impl Into<UpdateModifications>,
            ) -> Update<'_> {
                let update = update.into();
                let call = self.call("update").showing(|| update_fields(&query, &update));
                Observed::new(self.raw.update_one(query, update), call)
            }

            /// As the driver's.
            pub fn update_many(
                &self,
                query: Document,
                update: impl Into<UpdateModifications>,
            ) -> Update<'_> {
                let update = update.into();
                let call = self.call("update").showing(|| update_fields(&query, &update));
                Observed::new(self.raw.update_many(query, update), call)
            }

            /// As the driver's. What it waits for after it is opened is not told.
            pub fn watch(&self) -> Watch<'_, T> {
                Observed::new(self.raw.watch(), self.call("aggregate"))
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
                let fields = || doc! { "query": filter.clone(), "update": modifications(&update) };
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
                let call = self.call("insert").showing(Document::new);
                Observed::new(self.raw.insert_one(document), call)
            }

            /// As the driver's.
            pub fn insert_many(
                &self,
                documents: impl IntoIterator<Item = impl Borrow<T>>,
            ) -> InsertMany<'_> {
                let mut count = 0;
                let documents = documents.into_iter().inspect(|_| count += 1);
                let action = self.raw.insert_many(documents);
                Observed::new(action, self.call("insert").batch(count).showing(Document::new))
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

pub(crate) fn update_fields(query: &Document, update: &UpdateModifications) -> Document {
    doc! { "updates": [{ "q": query.clone(), "u": modifications(update) }] }
}

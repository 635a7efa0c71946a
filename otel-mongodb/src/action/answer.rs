//! What becomes of an action's answer: the end of its operation, or a handle of ours.

use mongodb::bson::{Bson, Document};
use mongodb::error::{Error, Result};
use mongodb::results::{
    CreateIndexResult, CreateIndexesResult, DatabaseSpecification, DeleteResult, InsertManyResult,
    InsertOneResult, SummaryBulkWriteResult, UpdateResult, VerboseBulkWriteResult,
};
use otel_core::DbOperation;

use crate::call::Call;
use crate::driver::Mongo;

/// What the driver answers, and what the user gets for it: another type where it leads to more
/// calls.
pub trait Answer {
    /// What the user gets.
    type Ours;

    /// Ends what was answered, or goes on with it.
    fn ours(self, answered: Answered<'_>) -> Self::Ours;
}

/// A call that has its answer.
#[derive(Debug)]
pub struct Answered<'a> {
    pub(crate) operation: DbOperation<Mongo>,
    pub(crate) call: &'a Call<'a>,
}

impl Answered<'_> {
    /// Ends it by what came.
    pub(crate) fn end<T>(self, result: Result<T>) -> Result<T> {
        self.operation.finish_with::<T, Error>(&result);
        result
    }

    /// Ends it by an error, or goes on with it.
    pub(crate) fn open<T, U>(
        self,
        result: Result<T>,
        open: impl FnOnce(T, Self) -> U,
    ) -> Result<U> {
        match result {
            Ok(handle) => Ok(open(handle, self)),
            Err(error) => {
                self.operation.fail(&error);
                Err(error)
            }
        }
    }
}

macro_rules! plain {
    ($($answer:ty),* $(,)?) => {
        $(impl Answer for Result<$answer> {
            type Ours = Self;

            fn ours(self, answered: Answered<'_>) -> Self {
                answered.end(self)
            }
        })*
    };
}

plain! {
    (), CreateIndexResult, CreateIndexesResult, DeleteResult, Document, InsertManyResult,
    InsertOneResult, String, SummaryBulkWriteResult, UpdateResult, Vec<Bson>,
    Vec<DatabaseSpecification>, Vec<String>, VerboseBulkWriteResult, u64,
}

impl Answer for () {
    type Ours = Self;

    fn ours(self, answered: Answered<'_>) {
        answered.operation.finish();
    }
}

/// A document or none.
impl<T> Answer for Result<Option<T>> {
    type Ours = Self;

    fn ours(self, mut answered: Answered<'_>) -> Self {
        if let Ok(found) = &self {
            answered.operation.rows(u64::from(found.is_some()));
        }
        answered.end(self)
    }
}

/// A handle of the driver's that a call opened, and the operation that goes on with it.
macro_rules! opened {
    ($(#[$attribute:meta])* $name:ident$(<$type:ident>)?, $($driver:ident)::+, $reading:ident) => {
        $(#[$attribute])*
        pub struct $name$(<$type>)? {
            raw: $($driver)::+$(<$type>)?,
            reading: Reading,
        }

        impl$(<$type>)? Answer for Result<$($driver)::+$(<$type>)?> {
            type Ours = Result<$name$(<$type>)?>;

            fn ours(self, answered: Answered<'_>) -> Self::Ours {
                answered.open(self, |raw, it| $name {
                    raw,
                    reading: Reading::$reading(it.operation),
                })
            }
        }
    };
}
pub(crate) use opened;

//! The driver's actions, each in [`Observed`], which has all of its setters.

mod answer;
mod run;
mod setters;

use std::fmt;
use std::future::IntoFuture;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{self, Poll, ready};

use mongodb::ClientSession;
use mongodb::action as driver;
pub use mongodb::action::{
    ExplicitSession, ImplicitSession, ListNames, ListSpecifications, Multiple, Single,
};
use mongodb::results::{SummaryBulkWriteResult, VerboseBulkWriteResult};
use otel_core::DbOperation;

pub(crate) use self::answer::opened;
pub use self::answer::{Answer, Answered};

use crate::call::Call;
use crate::driver::Mongo;
use crate::polled;

/// An action of the driver's, which is told when it is run.
#[must_use = "an action is not run before it is awaited, or before `run`"]
pub struct Observed<'a, A> {
    action: A,
    call: Call<'a>,
}

impl<A> fmt::Debug for Observed<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Observed").field("call", &self.call).finish_non_exhaustive()
    }
}

/// What the driver's trait of the same name has, for the actions here.
pub trait Action: IntoFuture {
    /// Calls `set` with the value if there is one, as [`mongodb::action::Action::optional`] does.
    fn optional<V>(self, value: Option<V>, set: impl FnOnce(Self, V) -> Self) -> Self
    where
        Self: Sized,
    {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}

impl<A> Action for Observed<'_, A> where Self: IntoFuture {}

impl<'a, A> Observed<'a, A> {
    pub(crate) fn new(action: A, call: Call<'a>) -> Self {
        Self { action, call }
    }

    fn map<B>(self, set: impl FnOnce(A) -> B) -> Observed<'a, B> {
        Observed { action: set(self.action), call: self.call }
    }

    /// Runs what is not of a named type.
    async fn drive<F: Future<Output: Answer>>(
        self,
        start: impl FnOnce(A) -> F,
    ) -> <F::Output as Answer>::Ours {
        let mut future = pin!(start(self.action));
        let running = Running { future: Some(future.as_mut()), call: self.call, operation: None };
        running.await
    }

    /// Runs it in this thread.
    #[cfg(feature = "sync")]
    pub(crate) fn block_on<R: Answer>(mut self, run: impl FnOnce(A) -> R) -> R::Ours {
        let mut operation = self.call.start();
        let (answer, _) = polled::step(&mut operation, || run(self.action));
        answer.ours(Answered { operation, call: &self.call })
    }
}

impl<'a, A> IntoFuture for Observed<'a, A>
where
    A: IntoFuture<IntoFuture: Unpin, Output: Answer>,
{
    type Output = <A::Output as Answer>::Ours;
    type IntoFuture = Running<'a, A::IntoFuture>;

    fn into_future(self) -> Self::IntoFuture {
        let future = Some(self.action.into_future());
        Running { future, call: self.call, operation: None }
    }
}

/// An action of the driver's that runs, as an operation from its first poll on.
#[must_use = "futures do nothing unless polled"]
pub struct Running<'a, F> {
    /// None when it is dropped.
    future: Option<F>,
    call: Call<'a>,
    operation: Option<DbOperation<Mongo>>,
}

impl<F> Future for Running<'_, F>
where
    F: Future<Output: Answer> + Unpin,
{
    type Output = <F::Output as Answer>::Ours;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Self { future: Some(future), call, operation } = &mut *self else {
            return Poll::Pending;
        };
        let operation = operation.get_or_insert_with(|| call.start());
        let (polled, _) = polled::step(operation, || Pin::new(future).poll(task));
        let answer = ready!(polled);
        let operation = mem::replace(operation, DbOperation::empty());
        Poll::Ready(answer.ours(Answered { operation, call }))
    }
}

impl<F> Drop for Running<'_, F> {
    // What the driver does about what is dropped belongs to the call.
    fn drop(&mut self) {
        if let Some(operation) = &mut self.operation {
            polled::step(operation, || self.future = None);
        }
    }
}

impl<F> fmt::Debug for Running<'_, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Running").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Forwards methods that make an action, each told as one command.
macro_rules! forward_calls {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($value:ident: $type:ty),*) -> $action:ty, $command:literal;
    )*) => {
        $(
            /// As the driver's.
            $(#[$attribute])*
            pub fn $name(&self $(, $value: $type)*) -> $action {
                Observed::new(self.raw.$name($($value),*), self.call($command))
            }
        )*
    };
}
pub(crate) use forward_calls;

/// Forwards setters that give the same action. What is said of a query is shown under a key, where
/// texts are wanted; what is to be gone through twice is collected first.
macro_rules! forward_setters {
    ([$($generics:tt)*] $action:ty {
        $($(#[$attribute:meta])* $name:ident: $type:ty $(as $key:literal $($collect:ident)?)?,)*
    }) => {
        impl<$($generics)*> Observed<'a, $action> {
            $(
                /// As the driver's.
                $(#[$attribute])*
                pub fn $name(self, value: $type) -> Self {
                    $($(let value: Vec<_> = value.into_iter().$collect();)?)?
                    let Self { action, call } = self;
                    $(let call = call.showing(|| doc! { $key: value.shown() });)?
                    Self { action: action.$name(value), call }
                }
            )*
        }
    };
}
use forward_setters;

/// Forwards what makes another action of it.
macro_rules! forward_changes {
    ($([$($generics:tt)*] $action:ty {
        $($name:ident$(<$($own:tt),*>)?($($value:ident: $type:ty)?) -> $changed:ty;)*
    })*) => {
        $(impl<$($generics)*> Observed<'a, $action> {
            $(
                /// As the driver's.
                pub fn $name$(<$($own),*>)?(self $(, $value: $type)?) -> Observed<'a, $changed> {
                    self.map(|action| action.$name($($value)?))
                }
            )*
        })*
    };
}

forward_changes! {
    ['a, S, T] driver::Aggregate<'a, S, T> {
        with_type<U>() -> driver::Aggregate<'a, S, U>;
    }
    ['a, T] driver::Aggregate<'a, ImplicitSession, T> {
        session(value: impl Into<&'a mut ClientSession>)
            -> driver::Aggregate<'a, ExplicitSession<'a>, T>;
    }
    ['a] driver::BulkWrite<'a, SummaryBulkWriteResult> {
        verbose_results() -> driver::BulkWrite<'a, VerboseBulkWriteResult>;
    }
    ['a, T: Send + Sync, S] driver::Find<'a, T, S> {
        session<'s>(value: impl Into<&'s mut ClientSession>)
            -> driver::Find<'a, T, ExplicitSession<'s>>;
    }
    ['a, M] driver::ListCollections<'a, M, ImplicitSession> {
        session<'s>(value: impl Into<&'s mut ClientSession>)
            -> driver::ListCollections<'a, M, ExplicitSession<'s>>;
    }
    ['a, M] driver::ListIndexes<'a, M, ImplicitSession> {
        session(value: impl Into<&'a mut ClientSession>)
            -> driver::ListIndexes<'a, M, ExplicitSession<'a>>;
    }
    ['a] driver::RunCursorCommand<'a, ImplicitSession> {
        session(value: impl Into<&'a mut ClientSession>)
            -> driver::RunCursorCommand<'a, ExplicitSession<'a>>;
    }
    ['a, T] driver::Watch<'a, T, ImplicitSession> {
        session<'s>(value: impl Into<&'s mut ClientSession>)
            -> driver::Watch<'a, T, ExplicitSession<'s>>;
    }
}

impl Observed<'_, driver::Shutdown> {
    /// As the driver's.
    pub fn immediate(self, value: bool) -> Self {
        self.map(|action| action.immediate(value))
    }
}

/// What the driver runs to a cursor of whole batches.
macro_rules! forward_batch {
    ($([$($generics:tt)*] $action:ty => $cursor:ident;)*) => {
        $(impl<'a, $($generics)*> Observed<'a, $action> {
            /// As the driver's.
            pub async fn batch(
                self,
            ) -> mongodb::error::Result<crate::raw_batch_cursor::$cursor> {
                self.drive(|action| action.batch()).await
            }
        })*
    };
}

forward_batch! {
    [T] driver::Aggregate<'a, ImplicitSession, T> => RawBatchCursor;
    [T] driver::Aggregate<'a, ExplicitSession<'a>, T> => SessionRawBatchCursor;
    [T: Send + Sync] driver::Find<'a, T> => RawBatchCursor;
    [T: Send + Sync] driver::Find<'a, T, ExplicitSession<'a>> => SessionRawBatchCursor;
    [] driver::ListCollections<'a> => RawBatchCursor;
    [] driver::ListCollections<'a, ListSpecifications, ExplicitSession<'a>>
        => SessionRawBatchCursor;
    [] driver::ListIndexes<'a> => RawBatchCursor;
    [] driver::ListIndexes<'a, ListSpecifications, ExplicitSession<'a>> => SessionRawBatchCursor;
    [] driver::RunCursorCommand<'a> => RawBatchCursor;
    [] driver::RunCursorCommand<'a, ExplicitSession<'a>> => SessionRawBatchCursor;
}

/// The driver's names.
macro_rules! forward_names {
    ($($name:ident$(<$($generic:ident$( = $default:ty)?),*>)?;)*) => {
        $(
            #[doc = concat!("As [`mongodb::action::", stringify!($name), "`].")]
            pub type $name<'a, $($($generic$( = $default)?),*)?> =
                Observed<'a, driver::$name<'a, $($($generic),*)?>>;
        )*
    };
}

forward_names! {
    AbortTransaction;
    Aggregate<S = ImplicitSession, T = mongodb::bson::Document>;
    BulkWrite<R>;
    CommitTransaction;
    CountDocuments;
    CreateCollection;
    CreateIndex<M = Single>;
    CreateSearchIndex<M>;
    Delete;
    Distinct;
    DropCollection;
    DropDatabase;
    DropIndex;
    DropSearchIndex;
    EstimatedDocumentCount;
    Find<T, S = ImplicitSession>;
    FindOne<T>;
    FindOneAndDelete<T>;
    FindOneAndReplace<T>;
    FindOneAndUpdate<T>;
    InsertMany;
    InsertOne;
    ListCollections<M = ListSpecifications, S = ImplicitSession>;
    ListDatabases<M = ListSpecifications>;
    ListIndexes<M = ListSpecifications, S = ImplicitSession>;
    ListSearchIndexes;
    ReplaceOne;
    RunCommand;
    RunCursorCommand<S = ImplicitSession>;
    StartSession;
    Update;
    UpdateSearchIndex;
    WarmConnectionPool;
    Watch<T = mongodb::bson::Document, S = ImplicitSession>;
}

/// As [`mongodb::action::Shutdown`].
pub type Shutdown = Observed<'static, driver::Shutdown>;

//! Layer `db`: what the pages of the systems define beyond what all of them have.
//!
//! Each is a constant with the type of its value, so that an adapter can neither misspell a name
//! nor give a number as text. A fact that is known before the call is told by
//! [`DbCall::with`](crate::DbCall::with), one that is learnt while it runs or from its answer by
//! [`DbOperation::learn`](crate::DbOperation::learn). None of them is on points.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/cassandra/>,
//! <https://opentelemetry.io/docs/specs/semconv/database/elasticsearch/>.

use std::fmt;
use std::marker::PhantomData;

use opentelemetry::StringValue;

/// A fact of a call, whose value is a `T`.
pub struct Fact<T> {
    name: &'static str,
    value: PhantomData<fn(T)>,
}

impl<T> Clone for Fact<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Fact<T> {}

impl<T> fmt::Debug for Fact<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Fact").field(&self.name).finish()
    }
}

impl<T> Fact<T> {
    /// A fact of a system that has no page here, by the name of its attribute.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Name of the attribute.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $attribute:literal;)*) => {
        $($(#[$doc])* pub const $name: Fact<$type> = Fact::new($attribute);)*

        /// The names of all, for the test that compares them with the conventions crate.
        #[doc(hidden)]
        pub const NAMES: &[&str] = &[$($attribute),*];
    };
}

facts! {
    /// Consistency that was asked for, in lower case: `local_quorum`.
    CASSANDRA_CONSISTENCY_LEVEL: StringValue = "cassandra.consistency.level";
    /// Data center of the node that coordinated the call.
    CASSANDRA_COORDINATOR_DC: StringValue = "cassandra.coordinator.dc";
    /// Id of the node that coordinated the call.
    CASSANDRA_COORDINATOR_ID: StringValue = "cassandra.coordinator.id";
    /// Rows that a page of the answer has at most.
    CASSANDRA_PAGE_SIZE: i64 = "cassandra.page.size";
    /// Whether the statement may be sent twice.
    CASSANDRA_QUERY_IDEMPOTENT: bool = "cassandra.query.idempotent";
    /// How often the call was sent to another node before the first had answered.
    CASSANDRA_SPECULATIVE_EXECUTION_COUNT: i64 = "cassandra.speculative_execution.count";
    /// Name of the node that answered.
    ELASTICSEARCH_NODE_NAME: StringValue = "elasticsearch.node.name";
    /// Method of the request.
    HTTP_REQUEST_METHOD: StringValue = "http.request.method";
    /// Address of the request, without credentials.
    URL_FULL: StringValue = "url.full";
}

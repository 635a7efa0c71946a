//! Layer `telemetry`: names of the conventions' attributes and metrics, and the few values that are
//! ours to spell.
//!
//! These are constants of our own: an update of the conventions crate in a user's tree must not
//! rename what a dashboard reads. A test compares them with that crate.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/> and
//! <https://opentelemetry.io/docs/specs/semconv/messaging/>, version 1.44.0.

/// Schema that the emitted names belong to.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Name of a collection: table, container.
pub const DB_COLLECTION_NAME: &str = "db.collection.name";
/// Name of the database, fully qualified within the server.
pub const DB_NAMESPACE: &str = "db.namespace";
/// Number of operations of a batch; never 1.
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
/// Name of the operation or command.
pub const DB_OPERATION_NAME: &str = "db.operation.name";
/// Low-cardinality summary of a query.
pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
/// Text of the query.
pub const DB_QUERY_TEXT: &str = "db.query.text";
/// Number of rows that the operation returned.
pub const DB_RESPONSE_RETURNED_ROWS: &str = "db.response.returned_rows";
/// Status code that the server returned.
pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
/// Name of a stored procedure.
pub const DB_STORED_PROCEDURE_NAME: &str = "db.stored_procedure.name";
/// Product that the client speaks to.
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// Class of the error that an operation ended with.
pub const ERROR_TYPE: &str = "error.type";
/// Address of the node that was really contacted.
pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
/// Port of the node that was really contacted.
pub const NETWORK_PEER_PORT: &str = "network.peer.port";
/// Host as configured, without reverse lookup.
pub const SERVER_ADDRESS: &str = "server.address";
/// Port as configured.
pub const SERVER_PORT: &str = "server.port";
/// Name of a connection pool.
pub const DB_CLIENT_CONNECTION_POOL_NAME: &str = "db.client.connection.pool.name";
/// State of a pooled connection: `idle` or `used`.
pub const DB_CLIENT_CONNECTION_STATE: &str = "db.client.connection.state";

/// Number of messages of a batch; only where the client's call is one for batches.
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// The client as the broker knows it.
pub const MESSAGING_CLIENT_ID: &str = "messaging.client.id";
/// Group of consumers that share the messages.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// Whether the destination has a name that the broker made up.
pub const MESSAGING_DESTINATION_ANONYMOUS: &str = "messaging.destination.anonymous";
/// Queue, topic, subject.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// Partition within the destination, as text.
pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
/// Subscription that the messages come through.
pub const MESSAGING_DESTINATION_SUBSCRIPTION_NAME: &str = "messaging.destination.subscription.name";
/// Name of low cardinality that stands for many destinations.
pub const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
/// Whether the destination goes with the client that made it.
pub const MESSAGING_DESTINATION_TEMPORARY: &str = "messaging.destination.temporary";
/// The step in the client's own word.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// The step in the conventions' word: `create`, `send`, `receive`, `process`, `settle`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// Product that the client speaks to.
pub const MESSAGING_SYSTEM: &str = "messaging.system";

/// Value of [`ERROR_TYPE`] when a call's future was dropped before it was done.
pub const CANCELLED: &str = "cancelled";
/// Value of [`ERROR_TYPE`] when a panic went through the call.
pub const PANIC: &str = "panic";
/// Value of [`ERROR_TYPE`] for an error that nobody classified.
pub const OTHER: &str = "_OTHER";

/// Names of the metrics.
pub mod metric {
    /// Duration of database client operations, in seconds.
    pub const DB_CLIENT_OPERATION_DURATION: &str = "db.client.operation.duration";
    /// Rows that an operation returned.
    pub const DB_CLIENT_RESPONSE_RETURNED_ROWS: &str = "db.client.response.returned_rows";
    /// Time that it took to make a connection, in seconds.
    pub const DB_CLIENT_CONNECTION_CREATE_TIME: &str = "db.client.connection.create_time";
    /// Connections by state.
    pub const DB_CLIENT_CONNECTION_COUNT: &str = "db.client.connection.count";
    /// Most idle connections allowed.
    pub const DB_CLIENT_CONNECTION_IDLE_MAX: &str = "db.client.connection.idle.max";
    /// Least idle connections kept.
    pub const DB_CLIENT_CONNECTION_IDLE_MIN: &str = "db.client.connection.idle.min";
    /// Most connections allowed.
    pub const DB_CLIENT_CONNECTION_MAX: &str = "db.client.connection.max";
    /// Requests that wait for a connection now.
    pub const DB_CLIENT_CONNECTION_PENDING_REQUESTS: &str = "db.client.connection.pending_requests";
    /// Waits for a connection that timed out.
    pub const DB_CLIENT_CONNECTION_TIMEOUTS: &str = "db.client.connection.timeouts";
    /// Time between borrowing a connection and giving it back, in seconds.
    pub const DB_CLIENT_CONNECTION_USE_TIME: &str = "db.client.connection.use_time";
    /// Time that a request waited for a connection, in seconds.
    pub const DB_CLIENT_CONNECTION_WAIT_TIME: &str = "db.client.connection.wait_time";

    /// Duration of an operation of a producer or consumer that is no processing, in seconds.
    pub const MESSAGING_CLIENT_OPERATION_DURATION: &str = "messaging.client.operation.duration";
    /// Duration of processing, in seconds.
    pub const MESSAGING_PROCESS_DURATION: &str = "messaging.process.duration";
    /// Messages that a producer tried to send.
    pub const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging.client.sent.messages";
    /// Messages that were delivered to the application.
    pub const MESSAGING_CLIENT_CONSUMED_MESSAGES: &str = "messaging.client.consumed.messages";

    /// Buckets that the metrics page advises for durations of messaging.
    pub(crate) const MESSAGING_BOUNDARIES: &[f64] =
        &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    /// Buckets that the metrics page advises for [`DB_CLIENT_OPERATION_DURATION`].
    pub(crate) const DURATION_BOUNDARIES: &[f64] =
        &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
    /// Buckets that the metrics page advises for [`DB_CLIENT_RESPONSE_RETURNED_ROWS`].
    pub(crate) const ROWS_BOUNDARIES: &[f64] =
        &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];
}

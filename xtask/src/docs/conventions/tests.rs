//! The data file, and the second source of its names.

use crate::docs::tests::{DATA, conventions};

#[test]
fn the_data_file_is_as_it_would_be_made() {
    let conventions = conventions();
    assert_eq!(conventions.to_toml().unwrap(), DATA);
    let schema = otel_core::attribute::SCHEMA_URL;
    assert!(schema.ends_with(&format!("/{}", conventions.version)), "{schema}");
    for span in conventions.spans.values() {
        assert!(span.extends.as_ref().is_none_or(|base| conventions.spans.contains_key(base)));
    }
}

/// The second source: names of another version, so that a few may differ.
#[test]
fn names_are_those_of_the_conventions_crate() {
    use opentelemetry_semantic_conventions::{attribute as a, metric as m};

    let attributes = [
        a::AWS_REQUEST_ID,
        a::AWS_SNS_TOPIC_ARN,
        a::AWS_SQS_QUEUE_URL,
        a::CASSANDRA_CONSISTENCY_LEVEL,
        a::CASSANDRA_COORDINATOR_DC,
        a::CASSANDRA_COORDINATOR_ID,
        a::CASSANDRA_PAGE_SIZE,
        a::CASSANDRA_QUERY_IDEMPOTENT,
        a::CASSANDRA_SPECULATIVE_EXECUTION_COUNT,
        a::DB_CLIENT_CONNECTION_POOL_NAME,
        a::DB_CLIENT_CONNECTION_STATE,
        a::DB_COLLECTION_NAME,
        a::DB_NAMESPACE,
        a::DB_OPERATION_BATCH_SIZE,
        a::DB_OPERATION_NAME,
        a::DB_OPERATION_PARAMETER,
        a::DB_QUERY_PARAMETER,
        a::DB_QUERY_SUMMARY,
        a::DB_QUERY_TEXT,
        a::DB_RESPONSE_RETURNED_ROWS,
        a::DB_RESPONSE_STATUS_CODE,
        a::DB_STORED_PROCEDURE_NAME,
        a::DB_SYSTEM_NAME,
        a::ELASTICSEARCH_NODE_NAME,
        a::ERROR_TYPE,
        a::HTTP_REQUEST_METHOD,
        a::MESSAGING_BATCH_MESSAGE_COUNT,
        a::MESSAGING_CLIENT_ID,
        a::MESSAGING_CONSUMER_GROUP_NAME,
        a::MESSAGING_DESTINATION_ANONYMOUS,
        a::MESSAGING_DESTINATION_NAME,
        a::MESSAGING_DESTINATION_PARTITION_ID,
        a::MESSAGING_DESTINATION_SUBSCRIPTION_NAME,
        a::MESSAGING_DESTINATION_TEMPLATE,
        a::MESSAGING_DESTINATION_TEMPORARY,
        // Came with 1.44.
        "messaging.kafka.cluster.id",
        a::MESSAGING_KAFKA_MESSAGE_KEY,
        a::MESSAGING_KAFKA_MESSAGE_TOMBSTONE,
        a::MESSAGING_KAFKA_OFFSET,
        a::MESSAGING_MESSAGE_BODY_SIZE,
        a::MESSAGING_MESSAGE_CONVERSATION_ID,
        a::MESSAGING_MESSAGE_ENVELOPE_SIZE,
        a::MESSAGING_MESSAGE_ID,
        a::MESSAGING_OPERATION_NAME,
        a::MESSAGING_OPERATION_TYPE,
        a::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY,
        a::MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG,
        a::MESSAGING_SYSTEM,
        a::NETWORK_PEER_ADDRESS,
        a::NETWORK_PEER_PORT,
        a::SERVER_ADDRESS,
        a::SERVER_PORT,
        a::URL_FULL,
    ];
    let metrics = [
        m::DB_CLIENT_CONNECTION_COUNT,
        m::DB_CLIENT_CONNECTION_CREATE_TIME,
        m::DB_CLIENT_CONNECTION_IDLE_MAX,
        m::DB_CLIENT_CONNECTION_IDLE_MIN,
        m::DB_CLIENT_CONNECTION_MAX,
        m::DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        m::DB_CLIENT_CONNECTION_TIMEOUTS,
        m::DB_CLIENT_CONNECTION_USE_TIME,
        m::DB_CLIENT_CONNECTION_WAIT_TIME,
        m::DB_CLIENT_OPERATION_DURATION,
        m::DB_CLIENT_RESPONSE_RETURNED_ROWS,
        m::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        m::MESSAGING_CLIENT_OPERATION_DURATION,
        m::MESSAGING_CLIENT_SENT_MESSAGES,
        m::MESSAGING_PROCESS_DURATION,
    ];
    let conventions = conventions();
    assert!(conventions.attributes.keys().eq(attributes));
    assert!(conventions.metrics.keys().eq(metrics));
}

//! Our names are the conventions', and our word on the OpenTelemetry minor is the manifest's.

use opentelemetry_semantic_conventions::{attribute, metric};
use otel_core::attribute as ours;
use otel_core::messaging::fact;

#[test]
fn names_equal_those_of_the_conventions_crate() {
    let pairs = [
        (ours::DB_COLLECTION_NAME, attribute::DB_COLLECTION_NAME),
        (ours::DB_NAMESPACE, attribute::DB_NAMESPACE),
        (ours::DB_OPERATION_BATCH_SIZE, attribute::DB_OPERATION_BATCH_SIZE),
        (ours::DB_OPERATION_NAME, attribute::DB_OPERATION_NAME),
        (ours::DB_QUERY_SUMMARY, attribute::DB_QUERY_SUMMARY),
        (ours::DB_QUERY_TEXT, attribute::DB_QUERY_TEXT),
        (ours::DB_RESPONSE_RETURNED_ROWS, attribute::DB_RESPONSE_RETURNED_ROWS),
        (ours::DB_RESPONSE_STATUS_CODE, attribute::DB_RESPONSE_STATUS_CODE),
        (ours::DB_STORED_PROCEDURE_NAME, attribute::DB_STORED_PROCEDURE_NAME),
        (ours::DB_SYSTEM_NAME, attribute::DB_SYSTEM_NAME),
        (ours::ERROR_TYPE, attribute::ERROR_TYPE),
        (ours::NETWORK_PEER_ADDRESS, attribute::NETWORK_PEER_ADDRESS),
        (ours::NETWORK_PEER_PORT, attribute::NETWORK_PEER_PORT),
        (ours::SERVER_ADDRESS, attribute::SERVER_ADDRESS),
        (ours::SERVER_PORT, attribute::SERVER_PORT),
        (ours::DB_CLIENT_CONNECTION_POOL_NAME, attribute::DB_CLIENT_CONNECTION_POOL_NAME),
        (ours::DB_CLIENT_CONNECTION_STATE, attribute::DB_CLIENT_CONNECTION_STATE),
        (ours::metric::DB_CLIENT_OPERATION_DURATION, metric::DB_CLIENT_OPERATION_DURATION),
        (ours::metric::DB_CLIENT_RESPONSE_RETURNED_ROWS, metric::DB_CLIENT_RESPONSE_RETURNED_ROWS),
        (ours::metric::DB_CLIENT_CONNECTION_CREATE_TIME, metric::DB_CLIENT_CONNECTION_CREATE_TIME),
        (ours::metric::DB_CLIENT_CONNECTION_COUNT, metric::DB_CLIENT_CONNECTION_COUNT),
        (ours::metric::DB_CLIENT_CONNECTION_IDLE_MAX, metric::DB_CLIENT_CONNECTION_IDLE_MAX),
        (ours::metric::DB_CLIENT_CONNECTION_IDLE_MIN, metric::DB_CLIENT_CONNECTION_IDLE_MIN),
        (ours::metric::DB_CLIENT_CONNECTION_MAX, metric::DB_CLIENT_CONNECTION_MAX),
        (
            ours::metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS,
            metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        ),
        (ours::metric::DB_CLIENT_CONNECTION_TIMEOUTS, metric::DB_CLIENT_CONNECTION_TIMEOUTS),
        (ours::metric::DB_CLIENT_CONNECTION_USE_TIME, metric::DB_CLIENT_CONNECTION_USE_TIME),
        (ours::metric::DB_CLIENT_CONNECTION_WAIT_TIME, metric::DB_CLIENT_CONNECTION_WAIT_TIME),
        (ours::MESSAGING_BATCH_MESSAGE_COUNT, attribute::MESSAGING_BATCH_MESSAGE_COUNT),
        (ours::MESSAGING_CLIENT_ID, attribute::MESSAGING_CLIENT_ID),
        (ours::MESSAGING_CONSUMER_GROUP_NAME, attribute::MESSAGING_CONSUMER_GROUP_NAME),
        (ours::MESSAGING_DESTINATION_ANONYMOUS, attribute::MESSAGING_DESTINATION_ANONYMOUS),
        (ours::MESSAGING_DESTINATION_NAME, attribute::MESSAGING_DESTINATION_NAME),
        (ours::MESSAGING_DESTINATION_PARTITION_ID, attribute::MESSAGING_DESTINATION_PARTITION_ID),
        (
            ours::MESSAGING_DESTINATION_SUBSCRIPTION_NAME,
            attribute::MESSAGING_DESTINATION_SUBSCRIPTION_NAME,
        ),
        (ours::MESSAGING_DESTINATION_TEMPLATE, attribute::MESSAGING_DESTINATION_TEMPLATE),
        (ours::MESSAGING_DESTINATION_TEMPORARY, attribute::MESSAGING_DESTINATION_TEMPORARY),
        (ours::MESSAGING_OPERATION_NAME, attribute::MESSAGING_OPERATION_NAME),
        (ours::MESSAGING_OPERATION_TYPE, attribute::MESSAGING_OPERATION_TYPE),
        (ours::MESSAGING_SYSTEM, attribute::MESSAGING_SYSTEM),
        (
            ours::metric::MESSAGING_CLIENT_OPERATION_DURATION,
            metric::MESSAGING_CLIENT_OPERATION_DURATION,
        ),
        (ours::metric::MESSAGING_PROCESS_DURATION, metric::MESSAGING_PROCESS_DURATION),
        (ours::metric::MESSAGING_CLIENT_SENT_MESSAGES, metric::MESSAGING_CLIENT_SENT_MESSAGES),
        (
            ours::metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
            metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        ),
    ];
    for (ours, theirs) in pairs {
        assert_eq!(ours, theirs);
    }
    // Each public constant of the module stands in the table above.
    let declared = include_str!("../src/attribute.rs").matches("pub const ").count();
    let not_names = ["SCHEMA_URL", "CANCELLED", "PANIC", "OTHER"];
    assert_eq!(declared - not_names.len(), pairs.len());
}

/// Each fact of a system stands in the conventions crate, but for what came after its version.
#[test]
fn facts_have_names_of_the_conventions_crate() {
    let mut known = [
        attribute::AWS_REQUEST_ID,
        attribute::AWS_SNS_TOPIC_ARN,
        attribute::AWS_SQS_QUEUE_URL,
        attribute::MESSAGING_DESTINATION_NAME,
        attribute::MESSAGING_DESTINATION_PARTITION_ID,
        attribute::MESSAGING_EVENTHUBS_MESSAGE_ENQUEUED_TIME,
        attribute::MESSAGING_GCP_PUBSUB_MESSAGE_ACK_DEADLINE,
        attribute::MESSAGING_GCP_PUBSUB_MESSAGE_ACK_ID,
        attribute::MESSAGING_GCP_PUBSUB_MESSAGE_DELIVERY_ATTEMPT,
        attribute::MESSAGING_GCP_PUBSUB_MESSAGE_ORDERING_KEY,
        attribute::MESSAGING_KAFKA_MESSAGE_KEY,
        attribute::MESSAGING_KAFKA_MESSAGE_TOMBSTONE,
        attribute::MESSAGING_KAFKA_OFFSET,
        attribute::MESSAGING_MESSAGE_BODY_SIZE,
        attribute::MESSAGING_MESSAGE_CONVERSATION_ID,
        attribute::MESSAGING_MESSAGE_ENVELOPE_SIZE,
        attribute::MESSAGING_MESSAGE_ID,
        attribute::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY,
        attribute::MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG,
        attribute::MESSAGING_SERVICEBUS_DISPOSITION_STATUS,
        attribute::MESSAGING_SERVICEBUS_MESSAGE_DELIVERY_COUNT,
        attribute::MESSAGING_SERVICEBUS_MESSAGE_ENQUEUED_TIME,
        "messaging.kafka.cluster.id",
    ];
    let mut facts = fact::NAMES.to_vec();
    facts.sort_unstable();
    known.sort_unstable();
    assert_eq!(facts, known);

    let known = [
        attribute::CASSANDRA_CONSISTENCY_LEVEL,
        attribute::CASSANDRA_COORDINATOR_DC,
        attribute::CASSANDRA_COORDINATOR_ID,
        attribute::CASSANDRA_PAGE_SIZE,
        attribute::CASSANDRA_QUERY_IDEMPOTENT,
        attribute::CASSANDRA_SPECULATIVE_EXECUTION_COUNT,
        attribute::ELASTICSEARCH_NODE_NAME,
        attribute::HTTP_REQUEST_METHOD,
        attribute::URL_FULL,
    ];
    assert_eq!(otel_core::db::fact::NAMES, known);
}

#[test]
fn the_minor_we_name_is_the_one_we_depend_on() {
    let lock = include_str!("../../Cargo.lock");
    let minor = otel_core::diagnostics().opentelemetry;
    let versions: Vec<_> = lock
        .split("[[package]]")
        .filter(|package| package.contains("\nname = \"opentelemetry\"\n"))
        .collect();
    assert_eq!(versions.len(), 1, "one opentelemetry in the tree");
    assert!(versions[0].contains(&format!("version = \"{minor}.")), "{}", versions[0]);
}

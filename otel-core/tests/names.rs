//! Our names are the conventions', and our word on the OpenTelemetry minor is the manifest's.

use opentelemetry_semantic_conventions::{attribute, metric};
use otel_core::attribute as ours;

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
    ];
    for (ours, theirs) in pairs {
        assert_eq!(ours, theirs);
    }
    // Each public constant of the module stands in the table above.
    let declared = include_str!("../src/attribute.rs").matches("pub const ").count();
    let not_names = ["SCHEMA_URL", "CANCELLED", "PANIC", "OTHER"];
    assert_eq!(declared - not_names.len(), pairs.len());
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

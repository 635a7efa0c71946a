//! Consumers, on the cluster that librdkafka plays; what is sent comes from rdkafka's own producer.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod callbacks;
mod commit;
mod hostile;
mod off;
mod process;
mod receive;
mod statistics;
mod support;
mod user_code;

//! What otel-rabbitmq emits, scenario by scenario, on a broker that others may use too.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "the test is its only user")]

pub mod confirms;
pub mod core;
pub mod limits;
pub mod load;

use otel_rabbitmq::Connection;
use otel_rabbitmq::otel_core::TelemetryBuilder;
use otel_testing::Capture;
use otel_testing::ledger::Traced;

use crate::rabbitmq_support::connect;

/// All of them, for a macro that takes their names.
macro_rules! scenarios {
    ($each:ident) => {
        $each! {
            core: ordinary_life
            core: other_ways_to_publish
            core: names_that_nobody_chose
            core: many_are_settled_by_one_tag
            core: what_is_delivered_again_has_another_tag
            core: a_consumer_without_acknowledgements
            core: a_delegate_has_one_span
            core: a_thousand_messages_are_each_handled_in_their_own_trace
            core: what_exists_is_wrapped
            core: no_secret_is_told
            confirms: what_came_back_is_told_of_the_right_message
            confirms: what_the_broker_refuses_fails
            confirms: a_confirm_that_was_had
            confirms: a_channel_that_the_application_closes
            limits: a_trace_is_left_out_where_a_frame_has_no_room
            limits: a_channel_alone_takes_the_least
            limits: a_table_of_any_content_stays_as_it_is
            limits: bytes_are_text_to_others
            limits: odd_names_and_large_messages
            load: each_span_is_below_its_tasks_own
            load: what_is_closed_fails_at_once
        }
    };
}
pub(crate) use scenarios;

/// A broker, and who notes what its clients tell.
pub struct Live {
    pub url: String,
    traced: Traced,
}

impl Live {
    pub fn watched(url: &str, traced: &Traced) -> Self {
        Self { url: url.to_owned(), traced: traced.clone() }
    }

    pub fn telemetry(&self, capture: &Capture) -> TelemetryBuilder {
        capture.telemetry_builder().tracer_provider(self.traced.watch(capture.tracer_provider()))
    }

    pub async fn captured(&self) -> (Capture, Connection) {
        self.captured_at(&self.url).await
    }

    /// The same, by another URL of it.
    pub async fn captured_at(&self, url: &str) -> (Capture, Connection) {
        let capture = Capture::new();
        let connection = connect(url, &self.telemetry(&capture).build()).await;
        (capture, connection)
    }
}

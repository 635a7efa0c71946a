//! What otel-nats emits, scenario by scenario, on a server that others may use too.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "the test is its only user")]

pub mod core;
pub mod jetstream;
pub mod service;

use otel_nats::Client;
use otel_nats::otel_core::TelemetryBuilder;
use otel_testing::Capture;
use otel_testing::ledger::Traced;

use crate::nats_support::connect;

/// All of them, for a macro that takes their names.
macro_rules! scenarios {
    ($each:ident) => {
        $each! {
            core: ordinary_life
            core: a_thousand_messages_are_each_handled_in_their_own_trace
            core: question_and_answer_are_one_conversation
            core: who_answers_may_only_link_to_the_question
            core: requests_that_fail
            core: no_series_grows_with_inboxes
            core: scatter_and_gather
            core: what_the_server_says_is_no_message
            jetstream: a_message_is_sent_once_it_is_stored
            jetstream: a_receipt_ends_with_the_answer_or_when_it_is_asked_for
            jetstream: what_is_not_stored_is_told_by_the_streams_word
            jetstream: a_consumer_that_asks_by_itself
            jetstream: a_fetch_is_one_call_with_a_link_to_each
            jetstream: one_batch_after_another
            jetstream: each_way_to_settle
            jetstream: acknowledged_by_hand
            jetstream: consumers_that_are_sent_to_and_ordered_ones
            jetstream: ordered_consumers_are_made_anew
            jetstream: a_consumer_that_goes_away_is_told
            jetstream: reading_an_old_entry_chains_no_traces
            jetstream: objects_carry_no_trace
            jetstream: an_answer_that_does_not_come
            service: requests_and_answers
            service: the_handlers_own_error_goes_before_its_answer
            service: a_handler_that_panics_is_told
            service: no_series_grows_with_inboxes_of_others
        }
    };
}
pub(crate) use scenarios;

/// A server, and who notes what its clients tell.
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

    pub async fn captured(&self) -> (Capture, Client) {
        let capture = Capture::new();
        let client = connect(&self.url, &self.telemetry(&capture).build()).await;
        (capture, client)
    }
}

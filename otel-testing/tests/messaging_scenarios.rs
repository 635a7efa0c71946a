//! The scenarios of brokers' clients pass for one that is right, and each fails for one that is not.

#[path = "common/broker.rs"]
mod broker;
mod common;

use broker::{Defect, Example};
use common::failure;
use otel_testing::scenario::{self, messaging};

mod right {
    use super::{Defect, Example};

    otel_testing::messaging_scenarios!(Example<{ Defect::None as usize }>);
}

#[test]
fn all_can_be_run_in_one_go() {
    scenario::execute(async {
        messaging::run::<Example<{ Defect::None as usize }>>().await;
        Ok(())
    });
}

/// One test for each defect: the scenarios that must fail for it, and what they must say.
macro_rules! saboteurs {
    ($($test:ident $defect:ident: $($scenario:ident $message:literal),+;)*) => {$(
        #[test]
        fn $test() {
            type Defective = Example<{ Defect::$defect as usize }>;
            $(
                let told = failure(|| scenario::execute(messaging::$scenario::<Defective>()));
                assert!(told.contains($message), "{:?} is not in {told:?}", $message);
            )+
        }
    )*};
}

saboteurs! {
    who_counts_again CountsAgain: success "messaging.client.consumed.messages";
    who_loses_headers LosesHeaders: success "own";
    who_links_nothing LinksNothing: success "link";
    who_settles_unlinked SettlesUnlinked: success "link";
    who_hides_errors HidesErrors: failure "status: expected Error";
    who_hides_a_handler_s_errors HidesHandlersErrors: failed_handler "captured";
    who_catches_panics CatchesPanics: panicking_handler "the panic must come through";
    who_ends_at_once EndsAtOnce: cancelled "must not end by itself";
    who_starts_eagerly StartsEagerly: never_polled "captured";
    who_reports_nothing ReportsNothing: nothing_received "captured";
    who_injects_nothing InjectsNothing: success "PRODUCER", not_sampled "not sampled expected",
        parent_required "tenant=blue";
    who_ignores_the_context IgnoresContext: suppressed "captured", ambient_parent "parent",
        parent_required "left: None", without_provider "left: None",
        without_provider_handled "left", baggage_kept "blue";
    who_injects_only_when_heard InjectsOnlyWhenHeard: without_provider "left: None";
    who_handles_unheard HandlesUnheard: without_provider_handled "left";
    who_handles_outside HandlesOutside: baggage_kept "blue", without_provider_handled "left";
    who_replaces_headers ReplacesHeaders: own_headers_kept "link";
    who_receives_one_by_one ReceivesOneByOne: batches "1 expected";
    who_mixes_up_batches MixesUpBatches: batches "parent";
    who_creates_always CreatesAlways: batch_without_create_spans "captured";
    who_hides_partial_failure HidesPartialFailure: partial_failure "error.type";
    who_fails_whole_batches FailsWholeBatches: partial_failure "one message failed";
    who_forgets_cancelled_handlers IgnoresCancelledHandlers: cancelled_handler "cancelled";
}

#[cfg(feature = "allocations")]
saboteurs! {
    who_allocates_when_off AllocatesWhenOff: off "without a provider 63 of 63 calls allocate";
}

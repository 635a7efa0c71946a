//! What the formats of the W3C say is what is read and sent, whatever propagator is installed.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

#[path = "support/w3c.rs"]
mod table;

use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_core::Telemetry;
use otel_core::propagation::{ByteCarrier, ByteHeaders as _};

/// The official propagators, behind the core: what it cannot mend stands in the table.
#[test]
fn the_official_propagators() {
    let propagator = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    let telemetry = Telemetry::builder().propagator(propagator).build();
    table::check(
        true,
        |headers| {
            let bytes = headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            telemetry.extract(&ByteCarrier::new(&bytes.collect::<Vec<(String, Vec<u8>)>>()))
        },
        |context| {
            let mut headers = Vec::<(String, Vec<u8>)>::new();
            telemetry.inject(context, &mut ByteCarrier::new(&mut headers));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            headers.entries().map(|(name, value)| (name.to_owned(), text(value))).collect()
        },
    );
}

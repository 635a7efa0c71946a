//! What is kept of the calls of a handle: known again by text or identity, and by nothing less.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use otel_core::DbCall;
use otel_testing::Capture;
use support::{Stub, db};

/// The handle of a client whose user counts the analyses.
fn counting(capture: &Capture) -> (otel_core::Db<Stub>, Arc<AtomicUsize>) {
    let analyses = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&analyses);
    let hook = move |_: &str| {
        count.fetch_add(1, Relaxed);
        None
    };
    (db(&capture.telemetry_builder().query_summary(hook).build()), analyses)
}

#[test]
fn a_static_text_is_known_by_its_identity() {
    let capture = Capture::new();
    let (db, analyses) = counting(&capture);
    assert_eq!(db.memory().0, 0);
    let text = format!("SELECT name FROM users WHERE id IN ({})", "?, ".repeat(400_000));
    let call = |text| db.start(|| DbCall::static_statement(text, false)).finish();
    let [one, other] = [(); 2].map(|()| &*text.clone().leak());
    (0..4).for_each(|_| call(one));
    assert_eq!(analyses.load(Relaxed), 2);
    // Equal, and yet not known: nobody has read it.
    (0..4).for_each(|_| call(other));
    assert_eq!(analyses.load(Relaxed), 4);
    // Nor is a part of it, which begins where it begins.
    call(&one[..22]);
    assert_eq!(analyses.load(Relaxed), 5);
    assert_eq!(capture.spans().last().unwrap().name, "SELECT users");
    // Not copied.
    assert!(db.memory().0 < one.len());
}

#[test]
fn a_long_text_is_analysed_twice() {
    let capture = Capture::new();
    let (db, analyses) = counting(&capture);
    let text = format!("SELECT name FROM users WHERE id IN ({})", "?, ".repeat(10_000));
    for _ in 0..4 {
        let text = text.clone();
        db.start(|| DbCall::statement(&text, true)).finish();
    }
    assert_eq!(analyses.load(Relaxed), 2);
    let (held, bound) = db.memory();
    assert!(text.len() < held && held < bound);
}

/// One text, in all that can be said of it beside.
#[test]
fn kinds_are_told_apart() {
    const TEXT: &str = "SELECT 7";
    let capture = Capture::new();
    let db = db(&capture.telemetry());
    let kinds: [fn() -> DbCall<'static>; 12] = [
        || DbCall::statement(TEXT, true),
        || DbCall::statement(TEXT, false),
        || DbCall::static_statement(TEXT, true),
        || DbCall::static_statement(TEXT, false).namespace("warehouse"),
        || DbCall::statement(TEXT, false).prefix("PREPARE"),
        || DbCall::statement(TEXT, false).namespace("archive"),
        || DbCall::statement(TEXT, false).collection("orders"),
        || DbCall::statement(TEXT, false).operation("get"),
        || DbCall::statement(TEXT, false).stored_procedure("refund"),
        || DbCall::statement(TEXT, false).summary("the seven"),
        || DbCall::new().operation("get"),
        || DbCall::new(),
    ];
    let shown = |span: &opentelemetry_sdk::trace::SpanData| {
        let mut facts: Vec<_> = span.attributes.iter().map(|fact| format!("{fact:?}")).collect();
        facts.sort();
        (span.name.clone(), facts)
    };
    // Of a handle that knows nothing yet, and of one that knows all of them.
    let fresh = || support::db(&capture.telemetry());
    for kind in kinds {
        fresh().start(kind).finish();
    }
    let expected: Vec<_> = capture.spans().iter().map(shown).collect();
    for kind in kinds.iter().cycle().take(12 * 5) {
        db.start(kind).finish();
    }
    let spans: Vec<_> = capture.spans().iter().map(shown).collect();
    assert_eq!(spans.len(), 12 * 6);
    for round in spans.chunks(12) {
        assert_eq!(round, expected);
    }
    // Those with one text have one set of places.
    let different: BTreeSet<_> = expected.into_iter().collect();
    assert_eq!(different.len(), 11, "the first and the third say the same");
}

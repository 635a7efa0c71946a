//! Spans and points that do not agree are found.

use crate::docs::emitted::{Emitted, Span};
use crate::docs::tests::{duration, failed_query, found, gauge, origin, poll, query, send};

#[test]
fn spans_and_points_that_do_not_agree_are_found() {
    let db = |span: &Span, count| duration(span, "db.client.operation.duration", count);
    let mut other = query();
    other.attributes.insert("db.query.summary".into(), "SELECT orders".into());
    let mut elsewhere = db(&query(), 1);
    elsewhere.origin = origin("elsewhere");
    let mut unfinished = db(&query(), 1);
    unfinished.is_last = false;
    let two_and_none = "2 and 0 without error";
    for (spans, points, expected) in [
        // The same error on both.
        (
            vec![failed_query()],
            vec![db(&query(), 1)],
            "1 and 0 db.response.status_code = \"23505\", error.type = \"23505\"",
        ),
        (vec![query()], vec![db(&failed_query(), 1)], "1 and 0 without error"),
        // As many.
        (vec![query(), query()], vec![db(&query(), 1)], "2 and 1 without error"),
        (vec![query(), query()], vec![elsewhere.clone(), db(&other, 0)], two_and_none),
        (
            vec![send()],
            vec![duration(&send(), "messaging.client.operation.duration", 1)],
            "messaging.client.sent.messages do not agree: 1 and 0 without error",
        ),
        // With the same attributes.
        (vec![query(), query()], vec![db(&other, 2)], two_and_none),
    ] {
        let found = found(&Emitted { spans, points });
        assert!(found.iter().any(|it| it.contains(expected)), "{expected}: {found:#?}");
    }
    for (spans, points) in [
        // Not sampled, all or some.
        (vec![], vec![db(&query(), 3)]),
        (vec![query()], vec![db(&query(), 3)]),
        // Nobody measured, or the test was not over at the last reading.
        (vec![query()], vec![elsewhere]),
        (vec![query(), query()], vec![unfinished]),
        // The adapter says that these need not be measured.
        (
            vec![poll()],
            vec![duration(&send(), "messaging.client.operation.duration", 0), {
                let mut point = gauge();
                (point.origin, point.is_last) = (poll().origin, true);
                point
            }],
        ),
    ] {
        assert_eq!(found(&Emitted { spans, points }), [""; 0]);
    }
}

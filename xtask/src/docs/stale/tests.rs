//! Words that are missing, and words that are left over.

use super::*;
use crate::docs::facts::Facts;
use crate::docs::tests::{FACTS, conventions, gauge, poll, query, right};

#[test]
fn words_that_are_missing_or_no_longer_needed_are_found() {
    let conventions = conventions();
    let told = |facts: &str, emitted: &Emitted| {
        let facts = Facts::parse(facts).unwrap();
        let rules = Rules { conventions: &conventions, facts: &facts };
        faults(rules, emitted, &Summary::of(rules, emitted))
    };
    let none = told("", &right());
    assert!(
        none.contains(
            &"the conventions want messaging.message.id, and nothing has it: say why in [absent]"
                .to_owned()
        ),
        "{none:#?}"
    );
    assert!(none.iter().any(|it| it.contains("want db.client.connection.count,")), "{none:#?}");
    assert!(!none.iter().any(|it| it.contains("db.namespace")), "{none:#?}");
    let unsaid = told(&FACTS.replace("client-id = \"clients\"", ""), &right());
    assert!(
        unsaid.contains(
            &"say in [grows] what the number of values of client-id grows with".to_owned()
        ),
        "{unsaid:#?}"
    );
    let stale = |emitted: &Emitted| -> Vec<String> {
        let all = told(FACTS, emitted).into_iter();
        all.filter_map(|it| Some(it.split_once(" is no longer needed in ")?.1.to_owned())).collect()
    };
    assert_eq!(stale(&right()), ["chance", "[span_only]"]);
    let left = told("[added]\nattributes = [\"never.told\"]", &right());
    let expected = "never.told is no longer needed in [added.attributes]";
    assert!(left.iter().any(|it| it == expected), "{left:#?}");
    let mut raced = right();
    raced.spans[0].origin.suite = "races".into();
    let mut measuring = gauge();
    (measuring.origin, measuring.is_last) = (poll().origin, true);
    raced.points.push(measuring);
    assert_eq!(stale(&raced), [""; 0]);
    let mut count = gauge();
    count.metric = "db.client.connection.count".into();
    let little = Emitted { spans: vec![query()], points: vec![count] };
    assert_eq!(
        stale(&little),
        [
            "chance",
            "[absent]",
            "[when]",
            "[span_only]",
            "[added.spans]",
            "[added.metrics]",
            "[added.values]"
        ]
    );
}

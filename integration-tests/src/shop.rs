//! A producer and consumers in processes of their own, whatever the broker is: how they are started, and
//! what holds for all that they have told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::otlp::Attributes;
use crate::roles::{All, Case, Place, assert_handled, assert_ordered};
use crate::told::{NOBODY, Process, Role, Span, Told, assert_agreement};

/// How many messages the processes of a test exchange.
pub const MESSAGES: usize = 1000;

/// What the spans of a step are like.
#[derive(Debug)]
pub struct Step {
    /// The name.
    pub name: String,
    /// All of them, but for errors.
    pub attributes: Attributes,
}

/// A place of one test's own where messages are sent to.
pub trait Shop {
    /// The program of the processes.
    const PROGRAM: &'static str;
    /// What the driver calls it to receive a message, and to settle it.
    const OPERATIONS: [&'static str; 2];

    /// Where the broker is.
    fn url(&self) -> &str;
    /// Its name.
    fn name(&self) -> &str;
    /// The sending of a message with this number, where it lies once it does.
    fn sent(&self, number: u64, place: Option<Place>) -> Step;
    /// A step of a message in a group, by the driver's name and by that of the conventions; what differs
    /// from delivery to delivery is in the span.
    fn received(&self, steps: (&str, &str), group: &str, place: Place, span: &Span) -> Step;
    /// Where the message lies that a span is about.
    fn place(&self, span: &Span) -> Option<Place>;

    /// Starts a process that sends.
    fn produce(&self, count: Option<u64>, timeout: u32) -> Process {
        let (brokers, topic) = (self.url().to_owned(), self.name().to_owned());
        Process::start(Self::PROGRAM, &Role::Produce { brokers, topic, count, timeout })
    }

    /// Starts one that handles.
    fn consume(&self, group: &str, Case { parent, ambient }: Case) -> Process {
        let (brokers, topic) = (self.url().to_owned(), self.name().to_owned());
        let (group, parent) = (group.to_owned(), parent.to_owned());
        Process::start(Self::PROGRAM, &Role::Consume { brokers, topic, group, parent, ambient })
    }

    /// The spans of those messages that were sent, by their place.
    fn check_producer(&self, all: &All) -> BTreeMap<Place, (u64, Span)> {
        let sends = all.of_step("send");
        assert_eq!(sends.len(), all.sent.len(), "one span for each message");
        assert_eq!(all.spans.len(), sends.len(), "and no other");
        let (mut places, mut seen) = (BTreeMap::new(), BTreeSet::new());
        for span in sends {
            // The application's own span has the message's number.
            let number = u64::from_str_radix(&span.parent, 16);
            let number = number.unwrap_or_else(|error| panic!("{error}: {span:?}"));
            assert!(seen.insert(number), "{number} has two spans");
            assert_ordered(span, number);
            let result = &all.sent[&number];
            let mut expected = self.sent(number, result.as_ref().ok().copied());
            let name = (span.name.as_str(), span.kind.as_str());
            assert_eq!(name, (expected.name.as_str(), "PRODUCER"));
            if let Err(error) = result {
                expected.attributes.insert("error.type".to_owned(), error.as_str().into());
            }
            assert_eq!(span.attributes, expected.attributes, "{span:?}");
            assert_eq!(span.error.as_deref(), result.is_err().then_some(""));
            if let Ok(place) = result {
                places.insert(*place, (number, span.clone()));
            }
        }
        assert_agreement(&all.spans, &all.points, |_| false);
        places
    }

    /// What holds for each message that was received.
    fn check_consumer(
        &self,
        all: &All,
        group: &str,
        sent: &BTreeMap<Place, (u64, Span)>,
        case: Case,
    ) {
        let [receives, processes, settles] =
            ["receive", "process", "settle"].map(|step| all.by_place(step, |it| self.place(it)));
        let of_application = assert_handled(all, &processes, sent, case);
        let failures =
            all.of_step("receive").into_iter().filter(|receive| receive.error.is_some()).count();
        assert_eq!(failures, all.errors.len());
        let calls = [receives.len(), processes.len(), settles.len()];
        assert_eq!(calls, [processes.len(); 3], "each was received and settled once");
        let [receiving, settling] = Self::OPERATIONS;
        for (place, process) in &processes {
            let ((_, origin), receive, settle) = (&sent[place], receives[place], settles[place]);
            for (span, operation, step, kind) in [
                (receive, receiving, "receive", "CLIENT"),
                (*process, "process", "process", "CONSUMER"),
                (settle, settling, "settle", "CLIENT"),
            ] {
                let mut expected = self.received((operation, step), group, *place, span);
                let name = (span.name.as_str(), span.kind.as_str());
                assert_eq!(name, (expected.name.as_str(), kind));
                assert_eq!(span.links.first(), Some(&origin.identity()));
                if let Some(error) =
                    process.attributes.get("error.type").filter(|_| span == *process)
                {
                    expected.attributes.insert("error.type".to_owned(), error.clone());
                }
                assert_eq!(span.attributes, expected.attributes, "{span:?}");
            }
            assert_eq!((receive.parent.as_str(), &receive.error), (NOBODY, &None));
            assert_eq!((settle.parent == NOBODY, &settle.error), (!case.ambient, &None));
        }
        let spans = failures + 2 * processes.len() + of_application + processes.len();
        assert_eq!(all.spans.len(), spans, "and no other");
        assert_agreement(&all.spans, &all.points, |_| false);
    }
}

/// The cases of a thousand messages.
pub const CASES: [Case; 4] = [
    Case { parent: "ambient", ambient: false },
    Case { parent: "ambient", ambient: true },
    Case { parent: "message", ambient: true },
    Case { parent: "link", ambient: false },
];

/// Attributes of an object of JSON.
pub fn attributes(all: &serde_json::Value) -> Attributes {
    all.as_object().map(|all| all.clone().into_iter().collect()).unwrap_or_default()
}

/// What the spans of all steps have.
pub fn common(
    system: &str,
    (operation, step): (&str, &str),
    destination: &str,
    client: &str,
    (host, port): (&str, u16),
) -> Attributes {
    attributes(&json!({
        "messaging.system": system,
        "messaging.operation.name": operation,
        "messaging.operation.type": step,
        "messaging.destination.name": destination,
        "messaging.client.id": client,
        "server.address": host,
        "server.port": port,
    }))
}

/// A message that was sent.
pub fn is_sent(line: &Told) -> bool {
    matches!(line, Told::Sent { result: Ok(_), .. })
}

/// One that was given up.
pub fn is_lost(line: &Told) -> bool {
    matches!(line, Told::Sent { result: Err(_), .. })
}

/// One that was handled.
pub fn is_handled(line: &Told) -> bool {
    matches!(line, Told::Handled(_))
}

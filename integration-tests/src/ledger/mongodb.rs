//! MongoDB's own counters (`opcounters`) know neither who sent a command nor what it was about, so it
//! is the driver that counts here: it tells of each command that it sends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use mongodb::event::EventHandler;
use mongodb::event::command::{CommandEvent, CommandStartedEvent};
use mongodb::options::ClientOptions;
use otel_testing::ledger::{Count, Counted, Unit};

/// What the driver's clients sent, as their events tell it: a command, and what it is about. A
/// clone is another handle of the same value.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    ignored: &'static [&'static str],
}

impl Sent {
    /// With nothing yet; some commands are left out on both sides.
    pub fn without(ignored: &'static [&'static str]) -> Self {
        Self { ignored, ..Self::default() }
    }

    /// Counts what clients of these options send. A handler that is there is called as ever, unless it
    /// is a channel.
    pub fn watch(&self, options: &mut ClientOptions) {
        let sent = self.clone();
        let chained = match options.command_event_handler.take() {
            Some(EventHandler::Callback(users)) => EventHandler::callback(move |event| {
                sent.hear(&event);
                users(event);
            }),
            Some(EventHandler::AsyncCallback(users)) => {
                EventHandler::async_callback(move |event| {
                    sent.hear(&event);
                    users(event)
                })
            }
            _ => EventHandler::callback(move |event| sent.hear(&event)),
        };
        options.command_event_handler = Some(chained);
    }

    fn hear(&self, event: &CommandEvent) {
        if let CommandEvent::Started(event) = event {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(about(event)).or_default() += times(event);
        }
    }
}

/// `find orders`; of what names no collection, the command alone.
fn about(event: &CommandStartedEvent) -> String {
    /// Their first value is a name of something else.
    const OTHERS: [&str; 4] = ["configureFailPoint", "createUser", "dropUser", "usersInfo"];

    let (name, command) = (&*event.command_name, &event.command);
    let collection = match name {
        "getMore" => command.get_str("collection").ok(),
        "bulkWrite" => {
            let namespaces = command.get_array("nsInfo").map_or(&[][..], Vec::as_slice);
            let [only] = namespaces else { return name.to_owned() };
            only.as_document()
                .and_then(|only| only.get_str("ns").ok()?.split_once('.'))
                .map(|it| it.1)
        }
        name => command.get_str(name).ok().filter(|_| !OTHERS.contains(&name)),
    };
    match collection.filter(|collection| !collection.starts_with("$cmd")) {
        Some(collection) => format!("{name} {collection}"),
        None => name.to_owned(),
    }
}

/// A command of several documents or statements counts for each.
fn times(event: &CommandStartedEvent) -> u64 {
    let lists = ["deletes", "documents", "ops", "updates"];
    let of = |list: &&str| event.command.get_array(list).ok();
    lists.iter().find_map(of).map_or(1, |list| list.len() as u64)
}

impl Counted for Sent {
    type Error = Infallible;

    async fn counted(&mut self) -> Result<Vec<Count>, Infallible> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts.iter().map(|(text, times)| Count::new(text.clone(), *times)).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Operations
    }

    fn ignores(&self, text: &str) -> bool {
        self.ignored.contains(&text)
    }

    /// What was refused was sent.
    fn counts_refused(&self) -> Option<bool> {
        Some(true)
    }
}

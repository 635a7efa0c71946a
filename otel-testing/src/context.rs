//! Tells whether a context was left attached to the thread.

use std::thread::{self, ThreadId};

use opentelemetry::Context;

/// The thread on which a capture was made, and the context that was attached to it then.
#[derive(Debug)]
pub(crate) struct Home {
    thread: ThreadId,
    context: String,
}

impl Home {
    pub(crate) fn here() -> Self {
        Self { thread: thread::current().id(), context: attached() }
    }

    /// The context that is attached now, if it is another one. Without one, or on another thread,
    /// there is nothing to say.
    pub(crate) fn fault(&self) -> Option<String> {
        let now = attached();
        if thread::current().id() != self.thread
            || now == self.context
            || now == show(&Context::new())
        {
            return None;
        }
        Some(format!(
            "a context was left attached: it is {now}, and was {} when the capture was made",
            self.context
        ))
    }
}

fn attached() -> String {
    Context::map_current(show)
}

/// A context has no equality, but its debug form shows the span, the number of other entries and
/// the suppression.
fn show(context: &Context) -> String {
    format!("{context:?}")
}

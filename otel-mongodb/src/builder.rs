//! How the handlers get into the options of a client, without pushing out the user's own.

use std::sync::Arc;

use mongodb::event::EventHandler;
use mongodb::options::ClientOptions;
use otel_core::Telemetry;

use crate::hook::Hook;

/// Instruments the clients that will be made with these options, with more than
/// [`with`](crate::with) can tell.
#[derive(Debug)]
#[must_use = "nothing is instrumented before `instrument`"]
pub struct Builder<'o> {
    options: &'o mut ClientOptions,
    telemetry: Telemetry,
    commands: bool,
}

impl<'o> Builder<'o> {
    pub(crate) fn of(options: &'o mut ClientOptions) -> Self {
        Self { options, telemetry: Telemetry::global(), commands: true }
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Default: true. Without it only the connection pools are measured: no spans, and no copies of
    /// commands and replies, which the driver makes for whoever hears of commands.
    pub fn commands(mut self, wanted: bool) -> Self {
        self.commands = wanted;
        self
    }

    /// Sets the handlers of commands and of pools. What was set before is called as ever, after
    /// ours. Where the client is switched off (`enabled`), nothing is set.
    pub fn instrument(self) {
        let Self { options, telemetry, commands } = self;
        let hook = Arc::new(Hook::new(&telemetry));
        if hook.db.is_disabled() {
            return;
        }
        let pools = Arc::clone(&hook);
        let of_pools = options.cmap_event_handler.take();
        options.cmap_event_handler = chained(of_pools, move |event| pools.connection(event));
        if commands {
            let of_commands = options.command_event_handler.take();
            options.command_event_handler = chained(of_commands, move |event| hook.command(event));
        }
    }
}

/// A handler of ours, then the user's: in the caller's task the one, and the other where it was.
fn chained<T: Send + Sync + 'static>(
    users: Option<EventHandler<T>>,
    ours: impl Fn(&T) + Send + Sync + 'static,
) -> Option<EventHandler<T>> {
    Some(match users {
        None => EventHandler::callback(move |event| ours(&event)),
        Some(EventHandler::Callback(users)) => EventHandler::callback(move |event| {
            ours(&event);
            users(event);
        }),
        // The driver calls it in the caller's task, and spawns what it gives.
        Some(EventHandler::AsyncCallback(users)) => EventHandler::async_callback(move |event| {
            ours(&event);
            users(event)
        }),
        Some(EventHandler::TokioMpsc(users)) => EventHandler::async_callback(move |event| {
            ours(&event);
            let users = users.clone();
            // Nobody may listen any more.
            Box::pin(async move { _ = users.send(event).await })
        }),
        // Of a later version of the driver, and better than to push it out.
        Some(users) => users,
    })
}

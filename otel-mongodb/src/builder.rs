//! How the handlers get into the options of a client, without pushing out the user's own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mongodb::error::Result;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{ClientOptions, ServerAddress};
use otel_core::Telemetry;

use crate::client::Client;
use crate::driver;
use crate::hook::Hook;

/// Instruments the clients that will be made with these options, with more than
/// [`with`](crate::with) can tell.
#[derive(Debug)]
#[must_use = "nothing is instrumented before `instrument` or `client`"]
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
    /// ours. Where the client is switched off (`enabled`), or the options are instrumented already,
    /// nothing is set.
    pub fn instrument(self) {
        let Self { options, telemetry, commands } = self;
        let hook = Arc::new(Hook::new(&telemetry));
        if hook.db.is_disabled() || !measure_pools(options, &hook) || !commands {
            return;
        }
        let of_commands = options.command_event_handler.take();
        let chained = chained(of_commands, move |event| hook.command(event));
        options.command_event_handler = Some(chained);
    }

    /// A client of these options, of which each call is one operation; `commands` says nothing about
    /// it. It hears of its pools, and of no commands. Handlers of the user's are called as ever.
    pub fn client(self) -> Result<Client> {
        let Self { options, telemetry, .. } = self;
        let hook = Arc::new(Hook::new(&telemetry));
        let db = match only_node(options) {
            Some(node) => hook.db.with_server(driver::node(node)),
            None => hook.db.clone(),
        };
        let mut options = options.clone();
        if !hook.db.is_disabled() {
            measure_pools(&mut options, &hook);
        }
        Ok(Client { raw: mongodb::Client::with_options(options)?, db })
    }
}

/// The node that all calls go to, where that is certain before the first one.
fn only_node(options: &ClientOptions) -> Option<&ServerAddress> {
    let is_only = options.direct_connection == Some(true) || options.load_balanced == Some(true);
    options.hosts.first().filter(|_| is_only && options.hosts.len() == 1)
}

/// Handlers of ours, to know them again; one that is gone keeps its place until the next comes.
static OURS: Mutex<Vec<Weak<Handler>>> = Mutex::new(Vec::new());

type Handler = dyn Fn(CmapEvent) + Send + Sync;

/// Whether the handler of pools was set by this: by an earlier call it may be there already.
fn measure_pools(options: &mut ClientOptions, hook: &Arc<Hook>) -> bool {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(EventHandler::Callback(set)) = &options.cmap_event_handler {
        let set = Arc::downgrade(set);
        if ours.iter().any(|known| known.ptr_eq(&set)) {
            return false;
        }
    }
    let (hook, before) = (Arc::clone(hook), options.cmap_event_handler.take());
    let chained = chained(before, move |event| hook.connection(event));
    ours.retain(|known| known.strong_count() > 0);
    if let EventHandler::Callback(set) = &chained {
        ours.push(Arc::downgrade(set));
    }
    options.cmap_event_handler = Some(chained);
    true
}

/// A handler of ours, then the user's: in the caller's task the one, and the other where it was.
fn chained<T: Send + Sync + 'static>(
    users: Option<EventHandler<T>>,
    ours: impl Fn(&T) + Send + Sync + 'static,
) -> EventHandler<T> {
    match users {
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
    }
}

//! What a call of ours is sent to. The driver tells of a connection that is taken from a pool in the
//! thread that polls the call, while it does.

use std::cell::RefCell;
use std::sync::Arc;

use mongodb::options::ServerAddress;
use otel_core::DbOperation;
use otel_core::opentelemetry::StringValue;

use crate::driver::Mongo;

/// A node, as an operation tells it.
#[derive(Debug)]
pub(crate) struct Address {
    host: StringValue,
    port: Option<u16>,
}

impl Address {
    pub(crate) fn of(node: &ServerAddress) -> Self {
        let shared = |text: &str| StringValue::from(Arc::from(text));
        match node {
            ServerAddress::Tcp { host, port } => Self { host: shared(host), port: *port },
            other => Self { host: shared(&other.to_string()), port: None },
        }
    }
}

/// What this thread polls.
#[derive(Default)]
enum Polled {
    #[default]
    Other,
    Call,
    Sent(Arc<Address>),
}

thread_local! {
    static POLLED: RefCell<Polled> = RefCell::default();
}

/// Sets what is polled, and answers what was before; nothing where the thread itself ends.
fn set(polled: Polled) -> Polled {
    POLLED.try_with(|it| it.replace(polled)).unwrap_or_default()
}

/// Whether a call of ours is polled right now, which tells itself.
pub(crate) fn is_call() -> bool {
    POLLED.try_with(|polled| !matches!(*polled.borrow(), Polled::Other)).unwrap_or_default()
}

/// The call that is polled has a connection to this node.
pub(crate) fn sent_to(address: &Arc<Address>) {
    if is_call() {
        drop(set(Polled::Sent(Arc::clone(address))));
    }
}

/// Runs a piece of a call, and whether it took a connection meanwhile, whose node the operation has
/// from now on.
pub(crate) fn step<T>(operation: &mut DbOperation<Mongo>, piece: impl FnOnce() -> T) -> (T, bool) {
    /// Also where the piece panics.
    struct Before(Polled);

    impl Drop for Before {
        fn drop(&mut self) {
            drop(set(std::mem::take(&mut self.0)));
        }
    }

    if operation.is_empty() {
        return (piece(), false);
    }
    let before = Before(set(Polled::Call));
    let output = operation.step(piece);
    let polled = set(Polled::Other);
    drop(before);
    let Polled::Sent(address) = polled else { return (output, false) };
    operation.server(address.host.clone(), address.port);
    (output, true)
}

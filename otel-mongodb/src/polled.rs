//! What a call of ours is sent to. The driver tells of a connection that is taken from a pool in the
//! thread that polls the call, while it does.

use std::cell::RefCell;
use std::mem;
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

    pub(crate) fn tell(&self, operation: &mut DbOperation<Mongo>) {
        operation.server(self.host.clone(), self.port);
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

/// A call begins in the middle of a piece.
pub(crate) fn begins() {
    drop(set(Polled::Call));
}

/// It ends there: and what it was sent to, if it took a connection meanwhile.
pub(crate) fn ends() -> Option<Arc<Address>> {
    match set(Polled::Other) {
        Polled::Sent(address) => Some(address),
        Polled::Other | Polled::Call => None,
    }
}

/// Runs a piece of what tells itself, or one in which that may begin.
pub(crate) fn within<T>(is_call: bool, piece: impl FnOnce() -> T) -> (T, Option<Arc<Address>>) {
    /// Also where the piece panics.
    struct Before(Polled);

    impl Drop for Before {
        fn drop(&mut self) {
            drop(set(mem::take(&mut self.0)));
        }
    }

    let _before = Before(set(if is_call { Polled::Call } else { Polled::Other }));
    let output = piece();
    (output, ends())
}

/// Runs a piece of a call, and whether it took a connection meanwhile, whose node the operation has
/// from now on.
pub(crate) fn step<T>(operation: &mut DbOperation<Mongo>, piece: impl FnOnce() -> T) -> (T, bool) {
    if operation.is_empty() {
        return (piece(), false);
    }
    let (output, sent) = within(true, || operation.step(piece));
    if let Some(address) = &sent {
        address.tell(operation);
    }
    (output, sent.is_some())
}

#![doc = include_str!("../README.md")]

pub mod address;
pub mod attribute;
// Public for the benchmark that measures it by itself, and no part of the interface.
#[doc(hidden)]
pub mod cache;
mod contain;
pub mod db;
mod failure;
mod instrument;
mod late;
pub mod messaging;
mod operation;
mod options;
mod pending;
pub mod propagation;
pub mod sql;
pub mod sqlcommenter;
mod telemetry;
mod w3c;

pub use opentelemetry;

pub use self::db::{Db, DbCall, DbServer};
pub use self::failure::{Classify, Failure};
pub use self::instrument::{Rows, Run};
pub use self::late::{ClientDiagnostics, Diagnostics, diagnostics};
pub use self::messaging::{Messaging, MessagingCall, MessagingServer};
pub use self::operation::Operation;
pub use self::options::{InboundBaggage, ProcessParent, QueryText};
pub use self::pending::Pending;
pub use self::sqlcommenter::SqlCommenter;
pub use self::telemetry::{Telemetry, TelemetryBuilder};

/// What identifies an adapter: one per crate, implemented on an empty type.
///
/// The name and version are the instrumentation scope of all that the adapter emits. The part of
/// the name after `otel-` is the `<CLIENT>` of `OTEL_INSTRUMENTATION_<CLIENT>_ENABLED`, in capitals
/// and with `_` for `-`.
pub trait Client: Send + Sync + 'static {
    /// Name of the instrumentation scope: the adapter's `CARGO_PKG_NAME`.
    const NAME: &'static str;
    /// Version of the instrumentation scope: the adapter's `CARGO_PKG_VERSION`.
    const VERSION: &'static str;
}

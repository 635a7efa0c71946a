#![doc = include_str!("../README.md")]

pub mod address;
pub mod attribute;
// Public for the benchmark that measures it by itself, and no part of the interface.
#[doc(hidden)]
pub mod cache;
mod client;
mod contain;
pub mod db;
mod failure;
mod instrument;
mod late;
pub mod messaging;
mod operation;
mod options;
pub mod page;
mod pending;
mod pool_names;
pub mod propagation;
mod providers;
pub mod sql;
pub mod sqlcommenter;
mod telemetry;
mod text;
mod w3c;

pub use opentelemetry;

pub use self::client::Client;
pub use self::db::{Db, DbCall, DbOperation, DbServer, Rows};
pub use self::failure::{Classify, Failure};
pub use self::instrument::{Carried, Run};
pub use self::late::{ClientDiagnostics, Diagnostics, diagnostics};
pub use self::messaging::{Messaging, MessagingCall, MessagingOperation, MessagingServer};
pub use self::operation::Operation;
pub use self::options::{InboundBaggage, ProcessParent, QueryText, SqlCommenter};
pub use self::pending::Pending;
pub use self::telemetry::{Telemetry, TelemetryBuilder};

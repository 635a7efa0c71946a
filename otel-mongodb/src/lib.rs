#![doc = include_str!("../README.md")]

pub mod action;
mod builder;
mod call;
pub mod change_stream;
mod client;
mod collection;
mod command;
mod cursor;
mod database;
mod driver;
pub mod gridfs;
mod hook;
mod lent;
mod polled;
mod pool;
pub mod raw_batch_cursor;
mod reading;
mod session;
#[cfg(feature = "sync")]
pub mod sync;
mod text;

use mongodb::options::ClientOptions;

pub use mongodb;
// All the rest is the driver's own, under its name.
pub use mongodb::*;
pub use otel_core::{self, Telemetry, opentelemetry};

pub use self::builder::Builder;
pub use self::client::Client;
pub use self::collection::Collection;
pub use self::cursor::{Cursor, SessionCursor, SessionCursorStream};
pub use self::database::Database;
pub use self::session::{ClientSession, StartTransaction};

/// Instruments the clients that will be made with these options, reporting to the global providers.
/// Handlers that are set already are called as ever.
pub fn instrument(options: &mut ClientOptions) {
    builder(options).instrument();
}

/// As [`instrument`], reporting to `telemetry`.
pub fn with(options: &mut ClientOptions, telemetry: &Telemetry) {
    builder(options).telemetry(telemetry).instrument();
}

/// As [`instrument`], with options of this crate.
pub fn builder(options: &mut ClientOptions) -> Builder<'_> {
    Builder::of(options)
}

/// An instrumented client of a connection string, as [`mongodb::Client::with_uri_str`] makes one.
pub async fn connect(uri: impl AsRef<str>) -> error::Result<mongodb::Client> {
    let mut options = ClientOptions::parse(uri.as_ref()).await?;
    instrument(&mut options);
    mongodb::Client::with_options(options)
}

/// What the span of a command is named, and what is shown of the command where texts are wanted:
/// for `cargo xtask analyze mongodb`.
#[doc(hidden)]
pub fn analyze(command: &bson::Document) -> (Option<String>, String) {
    command::analyze(command)
}

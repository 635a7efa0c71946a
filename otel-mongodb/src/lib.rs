#![doc = include_str!("../README.md")]

mod builder;
mod command;
mod driver;
mod hook;
mod pool;
mod text;

use mongodb::options::ClientOptions;

pub use mongodb;
pub use otel_core::{self, Telemetry, opentelemetry};

pub use self::builder::Builder;

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
pub async fn connect(uri: impl AsRef<str>) -> mongodb::error::Result<mongodb::Client> {
    let mut options = ClientOptions::parse(uri.as_ref()).await?;
    instrument(&mut options);
    mongodb::Client::with_options(options)
}

/// What the span of a command is named, and what is shown of the command where texts are wanted:
/// for `cargo xtask analyze mongodb`.
#[doc(hidden)]
pub fn analyze(command: &mongodb::bson::Document) -> (Option<String>, String) {
    command::analyze(command)
}

#![doc = include_str!("../README.md")]
#![expect(clippy::needless_doctest_main, reason = "the guard has to live as long as `main`")]

mod b3;
mod builder;
mod careful;
pub mod console;
mod current;
mod environment;
mod guard;
mod health;
pub mod html;
mod limits;
mod lost;
mod otlp;
mod propagation;
mod providers;
mod resource;
mod runtime;
mod settings;
mod signal;
mod subscriber;
mod tls;
mod w3c;
mod xray;

pub use opentelemetry;
pub use opentelemetry_sdk;

pub use self::builder::Builder;
pub use self::environment::Signal;
pub use self::guard::{Error, Guard};
pub use self::lost::Lost;
pub use self::otlp::Protocol;
pub use self::settings::Exporter;
pub use self::signal::until_signal;
pub use self::subscriber::layer;

/// Telemetry with choices of your own; [`Builder::init`] sets it up.
///
/// ```
/// # fn main() -> Result<(), otel_setup::Error> {
/// let builder = otel_setup::builder().service_name("shop").environment("staging");
/// let _guard = builder.init()?;
/// # Ok(())
/// # }
/// ```
pub fn builder() -> Builder {
    Builder::default()
}

/// Sets up telemetry under the name and version of the package in which it is called.
///
/// Takes nothing, or a [`Builder`]. Gives the [`Guard`] and cannot fail: where telemetry cannot be set
/// up, because it is already, one line on standard error says so, and the guard ends nothing.
/// [`Builder::init`] gives a `Result` instead.
///
/// ```
/// let _guard = otel_setup::init!(otel_setup::builder().environment("staging"));
/// ```
#[macro_export]
macro_rules! init {
    () => {
        $crate::init!($crate::builder())
    };
    ($builder:expr) => {
        $builder.package(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).init_or_warn()
    };
}

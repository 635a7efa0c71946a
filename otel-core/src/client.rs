//! Layer `telemetry`: what identifies an adapter.

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

//! Facts that a handle hides, for handles that exist already.

use std::fmt;

use otel_core::Telemetry;
use rdkafka::ClientConfig;

use crate::driver::{Facts, Instrumentation};

/// Instruments a handle that exists, with what it does not tell of itself. What is created through
/// a [`ClientConfig`] knows it.
#[must_use]
pub struct Builder<H> {
    pub(crate) handle: H,
    facts: Facts,
    telemetry: Telemetry,
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("facts", &self.facts)
            .field("telemetry", &self.telemetry)
            .finish_non_exhaustive()
    }
}

impl<H> Builder<H> {
    pub(crate) fn of(handle: H) -> Self {
        Self { handle, facts: Facts::default(), telemetry: Telemetry::global() }
    }

    /// Takes all facts from the configuration that the handle was created with.
    pub fn config(mut self, config: &ClientConfig) -> Self {
        self.facts = Facts::of(config);
        self
    }

    /// The brokers as configured. Of several the first is told.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        self.facts.set_servers(servers);
        self
    }

    /// The id that the client gives to the broker.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.facts.client_id = Some(id.into());
        self
    }

    /// The group of a consumer. For a producer: that of the consumer whose offsets it sends to
    /// transactions.
    pub fn consumer_group(mut self, group: &str) -> Self {
        self.facts.group = Some(group.into());
        self
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    pub(crate) fn into_parts(self) -> (H, Telemetry, Facts) {
        (self.handle, self.telemetry, self.facts)
    }

    pub(crate) fn instrumentation(&self) -> Instrumentation {
        Instrumentation::new(&self.facts, &self.telemetry)
    }
}

/// How an instrumented handle is made of rdkafka's, and how it leads back: the same for all.
macro_rules! handle {
    ([$($generics:tt)*] $name:ty, $raw:ty, $inner:ty) => {
        impl<$($generics)*> $name {
            /// Instruments a handle of rdkafka, reporting to the global providers.
            pub fn new(raw: $raw) -> Self {
                Self::builder(raw).build()
            }

            /// Instruments a handle of rdkafka, reporting to `telemetry`.
            pub fn with(raw: $raw, telemetry: &otel_core::Telemetry) -> Self {
                Self::builder(raw).telemetry(telemetry).build()
            }

            /// Instruments a handle of rdkafka, with what it does not tell of itself.
            pub fn builder(raw: $raw) -> $crate::Builder<$raw> {
                $crate::Builder::of(raw)
            }

            /// The handle of rdkafka. Nothing that is done with it is traced.
            pub fn raw(&self) -> &$raw {
                &self.raw
            }

            /// The handle of rdkafka, without the instrumentation. That of a consumer is shared with
            /// the queues of its partitions.
            pub fn into_inner(self) -> $inner {
                self.raw
            }
        }
    };
}

/// Shows a type as its name and one of its fields: what rdkafka's own has to show is nothing.
macro_rules! debug {
    ([$($generics:tt)*] $name:ident $type:ty, $field:ident) => {
        impl<$($generics)*> std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($name));
                shown.field(stringify!($field), &self.$field).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use {debug, handle};

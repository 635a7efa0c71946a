//! Layer `telemetry`: what went wrong, as the conventions want it told.

use std::borrow::Cow;

use opentelemetry::StringValue;

use crate::attribute;

/// How a call failed: feeds the span's status, `error.type` and `db.response.status_code`, and the
/// same `error.type` on the metric.
///
/// Source: <https://opentelemetry.io/docs/specs/semconv/general/recording-errors/>.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub(crate) error_type: StringValue,
    pub(crate) status_code: Option<StringValue>,
    pub(crate) description: Cow<'static, str>,
}

impl Failure {
    /// A failure told by a name of low cardinality, such as the driver's error variant.
    pub fn new(error_type: impl Into<StringValue>) -> Self {
        Self { error_type: error_type.into(), status_code: None, description: Cow::Borrowed("") }
    }

    /// A failure told by the code that the server returned: it is the error type as well.
    pub fn code(code: impl Into<StringValue>) -> Self {
        let code = code.into();
        Self { status_code: Some(code.clone()), ..Self::new(code) }
    }

    /// The status code that goes with an error type of another name.
    pub fn status_code(mut self, code: impl Into<StringValue>) -> Self {
        self.status_code = Some(code.into());
        self
    }

    /// Text for the span's status. Give it only where it cannot quote data.
    pub fn description(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.description = text.into();
        self
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(attribute::CANCELLED)
    }

    pub(crate) fn panicked() -> Self {
        Self::new(attribute::PANIC)
    }
}

/// An error that nobody classified.
impl Default for Failure {
    fn default() -> Self {
        Self::new(attribute::OTHER)
    }
}

/// How the errors of a driver are told, implemented on the adapter's marker type (see
/// [`Client`](crate::Client)) once per error type of the driver.
pub trait Classify<E: ?Sized> {
    /// Tells the failure that an error of the driver stands for.
    fn classify(error: &E) -> Failure;
}

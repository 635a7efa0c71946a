//! Where text goes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::style::Style;

/// Begins what is said of an output that fails.
pub(crate) const UNWRITABLE: &str = "the console cannot be written to";

/// A writer with the style that fits it.
#[derive(Clone)]
pub(crate) struct Output {
    writer: Arc<Mutex<dyn Write + Send>>,
    pub(crate) style: Style,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self { writer: Arc::new(Mutex::new(io::stdout())), style: Style::detect() }
    }

    pub(crate) fn to(writer: impl Write + Send + 'static, style: Style) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), style }
    }

    /// All in one piece, so that nothing of another thread comes between two lines.
    pub(crate) fn write(&self, text: &str) -> OTelSdkResult {
        if text.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
        written.map_err(|error| OTelSdkError::InternalFailure(format!("{UNWRITABLE}: {error}")))
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("style", &self.style).finish_non_exhaustive()
    }
}

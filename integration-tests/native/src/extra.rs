//! What one instance gets on top of its server's description.

use std::ffi::OsString;

/// What the process of a private instance gets on top of its description, at each start.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, OsString)>,
}

impl Extra {
    /// Nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more argument, behind the others; `{data}` and `{port}` in it are the instance's.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more variable of its environment, or another value.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

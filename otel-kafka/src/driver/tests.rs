//! What is read of configurations, and how errors are told.

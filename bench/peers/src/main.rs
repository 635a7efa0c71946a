//! The measurement `sqlite`: what otel-sqlx and sqlx-otel add to a query of sqlx.

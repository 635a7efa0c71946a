//! The bare driver.

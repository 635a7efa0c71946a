//! What names say, and how errors are told.

use super::*;

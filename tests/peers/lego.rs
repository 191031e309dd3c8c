//! lego: an ACME client to compare with.

use std::path::PathBuf;

use super::programs;

/// The path of the program.
///
/// # Panics
/// When it is missing.
pub fn program() -> PathBuf {
    programs::find("lego")
}

//! The cryptography library behind every TLS connection of this process.

/// Makes aws-lc-rs the process's TLS library, unless one has been chosen already. A client built with reqwest 0.12
/// asks for that choice, and panics where there is none: call this before building one.
pub(crate) fn install_crypto() {
    // An error only says that the choice has been made.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

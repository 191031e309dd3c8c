//! argv → `cli::run` → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    renewd::cli::run(std::env::args_os())
}

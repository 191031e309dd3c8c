//! Real servers for tests: each value starts a server of its own on loopback and ends it when dropped.
//!
//! A peer lives in a temporary folder, listens on ports that it asked the system for, is waited for by asking it, never
//! by sleeping for luck, and panics with its log when it does not come up. `tests/setup` installs what is missing.
//! A missing program fails the test that needs it.
//!
//! Test binaries of both packages include this file by its path.

#![allow(dead_code, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "bind.rs"]
pub mod bind;
#[path = "dig.rs"]
pub mod dig;
#[path = "ports.rs"]
pub mod ports;
#[path = "powerdns.rs"]
pub mod powerdns;
#[path = "process.rs"]
pub mod process;
#[path = "programs.rs"]
pub mod programs;

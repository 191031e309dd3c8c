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
#[path = "cache.rs"]
pub mod cache;
#[path = "certificates.rs"]
pub mod certificates;
#[path = "curl.rs"]
pub mod curl;
#[path = "dig.rs"]
pub mod dig;
#[path = "folder.rs"]
pub mod folder;
#[path = "imap.rs"]
pub mod imap;
#[path = "lego.rs"]
pub mod lego;
#[path = "mailbox.rs"]
pub mod mailbox;
#[path = "moto.rs"]
pub mod moto;
#[path = "nginx.rs"]
pub mod nginx;
#[path = "openssl.rs"]
pub mod openssl;
#[path = "pebble.rs"]
pub mod pebble;
#[path = "ports.rs"]
pub mod ports;
#[path = "postgres.rs"]
pub mod postgres;
#[path = "powerdns.rs"]
pub mod powerdns;
#[path = "process.rs"]
pub mod process;
#[path = "programs.rs"]
pub mod programs;
#[path = "smtp.rs"]
pub mod smtp;
#[path = "softhsm.rs"]
pub mod softhsm;

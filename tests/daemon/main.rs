//! The real program against real servers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../peers/peers.rs"]
mod peers;

mod harness;
mod home;

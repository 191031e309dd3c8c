//! Telling consumers that a new version of a certificate is there, and looking at what they serve.

pub mod command;
pub mod verify;

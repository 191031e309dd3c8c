//! The mind: rows and words in, a decision out. Pure: no async, no I/O, no clock, no randomness.

pub mod attempts;
pub mod backoff;
pub mod claims;
pub mod decide;
pub mod issuers;
pub mod reason;
pub mod renewal;
mod steps;
pub mod window;

pub use decide::{Action, Certificate, Decision, decide};
pub use reason::Reason;

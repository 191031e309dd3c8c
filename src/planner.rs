//! The mind: rows and words in, a decision out. Pure: no async, no I/O, no clock, no randomness.

pub mod backoff;

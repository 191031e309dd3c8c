//! The vendors' side of renewd: everything that speaks to someone else's API.
//!
//! This library knows neither ACME nor the database nor the configuration file. A DNS host is given a zone and a
//! value, a store a bundle, a sink an event; what these mean is the caller's business.

#[cfg(feature = "aws")]
mod cloud;
pub mod dns;
pub mod error;
pub mod http;
pub mod program;
pub mod sinks;
pub mod stores;
mod tls;

pub use error::Error;

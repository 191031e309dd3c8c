//! Secrets: where they are to be found, and how they are kept in the database.

pub mod reference;
pub mod seal;

pub use reference::{SecretError, SecretRef};
pub use seal::{Column, SealError, Sealer};
pub use secrecy::{ExposeSecret, SecretString};

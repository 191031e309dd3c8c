//! Keys, requests, chains, serials, reasons to revoke: DER and PEM in, types out. Pure: no I/O and no clock; randomness for
//! new keys and serials only.

pub mod bundle;
mod cert_id;
pub mod chain;
pub mod csr;
pub mod der;
pub mod key;
pub mod leaf;
pub mod pem;
pub mod reason;
pub mod serial;

pub use cert_id::cert_id;

#[cfg(test)]
pub(crate) mod testing;

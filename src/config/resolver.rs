//! `[resolver]`: whom renewd asks about DNS.

use std::net::SocketAddr;

/// Recursive resolvers for zone search, CNAME and CAA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// The port of authoritative servers: 53, but for split set-ups and tests.
    pub authoritative_port: u16,
}

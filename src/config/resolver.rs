//! `[resolver]`: whom renewd asks about DNS.

use std::net::SocketAddr;

use super::network;
use super::read::Section;

/// Recursive resolvers for zone search, CNAME and CAA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// The port of authoritative servers: 53, but for split set-ups and tests.
    pub authoritative_port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { servers: Vec::new(), authoritative_port: 53 }
    }
}

impl Resolver {
    /// Reads `[resolver]`.
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let servers = network::name_servers(section.value("servers"));
        let port = section.number("authoritative_port", 1..=65_535).and_then(|port| u16::try_from(port).ok());
        section.finish();
        Self { servers, authoritative_port: port.unwrap_or(53) }
    }
}

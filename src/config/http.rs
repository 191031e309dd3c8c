//! `[http]`: the listeners.

use std::net::SocketAddr;

use crate::identifier::CertificateName;

/// The HTTP surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; may be empty.
    pub listen: Vec<Listen>,
    /// The managed certificate of the https listeners.
    pub certificate: Option<CertificateName>,
    /// What our CAs write into their leaves: `http://pki.example.com`, without a trailing slash.
    pub public_url: Option<String>,
    /// Networks of proxies whose forwarding headers are believed: (address, prefix length).
    pub trusted_proxies: Vec<(std::net::IpAddr, u8)>,
    /// `/{name}/tls` wants a key.
    pub protect_downloads: bool,
}

/// One listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// HTTPS, with the managed certificate.
    pub tls: bool,
}

//! `[dns.NAME]` and `[dns.NAME.PROVIDER]`: access to a DNS host.

mod read;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::identifier::DnsName;
use crate::secret::SecretRef;

/// One DNS instance: a provider with its credentials and zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsInstance {
    /// The zones it serves; empty: whatever a certificate sends to it.
    pub zones: Vec<DnsName>,
    /// How to see that a value has reached the authoritative servers.
    pub propagation: Propagation,
    /// The provider.
    pub kind: DnsKind,
}

/// How to see that a TXT value is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagation {
    /// How long to wait before the attempt has failed.
    pub timeout: Duration,
    /// Asked instead of the zone's own servers, where not empty.
    pub servers: Vec<SocketAddr>,
    /// Those are recursive resolvers: asked with recursion desired, and not before the value was presented.
    pub recursive: bool,
}

/// The provider and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsKind {
    /// RFC 2136 updates, signed with TSIG (RFC 8945).
    Rfc2136 {
        /// `host:port`.
        server: String,
        /// The key's name.
        tsig_key: String,
        /// The key's algorithm.
        tsig_algorithm: TsigAlgorithm,
        /// The key, base64.
        tsig_secret: SecretRef,
    },
    /// Cloudflare's API.
    Cloudflare {
        /// A token with `Zone:Read` and `DNS:Edit`.
        api_token: SecretRef,
        /// Elsewhere than at Cloudflare's own.
        api_url: Option<String>,
    },
    /// Amazon Route 53.
    Route53 {
        /// Region for signing.
        region: Option<String>,
        /// A profile of the shared AWS config.
        profile: Option<String>,
        /// A static key.
        access_key_id: Option<String>,
        /// Its secret.
        secret_access_key: Option<SecretRef>,
        /// Where several zones have one name.
        hosted_zone_id: Option<String>,
        /// Elsewhere than at Amazon's own.
        endpoint_url: Option<String>,
    },
    /// PowerDNS's HTTP API.
    PowerDns {
        /// `http://host:8081`.
        api_url: String,
        /// X-API-Key.
        api_key: SecretRef,
        /// `localhost` unless said.
        server_id: String,
    },
    /// acme-dns.
    AcmeDns {
        /// Its URL.
        api_url: String,
        /// A registration made by hand; without it renewd registers each name.
        credentials: Option<AcmeDnsCredentials>,
    },
    /// A program of the operator's.
    Exec {
        /// Program and arguments: no shell.
        command: Vec<String>,
        /// Killed after this.
        timeout: Duration,
        /// Added to the clean environment.
        environment: BTreeMap<String, String>,
    },
}

impl DnsKind {
    /// As the config writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rfc2136 { .. } => "rfc2136",
            Self::Cloudflare { .. } => "cloudflare",
            Self::Route53 { .. } => "route53",
            Self::PowerDns { .. } => "powerdns",
            Self::AcmeDns { .. } => "acme-dns",
            Self::Exec { .. } => "exec",
        }
    }
}

/// A registration at acme-dns, made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeDnsCredentials {
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretRef,
    /// The subdomain.
    pub subdomain: String,
}

/// The MAC of a TSIG key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    #[default]
    HmacSha256,
    /// `hmac-sha512`.
    HmacSha512,
}

//! `[account.NAME]`: an ACME account.

use std::path::PathBuf;

use crate::secret::SecretRef;

/// An ACME account (RFC 8555, section 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The directory's URL; the short names (`letsencrypt` …) are resolved already.
    pub directory_url: String,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// The operator agrees to the CA's terms of service.
    pub agree_to_terms: bool,
    /// External account binding (RFC 8555, section 7.3.4).
    pub eab: Option<Eab>,
    /// PEM file of the roots of the directory's own TLS certificate, where the system's do not do.
    pub trusted_roots: Option<PathBuf>,
    /// Orders worked on at the same time.
    pub parallel_orders: usize,
}

/// External account binding: what a CA hands to its customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eab {
    /// The key identifier.
    pub kid: String,
    /// The MAC key, base64url.
    pub hmac_key: SecretRef,
}

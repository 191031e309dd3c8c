//! Authorities that certify names: an ACME account and our own CA alike.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::config::Certificate;
use crate::pki::chain::Chain;
use crate::pki::reason::Reason;
use crate::state::{OrderRow, VersionRow};

pub mod acme;
pub mod error;
pub mod private;

pub use acme::{Acme, AcmeSettings};
pub use error::IssuerError;
pub use private::Private;

/// An authority that certifies names.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// Its name in the config.
    fn id(&self) -> &str;

    /// The ACME directory; `None`: a private CA.
    fn directory_url(&self) -> Option<&str>;

    /// How many orders it may work on at the same time.
    fn parallel_orders(&self) -> usize;

    /// Makes ready what must be there before the first order. An ACME account is opened when it is needed, so that a CA
    /// that is down holds up nothing.
    ///
    /// # Errors
    /// Where it cannot be made.
    async fn prepare(&self) -> Result<(), IssuerError> {
        Ok(())
    }

    /// Whether a chain that was found in a store, with the directory that its metadata names, came from here.
    async fn has_issued(&self, chain: &Chain, directory_url: Option<&str>) -> bool {
        let _ = chain;
        directory_url.is_some() && directory_url == self.directory_url()
    }

    /// Takes an order as far as it goes without waiting for more than a moment, and remembers each step in the state.
    /// Called again with the same order (read anew from the state) it goes on from there, after a crash, too.
    ///
    /// # Errors
    /// With what the caller does next in `IssuerError::failure`.
    async fn advance(&self, order: &OrderRow, wanted: &Certificate) -> Result<Progress, IssuerError>;

    /// Revokes a version (RFC 8555, section 7.6). Succeeds where it is revoked already.
    ///
    /// # Errors
    /// With what the caller does next in `IssuerError::failure`.
    async fn revoke(&self, version: &VersionRow, reason: RevocationReason) -> Result<(), IssuerError>;

    /// What the CA says of a version's renewal (RFC 9773, section 4); `None`: it has no such thing. Asked only of the
    /// directory that issued the version.
    ///
    /// # Errors
    /// Where it gave no answer that can be used: renewal goes by lifetime then.
    async fn renewal_info(&self, version: &VersionRow) -> Result<Option<RenewalInfo>, IssuerError> {
        let _ = version;
        Ok(None)
    }

    /// Whether it could issue `wanted` if it were asked now: directory, account, terms, EAB, profile. Nothing is ordered.
    ///
    /// # Errors
    /// With what is in the way.
    async fn ready_for(&self, wanted: &Certificate) -> Result<(), IssuerError> {
        let _ = wanted;
        self.prepare().await
    }

    /// What its directory says now that it offers; `None`: it has no directory. No account is needed for it.
    ///
    /// # Errors
    /// Where the directory cannot be had.
    async fn offers(&self) -> Result<Option<Offers>, IssuerError> {
        Ok(None)
    }

    /// The account's URL, which CAA records may name (RFC 8657, section 3); `None`: it is not registered, or there is
    /// no account. Nobody is asked but the state.
    ///
    /// # Errors
    /// Where the state fails.
    async fn account_url(&self) -> Result<Option<String>, IssuerError> {
        Ok(None)
    }

    /// Gives the account a new key (RFC 8555, section 7.3.5).
    ///
    /// # Errors
    /// `IssuerError::Unsupported` where there is no account.
    async fn rotate_key(&self) -> Result<(), IssuerError>;
}

/// What an ACME directory says that its CA offers (RFC 8555, section 7.1.1). Every text is cleaned of what could harm a
/// terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Profiles with their descriptions (draft-ietf-acme-profiles).
    pub profiles: BTreeMap<String, String>,
    /// The URL of the terms of service.
    pub terms_of_service: Option<String>,
    /// The CA's own pages.
    pub website: Option<String>,
    /// The names that CAA records may give the CA (RFC 8659).
    pub caa_identities: Vec<String>,
    /// It registers accounts of its customers only (RFC 8555, section 7.3.4).
    pub external_account_required: bool,
    /// It tells when to renew (RFC 9773).
    pub renewal_info: bool,
    /// What the CA's clock said when it answered.
    pub date: Option<Timestamp>,
}

/// Renewal information (RFC 9773, section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfo {
    /// The suggested window's start …
    pub start: Timestamp,
    /// … and its end, after the start.
    pub end: Timestamp,
    /// A page that tells why, cleaned of what could harm a terminal.
    pub explanation: Option<String>,
    /// When to ask again, as the CA said; `None`: it said nothing.
    pub retry_after: Option<Duration>,
}

/// How far an order has come.
#[derive(Debug)]
pub enum Progress {
    /// Nothing to do before `until`.
    Wait {
        /// When to go on.
        until: Timestamp,
        /// For what it waits, in words: "the CA is validating".
        what: String,
    },
    /// The chain was downloaded, checked against key, names and time, and written into the order row.
    Issued,
}

/// Why a certificate is revoked (RFC 5280, section 5.3.1), as far as a subscriber may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// 0.
    Unspecified,
    /// 1: the key is known to others; it is never used again.
    KeyCompromise,
    /// 3.
    AffiliationChanged,
    /// 4.
    Superseded,
    /// 5.
    CessationOfOperation,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// RFC 5280's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Reason::from(self).as_str()
    }

    /// From RFC 5280's word, in any case and with or without hyphens.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let wanted = Reason::parse(word)?;
        Self::ALL.into_iter().find(|reason| Reason::from(*reason) == wanted)
    }
}

impl From<RevocationReason> for Reason {
    fn from(reason: RevocationReason) -> Self {
        match reason {
            RevocationReason::Unspecified => Self::Unspecified,
            RevocationReason::KeyCompromise => Self::KeyCompromise,
            RevocationReason::AffiliationChanged => Self::AffiliationChanged,
            RevocationReason::Superseded => Self::Superseded,
            RevocationReason::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_as_people_write_them() {
        assert_eq!(RevocationReason::parse("key-compromise"), Some(RevocationReason::KeyCompromise));
        assert_eq!(RevocationReason::parse("keyCompromise"), Some(RevocationReason::KeyCompromise));
        assert_eq!(RevocationReason::parse("removeFromCRL"), None);
        assert_eq!(RevocationReason::parse("certificateHold"), None, "a CA may say so, a subscriber may not");
    }
}

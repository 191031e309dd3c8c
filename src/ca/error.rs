//! What can go wrong with a private CA.

use std::time::Duration;

use super::outside::OutsideError;
use super::token::TokenError;
use crate::clock::Timestamp;
use crate::pki::bundle::BundleError;
use crate::pki::chain::ChainError;
use crate::pki::key::KeyError;
use crate::pki::leaf::LeafError;
use crate::pki::serial::SerialError;
use crate::state::StateError;

/// Why a CA cannot be opened, or does not issue.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The database failed.
    #[error("the CA's state cannot be read or written")]
    State(#[from] StateError),
    /// A key cannot be made, or the one on record cannot be read.
    #[error("the CA's key is unusable")]
    Key(#[from] KeyError),
    /// No serial could be made.
    #[error("no serial number could be made")]
    Serial(#[from] SerialError),
    /// A key does not sign.
    #[error("the CA's key does not sign")]
    Signing,
    /// A CA's own certificate on record cannot be read.
    #[error("the CA's certificate cannot be read")]
    Certificate(#[from] LeafError),
    /// What was signed cannot be read back.
    #[error("the chain that was made cannot be read")]
    Chain(#[from] ChainError),
    /// X.509 has bounds (RFC 5280, appendix A.1).
    #[error("the `{attribute}` of a subject must be {bound}: it is `{found}`")]
    Subject {
        /// The key of `subject` in the config.
        attribute: &'static str,
        /// What it must be.
        bound: &'static str,
        /// What it is.
        found: String,
    },
    /// The URL for leaves is no ASCII.
    #[error("`{url}` cannot stand in a certificate: write it in ASCII")]
    PublicUrl {
        /// The URL.
        url: String,
    },
    /// Nothing to vouch for.
    #[error("a certificate needs at least one name")]
    NoNames,
    /// There is no profile of that name.
    #[error("the CA has no profile `{profile}`")]
    NoProfile {
        /// The name.
        profile: String,
    },
    /// The profile has no room for what is asked for.
    #[error("the profile `{profile}` does not allow {what}")]
    Profile {
        /// The profile's name.
        profile: String,
        /// What was asked for.
        what: String,
    },
    /// The issuing certificate has no room for a name.
    #[error("`{name}` is outside the names that the CA may vouch for ({constraint})")]
    Constrained {
        /// The name.
        name: String,
        /// What it is held against.
        constraint: String,
    },
    /// The issuing certificate has constraints that nobody can hold leaves against.
    #[error("nothing can be issued below the CA certificate `{by}`: {what}; give the CA another one")]
    Unenforceable {
        /// The common name of the certificate that has them.
        by: String,
        /// What is the matter with them.
        what: &'static str,
    },
    /// A CA's certificate is not for what a profile's leaves are for.
    #[error(
        "the profile `{profile}` is for {purpose}, and the extended key usage of the CA certificate `{by}` allows its \
         leaves {allowed} alone: take a profile with `extended_key_usage` of those"
    )]
    Purpose {
        /// The profile.
        profile: String,
        /// What it is for.
        purpose: String,
        /// The common name of the certificate.
        by: String,
        /// What that allows.
        allowed: String,
    },
    /// Longer than the profile allows.
    #[error("{} days are asked for, and the profile `{profile}` allows {} at most", days(.asked), days(.most))]
    Lifetime {
        /// The profile's name.
        profile: String,
        /// What was asked for.
        asked: Duration,
        /// What is allowed.
        most: Duration,
    },
    /// The key to certify is of a kind that we do not certify, or too weak.
    #[error("the public key cannot be certified: {reason}")]
    PublicKey {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It was taken out of the config.
    #[error("the CA is not in the config any more: it issues nothing")]
    Retired,
    /// It has no issuing certificate.
    #[error("the CA `{ca}` has no issuing certificate")]
    NoGeneration {
        /// The CA's name.
        ca: String,
    },
    /// The root's key is not on record.
    #[error(
        "the root's key is not here: have a new issuing certificate signed where it is (`renewd ca csr`, then `renewd \
         ca install`)"
    )]
    RootKeyElsewhere,
    /// A token keeps what it has.
    #[error("the root's key is in a PKCS#11 token, which does not hand it out")]
    RootKeyInToken,
    /// All that the CA has comes from outside.
    #[error("the CA has no root of its own")]
    NoRoot,
    /// Nobody has the key.
    #[error("the root's key was never handed out, and would be lost: `renewd ca root export` first")]
    NotExported,
    /// It is what leaves are signed by.
    #[error("it is the issuing certificate that signs leaves: `renewd ca rotate` first, and renew what it has issued")]
    Issues,
    /// Not the key that was expected.
    #[error("the key is not that of the root")]
    OtherKey,
    /// Nothing to install a certificate for.
    #[error("no request waits for a certificate: `renewd ca csr` makes one")]
    NoRequest,
    /// Another node was quicker.
    #[error("generation {generation} was made by somebody else at the same time: try again")]
    Overtaken {
        /// Its number.
        generation: u32,
    },
    /// A certificate from outside is of no use.
    #[error("the certificate cannot issue for this CA")]
    Outside(#[from] OutsideError),
    /// The PKCS#11 token that holds the CA's key is of no use.
    #[error("the CA's key in a PKCS#11 token cannot be used")]
    Token(#[from] TokenError),
    /// A PKCS#12 file cannot be made or read.
    #[error("the PKCS#12 file is of no use")]
    Bundle(#[from] BundleError),
    /// The issuing certificate is over.
    #[error("the CA's issuing certificate expired at {not_after}: rotate the CA")]
    Expired {
        /// When.
        not_after: Timestamp,
    },
    /// The machine could not carry out the making of a key, or a signature.
    #[error("the work was interrupted")]
    Interrupted,
    /// The database holds what no renewd wrote.
    #[error("the state of CA `{ca}` is damaged: {what}")]
    Damaged {
        /// The CA's name.
        ca: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl CaError {
    /// Whoever asked is to blame: asking again as before will not help.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Subject { .. }
                | Self::NoNames
                | Self::NoProfile { .. }
                | Self::Profile { .. }
                | Self::Constrained { .. }
                | Self::Unenforceable { .. }
                | Self::Purpose { .. }
                | Self::Lifetime { .. }
                | Self::PublicKey { .. }
                | Self::RootKeyElsewhere
                | Self::RootKeyInToken
                | Self::NoRoot
                | Self::NotExported
                | Self::Issues
                | Self::OtherKey
                | Self::NoRequest
                | Self::Overtaken { .. }
                | Self::Outside(_)
                | Self::Bundle(_)
                | Self::NoGeneration { .. }
                | Self::Retired
        )
    }
}

fn days(duration: &Duration) -> u64 {
    duration.as_secs().div_ceil(86_400)
}

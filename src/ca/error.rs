//! What can go wrong with a private CA.

use crate::clock::Timestamp;
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
    /// The PKCS#11 token with the key does not answer, or refuses.
    #[error("the token with the CA's key failed: {detail}")]
    Token {
        /// What it said.
        detail: String,
    },
    /// The encoder or the key failed.
    #[error("the certificate cannot be made")]
    Encoding(#[from] rcgen::Error),
    /// A CA's own certificate on record cannot be read.
    #[error("the CA's certificate cannot be read")]
    Certificate(#[from] LeafError),
    /// What was signed cannot be read back.
    #[error("the chain that was made cannot be read")]
    Chain(#[from] ChainError),
    /// X.509 has bounds (RFC 5280, appendix A.1).
    #[error("the CA's `{attribute}` must be {bound}: it is `{found}` with what renewd adds")]
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
    /// The key to certify is of a kind that we do not know.
    #[error("the public key is of a kind that the CA does not certify")]
    PublicKey(#[source] rcgen::Error),
    /// The name of an imported CA that the encoder cannot repeat.
    #[error("the CA's subject cannot be written as an issuer: it repeats an attribute")]
    IssuerName,
    /// The issuing certificate is over.
    #[error("the CA's issuing certificate expired at {not_after}: rotate the CA")]
    Expired {
        /// When.
        not_after: Timestamp,
    },
    /// The machine could not carry out the making of a key.
    #[error("making the CA's key was interrupted")]
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

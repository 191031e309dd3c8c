//! Why there is no client certificate.

use crate::pki::bundle::BundleError;
use crate::pki::chain::ChainError;
use crate::pki::key::KeyError;
use crate::state::StateError;

use super::request::Fault;
use crate::ca::CaError;
use crate::ca::revoke::RevocationError;

/// Why something that was asked for is not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The database failed.
    #[error("the database failed")]
    State(#[from] StateError),
    /// Fields of the request cannot be.
    #[error("{}", told(.0))]
    Refused(Vec<Fault>),
    /// The tenant has another identity of that name.
    #[error(
        "there is another client `{identifier}` already, with another {differs}: choose another id, or renew that one"
    )]
    Taken {
        /// The name.
        identifier: String,
        /// In what they differ.
        differs: &'static str,
    },
    /// No identity is meant by a word.
    #[error("there is no client `{word}`: `renewd client list` shows which there are")]
    NoClient {
        /// The word.
        word: String,
    },
    /// Several identities are meant by a word.
    #[error("`{word}` is the name of several clients: give the id of one: {}", .clients.join(", "))]
    Ambiguous {
        /// The word.
        word: String,
        /// Ten of them at the most, each with its id.
        clients: Vec<String>,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The identity has no such certificate.
    #[error("client `{identifier}` has no certificate `{serial}`: `renewd client show` tells which it has")]
    NoCertificate {
        /// What people call it.
        identifier: String,
        /// Lower-case hex.
        serial: String,
    },
    /// The config has no such CA.
    #[error("there is no CA `{ca}` in the config")]
    NoCa {
        /// The CA's name.
        ca: String,
    },
    /// The CA does not issue it.
    #[error("CA `{ca}` does not issue it")]
    Ca {
        /// The CA's name.
        ca: String,
        /// Why.
        source: CaError,
    },
    /// No key could be made or read.
    #[error("the key is unusable")]
    Key(#[from] KeyError),
    /// What is on record is no chain.
    #[error("the certificate on record cannot be read")]
    Chain(#[from] ChainError),
    /// No PKCS#12 file could be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The client stands otherwise than is needed.
    #[error("client `{identifier}` is {standing}: {hint}")]
    Standing {
        /// What people call it.
        identifier: String,
        /// How it stands.
        standing: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A certificate is not revoked, or not released.
    #[error("how its certificate stands was not changed")]
    Revocation(#[from] RevocationError),
    /// There is no such part.
    #[error("there is no {part} of client `{identifier}`: {why}")]
    NoPart {
        /// What people call it.
        identifier: String,
        /// What was asked for.
        part: &'static str,
        /// Why it is not there.
        why: &'static str,
    },
    /// The machine could not carry out the making of a key.
    #[error("making a key was interrupted")]
    Interrupted,
}

fn told(faults: &[Fault]) -> String {
    let told = faults.iter().map(|fault| format!("`{}`: {}: {}", fault.field, fault.problem, fault.hint));
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_a_sentence() {
        let fault = Fault { field: "days", problem: "0 is out of bounds".to_owned(), hint: "write 1 to 9".to_owned() };
        let error = ClientError::Refused(vec![fault.clone(), Fault { field: "key", ..fault }]);
        let expected = "`days`: 0 is out of bounds: write 1 to 9; `key`: 0 is out of bounds: write 1 to 9";
        assert_eq!(error.to_string(), expected);
    }
}

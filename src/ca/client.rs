//! Client certificates: identities, each with a certificate that is renewed under the same name.
//!
//! Intent before effect: the identity, the sealed key or the request, and what else is owed are in the database before
//! the CA signs anything. Each certificate has an id of its own, which is its order at the CA: whoever takes an unfinished
//! one up again ([`Clients::finish`], a repeated request) gets the same certificate.

pub mod batch;
mod download;
mod error;
mod finish;
mod issue;
mod leaf;
mod renew;
mod request;
mod revoke;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use zeroize::Zeroizing;

pub use download::{Download, Part};
pub use error::ClientError;
pub use issue::Given;
pub use renew::Renewal;
pub use request::{ClientRequest, Fault, Wanted};
pub use revoke::StatusChange;

use super::Registry;
use super::revoke::Revocations;
use crate::locks::Locks;
use crate::pki::key::KeyType;
use crate::state::State;
use crate::state::client::ClientRow;

/// Where client certificates are made, renewed and revoked. Cloning shares it.
#[derive(Clone)]
pub struct Clients {
    state: State,
    registry: Registry,
    revocations: Revocations,
    locks: Arc<Locks>,
    samples: Samples,
}

/// Keys in PKCS#8 that are used for nothing but trying out.
type Samples = Arc<Mutex<HashMap<KeyType, Arc<Zeroizing<Vec<u8>>>>>>;

impl Clients {
    /// With these CAs, over their state; `revocations` is that of the same state.
    #[must_use]
    pub fn new(registry: Registry, revocations: Revocations) -> Self {
        Self { state: registry.state().clone(), registry, revocations, locks: Arc::default(), samples: Arc::default() }
    }

    /// The one identity that a word means ([`find`]).
    ///
    /// # Errors
    /// Those of [`find`].
    pub async fn find(&self, word: &str, tenant: Option<&str>) -> Result<ClientRow, ClientError> {
        find(&self.state, word, tenant).await
    }
}

/// The one identity that a word means: its id, its identifier, its common name, or a serial. `tenant` bounds it to one
/// tenant's.
///
/// # Errors
/// `ClientError::NoClient`, or `Ambiguous` with the ids of those that it may mean.
pub async fn find(state: &State, word: &str, tenant: Option<&str>) -> Result<ClientRow, ClientError> {
    const SHOWN: u32 = 10;
    let mut meant = state.clients_meant(&plain(word), tenant, SHOWN).await?;
    match (meant.pop(), meant.is_empty()) {
        (None, _) => Err(ClientError::NoClient { word: word.chars().take(200).collect() }),
        (Some(one), true) => Ok(one),
        (Some(last), false) => {
            meant.push(last);
            let word = word.chars().take(200).collect();
            let clients = meant.iter().map(described).collect();
            Err(ClientError::Ambiguous { word, clients, ids: meant.into_iter().map(|client| client.id).collect() })
        }
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// The serial that a word is, where an identity was found by that: then it means this one certificate.
#[must_use]
pub fn serial_meant(client: &ClientRow, word: &str) -> Option<String> {
    let plain = plain(word);
    let others = [&client.id, &client.identifier, &client.subject.common_name];
    (!others.contains(&&plain)).then_some(plain)
}

/// Which of several that are called alike.
fn described(client: &ClientRow) -> String {
    let ClientRow { id, identifier, tenant, .. } = client;
    if tenant.is_empty() { format!("`{identifier}` {id}") } else { format!("`{identifier}` of tenant `{tenant}` {id}") }
}

/// Serials and ids in our own form: a serial may come in upper case and with colons, as `openssl` prints it.
fn plain(word: &str) -> String {
    let word = word.trim();
    let is_serial = word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    let colons = word.contains(':');
    match crate::pki::serial::Serial::parse_hex(&word.replace(':', "")) {
        Ok(serial) if is_serial && (colons || word.len() >= 16) => serial.to_string(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn serials_are_known_in_any_form() {
        assert_eq!(plain("0A:1B"), "0a1b");
        assert_eq!(plain("0A1B2C3D4E5F60718293A4B5C6D7E8F9"), "0a1b2c3d4e5f60718293a4b5c6d7e8f9");
        assert_eq!((plain("Beda").as_str(), plain(" ann ").as_str()), ("Beda", "ann"));
    }
}

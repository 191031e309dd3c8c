//! Issuing certificates among what their issuers have certified: on record like any leaf, so that they can be revoked,
//! stand in their issuer's list, and are answered for by its OCSP responder.

use std::sync::Arc;

use super::generation::{Generation, ROOT, Root};
use super::index::SerialKey;
use super::{Authority, CaError};
use crate::pki::serial::Serial;
use crate::state::State;
use crate::state::ca_entry::CaEntry;

/// Puts every issuing certificate on record whose issuer is one of ours, and answers those that were not there: serials,
/// and numbers of issuers. Done again at any time, it changes nothing: what was signed stays on record in its own place.
pub(super) async fn enter(
    state: &State,
    ca: &str,
    root: Option<&Root>,
    generations: &[Arc<Generation>],
) -> Result<Vec<(SerialKey, u32)>, CaError> {
    let mut entered = Vec::new();
    for generation in generations {
        let Some(issuer) = issuer(generation, root, generations) else { continue };
        let Some(serial) = SerialKey::from_hex(&generation.serial) else { continue };
        if !state.ca_statuses(ca, &[&generation.serial]).await?.is_empty() {
            continue;
        }
        let entry = CaEntry {
            ca,
            serial: &generation.serial,
            issuer,
            subject: &format!("issuing certificate {}", generation.number),
            certificate: &generation.certificate,
            not_before: generation.not_before,
            not_after: generation.not_after,
        };
        state.enter_ca_certificate(&entry).await?;
        entered.push((serial, issuer));
    }
    Ok(entered)
}

/// The number of whoever has signed it; `None`: somebody else's root, whose responder and lists are elsewhere, or itself.
fn issuer(generation: &Generation, root: Option<&Root>, generations: &[Arc<Generation>]) -> Option<u32> {
    let above = generation.above.first()?;
    if root.is_some_and(|root| root.certificate == *above) {
        return Some(ROOT);
    }
    generations.iter().find(|other| other.certificate == *above).map(|other| other.number)
}

impl Authority {
    /// Whether a certificate of this serial may be revoked as things are.
    ///
    /// # Errors
    /// `CaError::Issues` where it signs leaves: what is issued next would be worth nothing.
    pub fn check_revocable(&self, serial: &Serial) -> Result<(), CaError> {
        let newest = self.newest()?;
        if self.config().is_some() && newest.serial == serial.to_string() { Err(CaError::Issues) } else { Ok(()) }
    }
}

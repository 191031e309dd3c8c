//! Bringing in what was made elsewhere: a CA with its key, or the certificate that somebody signed for a key of ours.

use std::sync::Arc;

use super::generation::Generation;
use super::key::Signer;
use super::outside::{Outside, OutsideError, remarks};
use super::{Authority, CaError, strength};
use crate::clock::Timestamp;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::ca::{KeyPlace, NewCa};

/// What was brought in.
#[derive(Debug, Clone)]
pub struct BroughtIn {
    /// It issues from now on.
    pub generation: Arc<Generation>,
    /// What is to be known of it.
    pub remarks: Vec<String>,
}

impl Authority {
    /// Takes an existing CA over as the newest generation: the certificate for this key among those given, octet by
    /// octet, with everything above it up to the root. A root issues leaves itself. Done again with the same, it is
    /// what it was.
    ///
    /// # Errors
    /// `CaError::Outside` where the certificate may not issue or its path is not whole, `Retired`, and where the
    /// database fails.
    pub async fn import(&self, key: &PrivateKey, given: &[Vec<u8>], now: Timestamp) -> Result<BroughtIn, CaError> {
        let _rotating = self.rotating.lock().await;
        let (der, spki_der) = (key.to_pkcs8_der(), key.spki_der());
        let signer = Signer::from_pkcs8_der(&der)?;
        let outside = self.outside(given, signer.spki_der(), now).await?;
        if let Some(newest) = self.generations().last().filter(|newest| newest.certificate == outside.certificate) {
            return Ok(brought_in(Arc::clone(newest)));
        }
        self.check_unknown(&outside, &spki_der)?;
        let number = self.next_number();
        let key_type = key.key_type().map_or("other", KeyType::as_str);
        let new = self.row(&outside, number, key_type, KeyPlace::Sealed(&der))?;
        self.state.add_ca(&new, now).await?;
        self.brought_in(number, &outside).await
    }

    /// Finds the certificate for a key, and its path, among those given and the CA's own root.
    pub(super) async fn outside(&self, given: &[Vec<u8>], spki_der: &[u8], now: Timestamp) -> Result<Outside, CaError> {
        let terms = self.terms.load_full();
        if terms.config.is_none() {
            return Err(CaError::Retired);
        }
        strength::check(spki_der)?;
        let mut pool = given.to_vec();
        if !pool.is_empty() {
            pool.extend(self.reader(&terms).root().await?.map(|root| root.certificate));
        }
        Ok(Outside::find(&pool, spki_der, now)?)
    }

    /// Neither the certificate nor its key is that of a generation.
    pub(super) fn check_unknown(&self, outside: &Outside, spki_der: &[u8]) -> Result<(), OutsideError> {
        for generation in self.generations().iter() {
            if generation.certificate == outside.certificate {
                return Err(OutsideError::Known { generation: generation.number });
            }
            if generation.spki_der == spki_der {
                return Err(OutsideError::KeyKnown { generation: generation.number });
            }
        }
        Ok(())
    }

    pub(super) fn next_number(&self) -> u32 {
        self.generations().last().map_or(super::make::FIRST, |newest| newest.number + 1)
    }

    /// How it is written down.
    pub(super) fn row<'a>(
        &'a self,
        outside: &'a Outside,
        generation: u32,
        key_type: &'a str,
        key: KeyPlace<'a>,
    ) -> Result<NewCa<'a>, CaError> {
        let shard_size = self.terms.load().config.as_ref().ok_or(CaError::Retired)?.crl_shard_size;
        Ok(NewCa {
            name: &self.name,
            generation,
            serial: outside.serial.clone(),
            key_type,
            key,
            not_before: outside.not_before,
            not_after: outside.not_after,
            to_be_signed: &outside.to_be_signed,
            certificate: Some(&outside.certificate),
            above: Some(&outside.above),
            shard_size,
        })
    }

    /// Opens what was written down, unless somebody else wrote something else under that number.
    pub(super) async fn brought_in(&self, number: u32, outside: &Outside) -> Result<BroughtIn, CaError> {
        self.take_up().await?;
        let generation = self.generation(number).filter(|found| found.certificate == outside.certificate);
        let generation = generation.ok_or(CaError::Overtaken { generation: number })?;
        tracing::info!(ca = self.name, generation = number, "the CA has an issuing certificate from outside");
        Ok(brought_in(generation))
    }
}

fn brought_in(generation: Arc<Generation>) -> BroughtIn {
    let remarks = remarks(&generation.certificate);
    BroughtIn { generation, remarks }
}

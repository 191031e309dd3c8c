//! The delegated responder (RFC 6960, section 4.2.2.2): a key and a short-lived certificate of its own for each
//! generation, so that the CA's key is not used for every answer.

use std::time::Duration;

use super::response::responder_key_hash;
use crate::ca::index::SerialKey;
use crate::ca::key::Signer;
use crate::ca::{Authority, CaError, Generation, certificate, profile};
use crate::clock::Timestamp;
use crate::crash;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::State;
use crate::state::ocsp_responder::{NewOcspResponder, OcspResponderRow};

/// A responder's certificate lives this long, unless its issuer ends sooner.
const LIFETIME: Duration = Duration::from_secs(14 * 86_400);

/// Signs answers for one generation.
#[derive(Debug)]
pub(super) struct ResponderSigner {
    signer: Signer,
    /// What answers name it by.
    pub key_hash: [u8; 20],
    /// In DER.
    pub certificate: Vec<u8>,
    /// In force from here.
    pub not_before: Timestamp,
    /// No answer lasts longer.
    pub not_after: Timestamp,
    /// Another one is to take its place from here on.
    pub renew_at: Timestamp,
}

impl ResponderSigner {
    /// It may sign now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// It may sign now, and need not be replaced.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.is_in_force(now) && now < self.renew_at
    }

    /// The signature of ResponseData, and its AlgorithmIdentifier in DER.
    pub fn sign(&self, to_be_signed: &[u8]) -> Result<(Vec<u8>, &'static [u8]), CaError> {
        Ok((self.signer.sign(to_be_signed)?, self.signer.algorithm_identifier_der()))
    }
}

/// Opens the responder of a generation, and makes a new one where there is none that is fresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker<'a> {
    pub state: &'a State,
    pub authority: &'a Authority,
    pub generation: &'a Generation,
    pub now: Timestamp,
}

impl Maker<'_> {
    /// A responder that is fresh; the one on record, where that is.
    pub async fn fresh(&self) -> Result<ResponderSigner, CaError> {
        if let Some(row) = self.newest().await?
            && self.is_fresh(&row)
        {
            return self.open(row).await;
        }
        self.write_down().await?;
        let row = self.newest().await?.ok_or_else(|| self.damaged("a responder that was written is not there"))?;
        self.open(row).await
    }

    /// The responder on record, where it is in force: better than none where no new one can be made.
    pub async fn in_force(&self) -> Result<Option<ResponderSigner>, CaError> {
        let Some(row) = self.newest().await?.filter(|row| row.certificate.is_some()) else { return Ok(None) };
        let signer = self.open(row).await?;
        Ok(signer.is_in_force(self.now).then_some(signer))
    }

    async fn newest(&self) -> Result<Option<OcspResponderRow>, CaError> {
        Ok(self.state.newest_ocsp_responder(self.authority.name(), self.generation.number).await?)
    }

    fn is_fresh(&self, row: &OcspResponderRow) -> bool {
        row.not_before <= self.now && self.now < self.renew_at(row.not_before, row.not_after)
    }

    /// At half of its life; one that lives as long as its issuer has no successor that would live longer.
    fn renew_at(&self, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
        if not_after >= self.generation.not_after {
            return not_after;
        }
        not_before.plus(not_after.since(not_before) / 2)
    }

    /// A new key, and what is to be signed for it, on record before anything is signed.
    async fn write_down(&self) -> Result<(), CaError> {
        let name = self.authority.name();
        let key = PrivateKey::generate(KeyType::EcdsaP256)?;
        let subject = format!("OCSP {}", self.generation.number);
        let draft = profile::responder(&subject, &key.spki_der(), self.generation, LIFETIME, self.now)?;
        let serial = draft.serial.to_string();
        let new = NewOcspResponder {
            ca: name,
            generation: self.generation.number,
            serial: &serial,
            subject: &subject,
            key: &key.to_pkcs8_der(),
            not_before: draft.not_before,
            not_after: draft.not_after,
            to_be_signed: &draft.to_be_signed,
        };
        self.state.add_ocsp_responder(&new, self.now).await?;
        if let Some(serial) = SerialKey::from_hex(&serial) {
            self.authority.index().issued(serial, self.generation.number);
        }
        crash::named("responder_written");
        tracing::info!(ca = name, generation = self.generation.number, serial, "a new OCSP responder");
        self.state.forget_ocsp_responders(name, self.now.minus(LIFETIME)).await?;
        Ok(())
    }

    /// From its row, which is signed where that was not done.
    async fn open(&self, mut row: OcspResponderRow) -> Result<ResponderSigner, CaError> {
        if let (None, Some(to_be_signed)) = (&row.certificate, row.to_be_signed.take()) {
            let by = self.generation.signer();
            let algorithm = by.algorithm_identifier_der();
            let signed = certificate::assemble(&to_be_signed, algorithm, &by.sign_aside(&to_be_signed).await?);
            self.state.ocsp_responder_signed(&row.ca, &row.serial, &signed).await?;
            row = self.newest().await?.ok_or_else(|| self.damaged("a responder that was signed is not there"))?;
        }
        let certificate = row.certificate.take().ok_or_else(|| self.damaged("a responder is not signed"))?;
        let signer = Signer::from_pkcs8_der(&row.key(self.state)?)?;
        let public_key = crate::ca::extension::public_key_bits(signer.spki_der());
        let key_hash = responder_key_hash(public_key.ok_or_else(|| self.damaged("a responder's key is unreadable"))?);
        let renew_at = self.renew_at(row.not_before, row.not_after);
        let (not_before, not_after) = (row.not_before, row.not_after);
        Ok(ResponderSigner { signer, key_hash, certificate, not_before, not_after, renew_at })
    }

    fn damaged(&self, what: &'static str) -> CaError {
        CaError::Damaged { ca: self.authority.name().to_owned(), what }
    }
}

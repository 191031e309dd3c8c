//! The delegated responder (RFC 6960, section 4.2.2.2): a key and a short-lived certificate of its own for each
//! issuer, so that the CA's key is not used for every answer, nor wanted for those of a root whose key is in a safe.

use super::desk::Issuer;
use super::response::responder_key_hash;
use crate::ca::generation::ROOT;
use crate::ca::index::SerialKey;
use crate::ca::key::Signer;
use crate::ca::{Authority, CaError, certificate, profile};
use crate::clock::Timestamp;
use crate::crash;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::State;
use crate::state::ocsp_responder::{NewOcspResponder, OcspResponderRow};

/// Signs answers for one issuer.
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

    /// Three quarters of its life are over.
    pub fn is_late(&self, now: Timestamp) -> bool {
        is_late(self.not_before, self.not_after, now)
    }

    /// The signature of ResponseData, and its AlgorithmIdentifier in DER.
    pub fn sign(&self, to_be_signed: &[u8]) -> Result<(Vec<u8>, &'static [u8]), CaError> {
        Ok((self.signer.sign(to_be_signed)?, self.signer.algorithm_identifier_der()))
    }
}

/// Three quarters of the time between are over.
pub(in crate::ca) fn is_late(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> bool {
    not_after.since(now) <= not_after.since(not_before) / 4
}

/// Opens the responder of an issuer, and makes a new one where there is none that is fresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker<'a> {
    pub state: &'a State,
    pub authority: &'a Authority,
    pub issuer: &'a Issuer,
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
        self.anew().await
    }

    /// A new responder, whatever there is.
    pub async fn anew(&self) -> Result<ResponderSigner, CaError> {
        self.write_down().await?;
        let row = self.newest().await?.ok_or_else(|| self.damaged("a responder that was written is not there"))?;
        self.open(row).await
    }

    /// The responder on record, where it is in force: better than none where no new one can be made.
    pub async fn in_force(&self) -> Result<Option<ResponderSigner>, CaError> {
        let row = self.state.newest_signed_ocsp_responder(self.authority.name(), self.issuer.number()).await?;
        let Some(row) = row else { return Ok(None) };
        let signer = self.open(row).await?;
        Ok(signer.is_in_force(self.now).then_some(signer))
    }

    /// There is a responder on record, in force or not.
    pub async fn had_one(&self) -> Result<bool, CaError> {
        Ok(self.newest().await?.is_some())
    }

    async fn newest(&self) -> Result<Option<OcspResponderRow>, CaError> {
        Ok(self.state.newest_ocsp_responder(self.authority.name(), self.issuer.number()).await?)
    }

    fn is_fresh(&self, row: &OcspResponderRow) -> bool {
        row.not_before <= self.now && self.now < self.renew_at(row.not_before, row.not_after)
    }

    /// At half of its life at the latest; one that lives as long as its issuer has no successor that would live longer.
    fn renew_at(&self, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
        if not_after >= self.issuer.not_after() {
            return not_after;
        }
        not_before.plus(self.issuer.rhythm().replaced_after.min(not_after.since(not_before) / 2))
    }

    /// A new key, and what is to be signed for it, on record before anything is signed.
    async fn write_down(&self) -> Result<(), CaError> {
        let (name, generation) = (self.authority.name(), self.issuer.number());
        let lifetime = self.issuer.rhythm().lifetime;
        let by = self.issuer.opened(self.authority).await?;
        let key = PrivateKey::generate(KeyType::EcdsaP256)?;
        let subject = format!("OCSP {generation}");
        let draft = profile::responder(&subject, &key.spki_der(), &by, lifetime, self.now)?;
        let serial = draft.serial.to_string();
        let new = NewOcspResponder {
            ca: name,
            generation,
            serial: &serial,
            subject: &subject,
            key: &key.to_pkcs8_der(),
            not_before: draft.not_before,
            not_after: draft.not_after,
            to_be_signed: &draft.to_be_signed,
        };
        self.state.add_ocsp_responder(&new, self.now).await?;
        if let Some(serial) = SerialKey::from_hex(&serial) {
            self.authority.index().issued(serial, generation);
        }
        crash::named(if generation == ROOT { "root_responder_written" } else { "responder_written" });
        tracing::info!(ca = name, generation, serial, "a new OCSP responder");
        self.state.forget_ocsp_responders(name, generation, self.now.minus(lifetime)).await?;
        Ok(())
    }

    /// From its row, which is signed where that was not done.
    async fn open(&self, mut row: OcspResponderRow) -> Result<ResponderSigner, CaError> {
        if let (None, Some(to_be_signed)) = (&row.certificate, row.to_be_signed.take()) {
            let issuer = self.issuer.opened(self.authority).await?;
            let by = issuer.signer.as_ref().ok_or(CaError::RootKeyElsewhere)?;
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

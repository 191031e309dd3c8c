//! A CA's own certificates: the root, generation 0, and the issuing ones below it.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::digest::{self, digest};
use tokio::sync::Mutex;

use super::CaError;
use super::certificate;
use super::constraints::Constraints;
use super::crl::ListSigner;
use super::extension::{key_identifier, public_key_bits};
use super::index::SerialKey;
use super::key::Signer;
use super::purposes::Purposes;
use crate::clock::Timestamp;
use crate::config::ca::Token;
use crate::pki::leaf;
use crate::state::State;
use crate::state::ca::CaRow;

/// The root's number.
pub(super) const ROOT: u32 = 0;

/// Places in CRLs that are taken from the database at once: those not used before the process ends are lost, which
/// leaves a CRL a little shorter than it could be.
const PLACES: u32 = 256;

/// An issuing certificate with its key.
pub struct Generation {
    /// From 1.
    pub number: u32,
    /// Its serial number in lower-case hex.
    pub serial: String,
    /// In DER.
    pub certificate: Vec<u8>,
    /// The subject: a Name in DER, octet by octet as in the certificate.
    pub subject: Vec<u8>,
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// The public key's BIT STRING, without the octet that counts unused bits: what OCSP hashes.
    pub public_key: Vec<u8>,
    /// What stands in the authority key identifier of what it signs.
    pub key_identifier: Vec<u8>,
    /// What OCSP requests name it by.
    pub hashes: IssuerHashes,
    /// In force from here.
    pub not_before: Timestamp,
    /// In force until here.
    pub not_after: Timestamp,
    /// The certificates above it in DER, the root last; empty where it is a root itself.
    pub above: Vec<Vec<u8>>,
    /// So many leaves share a CRL.
    pub shard_size: u32,
    /// Its own, and those of everything above it.
    pub(super) constraints: Vec<Constraints>,
    /// What leaves may be for, as its own certificate and those above it say.
    pub(super) purposes: Vec<Purposes>,
    /// Somebody else decided what stands in it.
    pub(super) from_outside: bool,
    signer: Signer,
    places: Mutex<Range<u64>>,
}

/// Hashes of an issuer's name (its Name in DER) and key (its BIT STRING), as in a CertID (RFC 6960, section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerHashes {
    /// Of the name.
    pub name_sha1: Vec<u8>,
    /// Of the key.
    pub key_sha1: Vec<u8>,
    /// Of the name.
    pub name_sha256: Vec<u8>,
    /// Of the key.
    pub key_sha256: Vec<u8>,
}

impl IssuerHashes {
    fn new(name: &[u8], key: &[u8]) -> Self {
        let hash = |algorithm: &'static digest::Algorithm, octets: &[u8]| digest(algorithm, octets).as_ref().to_vec();
        Self {
            name_sha1: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, name),
            key_sha1: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, key),
            name_sha256: hash(&digest::SHA256, name),
            key_sha256: hash(&digest::SHA256, key),
        }
    }
}

impl Generation {
    /// From its row, which is signed.
    pub(super) fn read(row: &CaRow, root: Option<&Root>, signer: Signer) -> Result<Self, CaError> {
        let damaged = |what| CaError::Damaged { ca: row.name.clone(), what };
        let certificate = row.certificate.clone().ok_or_else(|| damaged("a generation is not signed"))?;
        let facts = Facts::read(&certificate)?;
        if facts.spki_der != signer.spki_der() {
            return Err(damaged("a generation's key is not that of its certificate"));
        }
        let above = match (&row.above, root) {
            (Some(above), _) => above.clone(),
            (None, Some(root)) => vec![root.certificate.clone()],
            (None, None) => return Err(damaged("a generation has no root")),
        };
        let constraints = std::iter::once(&certificate).chain(&above).map(|der| Constraints::read(der));
        let constraints = constraints.collect::<Result<Vec<_>, _>>()?;
        let purposes = std::iter::once(&certificate).chain(&above).map(|der| Purposes::read(der));
        let purposes = purposes.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        Ok(Self {
            number: row.generation,
            serial: serial(&row.serial),
            hashes: IssuerHashes::new(&facts.subject, &facts.public_key),
            subject: facts.subject,
            spki_der: facts.spki_der,
            public_key: facts.public_key,
            key_identifier: facts.key_identifier,
            not_before: row.not_before,
            not_after: row.not_after,
            above,
            shard_size: row.shard_size,
            constraints,
            purposes,
            from_outside: row.above.is_some(),
            certificate,
            signer,
            places: Mutex::new(0..0),
        })
    }

    /// Its key.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The certificates that a server sends behind a leaf: this one, and what is between it and the root.
    #[must_use]
    pub fn chain(&self) -> Vec<Vec<u8>> {
        let between = self.above.split_last().map(|(_, between)| between).unwrap_or_default();
        std::iter::once(&self.certificate).chain(between).cloned().collect()
    }

    /// The certificate of whoever signed it, in DER; its own where it is a root.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.above.first().unwrap_or(&self.certificate)
    }

    /// The root that it leads to, in DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.above.last().unwrap_or(&self.certificate)
    }

    /// The shards of `count` leaves to be written, one each. A shard holds `shard_size` leaves at most, also where
    /// several processes fill it.
    pub(super) async fn take_shards(&self, state: &State, ca: &str, count: usize) -> Result<Vec<u32>, CaError> {
        let mut places = self.places.lock().await;
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if places.is_empty() {
                let wanted = u32::try_from(count - taken.len()).unwrap_or(u32::MAX).max(PLACES.min(self.shard_size));
                let first = state.take_places(ca, self.number, wanted).await?;
                *places = first..first + u64::from(wanted);
                if self.shards_of(places.end) > self.shards_of(places.start) {
                    // It has a list before a leaf names it for long.
                    state.wake_lists();
                }
            }
            let shard = |place: u64| u32::try_from(place / u64::from(self.shard_size)).unwrap_or(u32::MAX);
            taken.extend(places.by_ref().take(count - taken.len()).map(shard));
        }
        Ok(taken)
    }

    /// How many shards there are: CRLs 0 to this one, exclusive, are to be published.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn shards(&self, state: &State, ca: &str) -> Result<u32, CaError> {
        Ok(self.shards_of(state.ca(ca, self.number).await?.map_or(0, |row| row.leaves)))
    }

    /// The shards of so many leaves.
    fn shards_of(&self, leaves: u64) -> u32 {
        u32::try_from(leaves.div_ceil(u64::from(self.shard_size))).unwrap_or(u32::MAX).max(1)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Generation")
            .field("number", &self.number)
            .field("not_after", &self.not_after)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

/// A serial as it is told everywhere, however its row has it.
fn serial(text: &str) -> String {
    SerialKey::from_hex(text).map_or_else(|| text.to_owned(), SerialKey::to_hex)
}

/// The root, with its key where that is here.
#[derive(Debug)]
pub(super) struct Root {
    /// In DER.
    pub certificate: Vec<u8>,
    /// A Name in DER.
    pub subject: Vec<u8>,
    /// The public key's BIT STRING, without the octet that counts unused bits.
    pub public_key: Vec<u8>,
    /// What its issuing certificates name its key by.
    pub key_identifier: Vec<u8>,
    /// In force from here.
    pub not_before: Timestamp,
    /// In force until here.
    pub not_after: Timestamp,
    /// Its own, and those of everything above it.
    pub constraints: Vec<Constraints>,
    /// `None`: the key is elsewhere.
    pub signer: Option<Signer>,
}

impl Root {
    fn read(row: &CaRow, signer: Option<Signer>) -> Result<Self, CaError> {
        let certificate = row.certificate.clone();
        let certificate =
            certificate.ok_or_else(|| CaError::Damaged { ca: row.name.clone(), what: "its root is not signed" })?;
        let facts = Facts::read(&certificate)?;
        Ok(Self {
            constraints: vec![Constraints::read(&certificate)?],
            certificate,
            subject: facts.subject,
            public_key: facts.public_key,
            key_identifier: facts.key_identifier,
            not_before: row.not_before,
            not_after: row.not_after,
            signer,
        })
    }

    /// Without its key, for whoever wants to know it only.
    pub fn known(&self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            subject: self.subject.clone(),
            public_key: self.public_key.clone(),
            key_identifier: self.key_identifier.clone(),
            constraints: self.constraints.clone(),
            signer: None,
            ..*self
        }
    }
}

impl Root {
    /// A generation in the place of a root: one that is a root itself, or whose responder it certifies.
    pub(super) fn of(generation: &Generation) -> Self {
        Self {
            certificate: generation.certificate.clone(),
            subject: generation.subject.clone(),
            public_key: generation.public_key.clone(),
            key_identifier: generation.key_identifier.clone(),
            not_before: generation.not_before,
            not_after: generation.not_after,
            constraints: generation.constraints.clone(),
            signer: Some(generation.signer().clone()),
        }
    }

    /// What signs the list of issuing certificates that are revoked; `None` where the key is elsewhere.
    pub(super) fn list_signer(&self, ca: &str) -> Option<ListSigner> {
        Some(ListSigner {
            ca: ca.to_owned(),
            generation: ROOT,
            issuer: self.subject.clone(),
            key_identifier: self.key_identifier.clone(),
            signer: self.signer.clone()?,
            shards: 1,
            not_after: self.not_after,
        })
    }
}

/// What is needed of a CA certificate, cut out octet by octet.
pub(super) struct Facts {
    pub subject: Vec<u8>,
    pub spki_der: Vec<u8>,
    pub public_key: Vec<u8>,
    pub key_identifier: Vec<u8>,
}

impl Facts {
    pub fn read(certificate: &[u8]) -> Result<Self, CaError> {
        let parsed = leaf::parse(certificate)?;
        let spki_der = parsed.public_key().raw.to_vec();
        let public_key = public_key_bits(&spki_der).ok_or(leaf::LeafError::Der)?.to_vec();
        let named = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            x509_parser::prelude::ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        });
        let key_identifier = named.unwrap_or_else(|| key_identifier(&public_key));
        Ok(Self { subject: parsed.subject().as_raw().to_vec(), spki_der, public_key, key_identifier })
    }
}

/// Opens what is on record, and signs what was written down and is not signed yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub state: &'a State,
    pub name: &'a str,
    /// The token that the config tells of.
    pub token: Option<&'a Token>,
}

impl Reader<'_> {
    /// The root; `None` where there is none, or it is somebody else's.
    pub async fn root(&self) -> Result<Option<Root>, CaError> {
        match self.state.ca(self.name, ROOT).await? {
            Some(row) => self.root_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The root of this row.
    pub async fn root_of(&self, mut row: CaRow) -> Result<Root, CaError> {
        let signer = self.signer(&row).await?;
        if row.certificate.is_none() {
            let signer = signer.as_ref().ok_or(CaError::RootKeyElsewhere)?;
            row = self.complete(row, signer).await?;
        }
        Root::read(&row, signer)
    }

    /// All issuing generations, the oldest first.
    pub async fn generations(&self, root: Option<&Root>) -> Result<Vec<Generation>, CaError> {
        let mut generations = Vec::new();
        for row in self.state.ca_generations(self.name).await? {
            let generation = self.open(row, root, &generations).await?;
            generations.push(generation);
        }
        Ok(generations)
    }

    async fn open(&self, mut row: CaRow, root: Option<&Root>, older: &[Generation]) -> Result<Generation, CaError> {
        let missing = || CaError::Damaged { ca: self.name.to_owned(), what: "a generation has no key" };
        let signer = self.signer(&row).await?.ok_or_else(missing)?;
        if row.certificate.is_none() {
            let by = match row.above.as_ref().and_then(|above| above.first()) {
                Some(issuer) => older.iter().find(|older| older.certificate == *issuer).map(Generation::signer),
                None => root.and_then(|root| root.signer.as_ref()),
            };
            row = self.complete(row, by.ok_or(CaError::RootKeyElsewhere)?).await?;
        }
        Generation::read(&row, root, signer)
    }

    /// Signs what was written down, and keeps the first signature.
    async fn complete(&self, row: CaRow, signer: &Signer) -> Result<CaRow, CaError> {
        let signature = signer.sign_aside(&row.to_be_signed).await?;
        let signed = certificate::assemble(&row.to_be_signed, signer.algorithm_identifier_der(), &signature);
        self.state.ca_signed(self.name, row.generation, &signed).await?;
        let again = self.state.ca(self.name, row.generation).await?;
        again.ok_or_else(|| CaError::Damaged {
            ca: self.name.to_owned(),
            what: "a generation that was signed is not there",
        })
    }

    async fn signer(&self, row: &CaRow) -> Result<Option<Signer>, CaError> {
        match &row.key_uri {
            Some(uri) => self.signer_in_token(uri).await.map(Some),
            None => row.key(self.state)?.map(|key| Signer::from_pkcs8_der(&key)).transpose(),
        }
    }

    /// A token may be far away.
    pub async fn signer_in_token(&self, uri: &str) -> Result<Signer, CaError> {
        let (uri, token) = (uri.to_owned(), self.token.cloned());
        let opened = tokio::task::spawn_blocking(move || Signer::open_in(&uri, token.as_ref()));
        Ok(opened.await.map_err(|_| CaError::Interrupted)??)
    }
}

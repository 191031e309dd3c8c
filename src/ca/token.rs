//! Keys in PKCS#11 tokens: made there, never leaving it, signing digests there. Every call may block: a token is a
//! device, perhaps on a network.

mod encoding;
mod place;
mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::key::Algorithm;
use crate::config::ca::Token;
use crate::pki::key::KeyType;
use crate::secret::SecretError;

use place::Place;

/// Sessions that are kept for a key: as many signatures are made at a time without opening another.
const IDLE: usize = 8;

/// Why a token is of no use. It never shows a PIN.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The library cannot be used.
    #[error("the PKCS#11 module `{}` cannot be loaded", module.display())]
    Module {
        /// Its path.
        module: PathBuf,
        /// Why.
        source: Pkcs11Error,
    },
    /// No slot of the module has it.
    #[error("the token `{label}` is not there")]
    Missing {
        /// Its label.
        label: String,
    },
    /// The PIN is not where the config says.
    #[error("the PIN of the token `{label}` cannot be read")]
    NoPin {
        /// The token's label.
        label: String,
        /// Why.
        source: SecretError,
    },
    /// Trying again would lock the token.
    #[error("the token `{label}` refuses the PIN: it is not tried again until it is another")]
    PinRefused {
        /// The token's label.
        label: String,
    },
    /// It was deleted there, or the token is another of the same label.
    #[error("the token `{label}` does not hold the key")]
    NoKey {
        /// The token's label.
        label: String,
    },
    /// A call failed.
    #[error("the token `{label}` fails")]
    Failed {
        /// The token's label.
        label: String,
        /// As the module says.
        source: Pkcs11Error,
    },
    /// Of a kind that is not used in tokens.
    #[error("a key in a token is ECDSA P-256, P-384 or RSA")]
    Kind,
    /// The URI on record is none.
    #[error("the key's URI on record cannot be read")]
    Uri,
}

/// A key in a token. Cloning shares it.
#[derive(Clone)]
pub(super) struct TokenKey(Arc<Inner>);

struct Inner {
    /// Module and PIN change with the config; token and key stay.
    place: ArcSwap<Place>,
    spki_der: Vec<u8>,
    algorithm: Algorithm,
    idle: Mutex<Vec<Held>>,
    failing: AtomicBool,
}

/// A session, and the key as that session knows it.
struct Held {
    session: Session,
    key: ObjectHandle,
}

/// Keys that were used, by token label and key id: sessions are dear.
static OPEN: LazyLock<Mutex<OpenKeys>> = LazyLock::new(Mutex::default);

/// By the token's label and the key's id.
type OpenKeys = BTreeMap<(String, Vec<u8>), TokenKey>;

/// A key that lies in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lying {
    /// What people find there.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
}

impl TokenKey {
    /// Makes a key in a token.
    pub fn generate(token: &Token, key_type: KeyType, label: &str) -> Result<Self, TokenError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| TokenError::Kind)?;
        let place = Place { token: token.clone(), id: id.to_vec() };
        let session = session::open(&place.token)?;
        let (mechanism, parameters) = match key_type {
            KeyType::EcdsaP256 => (Mechanism::EccKeyPairGen, ec(encoding::P256)),
            KeyType::EcdsaP384 => (Mechanism::EccKeyPairGen, ec(encoding::P384)),
            KeyType::Rsa2048 => (Mechanism::RsaPkcsKeyPairGen, rsa(2048)),
            KeyType::Rsa3072 => (Mechanism::RsaPkcsKeyPairGen, rsa(3072)),
            KeyType::Rsa4096 => (Mechanism::RsaPkcsKeyPairGen, rsa(4096)),
            KeyType::Ed25519 => return Err(TokenError::Kind),
        };
        let named =
            [Attribute::Token(true), Attribute::Id(place.id.clone()), Attribute::Label(label.as_bytes().to_vec())];
        let public = [Attribute::Private(false), Attribute::Verify(true)];
        let public = [&named[..], &public, &parameters].concat();
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let private = [&named[..], &private].concat();
        session.generate_key_pair(&mechanism, &public, &private).map_err(|source| place.failed(source))?;
        Self::found(place, session)
    }

    /// The key that a URI names. Where the config tells of the token it lies in, module and PIN are as it says.
    pub fn open(uri: &str, configured: Option<&Token>) -> Result<Self, TokenError> {
        let place = Place::parse(uri).ok_or(TokenError::Uri)?.under(configured);
        let known = lock(&OPEN).get(&place.name()).cloned();
        if let Some(known) = known {
            known.reach(&place.token);
            return Ok(known);
        }
        let session = session::open(&place.token)?;
        Self::found(place, session)
    }

    /// Reads the key's public half; the session stays with it.
    fn found(place: Place, session: Session) -> Result<Self, TokenError> {
        let public = place.find(&session, ObjectClass::PUBLIC_KEY)?;
        let wanted =
            [AttributeType::EcParams, AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];
        let attributes = session.get_attributes(public, &wanted).map_err(|source| place.failed(source))?;
        let spki_der = encoding::public_key(&attributes).ok_or(TokenError::Kind)?;
        let algorithm = Algorithm::of(&spki_der).filter(|algorithm| algorithm.digest().is_some());
        let algorithm = algorithm.ok_or(TokenError::Kind)?;
        let held = Held { key: place.find(&session, ObjectClass::PRIVATE_KEY)?, session };
        let name = place.name();
        let (idle, failing) = (Mutex::new(vec![held]), AtomicBool::new(false));
        let place = ArcSwap::from_pointee(place);
        let key = Self(Arc::new(Inner { place, spki_der, algorithm, idle, failing }));
        lock(&OPEN).insert(name, key.clone());
        Ok(key)
    }

    /// From now on its token is reached so, where that is the one that it lies in: the next signature opens a session anew.
    pub fn reach(&self, token: &Token) {
        let place = self.0.place.load();
        if place.token.label == token.label && place.token != *token {
            self.0.place.store(Arc::new(Place { token: token.clone(), id: place.id.clone() }));
            lock(&self.0.idle).clear();
        }
    }

    /// The private keys in a token whose label begins so.
    pub fn labelled(token: &Token, prefix: &str) -> Result<Vec<Lying>, TokenError> {
        let place = Place { token: token.clone(), id: Vec::new() };
        let session = session::open(token)?;
        let mut found = Vec::new();
        let private = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)];
        for key in session.find_objects(&private).map_err(|source| place.failed(source))? {
            let wanted = [AttributeType::Label, AttributeType::Id];
            let attributes = session.get_attributes(key, &wanted).map_err(|source| place.failed(source))?;
            found.extend(lying(&attributes).filter(|key| key.label.starts_with(prefix)));
        }
        Ok(found)
    }

    /// Its id in the token, as a URI (RFC 7512) names it.
    pub fn id_in(uri: &str) -> Option<Vec<u8>> {
        Place::parse(uri).map(|place| place.id)
    }

    /// Where it is (RFC 7512), without its PIN.
    pub fn uri(&self) -> String {
        self.0.place.load().to_string()
    }

    /// A SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The last signature failed.
    pub fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    /// Signs a digest, as a BIT STRING of a certificate holds it. A session that fails is given up, and another tried.
    pub fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        let held = lock(&self.0.idle).pop();
        let outcome = match held.map(|held| self.sign_with(held, digest)) {
            Some(Ok(signature)) => Ok(signature),
            Some(Err(_)) | None => self.sign_anew(digest),
        };
        self.0.failing.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    fn sign_anew(&self, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        let place = self.0.place.load_full();
        // What other sessions there are is as old as the one that failed; without any the login ends, too.
        lock(&self.0.idle).clear();
        let session = session::open(&place.token)?;
        let key = place.find(&session, ObjectClass::PRIVATE_KEY)?;
        self.sign_with(Held { session, key }, digest)
    }

    fn sign_with(&self, held: Held, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        let failed = |source| self.0.place.load().failed(source);
        let signature = match self.0.algorithm {
            Algorithm::RsaSha256 => {
                let input = [encoding::SHA256_DIGEST_INFO, digest].concat();
                held.session.sign(&Mechanism::RsaPkcs, held.key, &input).map_err(failed)?
            }
            _ => {
                let pair = held.session.sign(&Mechanism::Ecdsa, held.key, digest).map_err(failed)?;
                encoding::ecdsa_signature(&pair)
            }
        };
        let mut idle = lock(&self.0.idle);
        if idle.len() < IDLE {
            idle.push(held);
        }
        Ok(signature)
    }
}

/// What is guarded is whole after each statement, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lying(attributes: &[Attribute]) -> Option<Lying> {
    let label = attributes.iter().find_map(|attribute| match attribute {
        Attribute::Label(label) => Some(String::from_utf8_lossy(label).into_owned()),
        _ => None,
    });
    let id = attributes.iter().find_map(|attribute| match attribute {
        Attribute::Id(id) => Some(id.clone()),
        _ => None,
    });
    Some(Lying { label: label?, id: id? })
}

impl Place {
    /// What is the same however the token is reached.
    fn name(&self) -> (String, Vec<u8>) {
        (self.token.label.clone(), self.id.clone())
    }

    fn failed(&self, source: Pkcs11Error) -> TokenError {
        let label = self.token.label.clone();
        match source {
            Pkcs11Error::Pkcs11(RvError::TokenNotPresent | RvError::DeviceRemoved, _) => TokenError::Missing { label },
            source => TokenError::Failed { label, source },
        }
    }

    fn find(&self, session: &Session, class: ObjectClass) -> Result<ObjectHandle, TokenError> {
        let template = [Attribute::Class(class), Attribute::Id(self.id.clone())];
        let found = session.find_objects(&template).map_err(|source| self.failed(source))?;
        found.first().copied().ok_or_else(|| TokenError::NoKey { label: self.token.label.clone() })
    }
}

fn ec(curve: &[u8]) -> Vec<Attribute> {
    vec![Attribute::EcParams(curve.to_vec())]
}

fn rsa(bits: u64) -> Vec<Attribute> {
    vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(vec![1, 0, 1])]
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TokenKey").field(&self.0.place.load().token.label).finish()
    }
}

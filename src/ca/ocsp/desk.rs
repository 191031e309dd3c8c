//! A desk: an issuer that is answered for, and the responder that signs there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::cert_id::{CertId, IssuerHashes};
use super::response::ErrorStatus;
use super::signer::ResponderSigner;
use crate::ca::generation::{ROOT, Root};
use crate::ca::index::narrow;
use crate::ca::{Authority, CaError, Generation};
use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// Where no responder could be made, it is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

/// How long responders of an issuer live, and when another takes their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// A responder's certificate lives this long, unless its issuer ends sooner.
    pub lifetime: Duration,
    /// It is replaced after this, and after half of its life at the latest.
    pub replaced_after: Duration,
}

/// A generation's key is here as long as it issues.
const ISSUING: Rhythm = Rhythm { lifetime: DAY.saturating_mul(14), replaced_after: DAY.saturating_mul(7) };

/// The root's key may be taken away: its responder lasts as long as its last list does.
const OF_ROOT: Rhythm = Rhythm { lifetime: DAY.saturating_mul(365), replaced_after: DAY.saturating_mul(30) };

/// Who has certified what is asked about.
#[derive(Debug, Clone)]
pub(super) enum Issuer {
    /// An issuing certificate.
    Generation(Arc<Generation>),
    /// The CA's own root; its key is opened when it is wanted, if it is here.
    Root(Arc<Root>),
}

impl Issuer {
    /// Its number: 0 is the root.
    pub fn number(&self) -> u32 {
        match self {
            Self::Generation(generation) => generation.number,
            Self::Root(_) => ROOT,
        }
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> Timestamp {
        match self {
            Self::Generation(generation) => generation.not_after,
            Self::Root(root) => root.not_after,
        }
    }

    /// How its responders come and go.
    pub const fn rhythm(&self) -> Rhythm {
        match self {
            Self::Generation(_) => ISSUING,
            Self::Root(_) => OF_ROOT,
        }
    }

    /// What certifies its responders.
    ///
    /// # Errors
    /// Where the root's key cannot be opened; `RootKeyElsewhere` where it is not here.
    pub async fn opened(&self, authority: &Authority) -> Result<Arc<Root>, CaError> {
        match self {
            Self::Generation(generation) => Ok(Arc::new(Root::of(generation))),
            Self::Root(_) => {
                let root = authority.open_root().await?.ok_or(CaError::NoRoot)?;
                if root.signer.is_some() { Ok(root) } else { Err(CaError::RootKeyElsewhere) }
            }
        }
    }

    fn hashes(&self) -> IssuerHashes {
        match self {
            Self::Generation(generation) => IssuerHashes::new(&generation.subject, &generation.public_key),
            Self::Root(root) => IssuerHashes::new(&root.subject, &root.public_key),
        }
    }
}

/// Answers for one issuer.
#[derive(Debug)]
pub(super) struct Desk {
    pub issuer: Issuer,
    /// The issuer's number as the index has it.
    pub number: u16,
    hashes: IssuerHashes,
    pub signer: ArcSwapOption<ResponderSigner>,
    /// Held while a responder is made.
    pub making: tokio::sync::Mutex<()>,
    /// Milliseconds since 1970: no responder is made before then, since that failed a moment ago.
    blocked_until: AtomicI64,
    /// The issuer's key is not here: no responder was made when one was wanted last.
    key_is_away: AtomicBool,
    /// There was a responder, and it has ended.
    has_lapsed: AtomicBool,
}

impl Desk {
    pub fn new(issuer: Issuer) -> Arc<Self> {
        Arc::new(Self {
            hashes: issuer.hashes(),
            number: narrow(issuer.number()),
            issuer,
            signer: ArcSwapOption::empty(),
            making: tokio::sync::Mutex::default(),
            blocked_until: AtomicI64::new(i64::MIN),
            key_is_away: AtomicBool::new(false),
            has_lapsed: AtomicBool::new(false),
        })
    }

    /// Whether the issuer is meant.
    pub fn is_meant_by(&self, id: &CertId<'_>) -> bool {
        self.hashes.are_meant_by(id)
    }

    pub fn is_blocked(&self, now: Timestamp) -> bool {
        // A clock that was set back must not block for longer than meant.
        let left = self.blocked_until.load(Ordering::Relaxed).saturating_sub(now.millis());
        (1..=RETRY.as_millis() as i64).contains(&left)
    }

    /// The responder, where it need not be replaced, or cannot be for now.
    pub fn usable(&self, now: Timestamp) -> Option<Arc<ResponderSigner>> {
        let signer = self.signer.load_full()?;
        (signer.is_fresh(now) || signer.is_in_force(now) && self.is_blocked(now)).then_some(signer)
    }

    /// A responder takes the place of the one before.
    pub fn seat(&self, signer: ResponderSigner) {
        self.signer.store(Some(Arc::new(signer)));
        self.has_lapsed.store(false, Ordering::Relaxed);
    }

    /// No responder could be made: none is for a while. Whether that is because the issuer's key is elsewhere.
    pub fn failed(&self, failure: &CaError, now: Timestamp) -> bool {
        let away = matches!(failure, CaError::RootKeyElsewhere);
        self.key_is_away.store(away, Ordering::Relaxed);
        self.blocked_until.store(now.plus(RETRY).millis(), Ordering::Relaxed);
        away
    }

    /// There is no responder in force; `had_one`: there was.
    pub fn vacate(&self, had_one: bool) {
        self.signer.store(None);
        self.has_lapsed.store(had_one, Ordering::Relaxed);
    }

    /// What is said without a responder: that we cannot speak for an issuer whose key is elsewhere, and else that it may
    /// be another thing soon.
    pub fn refusal(&self) -> ErrorStatus {
        if self.key_is_away.load(Ordering::Relaxed) { ErrorStatus::Unauthorized } else { ErrorStatus::TryLater }
    }

    /// When the responder ends, where there is one in force.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let signer = self.signer.load_full().filter(|signer| signer.is_in_force(now))?;
        Some(signer.not_after)
    }

    /// Somebody should see to it: the responder has ended, or three quarters of its life are over and it was not replaced.
    pub fn is_late(&self, now: Timestamp) -> bool {
        match self.signer.load_full() {
            Some(signer) => signer.is_late(now) && signer.not_after < self.issuer.not_after(),
            None => self.has_lapsed.load(Ordering::Relaxed) && now < self.issuer.not_after(),
        }
    }
}

//! A simulated CA: it keeps orders, enforces its limits, signs, and tells of renewal.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;
use rand::rngs::SmallRng;

use super::SimulationError;
use super::allowance::{Buckets, Kind};
use super::leaf::{Says, Signer};
use super::order::{Order, Status, Step, bases, exact_set, registered_domains};
use super::script::{Advice, Part};
use super::trouble::TroubleKind;
use crate::clock::Timestamp;
use crate::config::Limits;
use crate::identifier::Identifier;
use crate::issuer::{IssuerError, RenewalInfo};
use crate::pki::serial::Serial;

/// An order lives so long, as at Let's Encrypt.
const ORDER_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Certificates are in force this long before they are made.
const BACKDATED: Duration = Duration::from_secs(3600);

const HOUR: Duration = Duration::from_secs(3600);

/// The page that tells of a mass revocation.
const EXPLANATION: &str = "https://ca.example/incident";

/// Why a simulated CA does not do what it was asked.
#[derive(Debug)]
pub(super) enum No {
    /// It is in trouble.
    Trouble(TroubleKind),
    /// The order replaces what it cannot replace (409 alreadyReplaced).
    Replaces,
    /// A limit of its own would be broken: whoever asks does not keep it.
    Limit { kind: Kind, subject: String },
    /// A proof failed, or the names are refused.
    Refused(&'static str),
    /// There is no such order any more.
    Gone,
    /// It cannot sign.
    Signing(SimulationError),
}

impl No {
    /// As the issuer tells the worker.
    pub(super) fn error(&self) -> IssuerError {
        match self {
            Self::Trouble(kind) => kind.error(),
            Self::Replaces => IssuerError::Refused { detail: "409 alreadyReplaced".to_owned() },
            Self::Limit { kind, subject } => IssuerError::RateLimited {
                retry_after: Some(Duration::from_secs(3600)),
                detail: format!("429 rateLimited: too many {}: {subject}", kind.in_words()),
            },
            Self::Refused(why) => IssuerError::Refused { detail: (*why).to_owned() },
            Self::Gone => IssuerError::OrderGone { detail: "404".to_owned() },
            Self::Signing(error) => IssuerError::Unreachable { detail: error.to_string() },
        }
    }
}

/// A certificate that it has issued.
#[derive(Debug, Clone)]
struct Issued {
    not_before: Timestamp,
    not_after: Timestamp,
    names: Vec<String>,
    /// The CA tells to renew it within this, out of the ordinary.
    urgent: Option<(Timestamp, Timestamp)>,
}

/// What is asked of it, by whom, and when.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) certificate: &'a str,
    pub(super) names: &'a [String],
    pub(super) replaces: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// A CA.
#[derive(Debug)]
pub(super) struct Authority {
    name: String,
    /// Sets its serials apart from those of others.
    index: u64,
    part: Part,
    signer: Signer,
    buckets: Buckets,
    orders: HashMap<String, Order>,
    /// By certificate: the newest order.
    newest: HashMap<String, String>,
    /// By serial: the order that is to replace it.
    successors: HashMap<String, String>,
    issued: HashMap<String, Issued>,
    /// Sets of names that it has certified: another certificate for one of them counts for no domain.
    certified: HashSet<String>,
    counter: u64,
}

impl Authority {
    pub(super) fn new(name: &str, index: u64, part: Part, start: Timestamp) -> Result<Self, SimulationError> {
        let signer = Signer::new(name, start)?;
        let buckets = Buckets::new(part.limits);
        let (orders, newest, successors) = Default::default();
        let (issued, certified, counter) = Default::default();
        let name = name.to_owned();
        Ok(Self { name, index, part, signer, buckets, orders, newest, successors, issued, certified, counter })
    }

    /// What is wrong with it at an instant.
    pub(super) fn trouble(&self, at: Timestamp) -> Option<TroubleKind> {
        self.part.troubles.iter().find(|trouble| trouble.span.holds(at)).map(|trouble| trouble.kind)
    }

    /// It asks for no proof.
    pub(super) fn is_private(&self) -> bool {
        self.part.directory_url.is_none()
    }

    /// What it allows.
    pub(super) const fn limits(&self) -> Limits {
        self.part.limits
    }

    fn has_advice(&self) -> bool {
        self.part.advice != Advice::None
    }

    /// It has issued the certificate that a CertID (RFC 9773, section 4.1) names.
    pub(super) fn knows(&self, id: &str) -> bool {
        serial_of(id).is_some_and(|serial| self.issued.contains_key(&serial))
    }

    pub(super) fn directory_url(&self) -> Option<&str> {
        self.part.directory_url.as_deref()
    }

    fn reach(&self, now: Timestamp) -> Result<(), No> {
        self.trouble(now).map_or(Ok(()), |kind| Err(No::Trouble(kind)))
    }

    /// newOrder: the URL of a fresh order, or of one that is pending for the same names.
    pub(super) fn new_order(&mut self, asked: &Asked<'_>) -> Result<String, No> {
        self.reach(asked.now)?;
        let replaces = asked.replaces.filter(|_| self.has_advice()).map(|id| self.replaced(id, asked));
        let replaces = replaces.transpose()?;
        self.keep_limits(asked, replaces.is_some())?;
        if let Some(url) = self.pending(asked) {
            return Ok(url);
        }
        self.counter += 1;
        let url = format!("https://{}.example/order/{}", self.name, self.counter);
        let value = |base: &str| format!("{}-{}-{base}", self.name, self.counter);
        let challenges = bases(asked.names).into_iter().map(|base| (base.to_owned(), value(base))).collect();
        let order = Order {
            names: asked.names.to_vec(),
            replaces: replaces.clone(),
            status: Status::Pending,
            challenges,
            expires: asked.now.plus(ORDER_LIFE),
            chain: None,
        };
        self.forget_before(asked);
        self.orders.insert(url.clone(), order);
        self.newest.insert(asked.certificate.to_owned(), url.clone());
        replaces.into_iter().for_each(|serial| drop(self.successors.insert(serial, url.clone())));
        Ok(url)
    }

    /// What a CertID (RFC 9773, section 4.1) names, where this order may replace it.
    fn replaced(&self, id: &str, asked: &Asked<'_>) -> Result<String, No> {
        let serial = serial_of(id).ok_or(No::Replaces)?;
        let known = self.issued.get(&serial).ok_or(No::Replaces)?;
        let successor = self.successors.get(&serial).and_then(|url| self.orders.get(url));
        let taken = successor.is_some_and(|order| order.status == Status::Valid || order.is_open(asked.now));
        let related = known.names.iter().any(|name| asked.names.contains(name));
        if taken || !related { Err(No::Replaces) } else { Ok(serial) }
    }

    /// Nothing may be taken from an empty bucket.
    fn keep_limits(&mut self, asked: &Asked<'_>, exempt: bool) -> Result<(), No> {
        let set = exact_set(asked.names);
        let mut wanted: Vec<(Kind, String)> = asked.names.iter().map(|name| (Kind::Failures, name.clone())).collect();
        if !exempt {
            wanted.extend([(Kind::Orders, String::new()), (Kind::Names, set.clone())]);
        }
        if !exempt && !self.certified.contains(&set) {
            wanted.extend(registered_domains(asked.names).into_iter().map(|domain| (Kind::Domain, domain)));
        }
        for (kind, subject) in wanted {
            if !self.buckets.has_room(kind, &subject, asked.now) {
                return Err(No::Limit { kind, subject });
            }
        }
        if !exempt {
            self.buckets.take(Kind::Orders, "", asked.now);
        }
        Ok(())
    }

    fn pending(&self, asked: &Asked<'_>) -> Option<String> {
        let url = self.newest.get(asked.certificate)?;
        let order = self.orders.get(url)?;
        let same = exact_set(&order.names) == exact_set(asked.names);
        (same && order.status == Status::Pending && asked.now < order.expires).then(|| url.clone())
    }

    /// An order before the newest is of no use to anybody, but that it may stand for what was replaced.
    fn forget_before(&mut self, asked: &Asked<'_>) {
        let Some(order) = self.newest.get(asked.certificate).and_then(|url| self.orders.get_mut(url)) else { return };
        order.challenges.clear();
        order.chain = None;
    }

    /// The order as it stands; what the CA can do by itself is done. `proved`: the values were presented, and the CA is
    /// to look for them with `shows`.
    pub(super) fn go_on(
        &mut self,
        url: &str,
        now: Timestamp,
        proved: bool,
        view: &View<'_>,
        random: &mut SmallRng,
    ) -> Result<Step, No> {
        self.reach(now)?;
        let private = self.is_private();
        let order = self.orders.get_mut(url).ok_or(No::Gone)?;
        if now >= order.expires {
            return Err(No::Gone);
        }
        match order.status {
            Status::Pending if view.refused || (proved && !private && !view.all_shown(order)) => {
                order.status = Status::Invalid;
                let names = order.names.clone();
                names.iter().for_each(|name| self.buckets.take(Kind::Failures, name, now));
                Err(No::Refused(if view.refused { "403 caa: CAA forbids it" } else { "403 unauthorized: no TXT" }))
            }
            Status::Pending if private || proved => {
                let until = now.plus(Duration::from_secs(random.random_range(0..12)));
                order.status = if private { Status::Processing { until: now } } else { Status::Processing { until } };
                Ok(Step::Wait(until))
            }
            Status::Pending => Ok(Step::Prove(order.challenges.clone())),
            Status::Processing { until } if now < until => Ok(Step::Wait(until)),
            Status::Processing { .. } => self.sign(url, now, view),
            Status::Valid => order.chain.clone().map(Step::Download).ok_or(No::Gone),
            Status::Invalid => Err(No::Refused("the order is invalid")),
        }
    }

    fn sign(&mut self, url: &str, now: Timestamp, view: &View<'_>) -> Result<Step, No> {
        self.counter += 1;
        let serial = (self.index << 48) | self.counter;
        let order = self.orders.get_mut(url).ok_or(No::Gone)?;
        let begin = Timestamp::from_seconds(now.minus(BACKDATED).seconds());
        let (not_before, not_after) = (begin, begin.plus(view.lifetime));
        let names: Vec<_> = order.names.iter().filter_map(|name| Identifier::parse(name).ok()).collect();
        let says = Says { names: &names, spki: view.spki, serial, not_before, not_after };
        let chain = self.signer.sign(&says).map_err(No::Signing)?;
        order.status = Status::Valid;
        order.chain = Some(chain.clone());
        let (names, exempt) = (order.names.clone(), order.replaces.is_some());
        let set = exact_set(&names);
        if !exempt {
            self.buckets.take(Kind::Names, &set, now);
            if !self.certified.contains(&set) {
                registered_domains(&names).iter().for_each(|domain| self.buckets.take(Kind::Domain, domain, now));
            }
        }
        self.certified.insert(set);
        self.has_issued(&serial_text(serial), not_before, not_after, names);
        Ok(Step::Download(chain))
    }

    /// Takes a certificate for its own, signed here or before the simulation began.
    pub(super) fn has_issued(&mut self, serial: &str, not_before: Timestamp, not_after: Timestamp, names: Vec<String>) {
        self.certified.insert(exact_set(&names));
        self.issued.insert(serial.to_owned(), Issued { not_before, not_after, names, urgent: None });
    }

    /// Some of the certificates in force are to be renewed within a window that begins now.
    pub(super) fn revoke_many(&mut self, permille: u32, window: Duration, now: Timestamp, random: &mut SmallRng) {
        let mut serials: Vec<_> =
            self.issued.iter().filter(|(_, one)| one.not_after > now).map(|(serial, _)| serial).collect();
        serials.sort_unstable();
        let chosen: Vec<String> =
            serials.into_iter().filter(|_| random.random_range(0..1000) < permille).cloned().collect();
        let urgent = if window.is_zero() {
            (now.minus(Duration::from_secs(3600)), now.minus(Duration::from_secs(1800)))
        } else {
            (now, now.plus(window))
        };
        for serial in chosen {
            self.issued.entry(serial).and_modify(|one| one.urgent = Some(urgent));
        }
    }

    /// When it suggests to renew (RFC 9773), and whether that is out of the ordinary; `None`: it does not know it.
    pub(super) fn renewal_info(&self, serial: &str, now: Timestamp) -> Result<Option<(RenewalInfo, bool)>, No> {
        self.reach(now)?;
        if !self.has_advice() {
            return Ok(None);
        }
        let Some(one) = self.issued.get(serial) else { return Ok(None) };
        let (start, end) = one.urgent.unwrap_or_else(|| usual_window(one, self.part.advice));
        let explanation = one.urgent.map(|_| EXPLANATION.to_owned());
        Ok(Some((RenewalInfo { start, end, explanation, retry_after: self.part.ask_again }, one.urgent.is_some())))
    }
}

/// Around the last third (below ten days: the last half) of a life, a fiftieth of it wide, as Let's Encrypt's.
fn usual_window(one: &Issued, advice: Advice) -> (Timestamp, Timestamp) {
    match advice {
        Advice::TooLate => return (one.not_after.plus(HOUR), one.not_after.plus(HOUR * 24)),
        Advice::Over => return (one.not_before.minus(HOUR * 24), one.not_before.minus(HOUR)),
        Advice::None | Advice::Usual => {}
    }
    let life = one.not_after.since(one.not_before);
    let left = if life < Duration::from_secs(10 * 24 * 3600) { life / 2 } else { life / 3 };
    let ideal = one.not_after.minus(left);
    (ideal.minus(life / 100), ideal.plus(life / 100))
}

fn serial_of(id: &str) -> Option<String> {
    let (_, serial) = id.split_once('.')?;
    Some(Serial::from_be_bytes(&URL_SAFE_NO_PAD.decode(serial).ok()?).ok()?.to_string())
}

fn serial_text(serial: u64) -> String {
    Serial::from_be_bytes(&serial.to_be_bytes()).map(|serial| serial.to_string()).unwrap_or_default()
}

/// What the CA sees of the world when it looks at an order.
pub(super) struct View<'a> {
    /// The names are refused.
    pub(super) refused: bool,
    /// Whether DNS shows this value for this base name.
    pub(super) shows: &'a dyn Fn(&str, &str) -> bool,
    /// How long the certificate is to live.
    pub(super) lifetime: Duration,
    /// The public key that is to be certified.
    pub(super) spki: &'a [u8],
}

impl View<'_> {
    fn all_shown(&self, order: &Order) -> bool {
        order.challenges.iter().all(|(base, value)| (self.shows)(base, value))
    }
}

//! An account at a simulated CA, as the worker meets it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng as _;

use super::authority::{Asked, Authority, No, View};
use super::order::Step;
use super::plug::Milestone;
use super::trouble::TroubleKind;
use super::world::World;
use crate::clock::{Clock, Timestamp};
use crate::config::Certificate;
use crate::dns01::{self, Challenge, Dns01, Dns01Error, Location};
use crate::issuer::{Issuer, IssuerError, Progress, RenewalInfo, RevocationReason};
use crate::pki::key::PrivateKey;
use crate::planner::Reason;
use crate::state::txt::NewTxt;
use crate::state::{ObstacleKind, OrderRow, State, VersionRow};

/// Orders worked on at the same time: a simulation takes turns.
const PARALLEL_ORDERS: usize = 16;

/// The instance that publishes where a certificate names none.
pub(super) const INSTANCE: &str = "simulated";

/// The account.
pub(super) struct Ca {
    pub(super) name: String,
    pub(super) directory_url: Option<String>,
    pub(super) world: World,
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) dns01: Arc<Dns01>,
}

impl Ca {
    /// Asks the CA.
    fn ask<T>(&self, question: impl FnOnce(&mut Authority, Timestamp) -> Result<T, No>) -> Result<T, No> {
        self.world.with(|book, now| match book.authorities.get_mut(&self.name) {
            Some(authority) => question(authority, now),
            None => Err(No::Trouble(TroubleKind::Unreachable)),
        })
    }

    async fn step(&self, order: &OrderRow, wanted: &Certificate) -> Result<Progress, IssuerError> {
        let url = match &order.url {
            Some(url) => url.clone(),
            None => self.make(order, wanted).await?,
        };
        match self.go_on(order, &url)? {
            Step::Prove(challenges) => self.present(order, wanted, &challenges).await,
            Step::Wait(until) => Ok(wait(self.world.shown(until), "the CA is validating")),
            Step::Download(chain) => {
                self.world.comes(Milestone::Issued, &self.state);
                self.state.order_issued(&order.id, &chain, self.clock.now()).await?;
                self.world.with(|book, now| book.witness.issued(order, &chain, now));
                Ok(Progress::Issued)
            }
        }
    }

    /// newOrder; once more without `replaces` where that is refused.
    async fn make(&self, order: &OrderRow, wanted: &Certificate) -> Result<String, IssuerError> {
        self.world.with(|book, now| book.witness.failed_over(order, &wanted.issuers, now));
        let directory = self.directory_url.as_deref().unwrap_or_default();
        let url = match self.new_order(order, order.replaces.as_deref()) {
            Err(No::Replaces) => {
                let limits = self.ask(|authority, _| Ok(authority.limits())).map_err(|no| no.error())?;
                if let Some(held) = self.state.order_replaces_nothing(order, &limits, self.clock.now()).await? {
                    return Err(IssuerError::HeldBack { why: held.why });
                }
                self.new_order(order, None)
            }
            other => other,
        };
        let url = url.map_err(|no| self.refused(order, &no))?;
        self.state.order_made(&order.id, directory, &url, order.profile.as_deref(), self.clock.now()).await?;
        Ok(url)
    }

    fn new_order(&self, order: &OrderRow, replaces: Option<&str>) -> Result<String, No> {
        let shown = self.clock.now();
        self.world.with(|book, now| {
            let knows = |id| book.authorities.get(&self.name).is_some_and(|authority| authority.knows(id));
            if replaces.is_some_and(|id| !knows(id)) {
                book.witness.violation(&order.certificate, "a CA is to replace what it has not issued", now);
            }
            if book.highest.since(shown) > DISTRUSTED {
                book.witness.violation(&order.certificate, "ordered by a clock that is behind", now);
            }
            book.witness.hold_against_failures(order, &self.name, now);
            book.witness.ordered(order, Reason::from_json(&order.reason).as_ref(), shown, now);
        });
        let (certificate, names) = (order.certificate.as_str(), order.names.as_slice());
        let made = self.ask(|authority, now| authority.new_order(&Asked { certificate, names, replaces, now }));
        if made.is_ok() {
            self.world.with(|book, now| book.witness.made(order, &self.name, replaces.is_some(), now));
            self.world.comes(Milestone::Made, &self.state);
        }
        made
    }

    fn go_on(&self, order: &OrderRow, url: &str) -> Result<Step, IssuerError> {
        let spki = order.key(&self.state).map_err(IssuerError::from).and_then(|key| {
            let key = PrivateKey::from_pkcs8_der(&key);
            key.map(|key| key.spki_der()).map_err(|error| IssuerError::BadChain { detail: error.to_string() })
        })?;
        let stepped = self.world.with(|book, now| {
            let refused = book.is_refused(&order.certificate, now);
            let lifetime = book.lifetimes.get(&order.certificate).copied().unwrap_or(NINETY_DAYS);
            let host = &book.host;
            let shows = |base: &str, value: &str| host.shows(&dns01::challenge_name(base), value);
            let view = View { refused, shows: &shows, lifetime, spki: &spki };
            let authority = book.authorities.get_mut(&self.name).ok_or(No::Gone)?;
            authority.go_on(url, now, order.presented_at.is_some(), &view, &mut book.random)
        });
        stepped.map_err(|no| self.refused(order, &no))
    }

    fn refused(&self, order: &OrderRow, no: &No) -> IssuerError {
        let (error, written) = (no.error(), self.state.fuse().passed());
        self.world.with(|book, now| book.witness.refused(order, &self.name, no, &error, (now, written)));
        self.world.comes(Milestone::Failed, &self.state);
        error
    }

    /// Writes the values down, publishes them, and waits for the DNS servers.
    async fn present(
        &self,
        order: &OrderRow,
        wanted: &Certificate,
        challenges: &[(String, String)],
    ) -> Result<Progress, IssuerError> {
        let instance = wanted.dns.first().map_or(INSTANCE, String::as_str);
        let located: Vec<Challenge> = challenges.iter().map(|(base, value)| challenge(instance, base, value)).collect();
        let txts: Vec<_> = located.iter().map(|challenge| new_txt(order, challenge)).collect();
        self.state.add_txts(&txts, self.clock.now()).await?;
        for challenge in &located {
            self.dns01.present(challenge).await.map_err(|error| in_the_way(&error))?;
        }
        self.state.order_presented(&order.id, self.clock.now()).await?;
        let pause = self.world.with(|book, _| book.random.random_range(1..20));
        Ok(wait(self.clock.now().plus(Duration::from_secs(pause)), "the DNS servers"))
    }

    /// Nothing may be asked of an issuer before the time that the state has for it, not by a restart either.
    async fn hold_against_record(&self, order: &OrderRow) -> Result<(), IssuerError> {
        let now = self.clock.now();
        let early = |kind| matches!(kind, ObstacleKind::Unavailable | ObstacleKind::Refused);
        for obstacle in self.state.obstacles(&order.certificate).await? {
            if obstacle.issuer == self.name && early(obstacle.kind) && obstacle.retry_at > now {
                let what = format!("`{}` is asked before {}, the time on record", self.name, obstacle.retry_at);
                self.world.with(|book, now| book.witness.violation(&order.certificate, &what, now));
            }
        }
        Ok(())
    }
}

/// A clock so far behind a time that was seen before cannot be trusted.
const DISTRUSTED: Duration = Duration::from_secs(2 * 3600);

const NINETY_DAYS: Duration = Duration::from_secs(90 * 24 * 3600);

fn wait(until: Timestamp, what: &str) -> Progress {
    Progress::Wait { until, what: what.to_owned() }
}

fn challenge(instance: &str, base: &str, value: &str) -> Challenge {
    let name = dns01::challenge_name(base);
    let zone = psl::domain_str(base).unwrap_or(base).to_owned();
    let location = Location { instance: instance.to_owned(), zone, name: name.clone() };
    Challenge { location, value: value.to_owned(), challenge_name: name }
}

fn new_txt<'a>(order: &'a OrderRow, challenge: &'a Challenge) -> NewTxt<'a> {
    NewTxt {
        order_id: &order.id,
        certificate: &order.certificate,
        instance: &challenge.location.instance,
        zone: &challenge.location.zone,
        name: &challenge.location.name,
        value: &challenge.value,
        challenge_name: &challenge.challenge_name,
    }
}

fn in_the_way(error: &Dns01Error) -> IssuerError {
    IssuerError::Dns { detail: providers::error::chain(error), temporary: true, retry_after: error.retry_after() }
}

#[async_trait]
impl Issuer for Ca {
    fn id(&self) -> &str {
        &self.name
    }

    fn directory_url(&self) -> Option<&str> {
        self.directory_url.as_deref()
    }

    fn parallel_orders(&self) -> usize {
        PARALLEL_ORDERS
    }

    async fn advance(&self, order: &OrderRow, wanted: &Certificate) -> Result<Progress, IssuerError> {
        if order.chain.is_some() {
            return Ok(Progress::Issued);
        }
        self.hold_against_record(order).await?;
        self.step(order, wanted).await
    }

    async fn revoke(&self, _: &VersionRow, _: RevocationReason) -> Result<(), IssuerError> {
        Ok(())
    }

    async fn renewal_info(&self, version: &VersionRow) -> Result<Option<RenewalInfo>, IssuerError> {
        let told = self.ask(|authority, now| authority.renewal_info(&version.serial, now)).map_err(|no| no.error())?;
        self.world.with(|book, now| book.witness.asked(version, told.as_ref(), now));
        Ok(told.map(|(info, _)| info))
    }

    async fn rotate_key(&self) -> Result<(), IssuerError> {
        Ok(())
    }
}

//! Orders: from the decision to a version.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::reading::{Reading, places};
use super::{Turn, Turning, WorkError, news};
use crate::clock::Timestamp;
use crate::config::KeyType;
use crate::crash::{self, Point};
use crate::issuer::{IssuerError, Progress};
use crate::pki::cert_id;
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::planner::backoff::{Failure, after_order};
use crate::planner::claims::{Ordered, claims};
use crate::planner::{Reason, issuers};
use crate::state::order::{Added, NewOrder};
use crate::state::version::NewVersion;
use crate::state::{Claim, ObstacleKind, ObstacleRow, OrderRow};

/// A wait no longer than this is slept through; longer ones put the order down.
const SHORT: Duration = Duration::from_secs(2);

/// As long as this a turn sleeps in all.
const SLEEP: Duration = Duration::from_secs(30);

/// How long a turn waits for a seat before the certificate is put down.
const SEAT_PATIENCE: Duration = Duration::from_secs(2);

/// A certificate without a seat comes again within this. Not all at once: seats that fall free meanwhile would stay
/// empty until then.
const SEAT_ABSENCE: Duration = Duration::from_secs(4);

impl Turn<'_> {
    /// Writes an order and its sealed key down.
    pub(super) async fn order(&self, reading: &Reading, issuer: &str, reason: &Reason) -> Result<(), WorkError> {
        let Some(wanted) = &reading.wanted else { return Ok(()) };
        let name = reading.row.name.as_str();
        info!(certificate = name, issuer, %reason, "ordering");
        crash::point(Point::Decided);
        let key = new_key(name, wanted.key).await?;
        let profile = wanted.profile.as_ref().map(|profile| profile.name());
        let replaces = self.replaces(reading, issuer);
        let json = reason.to_json();
        let order = NewOrder {
            certificate: name,
            issuer,
            reason: &json,
            names: wanted.names.iter().map(ToString::to_string).collect(),
            key_type: wanted.key.as_str(),
            key: &key.to_pkcs8_der(),
            profile,
            replaces: replaces.as_deref(),
        };
        let now = self.clock().now();
        let claims = self.claims(reading, &order, reason, now);
        match self.state().add_order(&order, &claims, now).await? {
            Added::Order(_) => {}
            Added::Held(held) => warn!(certificate = name, issuer, until = %held.until, "{}", held.why),
        }
        crash::point(Point::OrderWritten);
        Ok(())
    }

    /// The CertID of the version that the order replaces: only for the CA that issued it and has told of its renewal, and
    /// only of the same account, since CAs refuse it of others.
    fn replaces(&self, reading: &Reading, issuer: &str) -> Option<String> {
        let version = reading.version.as_ref()?;
        let directory = self.parts.issuers.get(issuer)?.issuer.directory_url()?;
        let issued_it = version.directory_url.as_deref() == Some(directory) && version.issuer == issuer;
        (issued_it && version.renewal.window.is_some()).then(|| cert_id(&version.chain)).flatten()
    }

    /// What the order takes of its CA's limits; our own CAs have none.
    fn claims(&self, reading: &Reading, order: &NewOrder<'_>, reason: &Reason, now: Timestamp) -> Vec<Claim> {
        let Some(account) = self.parts.config.accounts.get(order.issuer) else { return Vec::new() };
        let ordered = Ordered {
            names: &order.names,
            issuer: order.issuer,
            reason,
            version: reading.version.as_ref(),
            replaces: order.replaces.is_some(),
            certificate: order.certificate,
            due_at: reading.due_at(now),
        };
        claims(&ordered, &account.limits, now)
    }

    /// Gives the open order up.
    pub(super) async fn abandon(&self, reading: &Reading, why: &str) -> Result<(), WorkError> {
        let Some(order) = &reading.order else { return Ok(()) };
        info!(certificate = %reading.row.name, order = order.url.as_deref(), reason = why, "order given up");
        Ok(self.state().order_abandoned(&order.id, why, self.clock().now()).await?)
    }

    /// Takes the open order as far as it goes.
    pub(super) async fn advance(&mut self, reading: &Reading) -> Result<Turning, WorkError> {
        let (Some(order), Some(wanted)) = (&reading.order, &reading.wanted) else { return Ok(Turning::GoesOn) };
        let Some(seats) = self.parts.issuers.get(&order.issuer).cloned() else {
            self.abandon(reading, "its issuer was taken out of the config").await?;
            return Ok(Turning::GoesOn);
        };
        if self.seat.is_none() {
            match timeout(SEAT_PATIENCE, seats.seats.clone().acquire_owned()).await {
                Ok(Ok(seat)) => self.seat = Some(seat),
                _ => return self.leave(reading, self.worker.dice.part_of(SEAT_ABSENCE)).await,
            }
        }
        match seats.issuer.advance(order, wanted).await {
            Ok(Progress::Wait { until, .. }) if self.may_sleep(until) => self.clock().sleep_until(until).await,
            Ok(Progress::Wait { until, what }) => {
                info!(certificate = %order.certificate, order = order.url.as_deref(), %until, "waiting: {what}");
                self.state().order_waits(&order.id, until).await?;
            }
            Ok(Progress::Issued) => {
                self.seat = None;
                self.version(reading, &order.id).await?;
            }
            Err(error) => self.failed(reading, order, &error).await?,
        }
        Ok(Turning::GoesOn)
    }

    /// Short waits are slept through, up to a limit for each turn.
    fn may_sleep(&mut self, until: Timestamp) -> bool {
        let wait = until.since(self.clock().now());
        self.slept += wait;
        wait <= SHORT && self.slept <= SLEEP
    }

    /// The order's chain becomes the certificate's version, in one transaction.
    async fn version(&self, reading: &Reading, order_id: &str) -> Result<(), WorkError> {
        let Some(order) = self.state().open_order(&reading.row.name).await?.filter(|order| order.id == order_id) else {
            return Ok(());
        };
        let chain = order.chain.as_deref().unwrap_or_default();
        let leaf = Chain::from_pem(chain).map_err(|error| damaged(&order, &error))?.leaf().clone();
        let stores = reading.wanted.as_ref().map(|wanted| places(wanted, &self.parts.config, self.state()));
        let version = NewVersion {
            certificate: &order.certificate,
            issuer: &order.issuer,
            directory_url: order.directory_url.as_deref(),
            order_url: order.url.as_deref(),
            profile: order.profile.as_deref(),
            serial: leaf.serial.to_string(),
            names: order.names.clone(),
            key_type: &order.key_type,
            key: &order.key(self.state())?,
            chain,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            jitter: self.worker.dice.throw(),
            number_at_least: self.free_number(reading).await,
            stores: stores.unwrap_or_default(),
            adopted: false,
        };
        let news = news::of_version(&version, &order, reading.version.is_none());
        self.state().add_version_and_tell(&version, Some(&order), &news, self.clock().now()).await?;
        crash::point(Point::VersionWritten);
        info!(
            certificate = %order.certificate, issuer = %order.issuer, serial = %leaf.serial, not_after = %leaf.not_after,
            reason = %told(&order), "issued",
        );
        Ok(())
    }

    /// What could not go on is remembered, with the time of the next attempt.
    async fn failed(&self, reading: &Reading, order: &OrderRow, error: &IssuerError) -> Result<(), WorkError> {
        let now = self.clock().now();
        if let IssuerError::HeldBack { why } = error {
            warn!(certificate = %order.certificate, issuer = %order.issuer, "{why}");
            return Ok(());
        }
        if matches!(error, IssuerError::OrderGone { .. }) && is_past(order, now) && reading.row.failures == 0 {
            info!(certificate = %order.certificate, order = order.url.as_deref(), "{error}: a new one is made");
            return Ok(self.state().order_abandoned(&order.id, &error.to_string(), now).await?);
        }
        let (failure, kind) = (error.failure(), error.obstacle());
        let obstacle = reading.obstacles.iter().find(|obstacle| obstacle.issuer == order.issuer);
        let failures = obstacle.map_or(0, |obstacle| obstacle.failures) + 1;
        let left = reading.version.as_ref().map(|version| version.not_after.since(now));
        let wait = after_order(failure, failures, left, self.worker.dice.throw());
        let words = providers::error::chain(error);
        warn!(
            certificate = %order.certificate, order = order.url.as_deref(), issuer = %order.issuer,
            retry_at = %now.plus(wait), attempts = failures, "order failed: {words}",
        );
        self.tell_of_issuer(order, error).await?;
        if let Some(next) = next_issuer(reading, order, kind, now.plus(wait), now) {
            return Ok(self.state().order_goes_elsewhere(order, &next, &words, now, wait).await?);
        }
        if error.ends_order() {
            return Ok(self.state().order_failed(order, kind, &words, now, wait).await?);
        }
        let waits_for = (failure == Failure::Operator).then_some(words.as_str());
        Ok(self.state().order_troubled(order, kind, &words, waits_for, now, wait).await?)
    }
}

/// Who is asked at once in place of the order's issuer, which is in the way until `retry_at`.
fn next_issuer(
    reading: &Reading,
    order: &OrderRow,
    kind: ObstacleKind,
    retry_at: Timestamp,
    now: Timestamp,
) -> Option<String> {
    if order.chain.is_some() || kind != ObstacleKind::Unavailable {
        return None;
    }
    let (issuer, error) = (order.issuer.clone(), String::new());
    let met = ObstacleRow { issuer, kind, failures: 1, retry_at, error, since: now, last_at: now };
    let others = reading.obstacles.iter().filter(|obstacle| obstacle.issuer != order.issuer);
    let obstacles: Vec<_> = others.cloned().chain([met]).collect();
    let choice = issuers::choose(&reading.wanted.as_ref()?.issuers, &obstacles, now)?;
    (choice.at <= now && choice.issuer != order.issuer).then(|| choice.issuer.to_owned())
}

/// So old that the CA may well have forgotten it; a young one that is gone is a fault, and is not made anew in haste.
fn is_past(order: &OrderRow, now: Timestamp) -> bool {
    now.since(order.created_at) > Duration::from_secs(3600)
}

fn told(order: &OrderRow) -> String {
    Reason::from_json(&order.reason).map_or_else(|| order.reason.clone(), |reason| reason.to_string())
}

fn damaged(order: &OrderRow, error: &dyn std::error::Error) -> WorkError {
    WorkError::Damaged { certificate: order.certificate.clone(), what: error.to_string() }
}

/// RSA keys take seconds: not on the runtime's own threads.
async fn new_key(certificate: &str, key_type: KeyType) -> Result<PrivateKey, WorkError> {
    let damaged = |what: String| WorkError::Damaged { certificate: certificate.to_owned(), what };
    let made = tokio::task::spawn_blocking(move || PrivateKey::generate(key_type)).await;
    made.map_err(|error| damaged(error.to_string()))?.map_err(|error| damaged(error.to_string()))
}

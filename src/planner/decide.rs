//! One certificate: what should happen, why, and when to look again.

use super::Reason;
use super::issuers::{self, Choice};
use super::renewal::{self, Life};
use super::{attempts, steps};
use crate::clock::Timestamp;
use crate::config;
use crate::state::certificate::Standing;
use crate::state::{
    CertificateRow, CertificateState, DeliveryRow, DeploymentRow, JobRow, ObstacleKind, ObstacleRow, OrderRow,
    RenewalWindow, TxtRow, VersionRow,
};

/// All that is known about one certificate.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// Its row.
    pub row: &'a CertificateRow,
    /// What the config wants; `None`: it was taken out.
    pub wanted: Option<&'a config::Certificate>,
    /// Its current version.
    pub version: Option<&'a VersionRow>,
    /// Its open order.
    pub order: Option<&'a OrderRow>,
    /// TXT values that we owe a deletion.
    pub txts: &'a [TxtRow],
    /// Of the current version.
    pub deliveries: &'a [DeliveryRow],
    /// Of the current version, on this node.
    pub deployments: &'a [DeploymentRow],
    /// How its issuers treat it.
    pub obstacles: &'a [ObstacleRow],
    /// Not finished, oldest first.
    pub jobs: &'a [JobRow],
    /// The stores that are to have it, and the node whose they are (empty: shared).
    pub stores: &'a [(String, String)],
    /// The clock may be trusted: without it nothing new is ordered.
    pub clock_trusted: bool,
    /// Other certificates with a command in common with this one are on their way.
    pub company_comes: bool,
}

impl Certificate<'_> {
    /// The current version's life.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        self.version.map(|version| Life {
            not_before: version.not_before,
            not_after: version.not_after,
            jitter: version.jitter,
        })
    }

    /// Why a new certificate is wanted, whatever the time; `Expiring` stands here with the time from which it holds.
    pub(super) fn reason(&self, wanted: &config::Certificate, now: Timestamp) -> Option<(Reason, Timestamp)> {
        let Some(version) = self.version else { return Some((Reason::Missing, now)) };
        if let Some(reason) = changed(version, wanted) {
            return Some((reason, now));
        }
        if version.revoked_at.is_some() {
            let reason = version.revocation_reason.clone().unwrap_or_default();
            return (!version.not_replaced).then_some((Reason::Revoked { reason }, now));
        }
        let due_at = self.life()?.due_at(&wanted.renew, now);
        let outside = renewal::is_closed(&wanted.renew, due_at.max(now));
        let expiring = (Reason::Expiring { not_after: version.not_after, outside }, due_at);
        let suggested = version.renewal.window.as_ref().map(|window| suggestion(window, wanted, now));
        Some(suggested.filter(|(_, at)| *at <= due_at.max(now)).unwrap_or(expiring))
    }

    /// Why the next certificate is wanted, and from when on; `None`: nobody wants it.
    #[must_use]
    pub fn renewal(&self, now: Timestamp) -> Option<(Reason, Timestamp)> {
        self.reason(self.wanted?, now)
    }

    /// Which issuer is asked next, and when; `None`: it has none.
    #[must_use]
    pub fn choice(&self, now: Timestamp) -> Option<Choice<'_>> {
        issuers::choose(&self.wanted?.issuers, self.obstacles, now)
    }

    /// How many attempts can be made before the current version expires; `None`: there is none, or it is not to be
    /// replaced.
    #[must_use]
    pub fn attempts_left(&self, now: Timestamp) -> Option<u32> {
        let (version, wanted) = (self.version?, self.wanted?);
        let (_, due_at) = self.reason(wanted, now)?;
        let choice = self.choice(now)?;
        let from = due_at.max(choice.at).max(now);
        let failures = self.obstacles.iter().find(|obstacle| obstacle.issuer == choice.issuer);
        Some(attempts::left(from, version.not_after, failures.map_or(0, |obstacle| obstacle.failures)))
    }
}

fn suggestion(window: &RenewalWindow, wanted: &config::Certificate, now: Timestamp) -> (Reason, Timestamp) {
    let at = renewal::suggested_at(window, &wanted.renew, now);
    let outside = renewal::is_closed(&wanted.renew, at.max(now));
    let (start, end, explanation) = (window.start, window.end, window.explanation.clone());
    (Reason::RenewalInfo { start, end, explanation, outside }, at)
}

fn changed(version: &VersionRow, wanted: &config::Certificate) -> Option<Reason> {
    let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
    let missing = |these: &[String], from: &[String]| -> Vec<String> {
        these.iter().filter(|name| !from.contains(name)).cloned().collect()
    };
    let (added, removed) = (missing(&names, &version.names), missing(&version.names, &names));
    if !added.is_empty() || !removed.is_empty() {
        return Some(Reason::NamesChanged { added, removed });
    }
    if version.key_type != wanted.key.as_str() {
        return Some(Reason::KeyChanged { from: version.key_type.clone(), to: wanted.key.as_str().to_owned() });
    }
    if !wanted.issuers.contains(&version.issuer) {
        let to = wanted.issuers.first().cloned().unwrap_or_default();
        return Some(Reason::IssuerChanged { from: version.issuer.clone(), to });
    }
    None
}

/// What is said while the clock is wrong.
pub(super) const WRONG_CLOCK: &str = "the clock cannot be trusted, so nothing is ordered";

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing before `look_again_at`.
    Rest,
    /// The stores are searched for something to adopt.
    Inspect,
    /// An order is written down for this issuer.
    Order {
        /// The account or CA.
        issuer: String,
        /// Why.
        reason: Reason,
    },
    /// The CA is asked when it suggests to renew (RFC 9773).
    Ask,
    /// The open order goes on.
    Advance,
    /// The open order is given up: it is not what the config wants any more.
    Abandon {
        /// In words.
        why: String,
    },
    /// The current version is put into a store.
    Deliver {
        /// The store.
        store: String,
        /// The node whose it is; empty: shared.
        node: String,
    },
    /// A command is run for all that wait for it.
    Command(config::DeployCommand),
    /// What is served at an address is looked at.
    Verify(config::Verify),
    /// TXT values are withdrawn.
    Withdraw(Vec<TxtRow>),
    /// A version is revoked because somebody asked.
    Revoke(JobRow),
    /// The current version is put into its stores and its consumers are told, again, because somebody asked.
    Redeploy(JobRow),
    /// A job is taken up: from now on its outcome is waited for.
    Begin(JobRow),
    /// A job is finished, well or not, with these words.
    Finish(JobRow, Result<String, String>),
}

/// What the planner says of a certificate.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What is done next.
    pub action: Action,
    /// How the certificate stands, and, where there is nothing to do, when to look again.
    pub standing: Standing,
}

/// Decides. The first step that has something to do wins; where none has, the certificate rests until the earliest
/// time that any of them named.
#[must_use]
pub fn decide(certificate: &Certificate<'_>, now: Timestamp) -> Decision {
    let mut rest = Rest { now, until: Timestamp::NEVER };
    let action = steps::STEPS.iter().find_map(|step| step(certificate, &mut rest));
    let attempts_left = certificate.attempts_left(now);
    let wanted = certificate.wanted.map_or(0, |wanted| wanted.attempts_left);
    let standing = Standing {
        state: state(certificate, now),
        problem: problem(certificate, now),
        look_again_at: rest.until.max(now),
        attempts_left,
        too_few: attempts_left.is_some_and(|left| left < wanted),
    };
    Decision { action: action.unwrap_or(Action::Rest), standing }
}

/// What tells one command from another in the state: equal commands are run once for all that wait for them.
#[must_use]
pub fn command_target(command: &config::DeployCommand) -> String {
    serde_json::json!({ "command": command.command, "each": command.each }).to_string()
}

/// What tells one place to look at from another in the state.
#[must_use]
pub fn verify_target(place: &config::Verify) -> String {
    let starttls = place.starttls.map(|protocol| format!("{protocol:?}").to_ascii_lowercase());
    serde_json::json!({ "address": place.address, "server_name": place.server_name, "starttls": starttls }).to_string()
}

/// The earliest time at which there may be something to do.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) now: Timestamp,
    until: Timestamp,
}

impl Rest {
    /// `true` where `at` has come; else it is noted as a time to look again.
    pub(super) fn has_come(&mut self, at: Timestamp) -> bool {
        if at <= self.now {
            return true;
        }
        self.until = self.until.min(at);
        false
    }
}

fn state(certificate: &Certificate<'_>, now: Timestamp) -> CertificateState {
    if certificate.wanted.is_none() {
        return CertificateState::Retired;
    }
    if let Some(order) = certificate.order {
        let waits = order.waits_for.is_some() || (certificate.row.failures > 0 && order.next_step_at > now);
        return if waits { CertificateState::Waiting } else { CertificateState::Ordering };
    }
    match certificate.version {
        None if certificate.choice(now).is_some_and(|choice| choice.at > now) => CertificateState::Waiting,
        None => CertificateState::Pending,
        Some(version) if version.revoked_at.is_some() => CertificateState::Revoked,
        Some(_) => progress(certificate),
    }
}

/// How far the current version has come; a step with nothing configured for it is passed over.
fn progress(certificate: &Certificate<'_>) -> CertificateState {
    let Some(wanted) = certificate.wanted else { return CertificateState::Retired };
    if certificate.stores.iter().any(|store| !steps::is_stored(certificate, store)) {
        return CertificateState::Issued;
    }
    if !wanted.deploy.iter().all(|command| steps::command_done(certificate, command)) {
        return CertificateState::Stored;
    }
    if !wanted.verify.is_empty() && wanted.verify.iter().all(|place| steps::verify_done(certificate, place)) {
        return CertificateState::Served;
    }
    if wanted.deploy.is_empty() { CertificateState::Stored } else { CertificateState::Deployed }
}

/// The limit that holds a certificate back whose time has come.
fn held_back(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    let choice = certificate.choice(now)?;
    let held = issuers::in_the_way(choice.issuer, certificate.obstacles, now)?;
    (certificate.order.is_none() && held.kind == ObstacleKind::Held).then(|| held.error.clone())
}

/// What is wrong, the gravest first.
fn problem(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    certificate.wanted?;
    if let Some(what) = certificate.order.and_then(|order| order.waits_for.clone()) {
        return Some(what);
    }
    if let Some(held) = held_back(certificate, now) {
        return Some(held);
    }
    if certificate.row.failures > 0
        && let Some(error) = &certificate.row.last_error
    {
        return Some(error.clone());
    }
    if certificate.version.is_some_and(|version| version.not_after <= now) {
        return Some("it has expired".to_owned());
    }
    if !certificate.clock_trusted {
        return Some(WRONG_CLOCK.to_owned());
    }
    let delivery = certificate.deliveries.iter().find(|row| !row.stored && row.error.is_some());
    if let Some((store, error)) = delivery.and_then(|row| Some((&row.store, row.error.as_ref()?))) {
        return Some(format!("store `{store}`: {error}"));
    }
    certificate.deployments.iter().filter(|row| !row.done).find_map(|row| row.error.clone())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;

//! What is due and why, and what comes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::certificate::{LARGEST_PAGE, reason_kind};
use super::changes::Change;
use super::facts::{Facts, Work};
use super::load::{Burden, Load, load};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::planner::issuers::{self, Choice};
use crate::planner::{self, Action, Reason};
use crate::state::{ObstacleKind, Result, State, VersionRow};

/// What is going to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// 1.
    pub schema: u32,
    /// When it was made.
    pub at: String,
    /// How far it looks ahead.
    pub days: u32,
    /// What is due now, by name.
    pub due: Vec<Planned>,
    /// What comes, soonest first.
    pub coming: Vec<Planned>,
    /// How much each CA is asked for in that time, as things are and with shorter lifetimes.
    #[serde(default)]
    pub load: Vec<Load>,
    /// What taking the config as it stands in the file would cause; empty where it is in force already.
    pub changes: Vec<Change>,
    /// Private CAs whose certificates are not as the config has them.
    #[serde(default)]
    pub authorities: Vec<AuthorityChange>,
}

/// Keys of `[ca.NAME]` that are not in force yet, or something else of a CA that somebody has to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityChange {
    /// The CA.
    pub ca: String,
    /// The keys in the config; none where it is no key that is not in force.
    pub keys: Vec<String>,
    /// In words.
    pub consequence: String,
}

impl std::fmt::Display for AuthorityChange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.keys.as_slice() {
            [] => write!(formatter, "ca.{}: {}", self.ca, self.consequence),
            keys => write!(formatter, "ca.{}: `{}`: {}", self.ca, keys.join("`, `"), self.consequence),
        }
    }
}

/// One thing that is going to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The certificate.
    pub certificate: String,
    /// When.
    pub at: String,
    /// In one word: `order`, `deliver`, `verify` and so on.
    pub action: String,
    /// In words.
    pub what: String,
    /// Why, in words.
    pub reason: Option<String>,
    /// Why, in one word.
    pub reason_kind: Option<String>,
}

/// Looks at each certificate and tells what is due and what comes in the next `days`.
///
/// # Errors
/// Where the database fails.
pub async fn plan(state: &State, config: &Config, now: Timestamp, clock_trusted: bool, days: u32) -> Result<Plan> {
    let horizon = now.plus(Duration::from_secs(u64::from(days) * 24 * 3600));
    let (mut due, mut coming, mut burdens) = (Vec::new(), Vec::new(), Vec::new());
    let mut after = String::new();
    loop {
        let rows = state.certificates(&after, LARGEST_PAGE).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.name);
        for row in rows {
            let work = Work::read(state, &row.name).await?;
            let facts = Facts::read(state, config, row).await?;
            burdens.extend(burden(&facts, &work, now));
            for (at, planned) in planned(&facts, &work, clock_trusted, now) {
                match at {
                    at if at <= now => due.push(planned),
                    at if at <= horizon => coming.push((at, planned)),
                    _ => {}
                }
            }
        }
    }
    coming.sort_by(|one, other| (one.0, &one.1.certificate).cmp(&(other.0, &other.1.certificate)));
    let coming = coming.into_iter().map(|(_, planned)| planned).collect();
    let load = load(&burdens, config, now, days);
    Ok(Plan {
        schema: SCHEMA,
        at: now.to_string(),
        days,
        due,
        coming,
        load,
        changes: Vec::new(),
        authorities: Vec::new(),
    })
}

/// What a certificate asks of the first of its issuers; nothing where it is not renewed.
fn burden(facts: &Facts<'_>, work: &Work, now: Timestamp) -> Option<Burden> {
    let issuer = facts.wanted?.issuers.first()?.clone();
    let lifetime = facts.version.as_ref().map(|version| version.not_after.since(version.not_before));
    let at = if facts.version.is_none() || work.order.is_some() { now } else { facts.renew_at(now)? };
    Some(Burden { issuer, at, lifetime })
}

/// What is done with one certificate next, and when.
fn planned(facts: &Facts<'_>, work: &Work, clock_trusted: bool, now: Timestamp) -> Vec<(Timestamp, Planned)> {
    let decision = planner::decide(&facts.for_planner(work, clock_trusted), now);
    let entry = |at: Timestamp, (action, what): (&str, String), reason: Option<&Reason>| {
        let certificate = facts.row.name.clone();
        let (reason, reason_kind) = (reason.map(ToString::to_string), reason.map(reason_kind));
        (at, Planned { certificate, at: at.to_string(), action: action.to_owned(), what, reason, reason_kind })
    };
    match &decision.action {
        Action::Rest => {}
        action @ Action::Order { reason, .. } => return vec![entry(now, in_words(action), Some(reason))],
        action => return vec![entry(now, in_words(action), None)],
    }
    let at = decision.standing.look_again_at;
    let again = (at < Timestamp::NEVER).then(|| unfinished(facts, work)).flatten();
    let is_ordered_again = again.as_ref().is_some_and(|(action, _)| *action == "order");
    let certificate = facts.for_planner(work, clock_trusted);
    let renewal = certificate.renewal(now).filter(|_| work.order.is_none() && !is_ordered_again);
    let renewal = renewal.map(|(reason, due_at)| {
        let choice = certificate.choice(now);
        let what = ("order", ordered(choice, work, now));
        entry(due_at.max(choice.map_or(now, |choice| choice.at)), what, Some(&reason))
    });
    again.map(|what| entry(at, what, None)).into_iter().chain(renewal).collect()
}

/// That a new certificate is ordered, and whether a limit is all that it waits for.
fn ordered(choice: Option<Choice<'_>>, work: &Work, now: Timestamp) -> String {
    let in_the_way = choice.and_then(|choice| issuers::in_the_way(choice.issuer, &work.obstacles, now));
    match in_the_way {
        Some(obstacle) if obstacle.kind == ObstacleKind::Held => {
            format!("a new certificate is ordered, once a limit of `{}` lets it", obstacle.issuer)
        }
        _ => "a new certificate is ordered".to_owned(),
    }
}

/// What a certificate at rest does when it is looked at again.
pub(super) fn at_rest(facts: &Facts<'_>, work: &Work, at: Timestamp, now: Timestamp) -> String {
    if let Some((_, what)) = unfinished(facts, work) {
        return what;
    }
    let asks = |version: &VersionRow| version.directory_url.is_some() && version.renewal.ask_at == at;
    if facts.version.as_ref().is_some_and(asks) {
        return in_words(&Action::Ask).1;
    }
    let certificate = facts.for_planner(work, true);
    if certificate.renewal(now).is_some_and(|(_, due_at)| due_at <= at && at < Timestamp::NEVER) {
        return ordered(certificate.choice(now), work, now);
    }
    let looks = facts.wanted.is_some_and(|wanted| !wanted.verify.is_empty()) && at < Timestamp::NEVER;
    if looks { "what is served is looked at".to_owned() } else { in_words(&Action::Rest).1 }
}

/// What a certificate at rest goes on with when its time comes.
fn unfinished(facts: &Facts<'_>, work: &Work) -> Option<(&'static str, String)> {
    if work.order.is_some() {
        return Some(in_words(&Action::Advance));
    }
    if facts.row.failures > 0 {
        return Some(("order", format!("ordered again, after {} failures in a row", facts.row.failures)));
    }
    let delivery = facts.deliveries.iter().find(|row| !row.stored && row.error.is_some());
    if let Some(delivery) = delivery {
        return Some(("deliver", format!("put into store `{}` again", delivery.store)));
    }
    let untold = facts.deployments.iter().any(|row| !row.done && row.error.is_some());
    untold.then(|| ("deploy", "its consumers are told, or looked at, again".to_owned()))
}

/// An action in one word and in several.
pub(super) fn in_words(action: &Action) -> (&'static str, String) {
    match action {
        Action::Rest => ("rest", "nothing".to_owned()),
        Action::Inspect => ("inspect", "the stores are searched for something to adopt".to_owned()),
        Action::Order { issuer, .. } => ("order", format!("a new certificate is ordered from `{issuer}`")),
        Action::Ask => ("ask", "its CA is asked when to renew it".to_owned()),
        Action::Advance => ("advance", "the order on its way goes on".to_owned()),
        Action::Abandon { why } => ("abandon", format!("the order on its way is given up: {why}")),
        Action::Deliver { store, .. } => ("deliver", format!("put into store `{store}`")),
        Action::Command(deploy) => ("deploy", format!("`{}` is run", deploy.command.join(" "))),
        Action::Verify(place) => ("verify", format!("what {} serves is looked at", place.address)),
        Action::Withdraw(txts) => ("withdraw", format!("{} TXT values are withdrawn", txts.len())),
        Action::Revoke(_) => ("revoke", "revoked, as was asked".to_owned()),
        Action::Redeploy(_) => ("deploy", "stored and told to its consumers again, as was asked".to_owned()),
        Action::Begin(job) => ("begin", format!("the {} that was asked for is taken up", job.kind)),
        Action::Finish(job, _) => ("finish", format!("the {} that was asked for is over", job.kind)),
    }
}

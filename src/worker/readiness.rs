//! Knowing beforehand whether each issuer could issue: a fallback that could not is found on a quiet day, not on the day
//! that it is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::timeout;
use tracing::{info, warn};

use super::permission::permission;
use super::{Parts, Worker};
use crate::clock::Timestamp;
use crate::config::Certificate;
use crate::dns01::Dns01;
use crate::dns01::caa::Memory;
use crate::issuer::{Issuer, Offers};

/// Questions under way at a time.
const AT_A_TIME: usize = 4;

/// No CA is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates whose CAA records are looked at in one round, in the order of their names.
const MOST_CERTIFICATES: usize = 1_000;

/// What was found when the issuers were last looked at. Before the first look there is nothing.
#[derive(Debug, Default)]
pub struct Readiness(ArcSwapOption<Looked>);

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// When it was over.
    pub at: Timestamp,
    /// Every issuer that a certificate names, and why it could not issue; `None`: it could.
    pub issuers: BTreeMap<String, Option<String>>,
    /// Why an issuer could not issue with a profile.
    orders: BTreeMap<(String, Option<String>), String>,
    /// Why an issuer could not issue for one certificate.
    certificates: BTreeMap<(String, String), String>,
}

impl Readiness {
    /// The last look, if there was one.
    #[must_use]
    pub fn last(&self) -> Option<std::sync::Arc<Looked>> {
        self.0.load_full()
    }
}

impl Looked {
    /// Why the issuer could not issue the certificate; `None`: nothing is known to be in the way.
    #[must_use]
    pub fn objection(&self, name: &str, wanted: &Certificate, issuer: &str) -> Option<&str> {
        let order = self.orders.get(&(issuer.to_owned(), profile(wanted)));
        order.or_else(|| self.certificates.get(&(name.to_owned(), issuer.to_owned()))).map(String::as_str)
    }

    /// How many issuers could issue whatever they are named for, and how many could not.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let not_ready = self.issuers.values().flatten().count();
        (self.issuers.len() - not_ready, not_ready)
    }
}

impl Worker {
    /// Asks every issuer that a certificate names whether it could issue, and says what has changed. Nothing is ordered; of
    /// the names only CAA records are asked for, in DNS.
    pub async fn look_at_readiness(&self, readiness: &Readiness) {
        let parts = self.parts.load_full();
        let orders = ask_issuers(&parts).await;
        let certificates = ask_about_names(&parts, &orders).await;
        let used = parts.config.certificates.values().flat_map(|wanted| &wanted.issuers);
        let mut issuers: BTreeMap<String, Option<String>> = used.map(|issuer| (issuer.clone(), None)).collect();
        for ((name, issuer), why) in certificates.iter().rev() {
            issuers.insert(issuer.clone(), Some(format!("for certificate `{name}`: {why}")));
        }
        for ((issuer, _), why) in orders.iter().rev() {
            issuers.insert(issuer.clone(), Some(why.clone()));
        }
        let looked = Looked { at: self.clock.now(), issuers, orders, certificates };
        say_what_changed(readiness.last().as_deref(), &looked);
        readiness.0.store(Some(std::sync::Arc::new(looked)));
    }
}

/// Each issuer with each profile that is asked of it, once.
async fn ask_issuers(parts: &Parts) -> BTreeMap<(String, Option<String>), String> {
    let mut orders: BTreeMap<(String, Option<String>), &Certificate> = BTreeMap::new();
    for wanted in parts.config.certificates.values() {
        for issuer in &wanted.issuers {
            orders.entry((issuer.clone(), profile(wanted))).or_insert(wanted);
        }
    }
    let mut questions = Vec::new();
    for (order, wanted) in orders {
        if let Some(seats) = parts.issuers.get(&order.0) {
            questions.push(obstacle(seats.issuer.as_ref(), wanted, order));
        }
    }
    let found = stream::iter(questions).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await;
    found.into_iter().flatten().collect()
}

/// What an issuer says against an order, beside the key that it is remembered by.
async fn obstacle(
    issuer: &dyn Issuer,
    wanted: &Certificate,
    key: (String, Option<String>),
) -> Option<((String, Option<String>), String)> {
    match timeout(PATIENCE, issuer.ready_for(wanted)).await {
        Ok(answer) => Some((key, providers::error::chain(&answer.err()?))),
        Err(_) => Some((key, format!("it gives no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// CAA for every certificate with more than one issuer, at those of them that are public CAs and could issue otherwise.
async fn ask_about_names(
    parts: &Parts,
    orders: &BTreeMap<(String, Option<String>), String>,
) -> BTreeMap<(String, String), String> {
    let several = parts.config.certificates.iter().filter(|(_, wanted)| wanted.issuers.len() > 1);
    let several: Vec<_> = several.take(MOST_CERTIFICATES).collect();
    let public = |issuer: &&String| parts.config.accounts.contains_key(issuer.as_str());
    let named: BTreeSet<&String> =
        several.iter().flat_map(|(_, wanted)| wanted.issuers.iter().filter(public)).collect();
    let known = sources(parts, &named).await;
    let memory = Memory::default();
    let mut questions = Vec::new();
    for (name, wanted) in several {
        for issuer in &wanted.issuers {
            let is_ready = !orders.contains_key(&(issuer.clone(), profile(wanted)));
            if let Some(source) = known.get(issuer).filter(|_| is_ready) {
                questions.push(forbidden(&parts.dns01, &memory, wanted, source, (name.to_string(), issuer.clone())));
            }
        }
    }
    let found = stream::iter(questions).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await;
    found.into_iter().flatten().collect()
}

/// The first objection of CAA, beside the key that it is remembered by.
async fn forbidden(
    dns01: &Dns01,
    memory: &Memory,
    wanted: &Certificate,
    (offers, account_url): &(Offers, Option<String>),
    key: (String, String),
) -> Option<((String, String), String)> {
    let permission = permission(dns01, memory, wanted, offers, account_url.as_deref()).await;
    Some((key, permission.forbidden.into_iter().next()?))
}

/// What each of these CAs says about itself, and our account there.
async fn sources(parts: &Parts, named: &BTreeSet<&String>) -> BTreeMap<String, (Offers, Option<String>)> {
    let mut known = BTreeMap::new();
    for name in named {
        let Some(seats) = parts.issuers.get(*name) else { continue };
        if let Ok(Ok(Some(offers))) = timeout(PATIENCE, seats.issuer.offers()).await {
            known.insert((*name).clone(), (offers, seats.issuer.account_url().await.ok().flatten()));
        }
    }
    known
}

fn profile(wanted: &Certificate) -> Option<String> {
    wanted.profile.as_ref().map(|profile| profile.name().to_owned())
}

fn say_what_changed(before: Option<&Looked>, now: &Looked) {
    for (issuer, why) in &now.issuers {
        let before = before.and_then(|before| before.issuers.get(issuer)).cloned().flatten();
        match (before, why) {
            (was, Some(why)) if was.as_ref() != Some(why) => warn!(issuer, "it could not issue: {why}"),
            (Some(_), None) => info!(issuer, "it could issue again"),
            _ => {}
        }
    }
}

//! Looks at the whole of it now and then: has anything expired, been starved, or been left behind?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::SimulationError;
use super::driver::Run;
use super::trouble::Span;
use super::witness::Life;
use super::world::Book;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::pki::chain::Chain;

const HOUR: Duration = Duration::from_secs(3600);

/// With so much time in which it could have been had, a new certificate is there.
const NEW: Duration = Duration::from_secs(24 * 3600);

/// More orders than this at a time wait for their CA's limits.
const ROUND: usize = 300;

/// So long before it expires the last chance begins.
const LAST_CHANCE: Duration = Duration::from_secs(12 * 3600);

/// What is expected.
#[derive(Debug)]
pub(super) struct Inspection {
    /// Since when each certificate is wanted, and how long it may take because of limits.
    wanted: BTreeMap<String, (Timestamp, Duration)>,
    /// Complained of already.
    told: BTreeSet<(String, Timestamp)>,
}

impl Inspection {
    pub(super) fn new(config: &Arc<Config>, now: Timestamp) -> Self {
        let mut inspection = Self { wanted: BTreeMap::new(), told: BTreeSet::new() };
        inspection.expect(config, now);
        inspection
    }

    /// From now on this config is wanted.
    pub(super) fn expect(&mut self, config: &Arc<Config>, now: Timestamp) {
        let new = config.certificates.keys().filter(|name| !self.wanted.contains_key(name.as_str()));
        let new: Vec<String> = new.map(|name| name.as_str().to_owned()).collect();
        let rounds = u32::try_from(new.len() / ROUND).unwrap_or(u32::MAX);
        let queue = (HOUR * 4).saturating_mul(rounds);
        self.wanted.extend(new.into_iter().map(|name| (name, (now, queue))));
    }
}

impl Run {
    /// Looks at every certificate.
    pub(super) async fn inspect(&mut self) -> Result<(), SimulationError> {
        let held = self.machine.state.expiries(u32::MAX).await?;
        let (config, inspection) = (Arc::clone(&self.config), &mut self.inspection);
        self.machine.world.with(|book, now| {
            let lapsed = std::mem::take(&mut book.witness.lapsed);
            for (name, life) in lapsed {
                inspection.expired(book, &config, &name, life, now);
            }
            for (name, not_after) in held.iter().filter(|(_, not_after)| **not_after <= now) {
                let life = book.witness.lives.get(name).copied().filter(|life| life.not_after == *not_after);
                life.into_iter().for_each(|life| inspection.expired(book, &config, name, life, now));
            }
            for name in config.certificates.keys().filter(|name| !held.contains_key(name.as_str())) {
                inspection.starved(book, &config, name.as_str(), now);
            }
            not_replaced(book, &config, now);
        });
        Ok(())
    }

    /// When all is over, no value is left at the DNS host, nor owed.
    pub(super) async fn inspect_the_host(&mut self) -> Result<(), SimulationError> {
        let owed = self.machine.state.count_owed_txts().await? as usize;
        self.machine.world.with(|book, now| {
            let left: Vec<String> = book
                .host
                .left()
                .filter(|(_, since)| now.since(*since) > 24 * HOUR)
                .map(|(name, _)| name.to_owned())
                .collect();
            for name in left {
                book.witness.violation("", &format!("a TXT value was left behind at {name}"), now);
            }
            let shown = book.host.left().count();
            if owed > shown {
                book.witness.violation("", &format!("{owed} TXT values are owed a withdrawal, {shown} are there"), now);
            }
        });
        Ok(())
    }
}

impl Run {
    /// When all is over, each certificate lies on the shelf as its CA delivered it last, and became one version only.
    pub(super) async fn inspect_the_shelf(&self) -> Result<(), SimulationError> {
        for (name, wanted) in &self.config.certificates {
            let versions = self.machine.state.versions(name.as_str()).await?;
            let Some(newest) = versions.first() else { continue };
            let shown = self.machine.shelf.chain(name.as_str());
            let twice = versions.iter().skip(1).any(|version| version.serial == newest.serial);
            let last = self.machine.world.with(|book, _| book.witness.lives.get(name.as_str()).copied());
            let newest_chain = Chain::from_pem(&newest.chain).ok().map(|chain| chain.fullchain_pem());
            let wrong = [
                (!wanted.stores.is_empty() && shown != newest_chain, "its store has another version than the newest"),
                (twice, "one chain became two versions"),
                (last.is_some_and(|life| life.not_after != newest.not_after), "what was issued last is no version"),
            ];
            // What was there before the simulation began was never put into a store.
            let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong && newest.order_id.is_some());
            self.machine.world.with(|book, now| {
                wrong.for_each(|(_, what)| book.witness.violation(name.as_str(), what, now));
            });
        }
        Ok(())
    }
}

impl Inspection {
    /// It has expired: nobody is to blame where it could not have been had.
    fn expired(&mut self, book: &mut Book, config: &Config, name: &str, life: Life, now: Timestamp) {
        if self.told.contains(&(name.to_owned(), life.not_after)) {
            return;
        }
        self.told.insert((name.to_owned(), life.not_after));
        let issuers = issuers(config, name);
        let third = life.not_after.since(life.not_before) / 3;
        let span = |length: Duration| Span { from: life.not_after.minus(length), to: life.not_after };
        let chances = book.chances(name, &issuers, span(third));
        let last = book.chances(name, &issuers, span(LAST_CHANCE.min(third)));
        if chances * 4 >= third || last >= LAST_CHANCE {
            let hours = chances.as_secs() / 3600;
            let what = format!("expired at {}, though it could have been had for {hours} hours", life.not_after);
            book.witness.violation(name, &what, now);
        }
    }

    /// It is new, and does not come.
    fn starved(&mut self, book: &mut Book, config: &Config, name: &str, now: Timestamp) {
        let Some((since, queue)) = self.wanted.get(name).copied() else { return };
        if now.since(since) < NEW + queue || self.told.contains(&(name.to_owned(), since)) {
            return;
        }
        if book.chances(name, &issuers(config, name), Span { from: since, to: now }) >= NEW + queue {
            self.told.insert((name.to_owned(), since));
            book.witness.violation(name, &format!("wanted since {since}, and not there"), now);
        }
    }
}

/// Whoever was told to renew has done so within the window, where that was possible all along.
fn not_replaced(book: &mut Book, config: &Config, now: Timestamp) {
    let advised = &book.witness.advised;
    let late = advised.iter().filter(|(_, (_, advice))| advice.deadline < now);
    let late: Vec<_> = late.map(|(name, (_, advice))| (name.clone(), *advice)).collect();
    for (name, advice) in late {
        let advised = book.witness.advised.remove(&name);
        book.witness.judged.extend(advised.map(|(serial, _)| serial));
        let Some(wanted) = config.certificates.get(name.as_str()) else { continue };
        // What failed before has to wait for up to six hours.
        let span = Span { from: advice.told_at.minus(7 * HOUR), to: advice.deadline };
        let length = span.to.since(span.from);
        if book.chances(&name, &wanted.issuers[..1], span) >= length {
            book.witness.violation(&name, &format!("was to be renewed before {}", advice.deadline), now);
        }
    }
}

fn issuers(config: &Config, name: &str) -> Vec<String> {
    config.certificates.get(name).map(|wanted| wanted.issuers.clone()).unwrap_or_default()
}

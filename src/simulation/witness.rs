//! The witness: watches what renewd does, and tells what it must never do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::authority::No;
use super::memory::Memory;
use super::report::{Month, Report, Violation, What};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::issuer::{IssuerError, RenewalInfo};
use crate::pki::chain::Chain;
use crate::planner::Reason;
use crate::state::{OrderRow, VersionRow};

/// As many violations are told in full.
const TOLD: usize = 20;

/// As many lines are kept of what happened to each certificate.
const LINES: usize = 16;

const HOUR: Duration = Duration::from_secs(3600);

/// So many failures of one certificate at one issuer within an hour are a storm …
const STORM: usize = 14;

/// … and so many within a day.
const DAILY_STORM: usize = 120;

/// Whoever was told to renew at once has done so after this.
const AT_ONCE: Duration = Duration::from_secs(2 * 3600);

/// Who refused names is asked again after this at the earliest, and nobody else meanwhile.
const REFUSED: Duration = Duration::from_secs(240);

/// Nobody asks more often about one certificate.
const QUESTIONS: Duration = Duration::from_secs(590);

/// The life of the certificate that somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// A certificate was told to be renewed out of the ordinary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    pub(super) told_at: Timestamp,
    pub(super) deadline: Timestamp,
}

/// The witness.
#[derive(Debug)]
pub(super) struct Witness {
    start: Timestamp,
    logs: BTreeMap<String, VecDeque<String>>,
    failures: BTreeMap<(String, String), VecDeque<Timestamp>>,
    memory: Memory,
    /// Certificates, by name, as their CAs delivered them last.
    pub(super) lives: BTreeMap<String, Life>,
    /// Certificates that had expired when the next came.
    pub(super) lapsed: Vec<(String, Life)>,
    pub(super) advised: BTreeMap<String, (String, Advice)>,
    /// Serials of certificates that were told so, and judged.
    pub(super) judged: BTreeSet<String>,
    recent: BTreeMap<String, VecDeque<Timestamp>>,
    /// By certificate: who refused its names last, and when.
    refusals: BTreeMap<String, (String, Timestamp)>,
    /// By serial: when its CA was last asked about it.
    questions: BTreeMap<String, Timestamp>,
    /// A clock that is wrong by a day breaks limits that are counted by it: what follows within a week is excused.
    pub(super) excused_until: Timestamp,
    pub(super) report: Report,
}

impl Witness {
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            logs: BTreeMap::new(),
            failures: BTreeMap::new(),
            memory: Memory::default(),
            lives: BTreeMap::new(),
            lapsed: Vec::new(),
            advised: BTreeMap::new(),
            judged: BTreeSet::new(),
            recent: BTreeMap::new(),
            refusals: BTreeMap::new(),
            questions: BTreeMap::new(),
            excused_until: Timestamp::EPOCH,
            report: Report::default(),
        }
    }

    /// All is over.
    pub(super) fn conclude(&mut self, config: &Config, now: Timestamp) -> Report {
        for name in config.certificates.keys() {
            match self.lives.get(name.as_str()) {
                Some(life) if life.not_after <= now => self.report.lapsed(now.since(life.not_after)),
                Some(_) => {}
                None => self.report.missing += 1,
            }
        }
        std::mem::take(&mut self.report)
    }

    /// Certificates that failed within the last day, the first of them.
    pub(super) fn failing(&self) -> Vec<String> {
        const FEW: usize = 30;
        self.failures.keys().map(|(name, _)| name.clone()).take(FEW).collect()
    }

    /// Writes down what happened to a certificate.
    pub(super) fn log(&mut self, certificate: &str, what: &str, now: Timestamp) {
        let log = self.logs.entry(certificate.to_owned()).or_default();
        log.push_back(format!("{now} {what}"));
        if log.len() > LINES {
            log.pop_front();
        }
    }

    /// What must never happen did.
    pub(super) fn violation(&mut self, certificate: &str, what: &str, now: Timestamp) {
        self.report.violated += 1;
        if self.report.violations.len() < TOLD {
            let log = self.logs.get(certificate).map(|log| log.iter().cloned().collect()).unwrap_or_default();
            let (certificate, what) = (certificate.to_owned(), what.to_owned());
            self.report.violations.push(Violation { at: now, certificate, what, log });
        }
    }

    /// A CA is asked for an order: not before a third of the life is over, but for a reason. `shown` is the time that
    /// renewd goes by.
    pub(super) fn ordered(&mut self, order: &OrderRow, reason: Option<&Reason>, shown: Timestamp, now: Timestamp) {
        let told = reason.map_or_else(|| order.reason.clone(), ToString::to_string);
        self.log(&order.certificate, &format!("ordered from `{}`: {told}", order.issuer), now);
        let (Some(life), Some(Reason::Expiring { .. })) = (self.lives.get(&order.certificate), reason) else { return };
        let third = life.not_before.plus(life.not_after.since(life.not_before) / 3);
        if shown < third {
            self.violation(&order.certificate, "renewed before a third of its life, without a reason", now);
        }
    }

    /// A CA is asked for an order: not because one before it in the config has refused the names.
    pub(super) fn failed_over(&mut self, order: &OrderRow, issuers: &[String], now: Timestamp) {
        let place = |name: &str| issuers.iter().position(|issuer| issuer == name);
        let refusal = self.refusals.get(&order.certificate).filter(|(_, at)| now.since(*at) < REFUSED);
        if refusal.is_some_and(|(by, _)| place(by) < place(&order.issuer)) {
            self.violation(&order.certificate, "its names were refused, and the next CA is asked at once", now);
        }
    }

    /// A CA is asked for an order: not before the time to which its last failure put it off, and no restart forgets that.
    pub(super) fn hold_against_failures(&mut self, order: &OrderRow, issuer: &str, now: Timestamp) {
        let Some(not_before) = self.memory.not_before(&order.certificate, issuer) else { return };
        if now < not_before && now >= self.excused_until {
            let what = format!("`{issuer}` is asked for an order before {not_before}, though it has just failed");
            self.violation(&order.certificate, &what, now);
        }
    }

    /// What was being done when the plug was pulled may be done again. So many writes have got through before.
    pub(super) fn crashed(&mut self, written: u64) {
        self.questions.clear();
        self.memory.crashed(written);
    }

    /// A CA has made an order.
    pub(super) fn made(&mut self, order: &OrderRow, issuer: &str, exempt: bool, now: Timestamp) {
        self.report.orders += 1;
        self.report.exempt += u64::from(exempt);
        let recent = self.recent.entry(issuer.to_owned()).or_default();
        if !exempt {
            recent.push_back(now);
        }
        while recent.front().is_some_and(|at| now.since(*at) >= 3 * HOUR) {
            recent.pop_front();
        }
        let within = u32::try_from(recent.len()).unwrap_or(u32::MAX);
        let month = self.month(issuer, now);
        month.orders += 1;
        month.exempt += u32::from(exempt);
        month.busiest = month.busiest.max(within);
        let expires = self.lives.get(&order.certificate).map(|life| life.not_after);
        self.report.note(&order.certificate, issuer, What::Made { exempt, expires }, now);
        self.log(&order.certificate, &format!("`{issuer}` made the order"), now);
    }

    fn month(&mut self, issuer: &str, now: Timestamp) -> &mut Month {
        let index = usize::try_from(now.since(self.start).as_secs() / (30 * 24 * 3600)).unwrap_or(0);
        let months = self.report.months.entry(issuer.to_owned()).or_default();
        if months.len() <= index {
            months.resize(index + 1, Month::default());
        }
        &mut months[index]
    }

    /// A chain came.
    pub(super) fn issued(&mut self, order: &OrderRow, chain: &str, now: Timestamp) {
        let Ok(chain) = Chain::from_pem(chain) else { return };
        let life = Life { not_before: chain.leaf().not_before, not_after: chain.leaf().not_after };
        let name = &order.certificate;
        self.report.issued += 1;
        self.month(&order.issuer, now).issued += 1;
        let what = What::Issued { not_before: life.not_before, not_after: life.not_after };
        self.report.note(name, &order.issuer, what, now);
        self.failures.remove(&(name.clone(), order.issuer.clone()));
        self.memory.forget(name, &order.issuer);
        self.advised.remove(name);
        self.log(name, &format!("issued by `{}`, until {}", order.issuer, life.not_after), now);
        if let Some(before) = self.lives.insert(name.clone(), life) {
            self.report.renewals += 1;
            if before.not_after <= now {
                self.lapsed.push((name.clone(), before));
                self.report.lapsed(now.since(before.not_after));
            }
        }
    }

    /// A CA did not do what it was asked; so many writes have got through before.
    pub(super) fn refused(
        &mut self,
        order: &OrderRow,
        issuer: &str,
        no: &No,
        error: &IssuerError,
        (now, written): (Timestamp, u64),
    ) {
        self.report.failures += 1;
        let name = order.certificate.as_str();
        self.log(name, &format!("`{issuer}`: {error}"), now);
        self.memory.failed(name, issuer, error, now, written);
        let what = if matches!(no, No::Refused(_)) { What::Refused } else { What::Failed };
        self.report.note(name, issuer, what, now);
        if let No::Refused(_) = no {
            self.refusals.insert(name.to_owned(), (issuer.to_owned(), now));
        }
        if let No::Limit { kind, subject } = no
            && now >= self.excused_until
        {
            self.violation(name, &format!("the limit of {} is broken: {subject}", kind.in_words()), now);
        }
        let failures = self.failures.entry((name.to_owned(), issuer.to_owned())).or_default();
        failures.push_back(now);
        while failures.front().is_some_and(|at| now.since(*at) >= 24 * HOUR) {
            failures.pop_front();
        }
        let within_hour = failures.iter().filter(|at| now.since(**at) < HOUR).count();
        let within_day = failures.len();
        if within_hour > STORM || within_day > DAILY_STORM {
            let what = format!("a storm: {within_hour} failures within an hour, {within_day} within a day");
            self.violation(name, &what, now);
        }
    }

    /// It is asked about what is in force, and not too often. By a clock that is wrong either may seem so.
    fn question(&mut self, version: &VersionRow, now: Timestamp) {
        let before = self.questions.insert(version.serial.clone(), now);
        let soon = before.is_some_and(|before| now.since(before) < QUESTIONS);
        let over = version.not_after <= now;
        let replaced = self.lives.get(&version.certificate).is_some_and(|life| life.not_after > version.not_after);
        if now >= self.excused_until && (soon || over || replaced) {
            self.violation(&version.certificate, "its CA is asked about it too often, or too late", now);
        }
    }

    /// A CA told when to renew.
    pub(super) fn asked(&mut self, version: &VersionRow, told: Option<&(RenewalInfo, bool)>, now: Timestamp) {
        self.report.questions += 1;
        let name = version.certificate.as_str();
        self.question(version, now);
        let Some((info, true)) = told else { return };
        let known = self.advised.get(name).is_some_and(|(serial, _)| *serial == version.serial);
        if known || self.judged.contains(&version.serial) {
            return;
        }
        self.log(name, &format!("told to renew between {} and {}", info.start, info.end), now);
        let advice = Advice { told_at: now, deadline: info.end.max(now.plus(AT_ONCE)) };
        self.advised.insert(name.to_owned(), (version.serial.clone(), advice));
    }
}

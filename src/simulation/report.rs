//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;

/// Something that must never happen did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// To which certificate; empty: to none in particular.
    pub certificate: String,
    /// What.
    pub what: String,
    /// What happened to the certificate last.
    pub log: Vec<String>,
}

/// What one issuer had to do in one month of thirty days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Month {
    /// Orders made.
    pub orders: u32,
    /// Of these, orders that its limits do not count.
    pub exempt: u32,
    /// Certificates issued.
    pub issued: u32,
    /// The most orders that counted within three hours.
    pub busiest: u32,
}

/// One line of the diary of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, by the true time.
    pub at: Timestamp,
    /// To which certificate it happened.
    pub certificate: String,
    /// At which account.
    pub issuer: String,
    /// What.
    pub what: What,
}

/// What happened between renewd and a CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The CA has made an order.
    Made {
        /// Its limits do not count it.
        exempt: bool,
        /// When the certificate that there is expires; `None`: there is none.
        expires: Option<Timestamp>,
    },
    /// It has issued.
    Issued {
        /// In force from then …
        not_before: Timestamp,
        /// … to then.
        not_after: Timestamp,
    },
    /// It refused the names, or their proof.
    Refused,
    /// It failed in another way, or could not be asked.
    Failed,
}

/// What came of a run. Two runs of one script have equal reports, but for the time that they took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Certificates at the end.
    pub certificates: usize,
    /// Simulated days.
    pub days: u32,
    /// Turns of the worker.
    pub turns: u64,
    /// Questions about renewal (RFC 9773) that were answered.
    pub questions: u64,
    /// Orders that a CA has made.
    pub orders: u64,
    /// Of these, orders that name what they replace and count for no limit.
    pub exempt: u64,
    /// Certificates issued.
    pub issued: u64,
    /// Of these, in place of another.
    pub renewals: u64,
    /// Answers of CAs and DNS hosts that were a failure.
    pub failures: u64,
    /// Times that the plug was pulled.
    pub crashes: u64,
    /// The most certificates that were held back at one time to keep a limit, as seen every six hours.
    pub held: u32,
    /// Certificates that expired before the next came, whoever is to blame.
    pub expired: u64,
    /// The longest time that a certificate was expired.
    pub longest_gap: Duration,
    /// Certificates that are wanted at the end and never came.
    pub missing: usize,
    /// How often something that must never happen did.
    pub violated: u64,
    /// The first of these.
    pub violations: Vec<Violation>,
    /// All that happened between renewd and its CAs, in order.
    #[serde(skip)]
    pub diary: Vec<Entry>,
    /// By issuer, what each month of thirty days brought.
    pub months: BTreeMap<String, Vec<Month>>,
    /// How long the run took.
    #[serde(skip)]
    pub took: Took,
}

/// The time that a run took: equal to any other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took(pub Duration);

impl PartialEq for Took {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Took {}

impl Report {
    /// Nothing happened that must never happen.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violated == 0
    }

    /// Writes a line into the diary.
    pub(super) fn note(&mut self, certificate: &str, issuer: &str, what: What, at: Timestamp) {
        self.diary.push(Entry { at, certificate: certificate.to_owned(), issuer: issuer.to_owned(), what });
    }

    /// A certificate expired, and went without for so long.
    pub(super) fn lapsed(&mut self, gap: Duration) {
        self.expired += 1;
        self.longest_gap = self.longest_gap.max(gap);
    }

    /// What was counted, with its name.
    #[must_use]
    pub fn figures(&self) -> [(&'static str, u64); 9] {
        [
            ("certificates", self.certificates as u64),
            ("days", u64::from(self.days)),
            ("turns of the worker", self.turns),
            ("questions about renewal", self.questions),
            ("orders", self.orders),
            ("certificates issued", self.issued),
            ("failures met", self.failures),
            ("crashes", self.crashes),
            ("violations", self.violated),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "seed {}", self.seed)?;
        self.figures().iter().try_for_each(|(name, count)| write!(formatter, ", {count} {name}"))?;
        for violation in &self.violations {
            write!(formatter, "\n{} {}: {}", violation.at, violation.certificate, violation.what)?;
            violation.log.iter().try_for_each(|line| write!(formatter, "\n    {line}"))?;
        }
        Ok(())
    }
}

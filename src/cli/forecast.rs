//! `renewd plan --simulate`.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, facts};
use super::world::World;
use crate::report::SCHEMA;
use crate::simulation::{Held, Report, Violation, WhatIf, forecast as script, run};
use crate::state::{State, StateError};

/// Certificates are read so many at a time.
const PAGE: u32 = 500;

/// What came of a simulation.
#[derive(Debug, Serialize)]
struct Forecast {
    schema: u32,
    /// The first instant.
    at: String,
    days: u32,
    seed: u64,
    certificates: usize,
    /// Orders that CAs have made.
    orders: u64,
    issued: u64,
    /// Of them, in place of another.
    renewed: u64,
    /// Answers of CAs and DNS hosts that were a failure.
    failures: u64,
    crashes: u64,
    /// The most at one time, to keep a limit.
    held_back: u32,
    /// Expired before the next came.
    expired: u64,
    longest_gap_seconds: u64,
    /// Wanted, and never there.
    missing: usize,
    load: Vec<Burden>,
    /// What must never happen, and did.
    violations: Vec<Violation>,
}

/// What one issuer had to do.
#[derive(Debug, Serialize)]
struct Burden {
    issuer: String,
    orders: u64,
    /// Of them, such as its limits do not count.
    exempt: u64,
    issued: u64,
    /// The most orders that counted within three hours.
    busiest_three_hours: u32,
}

pub(super) async fn forecast(output: &Output, world: &World, days: u32, seed: u64) -> Outcome {
    if days == 0 {
        return Err(Failure::NotDone(anyhow::anyhow!("a simulation needs a day at least: `--days 1`")));
    }
    let (config, now) = (world.config()?, world.clock.now());
    let held = held(world).await?.into_iter().filter(|held| held.version.not_after > now).collect();
    let script = script(config, held, &WhatIf { seed, days, lifetime: None, trouble: true }, now);
    let report = run(script).await.map_err(|error| Failure::NotDone(error.into()))?;
    let forecast = Forecast::of(now.to_string(), report);
    output.answer(&forecast, || forecast.in_words());
    Ok(if forecast.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The certificates that there are; none where there is no state yet.
async fn held(world: &World) -> Result<Vec<Held>, Failure> {
    let state = match State::open_to_look(&world.config()?.state).await {
        Err(StateError::Absent { .. }) => return Ok(Vec::new()),
        state => state?,
    };
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let rows = state.certificates(&after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after.clone_from(&last.name);
        for id in rows.iter().filter(|row| row.retired_at.is_none()).filter_map(|row| row.version_id.as_ref()) {
            found.extend(state.version(id).await?.map(|version| Held { version }));
        }
    }
}

impl Forecast {
    fn of(at: String, report: Report) -> Self {
        let burden = |(issuer, months): (String, Vec<_>)| Burden::of(issuer, &months);
        Self {
            schema: SCHEMA,
            at,
            days: report.days,
            seed: report.seed,
            certificates: report.certificates,
            orders: report.orders,
            issued: report.issued,
            renewed: report.renewals,
            failures: report.failures,
            crashes: report.crashes,
            held_back: report.held,
            expired: report.expired,
            longest_gap_seconds: report.longest_gap.as_secs(),
            missing: report.missing,
            load: report.months.into_iter().map(burden).collect(),
            violations: report.violations,
        }
    }

    fn in_words(&self) -> String {
        let some = |count: u64| Some(count.to_string());
        let gap = Duration::from_secs(self.longest_gap_seconds / 60 * 60);
        let gap = (self.expired > 0).then(|| crate::config::duration::in_words(gap));
        let facts = facts(&[
            ("Certificates", some(self.certificates as u64)),
            ("Issued", some(self.issued)),
            ("Of them renewals", some(self.renewed)),
            ("Failures met", some(self.failures)),
            ("Crashes", some(self.crashes)),
            ("Held back at once", Some(format!("{} at the most, to keep limits", self.held_back))),
            ("Expired", some(self.expired)),
            ("Longest gap", gap),
            ("Never came", (self.missing > 0).then(|| self.missing.to_string())),
        ]);
        let head = format!("{} days from {} on, with troubles of seed {}:", self.days, self.at, self.seed);
        [Some(format!("{head}\n{facts}")), self.load(), self.violations()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn load(&self) -> Option<String> {
        let mut table = Table::new(&["CA", "ORDERS", "EXEMPT", "ISSUED", "BUSIEST 3 H"]);
        for burden in &self.load {
            let counts = [burden.orders, burden.exempt, burden.issued, u64::from(burden.busiest_three_hours)];
            table.row([burden.issuer.clone()].into_iter().chain(counts.map(|count| count.to_string())));
        }
        (!self.load.is_empty()).then(|| format!("What each CA was asked for:\n{}", table.render()))
    }

    fn violations(&self) -> Option<String> {
        let mut table = Table::new(&["WHEN", "CERTIFICATE", "WHAT"]);
        for violation in &self.violations {
            table.row([violation.at.to_string(), violation.certificate.clone(), violation.what.clone()]);
        }
        let head = "What should never happen (if it is not the config's doing, please report it with its seed):";
        (!self.violations.is_empty()).then(|| format!("{head}\n{}", table.render()))
    }
}

impl Burden {
    fn of(issuer: String, months: &[crate::simulation::Month]) -> Self {
        let sum =
            |count: fn(&crate::simulation::Month) -> u32| months.iter().map(|month| u64::from(count(month))).sum();
        Self {
            issuer,
            orders: sum(|month| month.orders),
            exempt: sum(|month| month.exempt),
            issued: sum(|month| month.issued),
            busiest_three_hours: months.iter().map(|month| month.busiest).max().unwrap_or(0),
        }
    }
}

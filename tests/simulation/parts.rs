//! What the scenarios here are made of.

use std::sync::Arc;
use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::config::{Certificate, Config, Limit, Limits};
use renewd::simulation::{Entry, Event, Report, Scenario, Script, What, run};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many certificates, and peace: nothing goes wrong but what a test puts in.
pub fn peace(certificates: usize, days: u32) -> Script {
    let scenario = Scenario { certificates, days, hostile: false, clock_trouble: false, ..Scenario::short(1) };
    scenario.script().unwrap().in_peace()
}

/// Plays a script; what must never happen does not.
pub fn play(script: Script) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run(script)).unwrap();
    assert!(report.is_clean(), "{report}");
    report
}

/// Names of the script's certificates.
pub fn names(script: &Script) -> Vec<String> {
    script.config.certificates.keys().map(ToString::to_string).collect()
}

/// Every certificate is as this has it.
pub fn each(script: &mut Script, edit: impl Fn(&mut Certificate)) {
    let mut config = Config::clone(&script.config);
    config.certificates.values_mut().for_each(edit);
    script.config = Arc::new(config);
}

/// Every certificate lives so long.
pub fn live(script: &mut Script, lifetime: Duration) {
    script.lifetimes = names(script).into_iter().map(|name| (name, lifetime)).collect();
}

/// Every account may make so many orders within three hours, and its CA sees to it. Nothing else is limited.
pub fn orders_within_three_hours(script: &mut Script, most: u32) {
    let orders = Some(Limit { most, within: 3 * HOUR });
    limit(script, Limits { orders, domain: None, names: None, failures: None });
}

/// Every account has these limits, and its CA sees to it.
pub fn limit(script: &mut Script, limits: Limits) {
    let mut config = Config::clone(&script.config);
    config.accounts.values_mut().for_each(|account| account.limits = limits);
    script.config = Arc::new(config);
    script.authorities.values_mut().for_each(|part| part.limits = limits);
}

/// The plug is pulled again and again.
pub fn kill_every(pause: Duration, from: Timestamp, length: Duration) -> impl Iterator<Item = (Timestamp, Event)> {
    let count = u32::try_from(length.as_secs() / pause.as_secs()).unwrap();
    (0..count).map(move |index| (from.plus(pause * index), Event::Crash { after: None, writes: 0 }))
}

/// The lines of the diary about one certificate that `what` lets through.
pub fn lines<'r>(report: &'r Report, certificate: &str, what: impl Fn(What) -> bool) -> Vec<&'r Entry> {
    report.diary.iter().filter(|entry| entry.certificate == certificate && what(entry.what)).collect()
}

/// The most of these instants, which are in order, within any span of this length.
pub fn most_within(instants: &[Timestamp], span: Duration) -> usize {
    let within = |index: usize| instants[index..].iter().take_while(|at| at.since(instants[index]) < span).count();
    (0..instants.len()).map(within).max().unwrap_or(0)
}

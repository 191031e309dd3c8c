//! Simulated years, as fast as they go: the real planner, worker and state against a simulated CA, DNS host and clock.
//!
//! `cargo bench --bench simulate -- CERTIFICATES DAYS SEED` plays one run of that size; without arguments both runs of
//! the budget side by side, on a core each: planner and database take turns all the time, which costs half as much on one
//! core as across two. `short FROM TO` plays the short scenarios of those seeds, as the tests do.

#[path = "figures/table.rs"]
mod table;
#[path = "figures/usage.rs"]
mod usage;

use std::process::Command;
use std::time::{Duration, Instant};

use renewd::simulation::{Report, Scenario, run};

use table::{Table, time};

/// Longer than this no run may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Certificates and days of the runs of the budget.
const RUNS: [(usize, u32); 2] = [(1_000, 730), (10_000, 60)];

fn main() {
    if !table::asked_for() {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut table = Table::default();
    match words[..] {
        [] => return side_by_side(),
        ["short", from, to] => short(&mut table, number(from)..number(to)),
        [certificates, days] => large(&mut table, number(certificates), number(days), 1),
        [certificates, days, seed] => large(&mut table, number(certificates), number(days), number(seed)),
        _ => panic!("no arguments, or: CERTIFICATES DAYS [SEED], or: short FROM TO"),
    }
    table.print("simulate");
}

/// Both runs, each in a process of its own that prints its own table.
fn side_by_side() {
    let program = std::env::current_exe().expect("this program has a path");
    let begin = |(core, (certificates, days)): (usize, (usize, u32))| {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(&program).arg("--bench");
        command.args([certificates.to_string(), days.to_string()]).spawn().expect("taskset of util-linux is there")
    };
    let runs: Vec<_> = RUNS.into_iter().enumerate().map(begin).collect();
    for mut run in runs {
        assert!(run.wait().expect("a run ends").success(), "a run has failed");
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is not a number"))
}

fn play(scenario: Scenario) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let script = scenario.script().expect("the script can be written");
    let report = runtime.block_on(run(script)).expect("the simulation can be played");
    assert!(report.is_clean(), "{report}");
    report
}

fn large(table: &mut Table, certificates: usize, days: u32, seed: u64) {
    let before = usage::spent(std::process::id());
    let report = play(Scenario::long(certificates, days, seed));
    let spent = usage::spent(std::process::id()).saturating_sub(before);
    let took = report.took.0;
    let what = format!("{certificates} certificates, {days} days, seed {seed}");
    let share = format!("{:.2} of it", took.as_secs_f64() / LIMIT.as_secs_f64());
    table.row(&what, &format!("the limit {}", time(LIMIT)), &time(took), &share, "≤ 10 min");
    let each = took / u32::try_from(report.turns.max(1)).unwrap_or(u32::MAX);
    let figures: Vec<String> = report.figures().iter().map(|(name, count)| format!("{count} {name}")).collect();
    table.note(format!("{}; {} a turn; {} of all cores", figures.join(", "), time(each), time(spent)));
}

fn short(table: &mut Table, seeds: std::ops::Range<u64>) {
    let (began, count) = (Instant::now(), seeds.end - seeds.start);
    let turns: u64 = seeds.clone().map(|seed| play(Scenario::short(seed)).turns).sum();
    let took = began.elapsed();
    let each = time(took / u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    table.row(&format!("short seeds {seeds:?}, one after another"), "", &time(took), &format!("{each} each"), "");
    table.note(format!("{turns} turns of the worker"));
}

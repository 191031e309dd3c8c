//! Simulated weeks, two hundred times, each from another seed: nothing happens that must never happen.
//!
//! `RENEWD_SEED=17 cargo nextest run --test simulation -E 'test(one_seed)' --run-ignored all --no-capture` plays one
//! again; `200-299` plays a hundred others.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails; reports are printed")]

#[path = "simulation/advice.rs"]
mod advice;
#[path = "simulation/backlog.rs"]
mod backlog;
#[path = "simulation/clocks.rs"]
mod clocks;
#[path = "simulation/failing.rs"]
mod failing;
#[path = "simulation/lifetimes.rs"]
mod lifetimes;
#[path = "simulation/neighbours.rs"]
mod neighbours;
#[path = "simulation/parts.rs"]
mod parts;

use std::process::Command;
use std::{env, fs, thread};

use renewd::simulation::{Report, Scenario, run};

/// How many seeds are played.
const SEEDS: u64 = 200;

/// On so many cores.
const CORES: u64 = 2;

/// The first and the last core that this process may use: the same where there is but one.
fn cores() -> [String; CORES as usize] {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    let first = allowed.split([',', '-']).next().unwrap().to_owned();
    [first, allowed.rsplit([',', '-']).next().unwrap().to_owned()]
}

fn play(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let script = Scenario::short(seed).script().unwrap();
    runtime.block_on(run(script)).unwrap()
}

fn replay(seed: u64) -> String {
    format!("RENEWD_SEED={seed} cargo nextest run --test simulation -E 'test(one_seed)' --run-ignored all --no-capture")
}

/// Each core has a process of its own: the planner and the database take turns all the time, which costs far less on one
/// core than across two.
#[test]
fn two_hundred_seeds_pass() {
    let share = SEEDS / CORES;
    let play = |(index, core): (u64, String)| {
        let seeds = format!("{}-{}", index * share, (index + 1) * share - 1);
        let mut command = Command::new("taskset");
        command.args(["-c", &core]).arg(env::current_exe().unwrap());
        command.args(["one_seed", "--exact", "--ignored", "--nocapture"]).env("RENEWD_SEED", seeds);
        thread::spawn(move || command.output().unwrap())
    };
    let cores: Vec<_> = (0..).zip(cores()).map(play).collect();
    for played in cores.into_iter().map(|core| core.join().unwrap()) {
        let said = String::from_utf8_lossy(&played.stdout);
        assert!(played.status.success() && said.contains("1 passed"), "{said}");
    }
}

#[test]
fn a_seed_replays() {
    let (first, second) = (play(12), play(12));
    assert_eq!(first, second);
    assert_ne!(first.turns, play(8).turns);
    assert!(first.renewals > 20 && first.crashes > 20 && first.failures > 20, "much happened: {first}");
}

#[test]
#[ignore = "plays the seeds that RENEWD_SEED names: `17` or `200-299`"]
fn one_seed() {
    let named = env::var("RENEWD_SEED").unwrap();
    let (first, last) = named.split_once('-').unwrap_or((&named, &named));
    let reports: Vec<Report> = (first.parse().unwrap()..=last.parse().unwrap()).map(play).collect();
    let failed: Vec<&Report> = reports.iter().filter(|report| !report.is_clean()).collect();
    println!("{}", reports.last().unwrap());
    failed.iter().for_each(|report| println!("{report}\nplay it again: {}\n", replay(report.seed)));
    assert!(failed.is_empty(), "{} of {} seeds failed: see above", failed.len(), reports.len());
}

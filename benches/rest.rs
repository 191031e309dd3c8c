//! renewd at rest with 1,000 certificates: memory, idle CPU, and the time from start to the first answer.

#[path = "figures/daemon.rs"]
mod daemon;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/table.rs"]
mod table;
#[path = "figures/usage.rs"]
mod usage;

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::Duration;

use daemon::{Home, bare_start};
use table::{Table, median, time};
use usage::{Memory, mebibytes};

/// Certificates at rest.
const MANY: usize = 1_000;
/// How long nothing happens before it is measured.
const QUIET: Duration = Duration::from_secs(10);
/// How long idle CPU is counted.
const IDLE: Duration = Duration::from_secs(20);
/// Starts of which the median is taken.
const STARTS: usize = 10;

fn main() {
    if !table::asked_for() {
        return;
    }
    let mut table = Table::default();
    let (one, many) = (home(1), home(MANY));
    memory_rows(&mut table, "just issued", issued(&one, 1), issued(&many, MANY));
    let ((few, _), (memory, cpu)) = (settled(&one), settled(&many));
    memory_rows(&mut table, "started again", few, memory);
    table.row("CPU at rest, of one core", "0 %", &format!("{cpu:.2} %"), "", "≈ 0");
    starts(&mut table, &many);
    table.note(format!("the private CA, one directory store; memory after {QUIET:?} with nothing to do"));
    table.note("program: pages of the file, which the kernel drops when it needs them".to_owned());
    table.note(format!("start: the median of {STARTS}, with that state; `renewd --version` does nothing else"));
    table.print("rest");
}

fn home(count: usize) -> Home {
    let home = Home::new();
    let mut text = "[ca.internal]\nsubject = { common_name = \"Bench\" }\n[store.disk.directory]\n".to_owned();
    (0..count).for_each(|number| writeln!(text, "[certificate.\"n{number}.test\"]").expect("a string takes text"));
    home.configure(&text);
    home
}

/// Memory of a daemon that has just had its private CA issue all certificates.
fn issued(home: &Home, count: usize) -> Memory {
    let daemon = home.start();
    daemon.wait(|| home.stored() == count, "all are stored");
    sleep(QUIET);
    usage::memory(daemon.id())
}

fn memory_rows(table: &mut Table, when: &str, one: Memory, many: Memory) {
    let limit = |kibibytes| format!("with 1 certificate {}", mebibytes(kibibytes));
    let mut row = |what: &str, one, many, budget: &str| {
        let what = format!("memory, {MANY} certificates {when}: {what}");
        table.row(&what, &limit(one), &mebibytes(many), &usage::ratio(many, one), budget);
    };
    row("resident", one.resident, many.resident, "≤ 40 MB");
    row("heap and stacks", one.anonymous, many.anonymous, "");
    row("program", one.of_files, many.of_files, "");
    row("proportional (PSS)", one.proportional, many.proportional, "");
}

/// Memory and idle CPU of a daemon that has had nothing to do for a while.
fn settled(home: &Home) -> (Memory, f64) {
    let daemon = home.start();
    daemon.answers("/health");
    sleep(QUIET);
    let memory = usage::memory(daemon.id());
    (memory, usage::cpu(daemon.id(), IDLE))
}

fn starts(table: &mut Table, home: &Home) {
    let limit = median((0..STARTS).map(|_| bare_start()).collect());
    let ours = median((0..STARTS).map(|_| home.start().answers("/health")).collect());
    let more = format!("+{}", time(ours.saturating_sub(limit)));
    let row = format!("start to the first answer on /health, {MANY} certificates");
    table.row(&row, &format!("`renewd --version` {}", time(limit)), &time(ours), &more, "≤ 200 ms");
}

//! 100,000 certificates of which none is due: reading the config, starting, a tick, resting; beside `certbot renew`.

#[path = "figures/certbot.rs"]
mod certbot;
#[path = "figures/daemon.rs"]
mod daemon;
#[path = "figures/fabricated.rs"]
mod fabricated;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/table.rs"]
mod table;
#[path = "figures/usage.rs"]
mod usage;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use renewd::clock::Clock;
use renewd::config::load;
use renewd::state::State;

use certbot::Lineages;
use daemon::{Home, config_of};
use table::{Table, median, time, times};
use usage::mebibytes;

/// Certificates on record.
const MANY: usize = 100_000;
/// Lineages of certbot.
const LINEAGES: usize = 500;
/// Ticks of which the median is taken; as many as one `limit` of the scheduler.
const TICKS: usize = 1_000;
/// What one turn of the loop asks for at the most.
const LIMIT: u32 = 256;
/// Repetitions of what takes long.
const FEW: usize = 5;
/// How long nothing happens before it is measured.
const QUIET: Duration = Duration::from_secs(10);
/// How long idle CPU is counted.
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    if !table::asked_for() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let mut table = Table::default();
    let home = Home::new();
    home.configure(&fabricated::config(MANY));
    reading(&mut table, &home.config());
    let tick = runtime.block_on(ticks(&mut table, &home.config()));
    beside_certbot(&mut table, tick);
    running(&mut table, &home);
    table
        .note(format!("{MANY} certificates of two names each, issued and stored, the first due in 60 days; no stores"));
    table.note(format!("a tick: `State::due` and `State::next_due`, the median of {TICKS}"));
    table.note(format!("reading and starting: the median of {FEW}; memory and CPU {QUIET:?} after a start"));
    table.print("tick");
}

fn reading(table: &mut Table, config: &Path) {
    let limit = median((0..FEW).map(|_| timed(|| parse(config))).collect());
    let ours = median((0..FEW).map(|_| timed(|| load(config).is_ok())).collect());
    let row = format!("reading a config of {MANY} tables");
    table.row(&row, &format!("TOML parser alone {}", time(limit)), &time(ours), &times(ours, limit), "");
}

fn parse(config: &Path) -> bool {
    let text = std::fs::read_to_string(config).expect("it can be read");
    text.parse::<toml::Table>().is_ok()
}

fn timed(work: impl FnOnce() -> bool) -> Duration {
    let started = Instant::now();
    let done = work();
    let took = started.elapsed();
    assert!(done, "the config is good");
    took
}

/// Fills the state, and asks it what is due.
async fn ticks(table: &mut Table, config: &Path) -> Duration {
    let config = config_of(config);
    let state = State::open(&config.state).await.expect("the state can be made");
    fabricated::fill(&state, &config).await;
    let now = Clock::system().now();
    let (mut limits, mut ticks) = (Vec::new(), Vec::new());
    for _ in 0..TICKS {
        let started = Instant::now();
        state.ping().await.expect("the database answers");
        limits.push(started.elapsed());
        let started = Instant::now();
        let due = state.due(now, LIMIT).await.expect("the database answers");
        let next = state.next_due(now).await.expect("the database answers");
        ticks.push(started.elapsed());
        assert!(due.is_empty() && next.is_some());
    }
    state.close().await;
    let (limit, ours) = (median(limits) * 2, median(ticks));
    let row = format!("a tick over {MANY}, nothing due");
    table.row(&row, &format!("two `SELECT 1` {}", time(limit)), &time(ours), &times(ours, limit), "≤ 1 ms");
    ours
}

fn beside_certbot(table: &mut Table, tick: Duration) {
    let Some(program) = certbot::program() else { return table.note(certbot::MISSING.to_owned()) };
    let lineages = Lineages::new(LINEAGES);
    let took = median((0..3).map(|_| lineages.renew(&program)).collect());
    let each = took / u32::try_from(LINEAGES).expect("it is small");
    let all = each * u32::try_from(MANY).expect("it is small");
    let peer = format!("`certbot renew` {}", time(took));
    table.row(
        &format!("finding that of {LINEAGES} (renewd: {MANY}) none is due"),
        &peer,
        &time(tick),
        &times(took, tick),
        "",
    );
    let peer = format!("`certbot renew` {} (extrapolated)", time(all));
    table.row(&format!("the same, both {MANY}"), &peer, &time(tick), &times(all, tick), "");
    table.note(format!(
        "{}: {} a lineage, its start included; renewal info not asked for",
        certbot::version(&program),
        time(each)
    ));
}

fn running(table: &mut Table, home: &Home) {
    let starts = (0..FEW).map(|_| home.start().answers("/health/ready")).collect();
    let limit = median((0..FEW).map(|_| timed(|| parse(&home.config()))).collect());
    let ours = median(starts);
    let row = format!("start to ready, {MANY} certificates");
    table.row(&row, &format!("TOML parser alone {}", time(limit)), &time(ours), &times(ours, limit), "≤ 2 s");
    let daemon = home.start();
    daemon.answers("/health/ready");
    sleep(QUIET);
    let memory = usage::memory(daemon.id());
    let size = std::fs::metadata(home.config()).map_or(0, |file| u32::try_from(file.len() / 1024).unwrap_or(u32::MAX));
    let row = format!("memory at rest, {MANY} certificates, resident");
    let ratio = usage::ratio(memory.resident, size);
    table.row(&row, &format!("the config file {}", mebibytes(size)), &mebibytes(memory.resident), &ratio, "");
    let cpu = usage::cpu(daemon.id(), IDLE);
    table.row("CPU at rest, of one core", "0 %", &format!("{cpu:.2} %"), "", "≈ 0");
}

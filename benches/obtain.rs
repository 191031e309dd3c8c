//! Obtaining certificates over ACME, beside lego and beside the bare requests.

#[path = "figures/bare.rs"]
mod bare;
#[path = "figures/daemon.rs"]
mod daemon;
#[path = "figures/lego.rs"]
mod lego;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/table.rs"]
mod table;

use std::fmt::Write as _;
use std::time::Duration;

use renewd::state::State;

use bare::Bare;
use daemon::{Daemon, Home};
use lego::Lego;
use peers::bind::Bind;
use peers::pebble::{Pebble, PebbleOptions};
use table::{Table, median, time, times};

const ZONE: &str = "example.com";
/// Certificates that renewd obtains in one run.
const MANY: usize = 200;
/// Certificates that lego obtains, one run each: more would tell no more.
const LEGO_RUNS: usize = 15;
/// Certificates obtained alone, one after another.
const ALONE: usize = 15;
/// Longer than `MANY` take, unless Pebble answers no more newOrder, as it was seen to do when many orders came at once.
const PATIENCE: Duration = Duration::from_secs(100);

fn main() {
    if !table::asked_for() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("there is no other");
    let mut table = Table::default();
    for retry_after in [0, 1] {
        let servers = Servers::start(retry_after);
        let manner = if retry_after == 0 { "no Retry-After" } else { "Retry-After 1 s" };
        let lego = servers.lego();
        if retry_after == 0 {
            runtime.block_on(alone(&mut table, &servers, lego));
        }
        many(&mut table, manner, retry_after, lego);
    }
    table.note(format!(
        "lego: the median of {LEGO_RUNS} runs, one process after another, times {MANY}; its account is made before"
    ));
    table.note("bare requests: instant-acme and RFC 2136 alone, with no state, store or look at the DNS".to_owned());
    table.note(format!("alone: the median of {ALONE}, from the decision to order until the files are in the store"));
    table.print("obtain");
}

/// A CA and the DNS that it asks.
struct Servers {
    bind: Bind,
    pebble: Pebble,
}

impl Servers {
    fn start(retry_after: u32) -> Self {
        let bind = Bind::start(&[ZONE]);
        let pebble = Pebble::start(PebbleOptions { dns: bind.address(), retry_after, ..PebbleOptions::default() });
        Self { bind, pebble }
    }

    fn lego(&self) -> Duration {
        let lego = Lego::new(&self.pebble, &self.bind, ZONE);
        median((0..LEGO_RUNS).map(|number| lego.obtain(&format!("lego{number}.{ZONE}"))).collect())
    }

    fn is_clean(&self) -> bool {
        self.bind.all_txt(ZONE).is_empty()
    }
}

/// One renewd, started with an empty state and all certificates in its config.
fn many(table: &mut Table, manner: &str, retry_after: u32, lego: Duration) {
    let (stored, clean) = loop {
        match obtain_many(&Servers::start(retry_after)) {
            Some(figures) => break figures,
            None => table.note(format!("{manner}: no end within {PATIENCE:?}, begun anew with another Pebble")),
        }
    };
    let lego = lego * u32::try_from(MANY).expect("it is small");
    let row = format!("{MANY} certificates, start to stored; {manner}");
    table.row(&row, &format!("lego {}", time(lego)), &time(stored), &times(lego, stored), "≥ 10 ×");
    let row = format!("{MANY} certificates, start to the last TXT withdrawn; {manner}");
    table.row(&row, &format!("lego {}", time(lego)), &time(clean), &times(lego, clean), "");
}

/// When all were stored, and when no TXT was left.
fn obtain_many(servers: &Servers) -> Option<(Duration, Duration)> {
    let home = Home::new();
    home.configure(&config(&home, servers, MANY));
    let daemon = home.start();
    let stored = daemon.wait_at_most(PATIENCE, || home.stored() == MANY)?;
    Some((stored, daemon.wait_at_most(PATIENCE, || servers.is_clean())?))
}

/// One certificate after another, each added to the config of an idle renewd.
async fn alone(table: &mut Table, servers: &Servers, lego: Duration) {
    let bare = Bare::new(&servers.pebble, &servers.bind, ZONE).await;
    let mut limits = Vec::new();
    for number in 0..ALONE {
        limits.push(bare.obtain(&format!("bare{number}.{ZONE}")).await);
    }
    let home = Home::new();
    home.configure(&config(&home, servers, 1));
    let daemon = home.start();
    add_one_by_one(&home, &daemon, servers);
    let (limit, ours) = (median(limits), median(durations(&home).await));
    let added = ours.saturating_sub(limit);
    let row = "1 certificate alone; no Retry-After";
    table.row(row, &format!("bare requests {}", time(limit)), &time(ours), &format!("+{}", time(added)), "≤ +50 ms");
    table.row(row, &format!("lego {}", time(lego)), &time(ours), &times(lego, ours), "");
}

fn add_one_by_one(home: &Home, daemon: &Daemon, servers: &Servers) {
    for count in 1..=ALONE + 1 {
        home.configure(&config(home, servers, count));
        daemon.answers("/health/ready");
        daemon.reload();
        daemon.wait(|| home.stored() == count, "the next is stored");
        daemon.wait(|| servers.is_clean(), "no TXT is left");
    }
}

/// From order to store, as the state remembers it; without the first certificate, which waited for the account.
async fn durations(home: &Home) -> Vec<Duration> {
    let settings = daemon::config_of(&home.config()).state;
    let state = State::open_to_look(&settings).await.expect("the state can be looked at");
    let mut durations = Vec::new();
    for name in names(ALONE + 1).skip(1) {
        let order = state.orders(&name, 1).await.expect("orders can be read").remove(0);
        let version = state.versions(&name).await.expect("versions can be read").remove(0);
        let delivery = state.deliveries(&version.id).await.expect("deliveries can be read").remove(0);
        durations.push(delivery.stored_at.expect("it is stored").since(order.created_at));
    }
    durations
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("n{number:03}.{ZONE}"))
}

fn config(home: &Home, servers: &Servers, count: usize) -> String {
    let Servers { bind, pebble } = servers;
    let address = bind.address();
    let secret = home.write("tsig.key", bind.tsig_secret());
    let mut text = format!(
        "[resolver]\nservers = [\"{address}\"]\nauthoritative_port = {}\n\
         [account.pebble]\ndirectory = \"{}\"\ncontact = [\"mailto:ops@example.com\"]\nagree_to_terms = true\n\
         trusted_roots = \"{}\"\n\
         [dns.main.rfc2136]\nserver = \"{address}\"\ntsig_key = \"{}\"\ntsig_secret = {{ file = \"{}\" }}\n\
         [store.disk.directory]\n",
        address.port(),
        pebble.directory_url(),
        pebble.tls_root().display(),
        bind.tsig_key(),
        secret.display(),
    );
    names(count).for_each(|name| writeln!(text, "[certificate.\"{name}\"]").expect("a string takes text"));
    text
}

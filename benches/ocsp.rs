//! OCSP with 1,000,000 certificates on record: start, memory, and answers that are kept, cold, and with a nonce; beside
//! a bare hyper server and raw signatures.

#[path = "figures/daemon.rs"]
mod daemon;
#[path = "figures/hyper_server.rs"]
mod hyper_server;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/polling.rs"]
mod polling;
#[path = "../tests/daemon/ocsp/query.rs"]
mod query;
#[path = "figures/record.rs"]
mod record;
#[path = "figures/table.rs"]
mod table;
#[path = "figures/usage.rs"]
mod usage;
#[path = "figures/wrk.rs"]
mod wrk;

use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use daemon::{Daemon, Home};
use hyper_server::Bare;
use query::{Hash, Issuer, nonce, request};
use table::{Table, median, time};
use usage::mebibytes;
use wrk::{Load, Server, Yield, paced, quantile};

/// Certificates on record.
const MANY: usize = 1_000_000;
/// Of them those that are asked for again and again.
const HOT: usize = 10_000;
/// Others that are asked for one after another: more than the daemon can keep answers for.
const COLD: usize = 400_000;
/// How often each of two things is measured, in turn; the median counts.
const TURNS: usize = 3;
/// How long each turn takes, in seconds.
const SECONDS: u32 = 5;
/// Of the load whose latency is looked at.
const PACE: u32 = 10_000;
/// Starts of which the median is taken.
const STARTS: usize = 3;
/// How long nothing happens before memory is looked at.
const QUIET: Duration = Duration::from_secs(10);
/// What is measured runs on one core, and what measures on another.
const MEASURED: [&str; 3] = ["taskset", "-c", "0"];
const MEASURING: [&str; 3] = ["taskset", "-c", "1"];

fn main() {
    hyper_server::serve_if_asked();
    polling::ask_if_asked();
    if !table::asked_for() {
        return;
    }
    let mut table = Table::default();
    let home = Home::new();
    home.configure("[ca.internal]\nsubject = { common_name = \"Bench\" }\n[defaults]\nstores = []\n");
    at_rest(&mut table, "none on record", &home);
    let serials = tokio::runtime::Runtime::new().expect("a runtime can be made").block_on(record::fill(&home, MANY));
    at_rest(&mut table, "1,000,000 on record", &home);
    rates(&mut table, &home, &serials);
    table.note(format!(
        "daemon and bare server by turns on one core, the load on the other; the median of {TURNS} × {SECONDS} s"
    ));
    table.note("start: to `/health/ready`, and until the index is read, of a daemon with both cores".to_owned());
    table.note("a client that polls never sleeps: no answer has to wake it".to_owned());
    table.note(format!(
        "the load: `wrk` with 32 connections, GET; latency: {PACE} requests a second on 16 connections, \
                        from when each was due"
    ));
    table.print("ocsp");
}

/// Start and memory of a daemon that is asked nothing.
fn at_rest(table: &mut Table, what: &str, home: &Home) {
    let starts: Vec<_> = (0..STARTS).map(|_| start(home)).collect();
    let (ready, read): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
    let bare = daemon::bare_start();
    let row = |what: &str| format!("start, {what}");
    let limit = format!("`renewd --version` {}", time(bare));
    table.row(&row(&format!("{what}: ready")), &limit, &time(median(ready)), "", "≤ 5 s");
    table.row(&row(&format!("{what}: index read")), &limit, &time(median(read)), "", "≤ 5 s");
    let daemon = home.start();
    daemon.wait(|| index_is_read(&daemon), "the index is read");
    sleep(QUIET);
    let memory = usage::memory(daemon.id());
    table.row(&format!("memory, {what}, resident"), "", &mebibytes(memory.resident), "", "≤ 200 MB");
    table.row("of it heap and stacks", "", &mebibytes(memory.anonymous), "", "");
}

fn start(home: &Home) -> (Duration, Duration) {
    let daemon = home.start();
    let ready = daemon.answers("/health/ready");
    (ready, daemon.wait(|| index_is_read(&daemon), "the index is read"))
}

fn index_is_read(daemon: &Daemon) -> bool {
    daemon.log().contains("all certificates on record were read")
}

fn rates(table: &mut Table, home: &Home, serials: &[Vec<u8>]) {
    let daemon = home.start_by(&MEASURED);
    daemon.answers("/health/ready");
    daemon.wait(|| index_is_read(&daemon), "the index is read");
    let issuer = issuer(&daemon);
    let path = |serial: &[u8], extensions: &[Vec<u8>]| {
        let der = request(&[issuer.cert_id(Hash::Sha1, serial)], extensions);
        format!("/ocsp/internal/{}", STANDARD.encode(der))
    };
    let plain = |serials: &[Vec<u8>]| serials.iter().map(|serial| path(serial, &[])).collect::<Vec<_>>();
    let hot = plain(&serials[..HOT]);
    let answer = daemon.answer(&hot[0]);
    let (head, body) = answer.split_at(answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4);
    let bare = Bare::start(&MEASURED, &headers(head), body);

    let ours = Server { process: daemon.id(), address: daemon.address() };
    let peer = Server { process: bare.id(), address: bare.address() };
    let load = |load: &Load, server| load.put_on(&MEASURING, server, SECONDS);
    let poll = |load: &Load, server| polling::put_on(&MEASURING, load, server, SECONDS);

    let hot_load = Load::new(&hot);
    hot_load.put_on(&MEASURING, ours, 2);
    let yields = by_turns(|| load(&hot_load, peer), || load(&hot_load, ours));
    rate_rows(table, "10,000 hot serials", "bare hyper", yields, "≥ 0.9");
    let yields = by_turns(|| poll(&hot_load, peer), || poll(&hot_load, ours));
    rate_rows(table, "10,000 hot serials, client polls", "bare hyper", yields, "≥ 0.9");
    let latency = |server: Server| quantile(&paced(server.address, &hot, PACE, Duration::from_secs(5)), 0.99);
    let (limit, hot_latency) = (latency(peer), latency(ours));
    table.row("p99 at 10,000/s, hot", &format!("bare hyper {}", time(limit)), &time(hot_latency), "", "< 2 ms");

    let cold = Load::new(&plain(&serials[HOT..HOT + COLD]));
    signed(table, "serials at random", || load(&cold, ours), || poll(&cold, ours));
    let fresh: Vec<_> = serials[..HOT].iter().map(|serial| path(serial, &[nonce(&serial.repeat(2))])).collect();
    let fresh = Load::new(&fresh);
    signed(table, "with a nonce", || load(&fresh, ours), || poll(&fresh, ours));
    table.row("memory after all that, resident", "", &mebibytes(usage::memory(daemon.id()).resident), "", "");
}

/// Answers that are signed when they are asked for.
fn signed(table: &mut Table, what: &str, load: impl FnMut() -> Yield, poll: impl FnMut() -> Yield) {
    rate_rows(table, what, "raw P-256 signatures", by_turns(signatures, load), "≥ 0.6");
    rate_rows(table, &format!("{what}, client polls"), "raw P-256 signatures", by_turns(signatures, poll), "≥ 0.6");
}

fn rate_rows(table: &mut Table, what: &str, peer: &str, (limit, ours): (Yield, Yield), budget: &str) {
    let mut row = |what: String, limit: f64, ours: f64, budget| {
        let ratio = format!("{:.2} ×", ours / limit);
        table.row(&what, &format!("{peer} {limit:.0}"), &format!("{ours:.0}"), &ratio, budget);
    };
    row(format!("answers a second, {what}"), limit.rate, ours.rate, budget);
    row(format!("answers a second of the server's own time, {what}"), limit.a_core_second, ours.a_core_second, budget);
}

/// The medians of two things, measured by turns.
fn by_turns(mut first: impl FnMut() -> Yield, mut second: impl FnMut() -> Yield) -> (Yield, Yield) {
    let (firsts, seconds): (Vec<_>, Vec<_>) = (0..TURNS).map(|_| (first(), second())).unzip();
    (middle(&firsts), middle(&seconds))
}

fn middle(yields: &[Yield]) -> Yield {
    let median = |figure: fn(&Yield) -> f64| {
        let mut figures: Vec<_> = yields.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Yield { rate: median(|one| one.rate), a_core_second: median(|one| one.a_core_second) }
}

/// P-256 signatures that one core makes a second, of as many octets as an answer signs.
fn signatures() -> Yield {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key can be made");
    let (since, before, mut count) = (Instant::now(), usage::spent(std::process::id()), 0_u32);
    while since.elapsed() < Duration::from_secs(u64::from(SECONDS)) {
        for _ in 0..100 {
            key.sign(&random, &[7; 180]).expect("a message can be signed");
        }
        count += 100;
    }
    let spent = usage::spent(std::process::id()).saturating_sub(before);
    let a_second = |time: Duration| f64::from(count) / time.as_secs_f64();
    Yield { rate: a_second(since.elapsed()), a_core_second: a_second(spent) }
}

fn issuer(daemon: &Daemon) -> Issuer {
    let answer = String::from_utf8(daemon.answer("/ca/internal.pem")).expect("PEM is text");
    Issuer::of(&answer[answer.find("-----BEGIN").expect("there is a certificate")..])
}

/// The header lines of an answer that a bare server repeats: hyper itself writes the others.
fn headers(head: &[u8]) -> String {
    let head = std::str::from_utf8(head).expect("a head is text");
    let own = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        !["date", "content-length", "connection", ""].contains(&name)
    };
    head.lines().skip(1).filter(own).collect::<Vec<_>>().join("\n")
}

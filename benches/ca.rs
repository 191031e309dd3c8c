//! Issuing from a private CA: in batches, singly, and over the local socket; beside bare signatures and OpenBao.

#[path = "figures/daemon.rs"]
mod daemon;
#[path = "figures/openbao.rs"]
mod openbao;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/table.rs"]
mod table;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use renewd::ca::{Authority, LeafRequest, Signer};
use renewd::clock::Clock;
use renewd::identifier::Identifier;
use renewd::pki::key::{KeyType, PrivateKey};
use renewd::pki::pem::{self, Label};
use renewd::state::State;
use serde_json::json;

use daemon::{Home, config_of};
use openbao::OpenBao;
use table::{Table, median, time, times};

/// Leaves of a batch.
const MANY: usize = 20_000;
/// Leaves asked for singly, many at the same time.
const SINGLY: usize = 8_000;
/// Who asks at the same time.
const ASKERS: usize = 64;
/// Leaves asked for one after another.
const ALONE: usize = 200;
/// Bare signatures.
const SIGNATURES: usize = 20_000;

fn main() {
    if !table::asked_for() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("there is no other");
    let mut table = Table::default();
    let home = Home::new();
    home.configure("public_url = \"http://pki.example.com\"\n[ca.bench]\nsubject = { common_name = \"Bench\" }\n");
    let limit = signatures();
    runtime.block_on(within(&mut table, &home, limit));
    runtime.block_on(beside_openbao(&mut table, &home));
    table.note(format!(
        "leaves of P-256 below a CA of P-256, with OCSP, CRL and issuer pointers, in SQLite with `synchronous = FULL`; a \
         batch is {MANY}, those asked for singly are {SINGLY} by {ASKERS} at a time"
    ));
    table.note("bare signatures: aws-lc-rs on all cores, and nothing else".to_owned());
    table.note(format!("one after another: the median of {ALONE}; fsync: 4 KiB appended to a file of the same folder"));
    table.print("ca");
}

/// P-256 signatures a second, on all cores.
fn signatures() -> f64 {
    let key = PrivateKey::generate(KeyType::EcdsaP256).expect("a key can be made");
    let signer = Signer::from_pkcs8_der(&key.to_pkcs8_der()).expect("it is a key");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| (0..SIGNATURES / cores).for_each(|_| drop(signer.sign(&[7; 600]).expect("it signs"))));
        }
    });
    rate(SIGNATURES, started.elapsed())
}

/// In this process: what the CA does without HTTP.
async fn within(table: &mut Table, home: &Home, limit: f64) {
    let config = config_of(&home.config());
    let state = State::open(&config.state).await.expect("the state can be made");
    let (clock, ca) = (Clock::system(), &config.cas["bench"]);
    let authority = Authority::open(&state, "bench", ca, Some("http://pki.example.com"), clock.now()).await;
    let authority = Arc::new(authority.expect("a CA can be made"));
    let requests = leaves("batch", MANY);
    let started = Instant::now();
    let chains = authority.issue_many(&requests, clock.now()).await.expect("it issues");
    let took = rate(MANY, started.elapsed());
    assert!(chains.iter().all(Result::is_ok));
    let bare = format!("bare signatures {limit:.0}/s");
    table.row("issue a batch, stored and durable", &bare, &per_second(took), &share(took, limit), "≥ 5,000/s");

    let requests = Arc::new(leaves("single", SINGLY));
    let issue = {
        let (authority, requests) = (Arc::clone(&authority), Arc::clone(&requests));
        move |number: usize| {
            let (authority, requests, now) = (Arc::clone(&authority), Arc::clone(&requests), Clock::system().now());
            async move { drop(authority.issue(&requests[number], now).await.expect("it issues")) }
        }
    };
    let took = together(SINGLY, issue).await;
    table.row("issue singly, in the process", &bare, &per_second(took), &share(took, limit), "");
    let fsync = median((0..ALONE).map(|_| synced(&home.file("fsync"))).collect());
    let requests = leaves("alone", ALONE);
    let mut each = Vec::with_capacity(ALONE);
    for request in &requests {
        let started = Instant::now();
        authority.issue(request, clock.now()).await.expect("it issues");
        each.push(started.elapsed());
    }
    let ours = median(each);
    let peer = format!("two fsync {}", time(fsync * 2));
    table.row("one after another, in the process", &peer, &time(ours), &times(ours, fsync * 2), "");
    state.close().await;
}

/// Over HTTP: the daemon's local socket, OpenBao's loopback.
async fn beside_openbao(table: &mut Table, home: &Home) {
    let csrs = Arc::new(requests(SINGLY + ALONE));
    let daemon = home.start();
    daemon.answers("/health/live");
    let http = reqwest::Client::builder().unix_socket(home.file("renewd-state/renewd.sock")).build();
    let http = http.expect("a client can be made");
    let ours = {
        let csrs = Arc::clone(&csrs);
        move |number: usize| {
            let (http, csrs) = (http.clone(), Arc::clone(&csrs));
            async move {
                let body = json!({ "csr": csrs[number].1, "profile": "server" });
                let answer = http.post("http://localhost/cas/bench/sign").json(&body).send().await.expect("it answers");
                assert_eq!(answer.status().as_u16(), 201, "{:?}", answer.text().await);
                let told: serde_json::Value = answer.json().await.expect("it is JSON");
                assert!(told["chain"].is_string());
            }
        }
    };
    let (rate_ours, alone_ours) = (together(SINGLY, ours.clone()).await, alone(ours).await);
    drop(daemon);
    let Some(program) = openbao::program() else {
        table.row("sign requests singly, over HTTP", "", &per_second(rate_ours), "", "≥ 1,000/s");
        return table.note(openbao::MISSING.to_owned());
    };
    let bao = Arc::new(OpenBao::start(&program).await);
    let theirs = move |number: usize| {
        let (bao, csrs) = (Arc::clone(&bao), Arc::clone(&csrs));
        async move { bao.sign(&csrs[number].1, &csrs[number].0).await }
    };
    let (rate_theirs, alone_theirs) = (together(SINGLY, theirs.clone()).await, alone(theirs).await);
    let peer = format!("OpenBao {}", per_second(rate_theirs));
    let ratio = format!("{:.1} ×", rate_ours / rate_theirs);
    table.row("sign requests singly, over HTTP", &peer, &per_second(rate_ours), &ratio, "≥ 1,000/s");
    let peer = format!("OpenBao {}", time(alone_theirs));
    table.row("the same, one after another", &peer, &time(alone_ours), &times(alone_theirs, alone_ours), "");
    table.note(format!("{}, development mode: in memory, not durable", openbao::version(&program)));
    table.note("over HTTP: one client of 64 connections kept alive, on the same cores as the server".to_owned());
}

/// How many a second are done where `ASKERS` ask all the time.
async fn together<F, W>(count: usize, work: F) -> f64
where
    F: Fn(usize) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..ASKERS {
        let (next, work) = (Arc::clone(&next), work.clone());
        askers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                work(number).await;
            }
        });
    }
    while let Some(done) = askers.join_next().await {
        done.expect("an asker does not panic");
    }
    rate(count, started.elapsed())
}

/// The median of those that are asked for one after another, behind those that were asked for together.
async fn alone<F, W>(work: F) -> Duration
where
    F: Fn(usize) -> W,
    W: Future<Output = ()>,
{
    let mut each = Vec::with_capacity(ALONE);
    for number in SINGLY..SINGLY + ALONE {
        let started = Instant::now();
        work(number).await;
        each.push(started.elapsed());
    }
    median(each)
}

fn leaves(what: &str, count: usize) -> Vec<LeafRequest> {
    let key = PrivateKey::generate(KeyType::EcdsaP256).expect("a key can be made").spki_der();
    let name = |number: usize| Identifier::parse(&format!("n{number}.{what}.test")).expect("it is a name");
    let leaf = |number| LeafRequest::server(format!("{what} {number}"), vec![name(number).into()], key.clone());
    (0..count).map(leaf).collect()
}

/// Requests in PEM, and the name of each.
fn requests(count: usize) -> Vec<(String, String)> {
    let key = PrivateKey::generate(KeyType::EcdsaP256).expect("a key can be made");
    let request = |number: usize| {
        let name = format!("n{number}.request.test");
        let names = [Identifier::parse(&name).expect("it is a name")];
        let der = renewd::pki::csr::csr(&key, &names).expect("a request can be made");
        (name, pem::encode(Label::CertificateRequest, &der))
    };
    (0..count).map(request).collect()
}

fn synced(file: &Path) -> Duration {
    let mut file = std::fs::File::options().create(true).append(true).open(file).expect("a file can be made");
    let started = Instant::now();
    file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("it can be written");
    started.elapsed()
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("it is small")) / took.as_secs_f64()
}

fn per_second(rate: f64) -> String {
    format!("{rate:.0}/s")
}

fn share(ours: f64, limit: f64) -> String {
    format!("{:.2}", ours / limit)
}

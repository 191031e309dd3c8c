//! A CRL of 1,000,000 entries beside `openssl ca -gencrl`, and one revocation where few and where many are on record,
//! beside a bare sync and a bare transaction, and many revocations at a time.
//!
//! `cargo bench --bench crl -- profile` makes nothing but lists of 1,000,000, again and again, for a profiler.

#[path = "figures/openssl_ca.rs"]
mod openssl_ca;
#[path = "../tests/peers/peers.rs"]
mod peers;
#[path = "figures/table.rs"]
mod table;
#[path = "figures/usage.rs"]
mod usage;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use renewd::ca::crl::{Crls, Kind, ListSigner, ListSigners};
use renewd::ca::revoke::{Reason, Revocations};
use renewd::ca::{CaError, Signer};
use renewd::clock::{Clock, Timestamp};
use renewd::config::Config;
use renewd::pki::key::{KeyType, PrivateKey};
use renewd::pki::serial::Serial;
use renewd::state::State;
use renewd::state::crl::CrlName;

use openssl_ca::OpensslCa;
use peers::folder::Folder;
use table::{Table, median, time, times};
use usage::mebibytes;

/// Revoked certificates on record.
const MANY: usize = 1_000_000;
/// The same where few are.
const FEW: usize = 10;
/// As many leaves share a list that they name, unless the config says otherwise.
const SHARD: usize = 10_000;
/// Revocations of which the median is taken.
const REVOCATIONS: usize = 200;
/// Lists of which the median is taken.
const LISTS: usize = 3;
/// Lists that are made for a profiler.
const PROFILED: usize = 12;
/// As many ask for revocations at the same time, …
const TOGETHER: usize = 64;
/// … each for so many, one after the other.
const EACH: usize = 50;

fn main() {
    if !table::asked_for() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    if std::env::args().any(|argument| argument == "profile") {
        return runtime.block_on(profile());
    }
    let mut table = Table::default();
    runtime.block_on(async {
        let few = Authority::new(FEW).await;
        let at_few = revocations(&few).await;
        let many = Authority::new(MANY).await;
        let (at_many, limit) = (revocations(&many).await, bare(&many).await);
        for (count, took) in [(FEW, at_few), (MANY, at_many)] {
            let what = format!("revoking one, {count} revoked on record");
            let peer = format!("a bare sync and a bare transaction {}", time(limit));
            table.row(&what, &peer, &time(took), &times(took, limit), "≤ 5 ms");
        }
        let (rate, bare_rate) = (together(&many).await, 1.0 / limit.as_secs_f64());
        let what = format!("revocations a second, {TOGETHER} at a time, {MANY} revoked on record");
        let peer = format!("bare syncs and transactions, one after the other, {bare_rate:.0}");
        table.row(&what, &peer, &format!("{rate:.0}"), &format!("{:.1} ×", rate / bare_rate), "");
        lists(&mut table, &many).await;
        shard(&mut table, &many).await;
    });
    table.note(format!("at a time: {TOGETHER} tasks, each with {EACH} revocations one after the other"));
    table.note(format!("revoking: to the answer, one after the other, the median of {REVOCATIONS}"));
    table
        .note(format!("lists: P-256, synced to disk, in DER and in PEM; the median of {LISTS}; openssl's in PEM only"));
    table.note("memory: the most that was resident, beyond what it was before; openssl's in whole".to_owned());
    table.note(openssl_ca::version());
    table.print("crl");
}

async fn lists(table: &mut Table, authority: &Authority) {
    let theirs = OpensslCa::new(&authority.serials().await);
    let (mut took, mut peaks) = ((Vec::new(), Vec::new()), (0, 0));
    for _ in 0..LISTS {
        let (time, memory) = theirs.list();
        took.0.push(time);
        peaks.0 = memory.max(peaks.0);
        let (time, memory) = authority.list().await;
        took.1.push(time);
        peaks.1 = memory.max(peaks.1);
    }
    let (limit, ours) = (median(took.0), median(took.1));
    let peer = |text: String| format!("`openssl ca -gencrl` {text}");
    let what = format!("a CRL of {MANY}");
    table.row(&what, &peer(time(limit)), &time(ours), &times(limit, ours), "≤ 1 s");
    let ratio = usage::ratio(peaks.0, peaks.1);
    table.row(&format!("{what}, memory"), &peer(mebibytes(peaks.0)), &mebibytes(peaks.1), &ratio, "≤ 150 MiB");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| u32::try_from(file.len() / 1024).unwrap_or(0));
    let (limit, ours) = (size(&theirs.file()), size(&authority.file(Kind::Pem)));
    let ratio = usage::ratio(ours, limit);
    table.row(&format!("{what}, the file in PEM"), &mebibytes(limit), &mebibytes(ours), &ratio, "");
}

/// The list that leaves name is short, whatever else is revoked.
async fn shard(table: &mut Table, authority: &Authority) {
    let crls = authority.crls(Some("http://pki.example.com"));
    let name = CrlName { shard: Some(0), ..authority.name() };
    let turns = crls.turn(authority.clock.now()).await;
    turns.expect("lists are made");
    let mut took = Vec::new();
    for _ in 0..LISTS {
        std::fs::remove_file(crls.folder().path(&name, Kind::Full)).expect("it is there");
        let started = Instant::now();
        crls.turn(authority.clock.now()).await.expect("the list is made");
        took.push(started.elapsed());
    }
    let what = format!("one list of {SHARD} and its delta, of {} that a turn looks at", MANY / SHARD + 1);
    table.row(&what, "", &time(median(took)), "", "");
}

/// The time that a revocation takes to its answer.
async fn revocations(authority: &Authority) -> Duration {
    let revocations =
        Revocations::open(&authority.state, authority.folder.path()).await.expect("the log can be opened");
    let mut took = Vec::new();
    for number in 0..REVOCATIONS {
        let serial = Serial::parse_hex(&good(number)).expect("it is one");
        let started = Instant::now();
        let outcome = revocations.revoke("own", &serial, Reason::KeyCompromise, authority.clock.now()).await;
        took.push(started.elapsed());
        assert!(outcome.expect("it is revoked").changed);
    }
    median(took)
}

/// Revocations a second where many are asked for at the same time.
async fn together(authority: &Authority) -> f64 {
    let revocations =
        Revocations::open(&authority.state, authority.folder.path()).await.expect("the log can be opened");
    let mut askers = tokio::task::JoinSet::new();
    let started = Instant::now();
    for asker in 0..TOGETHER {
        let (revocations, clock) = (revocations.clone(), authority.clock.clone());
        askers.spawn(async move {
            for number in 0..EACH {
                let serial = Serial::parse_hex(&good(REVOCATIONS + asker * EACH + number)).expect("it is one");
                let outcome = revocations.revoke("own", &serial, Reason::Superseded, clock.now()).await;
                assert!(outcome.expect("it is revoked").changed);
            }
        });
    }
    askers.join_all().await;
    (TOGETHER * EACH) as f64 / started.elapsed().as_secs_f64()
}

/// Lists alone, for a profiler: each with the time that it took and the memory that it needed.
#[allow(clippy::print_stdout, reason = "figures are printed")]
async fn profile() {
    let many = Authority::new(MANY).await;
    println!("process {} begins", std::process::id());
    for _ in 0..PROFILED {
        let (took, memory) = many.list().await;
        println!("{} {}", time(took), mebibytes(memory));
    }
}

/// What no revocation can do without: a line on the disk, and a transaction.
async fn bare(authority: &Authority) -> Duration {
    let mut log = std::fs::File::create(authority.folder.file("bare.log")).expect("a file can be made");
    let mut took = Vec::new();
    for number in 0..REVOCATIONS {
        let started = Instant::now();
        log.write_all(&[b'x'; 90]).expect("a line can be written");
        log.sync_data().expect("it can be synced");
        let text = format!("UPDATE meta SET value = '{number}' WHERE name = 'bench'");
        authority.write(&text).await;
        took.push(started.elapsed());
    }
    median(took)
}

/// The serial of a certificate that is not revoked.
fn good(number: usize) -> String {
    format!("7f{number:030x}")
}

/// A CA with so many revoked certificates on record, and as many good ones as are to be revoked.
struct Authority {
    folder: Folder,
    state: State,
    clock: Clock,
    config: Config,
    signer: ListSigner,
    crls: Crls,
}

impl Authority {
    async fn new(revoked: usize) -> Self {
        let folder = Folder::new("renewd-bench");
        let path = folder.write("config.toml", "[http]\nlisten = []\n[ca.own]\nsubject = { common_name = \"Own\" }\n");
        let config = renewd::config::load(&path).unwrap_or_else(|report| panic!("{report}")).config;
        let state = State::open(&config.state).await.expect("the state can be made");
        let key = PrivateKey::generate(KeyType::EcdsaP256).expect("a key can be made");
        let signer = ListSigner {
            ca: "own".to_owned(),
            generation: 1,
            issuer: [&[0x30, 14, 0x31, 12, 0x30, 10, 6, 3, 0x55, 4, 3, 0x0c, 3], &b"Own"[..]].concat(),
            key_identifier: vec![7; 20],
            signer: Signer::from_pkcs8_der(&key.to_pkcs8_der()).expect("the key signs"),
            shards: 1,
            not_after: Timestamp::NEVER,
        };
        let crls = crls(&state, folder.path(), &signer, &config, None);
        let authority = Self { folder, state, clock: Clock::system(), config, signer, crls };
        authority.fill(revoked).await;
        authority
    }

    async fn fill(&self, revoked: usize) {
        let now = self.clock.now();
        let (end, now) = (now.plus(Duration::from_secs(90 * 86_400)).millis(), now.millis());
        let rows = |count: usize, serial: &str, revoked: &str| {
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
                 INSERT INTO ca_certificate (ca, serial, generation, order_id, names, not_before, not_after, \
                 created_at, shard, revoked_at, revocation_reason) \
                 SELECT 'own', {serial}, 1, 'order ' || i || {serial}, '[]', {now}, {end}, {now}, i / {SHARD}, {revoked} FROM n"
            )
        };
        // 16 octets in no order, the top bit clear, and none of those that are good.
        let random = "'5' || substr(lower(hex(randomblob(16))), 2)";
        self.write(&rows(revoked, random, &format!("{now}, 1"))).await;
        self.write(&rows(REVOCATIONS + TOGETHER * EACH, "printf('7f%030x', i)", "NULL, NULL")).await;
        self.write("INSERT INTO meta (name, value) VALUES ('bench', '')").await;
    }

    async fn write(&self, text: &str) {
        let mut write = self.state.begin().await.expect("the state can be written");
        sqlx::query(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut *write).await.expect("it is written");
        write.commit().await.expect("it is written");
    }

    async fn serials(&self) -> Vec<String> {
        let (mut serials, mut last) = (Vec::new(), None);
        loop {
            let page = self.state.ca_index_page("own", last.as_ref()).await.expect("the database answers");
            serials.extend(page.iter().filter(|row| row.revoked_at.is_some()).map(|row| row.serial.clone()));
            last = page.into_iter().next_back();
            if last.is_none() {
                return serials;
            }
        }
    }

    fn name(&self) -> CrlName {
        CrlName { ca: "own".to_owned(), generation: 1, shard: None }
    }

    fn file(&self, kind: Kind) -> std::path::PathBuf {
        self.crls.folder().path(&self.name(), kind)
    }

    fn crls(&self, public_url: Option<&str>) -> Crls {
        let shards = u32::try_from(MANY / SHARD).expect("it is small");
        let signer = ListSigner { shards, ..self.signer.clone() };
        crls(&self.state, self.folder.path(), &signer, &self.config, public_url)
    }

    /// The time that a list of all takes, and the memory (KiB) that it takes at the most.
    async fn list(&self) -> (Duration, u32) {
        let _ = std::fs::remove_file(self.file(Kind::Full));
        usage::forget_peak();
        let before = usage::memory(std::process::id()).resident;
        let started = Instant::now();
        self.crls.turn(self.clock.now()).await.expect("the list is made");
        let took = started.elapsed();
        let peak = usage::peak(std::process::id()).expect("this process runs");
        (took, peak.saturating_sub(before))
    }
}

fn crls(state: &State, directory: &Path, signer: &ListSigner, config: &Config, public_url: Option<&str>) -> Crls {
    let mut config = config.clone();
    config.http.public_url = public_url.map(str::to_owned);
    let config = Arc::new(ArcSwap::from_pointee(config));
    Crls::new(state, directory.to_owned(), Arc::new(Own(signer.clone())), config)
}

/// The one signer of these lists.
struct Own(ListSigner);

#[async_trait]
impl ListSigners for Own {
    async fn list_signers(&self, _: Timestamp) -> Result<Vec<ListSigner>, CaError> {
        Ok(vec![self.0.clone()])
    }
}

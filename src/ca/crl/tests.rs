//! Lists made from a real database, read back by others.

use std::collections::BTreeMap;
use std::path::Path;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::*;
use crate::ca::revoke::{Reason, Revocations};
use crate::clock::Clock;
use crate::config::{Database, StateSettings};
use crate::pki::key::{KeyType, PrivateKey};
use crate::pki::serial::Serial;
use crate::state::ca::NewCaCertificate;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

struct Own(ListSigner);

#[async_trait]
impl ListSigners for Own {
    async fn list_signers(&self, now: Timestamp) -> Result<Vec<ListSigner>, CaError> {
        Ok(if now < self.0.not_after { vec![self.0.clone()] } else { Vec::new() })
    }
}

struct World {
    directory: TempDir,
    state: State,
    revocations: Revocations,
    crls: Crls,
    signer: ListSigner,
}

impl World {
    async fn new() -> Self {
        Self::of(None).await
    }

    async fn of(signer: Option<ListSigner>) -> Self {
        let directory = TempDir::new().unwrap();
        let settings = settings(directory.path());
        let state = State::open(&settings).await.unwrap();
        let revocations = Revocations::open(&state, directory.path()).await.unwrap();
        let signer = signer.unwrap_or_else(|| ListSigner {
            ca: "own".to_owned(),
            generation: 1,
            issuer: [&[0x30, 14, 0x31, 12, 0x30, 10, 6, 3, 0x55, 4, 3, 0x0c, 3], &b"Own"[..]].concat(),
            key_identifier: vec![7; 20],
            signer: Signer::from_pkcs8_der(&PrivateKey::generate(KeyType::EcdsaP256).unwrap().to_pkcs8_der()).unwrap(),
            shards: 2,
            not_after: NOW.plus(DAY * 3650),
        });
        let crls = crls(&state, &settings, &signer);
        Self { directory, state, revocations, crls, signer }
    }

    async fn add(&self, serial: &str, shard: u32, not_after: Timestamp) {
        let new = NewCaCertificate {
            ca: "own",
            serial: serial.to_owned(),
            generation: 1,
            order_id: serial,
            names: &[],
            profile: "server",
            subject: "",
            shard,
            not_before: NOW,
            not_after,
            to_be_signed: b"x",
        };
        self.state.add_ca_certificates(&[(new, NOW)]).await.unwrap();
    }

    async fn revoke(&self, serial: &str, reason: Reason, now: Timestamp) {
        let serial = Serial::parse_hex(serial).unwrap();
        self.revocations.revoke("own", &serial, reason, now).await.unwrap();
    }

    async fn release(&self, serial: &str, now: Timestamp) {
        self.revocations.release("own", &Serial::parse_hex(serial).unwrap(), now).await.unwrap();
    }

    /// Leaves name lists below this URL from now on, or none.
    fn move_to(&self, public_url: Option<&str>) {
        let mut config = Config::clone(&self.crls.0.config.load());
        config.http.public_url = public_url.map(str::to_owned);
        self.crls.0.config.store(Arc::new(config));
    }

    fn file(&self, shard: Option<u32>, kind: Kind) -> Vec<u8> {
        std::fs::read(self.crls.folder().path(&name(shard), kind)).unwrap()
    }

    fn head(&self, shard: Option<u32>, kind: Kind) -> Head {
        self.crls.folder().head(&name(shard), kind).unwrap()
    }

    /// Serials and reasons of a list, whose signature is good.
    fn listed(&self, shard: Option<u32>, kind: Kind) -> BTreeMap<String, u8> {
        let der = self.file(shard, kind);
        let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(self.signer.signer.spki_der()).unwrap();
        list.verify_signature(&spki).unwrap();
        let entry = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
            let serial = Serial::from_be_bytes(entry.raw_serial()).unwrap().to_string();
            (serial, entry.reason_code().map_or(0, |(_, reason)| reason.0))
        };
        list.iter_revoked_certificates().map(entry).collect()
    }
}

fn settings(directory: &Path) -> StateSettings {
    StateSettings {
        directory: directory.to_owned(),
        socket: directory.join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    }
}

fn crls(state: &State, settings: &StateSettings, signer: &ListSigner) -> Crls {
    let path = settings.directory.join("config.toml");
    let text = "[http]\nlisten = []\npublic_url = \"http://pki.example.com\"\n";
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
    let config = Arc::new(ArcSwap::from_pointee(crate::config::load(&path).unwrap().config));
    Crls::new(state, settings.directory.clone(), Arc::new(Own(signer.clone())), config)
}

fn name(shard: Option<u32>) -> CrlName {
    CrlName { ca: "own".to_owned(), generation: 1, shard }
}

fn serials(words: &[(&str, u8)]) -> BTreeMap<String, u8> {
    words.iter().map(|(serial, reason)| ((*serial).to_owned(), *reason)).collect()
}

#[tokio::test]
async fn each_shard_lists_its_own_and_the_whole_lists_all() {
    let world = World::new().await;
    for (serial, shard) in [("0a", 0), ("0b", 1), ("0c", 1)] {
        world.add(serial, shard, NOW.plus(DAY)).await;
    }
    world.revoke("0a", Reason::Unspecified, NOW).await;
    world.revoke("0b", Reason::KeyCompromise, NOW).await;
    world.crls.turn(NOW).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full), serials(&[("0a", 0)]));
    assert_eq!(world.listed(Some(1), Kind::Full), serials(&[("0b", 1)]));
    assert_eq!(world.listed(None, Kind::Full), serials(&[("0a", 0), ("0b", 1)]));
    let der = world.file(Some(1), Kind::Full);
    let url = b"http://pki.example.com/crl/own/1/1.crl";
    assert!(der.windows(url.len()).any(|window| window == url));
    let whole = world.file(None, Kind::Full);
    assert!(!whole.windows(9).any(|window| window == &url[..9]), "no leaf names the list of the whole");
}

#[tokio::test]
async fn a_list_is_that_of_leaves_from_before_its_url_was_changed() {
    let world = World::new().await;
    world.crls.turn(NOW).await.unwrap();
    let old = "http://pki.example.com/crl/own/1/1.crl";
    assert_eq!(world.head(Some(1), Kind::Full).points, [old]);
    let next = world.crls.turn(NOW.plus(HOUR)).await.unwrap();
    assert!(next > NOW.plus(HOUR * 2), "nothing is new");

    world.move_to(Some("http://crl.example.net"));
    let next = world.crls.turn(NOW.plus(HOUR * 2)).await.unwrap();
    assert!(next > NOW.plus(HOUR * 3), "it is made once");
    let new = "http://crl.example.net/crl/own/1/1.crl";
    for kind in [Kind::Full, Kind::Delta] {
        assert_eq!(world.head(Some(1), kind).points, [new, old], "at once, and for all who name either");
    }
    assert_eq!(world.head(None, Kind::Full).points, [""; 0]);

    world.move_to(None);
    world.add("0a", 1, NOW.plus(DAY * 30)).await;
    world.revoke("0a", Reason::KeyCompromise, NOW.plus(DAY)).await;
    world.crls.turn(NOW.plus(DAY)).await.unwrap();
    assert_eq!(world.listed(Some(1), Kind::Full), serials(&[("0a", 1)]), "leaves that name it are still about");
    assert_eq!(world.head(Some(1), Kind::Full).points, [new, old]);

    world.move_to(Some("http://pki.example.com"));
    world.crls.turn(NOW.plus(DAY * 2)).await.unwrap();
    assert_eq!(world.head(Some(1), Kind::Full).points, [old, new]);
}

#[tokio::test]
async fn numbers_rise_and_files_outlive_an_older_database() {
    let world = World::new().await;
    let mut before = 0;
    for clock in [NOW, NOW, NOW.minus(DAY), NOW.plus(DAY * 3)] {
        std::fs::remove_file(world.crls.folder().path(&name(None), Kind::Full)).ok();
        world.crls.turn(clock).await.unwrap();
        let number = world.head(None, Kind::Full).number.unwrap();
        assert!(number > before && number >= clock.millis(), "{before} {number}");
        before = number;
    }
    // A database from a backup knows less than the file.
    let before = world.head(Some(0), Kind::Full).number.unwrap();
    let mut write = world.state.begin().await.unwrap();
    sqlx::query("DELETE FROM crl").execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
    world.crls.turn(NOW).await.unwrap();
    let after = world.head(Some(0), Kind::Full).number.unwrap();
    assert!(after > before && NOW.millis() < before, "{before} {after}");
}

#[tokio::test]
async fn no_list_lapses_in_a_year_with_nothing_revoked() {
    let world = World::new().await;
    let clock = Clock::simulated(NOW);
    let end = NOW.plus(DAY * 365);
    let mut made = 0;
    let mut number = 0;
    while clock.now() < end {
        let next = world.crls.turn(clock.now()).await.unwrap();
        for shard in [Some(0), Some(1), None] {
            let head = world.head(shard, Kind::Full);
            assert!(head.next_update > next, "the list of {shard:?} lapses before it is looked at again");
            assert!(head.this_update <= clock.now());
        }
        let now = world.head(Some(0), Kind::Full).number.unwrap();
        made += u32::from(now > number);
        number = now;
        assert!(next > clock.now(), "it does not spin");
        clock.sleep_until(next).await;
    }
    assert!((365..=370).contains(&made), "{made} lists in a year");
}

#[tokio::test]
async fn a_delta_tells_what_changed_since_its_base() {
    let world = World::new().await;
    for serial in ["0a", "0b", "0c"] {
        world.add(serial, 0, NOW.plus(DAY * 30)).await;
    }
    world.revoke("0a", Reason::Superseded, NOW.minus(DAY)).await;
    world.revoke("0b", Reason::CertificateHold, NOW.minus(DAY)).await;
    world.crls.turn(NOW).await.unwrap();
    let base = world.head(Some(0), Kind::Full).number;
    assert_eq!(world.head(Some(0), Kind::Delta).base, base);

    let later = NOW.plus(HOUR * 2);
    world.revoke("0c", Reason::KeyCompromise, later).await;
    world.release("0b", later).await;
    world.crls.turn(later).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full), serials(&[("0a", 4), ("0c", 1)]));
    assert_eq!(world.listed(Some(0), Kind::Delta), serials(&[("0b", 8), ("0c", 1)]));
    let (full, delta) = (world.head(Some(0), Kind::Full), world.head(Some(0), Kind::Delta));
    assert_eq!((delta.number, delta.base), (full.number, base), "both at once bear one number");

    // Once nobody can hold the base any more, the delta is made to a later list.
    let weeks_later = later.plus(DAY * 7);
    world.crls.turn(later.plus(DAY * 6)).await.unwrap();
    world.crls.turn(weeks_later).await.unwrap();
    assert!(world.head(Some(0), Kind::Delta).base > base);
    assert_eq!(world.listed(Some(0), Kind::Delta), BTreeMap::new());
}

#[tokio::test]
async fn a_hold_that_becomes_final_is_in_the_delta() {
    let world = World::new().await;
    world.add("0a", 0, NOW.plus(DAY * 30)).await;
    world.revoke("0a", Reason::CertificateHold, NOW.minus(DAY)).await;
    world.crls.turn(NOW).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Delta), BTreeMap::new());
    world.revoke("0a", Reason::Superseded, NOW.plus(HOUR)).await;
    world.crls.turn(NOW.plus(HOUR)).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Delta), serials(&[("0a", 4)]));
}

#[tokio::test]
async fn an_entry_stays_until_a_list_has_shown_it_after_the_end() {
    let world = World::new().await;
    let not_after = NOW.plus(DAY);
    world.add("0a", 0, not_after).await;
    world.revoke("0a", Reason::Superseded, NOW).await;
    world.crls.turn(NOW).await.unwrap();
    // However long nobody made a list: the first one after the end still shows it.
    let late = NOW.plus(DAY * 60);
    world.crls.turn(late).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full), serials(&[("0a", 4)]));
    world.crls.turn(late.plus(DAY)).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full), BTreeMap::new());
}

#[tokio::test]
async fn a_revocation_is_told_soon_and_those_that_follow_share_a_list() {
    let world = World::new().await;
    for serial in ["0a", "0b"] {
        world.add(serial, 0, NOW.plus(DAY * 30)).await;
    }
    world.crls.turn(NOW).await.unwrap();
    let hour = NOW.plus(HOUR);
    world.revoke("0a", Reason::Superseded, hour).await;
    let next = world.crls.turn(hour).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full), serials(&[("0a", 4)]));
    assert!(next > hour.plus(HOUR), "there is nothing more to tell");
    world.revoke("0b", Reason::Superseded, hour).await;
    let next = world.crls.turn(hour).await.unwrap();
    assert_eq!(world.listed(Some(0), Kind::Full).len(), 1, "not at once again");
    assert!(next > hour && next < hour.plus(Duration::from_secs(61)));
    // Each list pauses for as long as its own making took.
    let mut now = next;
    while world.listed(Some(0), Kind::Full).len() < 2 {
        assert!(now < hour.plus(Duration::from_secs(90)), "it is told at last");
        now = world.crls.turn(now).await.unwrap();
    }
}

#[tokio::test]
async fn more_entries_than_a_page_are_all_listed() {
    let world = World::new().await;
    let mut write = world.state.begin().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 33000) \
         INSERT INTO ca_certificate (ca, serial, generation, order_id, names, not_before, not_after, created_at, \
         shard, revoked_at, revocation_reason) \
         SELECT 'own', printf('%08x', i + 1048576), 1, 'order ' || i, '[]', 0, $1, 0, MAX(i % 11, 6) - 6, $2, 1 FROM n",
    )
    .bind(NOW.plus(DAY).millis())
    .bind(NOW.millis())
    .execute(&mut *write)
    .await
    .unwrap();
    write.commit().await.unwrap();
    world.crls.turn(NOW).await.unwrap();
    let shards = [0, 1, 2, 3, 4].map(|shard| world.listed(Some(shard), Kind::Full));
    assert_eq!([0, 1, 2, 3, 4].map(|shard: usize| shards[shard].len()), [21_000, 3_000, 3_000, 3_000, 3_000]);
    assert_eq!(world.listed(None, Kind::Full), shards.into_iter().flatten().collect());
    let leftovers: Vec<_> = std::fs::read_dir(world.directory.path().join("crl/own/1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tmp") || name.ends_with(".entries"))
        .collect();
    assert_eq!(leftovers, [""; 0]);
}

#[tokio::test]
async fn no_list_outlives_its_issuer() {
    let mut signer = World::new().await.signer;
    signer.not_after = NOW.plus(DAY * 2);
    let world = World::of(Some(signer.clone())).await;
    let next = world.crls.turn(NOW).await.unwrap();
    assert_eq!(world.head(None, Kind::Full).next_update, signer.not_after);
    assert!(next > NOW.plus(HOUR));
    assert_eq!(world.crls.turn(signer.not_after).await.unwrap(), Timestamp::NEVER);
    assert_eq!(world.crls.lists().cas(NOW).count(), 0);
}

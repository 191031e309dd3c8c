//! A state in which everything is well: certificates that were issued and stored, and of which none is due.

use std::fmt::Write as _;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use renewd::clock::{Clock, Timestamp};
use renewd::config::Config;
use renewd::secret::Column;
use renewd::state::{State, new_id};

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate of its own making, valid for 90 days from an hour ago.
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PKCS#8 PEM.
    pub key: String,
    key_der: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Leaf {
    /// Makes one for this name.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let now = Clock::system().now();
        let (not_before, not_after) = (now.minus(DAY / 24), now.plus(DAY * 90));
        let mut params = CertificateParams::new([name.to_owned()]).expect("the name is one");
        params.not_before = not_before.to_datetime();
        params.not_after = not_after.to_datetime();
        let certificate = params.self_signed(&key).expect("it can be signed").pem();
        Self { certificate, key: key.serialize_pem(), key_der: key.serialize_der(), not_before, not_after }
    }
}

/// The names of so many certificates.
pub fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("n{number}.test"))
}

/// A private CA, no store, and so many `[certificate."…"]` tables.
pub fn config(count: usize) -> String {
    let mut text = "[ca.internal]\nsubject = { common_name = \"Bench\" }\n[defaults]\nstores = []\n".to_owned();
    for name in names(count) {
        let _ = writeln!(text, "[certificate.\"{name}\"]\nnames = [\"{name}\", \"www.{name}\"]");
    }
    text
}

/// Fills an empty state with a version of every certificate of the config. All carry the same leaf, each with the key
/// sealed for its own row; to be looked at again in 60 days.
pub async fn fill(state: &State, config: &Config) {
    let now = Clock::system().now();
    let leaf = Leaf::new("n.test");
    let mut write = state.begin().await.expect("the state can be written");
    for (name, certificate) in &config.certificates {
        let (name, id) = (name.as_str(), new_id());
        state.enlist(&mut write, name, &certificate.definition(), now).await.expect("enlisted");
        let place = Column { table: "version", row: &id, column: "key_sealed" };
        let sealed = state.sealer().seal(place, &leaf.key_der).expect("a key can be sealed");
        sqlx::query(
            "INSERT INTO version (id, certificate, number, issuer, serial, names, key_type, key_sealed, chain, \
             not_before, not_after, jitter, created_at, not_replaced) \
             VALUES ($1, $2, 1, 'internal', $1, $3, 'ecdsa-p256', $4, $5, $6, $7, 0, $8, 0)",
        )
        .bind(&id)
        .bind(name)
        .bind(format!("[\"{name}\",\"www.{name}\"]"))
        .bind(sealed)
        .bind(&leaf.certificate)
        .bind(leaf.not_before.millis())
        .bind(leaf.not_after.millis())
        .bind(now.millis())
        .execute(&mut *write)
        .await
        .expect("a version is written");
        sqlx::query(
            "UPDATE certificate SET state = 'stored', inspected = 1, version_id = $2, not_after = $3, \
             look_again_at = $4 WHERE name = $1",
        )
        .bind(name)
        .bind(&id)
        .bind(leaf.not_after.millis())
        .bind(now.plus(DAY * 60).millis())
        .execute(&mut *write)
        .await
        .expect("the certificate is on it");
    }
    write.commit().await.expect("all is written");
}

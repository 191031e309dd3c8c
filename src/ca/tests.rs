//! The CA on a real database, judged by openssl.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use tempfile::TempDir;

use super::*;
use crate::config::{Database, KeyType, StateSettings};
use crate::pki::key::PrivateKey;
use crate::pki::testing::{names, openssl, openssl_text};

const DAY: Duration = Duration::from_secs(86_400);

/// As it is told to be, whole seconds.
fn now() -> Timestamp {
    Timestamp::from_seconds(crate::clock::Clock::system().now().seconds())
}

fn config(key: KeyType) -> config::Ca {
    config::Ca {
        subject: config::ca::Subject {
            common_name: "Example CA".to_owned(),
            organization: Some("Exämple".to_owned()),
            organizational_unit: Some("Unit".to_owned()),
            country: Some("DE".to_owned()),
        },
        key,
        lifetime: DAY * 7300,
        issuing_lifetime: DAY * 3650,
        leaf_lifetime: DAY * 90,
        crl_validity: DAY * 7,
        crl_refresh: DAY,
    }
}

async fn state(directory: &TempDir) -> State {
    let settings = StateSettings {
        directory: directory.path().to_owned(),
        socket: directory.path().join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    };
    State::open(&settings).await.unwrap()
}

async fn open(state: &State, key: KeyType) -> Authority {
    Authority::open(state, "internal", &config(key), Some("http://pki.example.com/"), now()).await.unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyType::EcdsaP256).unwrap()
}

async fn issue(authority: &Authority, order: &str, wanted: &[&str], spki_der: &[u8], lifetime: Duration) -> Chain {
    let request = LeafRequest { order, names: &names(wanted), spki_der, lifetime };
    authority.issue(&request, now()).await.unwrap()
}

async fn execute(state: &State, statement: &'static str) {
    let mut write = state.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
}

fn file(directory: &TempDir, name: &str, content: &str) -> String {
    let path = directory.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn verify(authority: &Authority, chain: &Chain) {
    let directory = TempDir::new().unwrap();
    let root = file(&directory, "root.pem", &authority.root_pem());
    let issuing = file(&directory, "issuing.pem", &chain.chain_pem());
    let leaf = file(&directory, "leaf.pem", &chain.certificate_pem());
    let strict = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"];
    openssl(&[&strict[..], &[&root, "-untrusted", &issuing, &leaf]].concat(), b"");
}

fn described(pem: &str) -> String {
    openssl_text(&["x509", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8"], pem.as_bytes())
}

#[tokio::test]
async fn openssl_verifies_leaves_of_every_kind_of_ca() {
    for ca_key in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Ed25519] {
        let directory = TempDir::new().unwrap();
        let authority = open(&state(&directory).await, ca_key).await;
        for leaf_key in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Ed25519] {
            let (key, wanted) =
                (PrivateKey::generate(leaf_key).unwrap(), ["a.example", "*.b.example", "192.0.2.1", "::1"]);
            let chain = issue(&authority, leaf_key.as_str(), &wanted, &key.spki_der(), DAY * 90).await;
            verify(&authority, &chain);
            chain.check(&key.spki_der(), &names(&wanted), now()).unwrap();
            let rsa = described(&chain.certificate_pem()).contains("Digital Signature, Key Encipherment");
            assert_eq!(rsa, leaf_key == KeyType::Rsa2048);
        }
    }
}

#[tokio::test]
async fn the_ca_is_what_the_config_says() {
    let directory = TempDir::new().unwrap();
    let authority = open(&state(&directory).await, KeyType::EcdsaP256).await;
    let (root, issuing) = (described(&authority.root_pem()), described(&authority.issuing_pem()));
    for part in ["Subject: CN=Example CA Root,OU=Unit,O=Exämple,C=DE", "Issuer: CN=Example CA Root,", "CA:TRUE\n"] {
        assert!(root.contains(part), "{part}: {root}");
    }
    for part in ["Subject: CN=Example CA 1,", "Issuer: CN=Example CA Root,", "CA:TRUE, pathlen:0\n"] {
        assert!(issuing.contains(part), "{part}: {issuing}");
    }
    assert!(root.contains("critical\n                Certificate Sign, CRL Sign\n"), "{root}");
    assert!(issuing.contains("critical\n                Digital Signature, Certificate Sign, CRL Sign\n"), "{issuing}");
    assert_eq!(authority.chain_pem(), authority.issuing_pem() + &authority.root_pem());
    assert_eq!(authority.generation_der(1).await.unwrap().as_deref(), Some(authority.issuing_der()));
    assert_eq!(authority.generation_der(0).await.unwrap(), None);
    assert_eq!(authority.generation_der(2).await.unwrap(), None);
}

#[tokio::test]
async fn a_leaf_says_what_it_should() {
    let directory = TempDir::new().unwrap();
    let authority = open(&state(&directory).await, KeyType::EcdsaP256).await;
    let before = now();
    let long = issue(&authority, "long", &["a.example"], &key().spki_der(), DAY * 8).await;
    let text = described(&long.certificate_pem());
    for part in [
        "Subject: CN=a.example\n",
        "critical\n                CA:FALSE\n",
        "critical\n                Digital Signature\n",
        "TLS Web Server Authentication\n",
        "CA Issuers - URI:http://pki.example.com/ca/internal/1.crt\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Alternative Name: \n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for absent in ["No Revocation Available", "OCSP", "CRL", "Client"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let leaf = long.leaf();
    assert!(leaf.not_after >= before.plus(DAY * 8) && leaf.not_after <= now().plus(DAY * 8));
    assert_eq!(leaf.not_before, leaf.not_after.minus(DAY * 8 + Duration::from_secs(900)));
    assert!(leaf.serial.to_be_bytes().len() <= 16);
    let short = issue(&authority, "short", &["a.example"], &key().spki_der(), DAY * 7).await;
    assert!(described(&short.certificate_pem()).contains("No Revocation Available"));
}

#[tokio::test]
async fn a_name_too_long_for_a_common_name_leaves_the_subject_empty() {
    let directory = TempDir::new().unwrap();
    let authority = open(&state(&directory).await, KeyType::EcdsaP256).await;
    let long = format!("{}.example", "a".repeat(57));
    let chain = issue(&authority, "1", &[&long], &key().spki_der(), DAY).await;
    let text = described(&chain.certificate_pem());
    assert!(text.contains("Subject: \n"), "{text}");
    assert!(text.contains("X509v3 Subject Alternative Name: critical\n"), "{text}");
    verify(&authority, &chain);
}

#[tokio::test]
async fn one_order_yields_one_certificate() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, twin) = (open(&state, KeyType::EcdsaP256).await, open(&state, KeyType::EcdsaP256).await);
    let (key, other) = (key().spki_der(), key().spki_der());
    let ask = |authority| issue(authority, "1", &["a.example"], &key, DAY);
    let (first, second, third) = tokio::join!(ask(&authority), ask(&twin), ask(&authority));
    assert_eq!((&first, &first), (&second, &third));
    assert_eq!(issue(&authority, "1", &["b.example"], &other, DAY * 2).await, first);
    let next = issue(&authority, "2", &["a.example"], &key, DAY).await;
    assert_ne!(next.leaf().serial, first.leaf().serial);
}

#[tokio::test]
async fn several_that_open_at_once_get_one_root() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let opened = || open(&state, KeyType::EcdsaP256);
    let (one, two, three, four) = tokio::join!(opened(), opened(), opened(), opened());
    for other in [&two, &three, &four, &open(&state, KeyType::Ed25519).await] {
        assert_eq!(other.chain_pem(), one.chain_pem());
    }
}

#[tokio::test]
async fn a_crash_between_intent_and_signature_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    // Ed25519 signs the same octets with the same signature: all of it can be compared.
    let authority = open(&state, KeyType::Ed25519).await;
    execute(&state, "UPDATE ca SET certificate = NULL").await;
    let again = open(&state, KeyType::Ed25519).await;
    assert_eq!(again.chain_pem(), authority.chain_pem());
    execute(&state, "DELETE FROM ca WHERE generation = 1").await;
    let later = open(&state, KeyType::Ed25519).await;
    assert_eq!(later.root_pem(), authority.root_pem());
    assert_ne!(later.issuing_pem(), authority.issuing_pem());
    verify(&later, &issue(&later, "1", &["a.example"], &key().spki_der(), DAY).await);
}

#[tokio::test]
async fn a_leaf_on_record_is_signed_by_the_next_who_asks() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let key = key().spki_der();
    let request = LeafRequest { order: "1", names: &names(&["a.example"]), spki_der: &key, lifetime: DAY };
    let intended = open(&state, KeyType::EcdsaP256).await.intend(&request, now()).await.unwrap();
    assert_eq!(intended.certificate, None);
    let authority = open(&state, KeyType::EcdsaP256).await;
    let chain = authority.issue(&request, now().plus(DAY)).await.unwrap();
    assert_eq!(chain.leaf().serial.to_string(), intended.serial);
    verify(&authority, &chain);
}

#[tokio::test]
async fn a_leaf_lives_within_its_issuer() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let short = config::Ca { lifetime: DAY * 40, issuing_lifetime: DAY * 60, ..config(KeyType::EcdsaP256) };
    let authority = Authority::open(&state, "internal", &short, None, now()).await.unwrap();
    let root = crate::pki::leaf::Leaf::from_der(&authority.root).unwrap();
    assert_eq!(authority.not_after(), root.not_after);
    let chain = issue(&authority, "1", &["a.example"], &key().spki_der(), DAY * 90).await;
    assert_eq!(chain.leaf().not_after, authority.not_after());
    assert!(!described(&chain.certificate_pem()).contains("CA Issuers"));
    let request = LeafRequest { order: "2", names: &names(&["a.example"]), spki_der: &key().spki_der(), lifetime: DAY };
    let early = authority.issue(&LeafRequest { order: "3", ..request }, now().minus(DAY)).await.unwrap();
    assert_eq!(early.leaf().not_before, authority.issuing.not_before);
    let late = authority.issue(&request, authority.not_after()).await;
    assert!(matches!(late, Err(CaError::Expired { .. })));
}

#[tokio::test]
async fn a_serial_is_never_used_twice() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let new = |order_id| NewCaCertificate {
        ca: "internal",
        serial: "0a".to_owned(),
        generation: 1,
        order_id,
        names: &[],
        not_before: now(),
        not_after: now(),
        to_be_signed: b"x",
    };
    state.add_ca_certificate(&new("1"), now()).await.unwrap();
    state.add_ca_certificate(&new("1"), now()).await.unwrap();
    assert!(state.add_ca_certificate(&new("2"), now()).await.is_err());
}

#[tokio::test]
async fn what_x509_cannot_hold_is_refused() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let refused = async |change: fn(&mut config::ca::Subject)| {
        let mut config = config(KeyType::EcdsaP256);
        change(&mut config.subject);
        Authority::open(&state, "other", &config, None, now()).await.map(drop).unwrap_err().to_string()
    };
    let long = refused(|subject| subject.common_name = "x".repeat(60)).await;
    assert!(long.starts_with("the CA's `subject.common_name` must be 1 to 64 characters long"), "{long}");
    let country = refused(|subject| subject.country = Some("Germany".to_owned())).await;
    assert!(country.starts_with("the CA's `subject.country` must be two letters"), "{country}");
    let authority = open(&state, KeyType::EcdsaP256).await;
    let request = LeafRequest { order: "1", names: &[], spki_der: &key().spki_der(), lifetime: DAY };
    assert!(matches!(authority.issue(&request, now()).await, Err(CaError::NoNames)));
    let request = LeafRequest { names: &names(&["a.example"]), spki_der: b"key", ..request };
    assert!(matches!(authority.issue(&request, now()).await, Err(CaError::PublicKey(_))));
}

#[tokio::test]
async fn keys_are_on_disk_under_seal_only() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = open(&state, KeyType::EcdsaP256).await;
    let on_disk = everything_in(directory.path());
    let found = |wanted: &[u8]| on_disk.windows(wanted.len()).any(|window| window == wanted);
    let der = authority.issuing.key.to_pkcs8_der();
    // The scalar of a P-256 key in PKCS#8: behind 36 octets that all such keys share.
    let scalar = &der[36..68];
    assert!(!found(scalar) && !found(hex::encode(scalar).as_bytes()));
    let base64 = base64::engine::general_purpose::STANDARD.encode(&*der);
    assert!(!found(&base64.as_bytes()[52..84]));
    let certificate = base64::engine::general_purpose::STANDARD.encode(authority.issuing_der());
    assert!(found(certificate.as_bytes()), "the search finds what is there");
}

fn everything_in(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

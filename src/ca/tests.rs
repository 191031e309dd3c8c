//! The CA on a real database, judged by openssl.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use tempfile::TempDir;

use super::*;
use crate::config::{Database, KeyType, StateSettings};
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::pki::testing::{names, openssl, openssl_text};
use crate::state::ca::NewCaCertificate;

const DAY: Duration = Duration::from_secs(86_400);

/// As it is told to be, whole seconds.
pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(crate::clock::Clock::system().now().seconds())
}

fn config(key: KeyType) -> config::Ca {
    let subject = config::ca::Subject {
        organization: Some("Exämple".to_owned()),
        organizational_unit: Some("Unit".to_owned()),
        country: Some("DE".to_owned()),
        ..config::ca::Subject::named("Example CA")
    };
    config::Ca { key, ..config::Ca::new(subject) }
}

pub(super) async fn state(directory: &TempDir) -> State {
    let settings = StateSettings {
        directory: directory.path().to_owned(),
        socket: directory.path().join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    };
    State::open(&settings).await.unwrap()
}

pub(super) async fn open(state: &State, key: KeyType) -> Authority {
    Authority::open(state, "internal", &config(key), Some("http://pki.example.com/"), now()).await.unwrap()
}

pub(super) fn key() -> PrivateKey {
    PrivateKey::generate(KeyType::EcdsaP256).unwrap()
}

pub(super) fn request(order: &str, wanted: &[&str], spki_der: &[u8]) -> LeafRequest {
    LeafRequest::server(order, names(wanted).into_iter().map(Into::into).collect(), spki_der.to_vec())
}

async fn issue(authority: &Authority, order: &str, wanted: &[&str], spki_der: &[u8], lifetime: Duration) -> Chain {
    let request = LeafRequest { lifetime: Some(lifetime), ..request(order, wanted, spki_der) };
    authority.issue(&request, now()).await.unwrap()
}

fn issuing_pem(authority: &Authority) -> String {
    pem::encode(Label::Certificate, &authority.newest().unwrap().certificate)
}

pub(super) async fn execute(state: &State, statement: &'static str) {
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
    let root = file(&directory, "root.pem", &authority.root_pem().unwrap());
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
    let (root, issuing) = (described(&authority.root_pem().unwrap()), described(&issuing_pem(&authority)));
    for part in ["Subject: CN=Example CA Root,OU=Unit,O=Exämple,C=DE", "Issuer: CN=Example CA Root,", "CA:TRUE\n"] {
        assert!(root.contains(part), "{part}: {root}");
    }
    for part in ["Subject: CN=Example CA 1,", "Issuer: CN=Example CA Root,", "CA:TRUE, pathlen:0\n"] {
        assert!(issuing.contains(part), "{part}: {issuing}");
    }
    assert!(root.contains("critical\n                Certificate Sign, CRL Sign\n"), "{root}");
    assert!(issuing.contains("critical\n                Digital Signature, Certificate Sign, CRL Sign\n"), "{issuing}");
    assert_eq!(authority.chain_pem().unwrap(), issuing_pem(&authority) + &authority.root_pem().unwrap());
    assert_eq!(authority.generation(1).unwrap().certificate, authority.newest().unwrap().certificate);
    assert!(authority.generation(0).is_none() && authority.generation(2).is_none());
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
        "OCSP - URI:http://pki.example.com/ocsp/internal\n",
        "URI:http://pki.example.com/crl/internal/1/0.crl\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Alternative Name: \n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for absent in ["No Revocation Available", "Client"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let leaf = long.leaf();
    assert!(leaf.not_after >= before.plus(DAY * 8) && leaf.not_after <= now().plus(DAY * 8));
    assert_eq!(leaf.not_before, leaf.not_after.minus(DAY * 8 + Duration::from_secs(900)));
    assert!(leaf.serial.to_be_bytes().len() <= 16);
    let short = issue(&authority, "short", &["a.example"], &key().spki_der(), DAY * 7).await;
    let short = described(&short.certificate_pem());
    assert!(short.contains("No Revocation Available") || short.contains("2.5.29.56"), "{short}");
    assert!(!short.contains("OCSP") && !short.contains("CRL"), "{short}");
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
        assert_eq!(other.chain_pem().unwrap(), one.chain_pem().unwrap());
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
    assert_eq!(again.chain_pem().unwrap(), authority.chain_pem().unwrap());
    execute(&state, "DELETE FROM ca WHERE generation = 1").await;
    let later = open(&state, KeyType::Ed25519).await;
    assert_eq!(later.root_pem().unwrap(), authority.root_pem().unwrap());
    assert_ne!(issuing_pem(&later), issuing_pem(&authority));
    verify(&later, &issue(&later, "1", &["a.example"], &key().spki_der(), DAY).await);
}

#[tokio::test]
async fn a_leaf_on_record_is_signed_by_the_next_who_asks() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let key = key().spki_der();
    let request = request("1", &["a.example"], &key);
    let intended = open(&state, KeyType::EcdsaP256).await.only_write(&request, now()).await;
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
    let ends = |authority: &Authority| authority.newest().unwrap().not_after;
    let root = crate::pki::leaf::Leaf::from_der(authority.newest().unwrap().root()).unwrap();
    assert_eq!(ends(&authority), root.not_after);
    let chain = issue(&authority, "1", &["a.example"], &key().spki_der(), DAY * 90).await;
    assert_eq!(chain.leaf().not_after, ends(&authority));
    assert!(!described(&chain.certificate_pem()).contains("CA Issuers"));
    let request = |order| request(order, &["a.example"], &key().spki_der());
    let early = authority.issue(&request("3"), now().minus(DAY)).await.unwrap();
    assert_eq!(early.leaf().not_before, authority.newest().unwrap().not_before);
    let late = authority.issue(&request("2"), ends(&authority)).await;
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
        profile: "server",
        subject: "",
        shard: 0,
        not_before: now(),
        not_after: now(),
        to_be_signed: b"x",
    };
    state.add_ca_certificates(&[(new("1"), now())]).await.unwrap();
    state.add_ca_certificates(&[(new("1"), now())]).await.unwrap();
    assert!(state.add_ca_certificates(&[(new("2"), now())]).await.is_err());
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
    assert!(long.starts_with("the `common_name` of a subject must be 1 to 64 characters long"), "{long}");
    let country = refused(|subject| subject.country = Some("Germany".to_owned())).await;
    assert!(country.starts_with("the `country` of a subject must be two letters"), "{country}");
    let authority = open(&state, KeyType::EcdsaP256).await;
    let nameless = request("1", &[], &key().spki_der());
    assert!(matches!(authority.issue(&nameless, now()).await, Err(CaError::NoNames)));
    let keyless = request("1", &["a.example"], b"key");
    assert!(matches!(authority.issue(&keyless, now()).await, Err(CaError::PublicKey { .. })));
    let weak = openssl(&["genrsa", "1024"], b"");
    let weak = openssl(&["pkey", "-pubout", "-outform", "DER"], &weak);
    let weak = authority.issue(&request("1", &["a.example"], &weak), now()).await.unwrap_err();
    assert_eq!(weak.to_string(), "the public key cannot be certified: its RSA modulus is shorter than 2048 bits");
}

#[tokio::test]
async fn rotation_makes_a_generation_and_the_old_one_stays() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = open(&state, KeyType::EcdsaP256).await;
    let old = issue(&authority, "old", &["a.example"], &key().spki_der(), DAY * 90).await;
    let renamed = config::ca::Subject::named("Renamed CA");
    let edited = config::Ca { key: KeyType::Ed25519, subject: renamed, ..config(KeyType::EcdsaP256) };
    authority.set_terms(Terms { config: Some(edited), public_url: None });
    assert_eq!(authority.newest().unwrap().number, 1, "an edited config alone changes nothing");
    assert_eq!(authority.rotate(1, now()).await.unwrap().number, 2);
    assert_eq!(authority.rotate(1, now()).await.unwrap().number, 2, "it was rotated already");
    assert!(described(&issuing_pem(&authority)).contains("Subject: CN=Renamed CA 2\n"));
    let new = issue(&authority, "new", &["a.example"], &key().spki_der(), DAY * 90).await;
    for chain in [&old, &new, &issue(&authority, "old", &["a.example"], &key().spki_der(), DAY).await] {
        verify(&authority, chain);
    }
    assert_ne!(old.ders()[1], new.ders()[1]);
    let again = open(&state, KeyType::EcdsaP256).await;
    assert_eq!(again.generations().len(), 2);
    assert_eq!(again.chain_pem().unwrap(), authority.chain_pem().unwrap());
}

#[tokio::test]
async fn an_issuing_certificate_near_its_end_is_replaced_by_itself() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let config = config::Ca { issuing_lifetime: DAY * 365, ..config(KeyType::EcdsaP256) };
    let authority = Authority::open(&state, "internal", &config, None, now()).await.unwrap();
    let asked = |order| request(order, &["a.example"], &key().spki_der());
    let before = authority.issue(&asked("1"), now().plus(DAY * 200)).await.unwrap();
    assert_eq!(authority.newest().unwrap().number, 1);
    let after = authority.issue(&asked("2"), now().plus(DAY * 300)).await.unwrap();
    assert_eq!(authority.newest().unwrap().number, 2);
    assert_ne!(before.ders()[1], after.ders()[1]);
    assert!(after.leaf().not_after >= now().plus(DAY * 389), "it lives as long as it should");
}

#[tokio::test]
async fn a_root_that_is_elsewhere_keeps_nobody_from_issuing() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let config = config::Ca { issuing_lifetime: DAY * 365, ..config(KeyType::EcdsaP256) };
    let authority = Authority::open(&state, "internal", &config, None, now()).await.unwrap();
    assert!(matches!(authority.forget_root().await, Err(CaError::NotExported)));
    authority.export_root(&"gehe1m".into(), now()).await.unwrap();
    authority.forget_root().await.unwrap();
    assert!(matches!(authority.rotate(1, now()).await, Err(CaError::RootKeyElsewhere)));
    let asked = request("1", &["a.example"], &key().spki_der());
    let chain = authority.issue(&asked, now().plus(DAY * 300)).await.unwrap();
    assert_eq!(chain.leaf().not_after, authority.newest().unwrap().not_after);
    let again = Authority::open(&state, "internal", &config, None, now()).await.unwrap();
    assert_eq!(again.root().await.unwrap().unwrap().key, RootKey::Elsewhere);
    assert_eq!(chain.ders()[1], again.newest().unwrap().certificate);
}

#[tokio::test]
async fn shards_are_filled_one_after_the_other() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let config = config::Ca { crl_shard_size: 3, ..config(KeyType::EcdsaP256) };
    let url = Some("http://pki.example.com");
    let open = || Authority::open(&state, "internal", &config, url, now());
    let shard = |chain: &Chain| {
        let text = described(&chain.certificate_pem());
        text.split("/crl/internal/1/").nth(1).unwrap().split('.').next().unwrap().parse::<u32>().unwrap()
    };
    let mut shards = Vec::new();
    let (one, other) = (open().await.unwrap(), open().await.unwrap());
    for order in 0..12 {
        let authority = if order % 2 == 0 { &one } else { &other };
        shards.push(shard(&issue(authority, &order.to_string(), &["a.example"], &key().spki_der(), DAY * 90).await));
    }
    for number in 0..4 {
        assert_eq!(shards.iter().filter(|shard| **shard == number).count(), 3, "{shards:?}");
    }
    assert_eq!(one.newest().unwrap().shards(&state, "internal").await.unwrap(), 4);
}

#[tokio::test]
async fn name_constraints_are_kept_and_enforced() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let network = "10.0.0.0".parse().unwrap();
    let constraints = config::ca::NameConstraints {
        permitted: vec![
            config::ca::NamePattern::Dns("example.internal".to_owned()),
            config::ca::NamePattern::Network(network, 8),
        ],
        excluded: vec![config::ca::NamePattern::Dns("secret.example.internal".to_owned())],
    };
    let config = config::Ca { name_constraints: constraints, ..config(KeyType::EcdsaP256) };
    let authority = Authority::open(&state, "internal", &config, None, now()).await.unwrap();
    let text = described(&issuing_pem(&authority));
    for part in ["Name Constraints: critical", "DNS:example.internal", "IP:10.0.0.0/255.0.0.0", "Excluded:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    verify(&authority, &issue(&authority, "1", &["a.example.internal", "10.1.2.3"], &key().spki_der(), DAY).await);
    for (order, outside) in [("2", "example.com"), ("3", "secret.example.internal"), ("4", "11.0.0.1")] {
        let refused = authority.issue(&request(order, &[outside], &key().spki_der()), now()).await.unwrap_err();
        assert!(refused.to_string().starts_with(&format!("`{outside}` is outside the names")), "{refused}");
        assert!(state.ca_certificate_of("internal", order).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn profiles_say_what_a_leaf_is() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = open(&state, KeyType::EcdsaP256).await;
    let people = ["ann@example.com", "spiffe://example.com/ann"].map(|name| AlternativeName::parse(name).unwrap());
    let subject = LeafSubject { organization: Some("Team".to_owned()), ..LeafSubject::named("Ann") };
    let client = LeafRequest {
        profile: "client".to_owned(),
        subject,
        names: people.to_vec(),
        ..request("1", &[], &key().spki_der())
    };
    let text = described(&authority.issue(&client, now()).await.unwrap().certificate_pem());
    for part in
        ["Subject: CN=Ann,O=Team\n", "TLS Web Client Authentication\n", "email:ann@example.com", "URI:spiffe://"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let refused = async |change: fn(&mut LeafRequest)| {
        let mut request = LeafRequest { order: "2".to_owned(), ..client.clone() };
        change(&mut request);
        authority.issue(&request, now()).await.unwrap_err().to_string()
    };
    assert_eq!(refused(|request| request.profile = "none".into()).await, "the CA has no profile `none`");
    let server = refused(|request| request.profile = "server".into()).await;
    assert_eq!(server, "the profile `server` does not allow the mail address `ann@example.com`");
    let long = refused(|request| request.lifetime = Some(DAY * 91)).await;
    assert_eq!(long, "91 days are asked for, and the profile `client` allows 90 at most");
}

#[tokio::test]
async fn streamed_signatures_are_the_same_as_whole_ones() {
    for key_type in KeyType::ALL {
        let key = PrivateKey::generate(key_type).unwrap();
        let signer = Signer::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
        let mut stream = signer.stream();
        b"message".chunks(2).for_each(|piece| stream.update(piece));
        let streamed = certificate::assemble(&[], signer.algorithm_identifier_der(), &stream.finish().unwrap());
        let public = openssl(&["pkey", "-pubout"], key.to_pkcs8_pem().as_bytes());
        let directory = TempDir::new().unwrap();
        let public = file(&directory, "public.pem", &String::from_utf8(public).unwrap());
        let whole = crate::pki::der::split_first(&streamed).unwrap();
        let bits = crate::pki::der::split_first(crate::pki::der::split_first(whole.content).unwrap().rest).unwrap();
        let signature = directory.path().join("signature");
        std::fs::File::create(&signature).unwrap().write_all(&bits.content[1..]).unwrap();
        let message = file(&directory, "message", "message");
        let mut arguments = vec!["pkeyutl", "-verify", "-pubin", "-inkey", &public, "-in", &message, "-rawin"];
        if let Some(digest) = signer.algorithm().digest() {
            arguments.extend(["-digest", if digest.output_len() == 48 { "sha384" } else { "sha256" }]);
        }
        arguments.extend(["-sigfile", signature.to_str().unwrap()]);
        openssl(&arguments, b"");
    }
}

#[tokio::test]
async fn keys_are_on_disk_under_seal_only() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = open(&state, KeyType::EcdsaP256).await;
    let on_disk = everything_in(directory.path());
    let found = |wanted: &[u8]| on_disk.windows(wanted.len()).any(|window| window == wanted);
    let der = state.ca("internal", 1).await.unwrap().unwrap().key(&state).unwrap().unwrap();
    // The scalar of a P-256 key in PKCS#8: behind 36 octets that all such keys share.
    let scalar = &der[36..68];
    assert!(!found(scalar) && !found(hex::encode(scalar).as_bytes()));
    let base64 = base64::engine::general_purpose::STANDARD.encode(&*der);
    assert!(!found(&base64.as_bytes()[52..84]));
    let certificate = base64::engine::general_purpose::STANDARD.encode(&authority.newest().unwrap().certificate);
    assert!(found(certificate.as_bytes()), "the search finds what is there");
}

fn everything_in(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

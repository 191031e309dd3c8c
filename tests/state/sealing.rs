//! Private keys are nowhere to be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use providers::dns::Registration;
use renewd::config::KeyType;
use renewd::pki::key::PrivateKey;
use renewd::state::State;
use renewd::state::ca::{KeyPlace, NewCa};
use secrecy::SecretString;
use tempfile::TempDir;

use super::place::{NOW, certified, enlist, execute, new_version, on_sqlite, order};

const URL: &str = "https://ca.test/";

/// A sealed value that was copied to another row, or another column, is worthless there.
pub(super) async fn a_sealed_value_opens_in_its_own_place_only(state: &State) {
    let (a, b) = (certified(state, "a", &[]).await, certified(state, "b", &[]).await);
    execute(state, "UPDATE version SET key_sealed = (SELECT key_sealed FROM version WHERE certificate = 'b')").await;
    state.version(&a).await.unwrap().unwrap().key(state).unwrap_err();
    assert_eq!(state.version(&b).await.unwrap().unwrap().key(state).unwrap().as_slice(), b"key");

    state.add_account("main", URL, b"key", &[], NOW).await.unwrap();
    execute(state, "UPDATE account SET next_key_sealed = key_sealed").await;
    let account = state.account("main", URL).await.unwrap().unwrap();
    account.key(state).unwrap();
    account.next_key(state).unwrap_err();
}

#[tokio::test]
async fn the_database_file_holds_no_plain_key() {
    let directory = TempDir::new().unwrap();
    let state = State::open(&on_sqlite(directory.path())).await.unwrap();
    let keys: Vec<PrivateKey> = (0..5).map(|_| PrivateKey::generate(KeyType::EcdsaP256).unwrap()).collect();
    let ders: Vec<_> = keys.iter().map(PrivateKey::to_pkcs8_der).collect();
    state.add_account("main", URL, &ders[0], &[], NOW).await.unwrap();
    state.keep_next_account_key("main", URL, &ders[1]).await.unwrap();
    enlist(&state, &["a"]).await;
    let order = order(&state, "a", &ders[2]).await;
    state.add_version(&new_version("a", &ders[3], &[]), Some(&order), NOW).await.unwrap();
    let root = NewCa {
        name: "internal",
        generation: 0,
        serial: "01".to_owned(),
        key_type: "ecdsa-p256",
        key: KeyPlace::Sealed(&ders[4]),
        not_before: NOW,
        not_after: NOW,
        to_be_signed: b"kept in the open",
        certificate: None,
        above: None,
        shard_size: 100,
    };
    state.add_ca(&root, NOW).await.unwrap();
    let secret = SecretString::from("registration-secret".to_owned());
    state.add_registration("main", "a", &Registration { target: "t".to_owned(), secret }, NOW).await.unwrap();

    // Once with the write-ahead log beside it, once put away in good order.
    search(&directory, &keys);
    state.close().await;
    search(&directory, &keys);
}

fn search(directory: &TempDir, keys: &[PrivateKey]) {
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<u8> =
        files.filter(|file| !file.ends_with("seal.key")).flat_map(|file| std::fs::read(file).unwrap()).collect();
    let holds = |needle: &[u8]| all.windows(needle.len()).any(|window| window == needle);
    assert!(holds(BASE64.encode(b"kept in the open").as_bytes()), "the search finds what is there");
    assert!(!holds(b"registration-secret"));
    assert!(!holds(b"PRIVATE KEY"));
    for key in keys {
        let der = key.to_pkcs8_der();
        // Octets 36 to 68 of a P-256 key in PKCS#8 are the secret itself.
        for secret in [der.as_slice(), &der[36..68]] {
            assert!(
                !holds(secret) && !holds(BASE64.encode(secret).as_bytes()) && !holds(hex::encode(secret).as_bytes())
            );
        }
        let pem = key.to_pkcs8_pem();
        assert!(!holds(pem.lines().nth(1).unwrap().as_bytes()));
    }
}

//! The private CA's tables, and the CA itself at work on them.

use renewd::ca::{Authority, LeafRequest};
use renewd::clock::{Clock, Timestamp};
use renewd::config::ca::Subject;
use renewd::config::{self, KeyType};
use renewd::identifier::Identifier;
use renewd::pki::key::PrivateKey;
use renewd::state::State;
use renewd::state::ca::{KeyPlace, NewCa, NewCaCertificate};

use super::place::{MINUTE, NOW, private_key};

pub(super) async fn a_generation_is_written_once_and_signed_once(state: &State) {
    let key = private_key();
    let new = |generation, serial: &str, to_be_signed| NewCa {
        name: "internal",
        generation,
        serial: serial.to_owned(),
        key_type: "ecdsa-p256",
        key: KeyPlace::Sealed(&key),
        not_before: NOW,
        not_after: NOW.plus(MINUTE),
        to_be_signed,
        certificate: None,
        above: None,
        shard_size: 100,
    };
    assert!(state.ca("internal", 0).await.unwrap().is_none());
    assert!(state.newest_ca("internal").await.unwrap().is_none());
    state.add_ca(&new(0, "01", b"root"), NOW).await.unwrap();
    state.add_ca(&new(0, "02", b"another"), NOW).await.unwrap();
    let root = state.ca("internal", 0).await.unwrap().unwrap();
    assert_eq!((root.name.as_str(), root.generation, root.serial.as_str()), ("internal", 0, "01"));
    assert_eq!((root.to_be_signed.as_slice(), &root.certificate), (b"root".as_slice(), &None));
    assert_eq!((root.not_before, root.not_after), (NOW, NOW.plus(MINUTE)));
    assert_eq!(*root.key(state).unwrap().unwrap(), key);
    assert!(state.newest_ca("internal").await.unwrap().is_none(), "the root issues no leaves");

    for generation in [1, 2] {
        state.add_ca(&new(generation, &format!("1{generation}"), b"issuing"), NOW).await.unwrap();
    }
    assert_eq!(state.newest_ca("internal").await.unwrap().unwrap().generation, 2);
    state.add_ca(&new(3, "01", b"issuing"), NOW).await.expect_err("a serial is never used twice");
    for signature in [b"first".as_slice(), b"second"] {
        state.ca_signed("internal", 1, signature).await.unwrap();
        assert_eq!(state.ca("internal", 1).await.unwrap().unwrap().certificate.as_deref(), Some(b"first".as_slice()));
    }
    assert_eq!(state.ca("internal", 2).await.unwrap().unwrap().certificate, None);
}

pub(super) async fn a_leaf_is_written_once_and_signed_once(state: &State) {
    let names = ["a.test".to_owned()];
    let new = |order_id, serial: &str| NewCaCertificate {
        ca: "internal",
        serial: serial.to_owned(),
        generation: 1,
        order_id,
        names: &names,
        profile: "server",
        subject: "a.test",
        shard: 0,
        not_before: NOW,
        not_after: NOW.plus(MINUTE),
        to_be_signed: b"leaf",
    };
    state.add_ca_certificate(&new("order", "0a"), NOW).await.unwrap();
    state.add_ca_certificate(&new("order", "0b"), NOW).await.unwrap();
    state.add_ca_certificate(&new("other", "0a"), NOW).await.expect_err("a serial is never used twice");
    let row = state.ca_certificate_of("internal", "order").await.unwrap().unwrap();
    assert_eq!((row.ca.as_str(), row.serial.as_str(), row.generation), ("internal", "0a", 1));
    assert_eq!((row.order_id.as_str(), row.to_be_signed.as_deref()), ("order", Some(b"leaf".as_slice())));
    for signature in [b"first".as_slice(), b"second"] {
        state.ca_certificate_signed("internal", "0a", signature).await.unwrap();
        let row = state.ca_certificate_of("internal", "order").await.unwrap().unwrap();
        assert_eq!((row.to_be_signed, row.certificate.as_deref()), (None, Some(b"first".as_slice())));
    }
    assert!(state.ca_certificate_of("internal", "other").await.unwrap().is_none());
    assert!(state.ca_certificate_of("elsewhere", "order").await.unwrap().is_none());
}

pub(super) async fn the_private_ca_issues(state: &State) {
    let now = Timestamp::from_seconds(Clock::system().now().seconds());
    let config = config::Ca::new(Subject::named("CA"));
    let open = || Authority::open(state, "internal", &config, None, now);
    let (one, other) = tokio::join!(open(), open());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.chain_pem().unwrap(), other.chain_pem().unwrap(), "all get the same root");

    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let names = [Identifier::parse("a.test").unwrap(), Identifier::parse("*.a.test").unwrap()];
    let request = LeafRequest::server("1", names.iter().cloned().map(Into::into).collect(), key.spki_der());
    let (first, second) = tokio::join!(one.issue(&request, now), other.issue(&request, now));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.fullchain_pem(), second.fullchain_pem(), "one order, one certificate");
    first.check(&key.spki_der(), &names, now).unwrap();
    let next = one.issue(&LeafRequest { order: "2".to_owned(), ..request.clone() }, now).await.unwrap();
    assert_ne!(next.leaf().serial, first.leaf().serial);
}

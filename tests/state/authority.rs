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
    let add = async |order_id, serial| state.add_ca_certificates(&[(new(order_id, serial), NOW)]).await;
    add("order", "0a").await.unwrap();
    add("order", "0b").await.unwrap();
    add("other", "0a").await.expect_err("a serial is never used twice");
    let row = state.ca_certificate_of("internal", "order").await.unwrap().unwrap();
    assert_eq!((row.ca.as_str(), row.serial.as_str(), row.generation), ("internal", "0a", 1));
    assert_eq!((row.order_id.as_str(), row.to_be_signed.as_deref()), ("order", Some(b"leaf".as_slice())));
    for signature in [b"first".as_slice(), b"second"] {
        state.ca_certificates_signed("internal", &[("0a", signature)]).await.unwrap();
        let row = state.ca_certificate_of("internal", "order").await.unwrap().unwrap();
        assert_eq!((row.to_be_signed, row.certificate.as_deref()), (None, Some(b"first".as_slice())));
    }
    assert!(state.ca_certificate_of("internal", "other").await.unwrap().is_none());
    assert!(state.ca_certificate_of("elsewhere", "order").await.unwrap().is_none());
}

pub(super) async fn many_leaves_are_written_once_and_signed_once(state: &State) {
    let names = ["a.test".to_owned()];
    let orders: Vec<String> = (0..90).map(|number| format!("csr:a:{number:08}")).collect();
    let new = |place: usize, prefix: &str| NewCaCertificate {
        ca: "internal",
        serial: format!("{prefix}{place:02x}"),
        generation: 1,
        order_id: &orders[place],
        names: &names,
        profile: "server",
        subject: "a.test",
        shard: 0,
        not_before: NOW,
        not_after: NOW.plus(MINUTE),
        to_be_signed: b"leaf",
    };
    let rows = |places: std::ops::Range<usize>, prefix: &str| {
        places.map(|place| (new(place, prefix), NOW)).collect::<Vec<_>>()
    };
    assert!(state.last_ca_order("internal", "csr:a:").await.unwrap().is_none());
    assert_eq!(state.add_ca_certificates(&rows(0..80, "0a")).await.unwrap().len(), 80);
    let written = state.add_ca_certificates(&rows(70..90, "0b")).await.unwrap();
    assert_eq!((written.len(), written.contains("0b50"), written.contains("0b4f")), (10, true, false));
    let mut twice = rows(0..1, "0c");
    twice.extend(rows(0..1, "0d"));
    assert!(state.add_ca_certificates(&twice).await.unwrap().is_empty(), "each order has one leaf");
    let mut other = new(0, "0a");
    other.order_id = "other";
    let refused = [(new(0, "0e"), NOW), (other, NOW)];
    state.add_ca_certificates(&refused).await.expect_err("a serial is never used twice");

    let all: Vec<&str> = orders.iter().map(String::as_str).chain(["none"]).collect();
    let found = state.ca_certificates_of("internal", &all).await.unwrap();
    assert_eq!(found.len(), 90);
    assert!(found.iter().all(|row| row.to_be_signed.as_deref() == Some(b"leaf") && row.certificate.is_none()));
    let sign = |signature: &'static [u8]| found.iter().map(move |row| (row.serial.as_str(), signature));
    let some: Vec<_> = sign(b"first").take(70).collect();
    assert_eq!(state.ca_certificates_signed("internal", &some).await.unwrap().len(), 70);
    let all_of_them: Vec<_> = sign(b"second").collect();
    assert_eq!(state.ca_certificates_signed("internal", &all_of_them).await.unwrap().len(), 20);
    assert!(state.ca_certificates_signed("elsewhere", &all_of_them).await.unwrap().is_empty());
    let found = state.ca_certificates_of("internal", &all).await.unwrap();
    let first = found.iter().filter(|row| row.certificate.as_deref() == Some(b"first")).count();
    assert_eq!((first, found.iter().filter(|row| row.to_be_signed.is_none()).count()), (70, 90));

    let last = state.last_ca_order("internal", "csr:a:").await.unwrap().unwrap();
    assert_eq!((last.order_id.as_str(), last.revoked), ("csr:a:00000089", false));
    assert_eq!((last.created_at, last.not_after), (NOW, NOW.plus(MINUTE)));
    assert!(state.last_ca_order("internal", "csr:").await.unwrap().is_none(), "a number follows");
    assert!(state.add_ca_certificates(&[]).await.unwrap().is_empty());
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

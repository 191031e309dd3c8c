use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::ca::tests::{key, now, open, request, state};
use crate::config::KeyType;

impl Authority {
    /// Writes a leaf down and stops there, as a crash does.
    pub(in crate::ca) async fn only_write(&self, request: &LeafRequest, now: Timestamp) -> CaCertificateRow {
        let mut batch = Batch::default();
        self.intend(&mut batch, vec![Asked { request: request.clone(), now }]).await.unwrap();
        batch.rows.remove(&request.order).unwrap()
    }
}

fn serials(outcomes: &[Result<Chain, CaError>]) -> HashSet<String> {
    outcomes.iter().map(|chain| chain.as_ref().unwrap().leaf().serial.to_string()).collect()
}

#[tokio::test]
async fn a_batch_is_as_many_leaves_by_themselves() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, key) = (open(&state, KeyType::EcdsaP256).await, key().spki_der());
    let names: Vec<String> = (0..150).map(|number| format!("n{number}.example")).collect();
    let requests: Vec<_> = names.iter().map(|name| request(name, &[name], &key)).collect();
    let first = authority.issue(&requests[7], now()).await.unwrap();
    let outcomes = authority.issue_many(&requests, now()).await.unwrap();
    assert_eq!((outcomes.len(), serials(&outcomes).len()), (150, 150));
    assert_eq!(outcomes[7].as_ref().unwrap(), &first, "what was issued before stays");
    for (name, chain) in names.iter().zip(&outcomes) {
        let chain = chain.as_ref().unwrap();
        chain.check(&key, &crate::pki::testing::names(&[name]), now()).unwrap();
        let serial = SerialKey::from_hex(&chain.leaf().serial.to_string()).unwrap();
        assert!(authority.index().find(serial).is_some(), "OCSP knows it");
    }
    assert_eq!(authority.index().len(), 150);
    let again = authority.issue_many(&requests, now()).await.unwrap();
    for (chain, before) in again.iter().zip(&outcomes) {
        assert_eq!(chain.as_ref().unwrap(), before.as_ref().unwrap());
    }
}

#[tokio::test]
async fn what_cannot_be_had_harms_no_other_and_takes_no_place() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, key) = (open(&state, KeyType::EcdsaP256).await, key().spki_der());
    let bad = LeafRequest { profile: "none".to_owned(), ..request("bad", &["b.example"], &key) };
    let requests = [request("a", &["a.example"], &key), bad.clone(), bad, request("c", &["c.example"], b"key")];
    let places = state.take_places("internal", 1, 0).await.unwrap();
    let outcomes = authority.issue_many(&requests, now()).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert!(outcomes[1..3].iter().all(|bad| matches!(bad, Err(CaError::NoProfile { .. }))), "{outcomes:?}");
    assert!(matches!(outcomes[3], Err(CaError::PublicKey { .. })));
    assert!(state.ca_certificate_of("internal", "bad").await.unwrap().is_none());
    let taken = state.take_places("internal", 1, 0).await.unwrap();
    authority.issue_many(&requests[1..], now()).await.unwrap();
    assert_eq!(state.take_places("internal", 1, 0).await.unwrap(), taken);
    assert!(taken > places);
}

#[tokio::test]
async fn those_who_come_together_share_and_each_gets_its_own() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, key) = (Arc::new(open(&state, KeyType::EcdsaP256).await), key().spki_der());
    let orders: Vec<String> = (0..40).map(|number| format!("{}", number % 20)).collect();
    let asked = orders.iter().map(|order| {
        let (authority, request) = (Arc::clone(&authority), request(order, &[&format!("n{order}.example")], &key));
        async move { authority.issue(&request, now()).await }
    });
    let refused = LeafRequest { lifetime: Some(Duration::from_secs(1 << 40)), ..request("bad", &["b.example"], &key) };
    let (outcomes, refused) = tokio::join!(futures_util::future::join_all(asked), authority.issue(&refused, now()));
    assert!(matches!(refused, Err(CaError::Lifetime { .. })));
    assert_eq!(serials(&outcomes).len(), 20, "one order, one certificate");
    for (order, chain) in orders.iter().zip(&outcomes) {
        assert_eq!(chain.as_ref().unwrap().leaf().names[0].to_string(), format!("n{order}.example"));
    }
}

#[tokio::test]
async fn whoever_goes_away_half_way_leaves_the_others_their_answer() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, key) = (Arc::new(open(&state, KeyType::EcdsaP256).await), key().spki_der());
    for patience in [1, 3, 10] {
        let (first, second) = (format!("a{patience}"), format!("b{patience}"));
        let (first, second) = (request(&first, &["a.example"], &key), request(&second, &["b.example"], &key));
        let leaving = tokio::time::timeout(Duration::from_millis(patience), authority.issue(&first, now()));
        let (_, stays) = tokio::join!(leaving, authority.issue(&second, now()));
        let stays = stays.unwrap();
        assert_eq!(authority.issue(&second, now()).await.unwrap(), stays);
        authority.issue(&first, now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_leaf_cannot_be_signed_before_it_is_written() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = open(&state, KeyType::EcdsaP256).await;
    // Who cannot write does not sign: the table is not there.
    crate::ca::tests::execute(&state, "ALTER TABLE ca_certificate RENAME TO away").await;
    let refused = authority.issue(&request("1", &["a.example"], &key().spki_der()), now()).await;
    assert!(matches!(refused, Err(CaError::State(_))), "{refused:?}");
    assert!(authority.index().is_empty());
    crate::ca::tests::execute(&state, "ALTER TABLE away RENAME TO ca_certificate").await;
    authority.issue(&request("1", &["a.example"], &key().spki_der()), now()).await.unwrap();
}

#[tokio::test]
async fn nobody_hears_of_a_leaf_that_could_not_be_written() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let (authority, key) = (open(&state, KeyType::EcdsaP256).await, key().spki_der());
    authority.issue(&request("1", &["a.example"], &key), now()).await.unwrap();
    // Reading goes on, writing does not.
    state.fuse().set(0);
    let refused = authority.issue(&request("2", &["b.example"], &key), now()).await;
    assert!(matches!(refused, Err(CaError::State(_))), "{refused:?}");
    assert_eq!(authority.index().len(), 1, "OCSP knows what is on record alone");
    state.fuse().mend();
    assert!(state.ca_certificate_of("internal", "2").await.unwrap().is_none());
    authority.issue(&request("2", &["b.example"], &key), now()).await.unwrap();
    assert_eq!(authority.index().len(), 2);
}

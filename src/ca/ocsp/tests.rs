//! The responder on a real database that cannot be written for a while.

use tempfile::TempDir;

use super::*;
use crate::ca::tests::{key, now, open, request, state};
use crate::config::KeyType;
use crate::pki::der::{SEQUENCE, value};
use crate::pki::serial::Serial;

const DAY: Duration = Duration::from_secs(86_400);

/// Where no responder could be made, it is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

/// A request about one certificate of the first generation, by SHA-1.
fn asked(authority: &crate::ca::Authority, serial: &Serial) -> Vec<u8> {
    let hashes = authority.generations()[0].hashes.clone();
    let algorithm = value(SEQUENCE, &[&value(0x06, &[HashAlgorithm::Sha1.oid()])]);
    let (name, key) = (value(0x04, &[&hashes.name_sha1]), value(0x04, &[&hashes.key_sha1]));
    let id = value(SEQUENCE, &[&algorithm, &name, &key, &value(0x02, &[&serial.to_der_bytes()])]);
    (0..4).fold(id, |inner, _| value(SEQUENCE, &[&inner]))
}

#[tokio::test]
async fn a_responder_that_cannot_be_replaced_goes_on_while_it_is_in_force_and_no_longer() {
    let directory = TempDir::new().unwrap();
    let state = state(&directory).await;
    let authority = Arc::new(open(&state, KeyType::EcdsaP256).await);
    let leaf = authority.issue(&request("1", &["a.example"], &key().spki_der()), now()).await.unwrap();
    let der = asked(&authority, &leaf.leaf().serial);
    let responder = Responder::new(&state, authority, 0, Arc::new(Cache::new(MOST_OCTETS)));
    let said = async |at: Timestamp| responder.answer(&der, at).await.said();
    let start = now();
    assert_eq!(said(start).await, Said::Good);
    state.fuse().set(0);
    for day in [8, 10, 13] {
        assert_eq!(said(start.plus(DAY * day)).await, Said::Good, "day {day}: the one before is still in force");
    }
    let late = start.plus(DAY * 14);
    assert_eq!(said(late).await, Said::Error(ErrorStatus::TryLater), "nobody may sign any more");
    state.fuse().mend();
    assert_eq!(said(late).await, Said::Error(ErrorStatus::TryLater), "it is tried again after a while");
    assert_eq!(said(late.plus(RETRY)).await, Said::Good);
}

//! Requests as clients write them, and as nobody should.

use proptest::prelude::*;

use super::super::cert_id::HashAlgorithm;
use super::*;

const SEQ: u8 = SEQUENCE;

fn cert_id(algorithm: HashAlgorithm, null: bool, serial: &[u8]) -> Vec<u8> {
    let parameters: &[u8] = if null { &[5, 0] } else { &[] };
    let algorithm_id = value(SEQ, &[&value(OBJECT_IDENTIFIER, &[algorithm.oid()]), parameters]);
    let hash = |octets: &[u8]| value(OCTET_STRING, &[algorithm.hash(octets).as_ref()]);
    value(SEQ, &[&algorithm_id, &hash(b"name"), &hash(b"key"), &value(INTEGER, &[serial])])
}

fn asked(serial: &[u8]) -> Vec<u8> {
    value(SEQ, &[&cert_id(HashAlgorithm::Sha1, true, serial)])
}

fn extension(oid: &[u8], critical: Option<u8>, content: &[u8]) -> Vec<u8> {
    let critical = critical.map(|octet| value(BOOLEAN, &[&[octet]])).unwrap_or_default();
    value(SEQ, &[&value(OBJECT_IDENTIFIER, &[oid]), &critical, &value(OCTET_STRING, &[content])])
}

fn nonce(octets: &[u8]) -> Vec<u8> {
    extension(NONCE, None, &value(OCTET_STRING, &[octets]))
}

fn request(asked: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions =
        if extensions.is_empty() { Vec::new() } else { value(context(2), &[&value(SEQ, &[&extensions.concat()])]) };
    value(SEQ, &[&value(SEQ, &[&value(SEQ, &[&asked.concat()]), &extensions])])
}

fn refused(der: &[u8]) -> Malformed {
    Request::read(der).unwrap_err()
}

prop_compose! {
    fn any_request()(
        serials in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..24), 1..21),
        nonce_octets in prop::option::of(prop::collection::vec(any::<u8>(), 1..129)),
        algorithm in prop::sample::select(HashAlgorithm::ALL.to_vec()),
        null: bool,
    ) -> (Vec<u8>, usize, Option<Vec<u8>>) {
        // A first octet between 1 and 127 needs no padding.
        let serials = serials.into_iter().map(|mut serial| { serial[0] = serial[0] & 0x7f | 1; serial });
        let list: Vec<_> = serials.map(|serial| value(SEQ, &[&cert_id(algorithm, null, &serial)])).collect();
        let extensions: Vec<_> = nonce_octets.iter().map(|octets| nonce(octets)).collect();
        (request(&list, &extensions), list.len(), nonce_octets)
    }
}

proptest! {
    #[test]
    fn good_requests_are_read_and_written_back((der, count, nonce) in any_request()) {
        let request = Request::read(&der).unwrap();
        prop_assert_eq!(request.asked().count(), count);
        prop_assert_eq!(request.nonce, nonce.as_deref());
        prop_assert_eq!(request.is_plain(), count == 1 && nonce.is_none());
        prop_assert_eq!(request.encode(), der);
    }

    #[test]
    fn changed_requests_do_no_harm((mut der, _, _) in any_request(), place: prop::sample::Index, octet: u8) {
        let place = place.index(der.len());
        der[place] = octet;
        if let Ok(request) = Request::read(&der) {
            prop_assert_eq!(request.encode(), der);
        }
    }

    #[test]
    fn cut_requests_are_refused((der, _, _) in any_request(), end: prop::sample::Index) {
        prop_assert_eq!(refused(&der[..end.index(der.len())]), Malformed::Der);
    }

    #[test]
    fn garbage_is_refused(octets: Vec<u8>) {
        prop_assert!(Request::read(&octets).is_err());
    }
}

#[test]
fn a_certificate_is_named_by_the_hashes_of_its_issuer() {
    let issuer = super::super::cert_id::IssuerHashes::new(b"name", b"key");
    for algorithm in HashAlgorithm::ALL {
        for null in [true, false] {
            let der = request(&[value(SEQ, &[&cert_id(algorithm, null, &[7])])], &[]);
            let read = Request::read(&der).unwrap();
            let id = read.first.id;
            assert_eq!((id.algorithm, id.null_parameters), (Some(algorithm), null));
            assert!(issuer.are_meant_by(&id));
            assert!(!super::super::cert_id::IssuerHashes::new(b"name", b"other").are_meant_by(&id));
            assert!(!super::super::cert_id::IssuerHashes::new(b"other", b"key").are_meant_by(&id));
        }
    }
}

#[test]
fn an_unknown_hash_names_nobody() {
    let mut der = request(&[asked(&[7])], &[]);
    let place = der.windows(5).position(|window| window == HashAlgorithm::Sha1.oid()).unwrap();
    der[place + 4] = 0x1b;
    let read = Request::read(&der).unwrap();
    assert_eq!(read.first.id.algorithm, None);
    assert!(!super::super::cert_id::IssuerHashes::new(b"name", b"key").are_meant_by(&read.first.id));
}

#[test]
fn nonces_have_1_to_128_octets_and_come_once() {
    for octets in [1, 16, 32, 128] {
        let der = request(&[asked(&[7])], &[nonce(&vec![9; octets])]);
        assert_eq!(Request::read(&der).unwrap().nonce, Some(vec![9; octets].as_slice()));
    }
    for extensions in [vec![nonce(&[])], vec![nonce(&[9; 129])], vec![nonce(&[9]), nonce(&[9])]] {
        assert_eq!(refused(&request(&[asked(&[7])], &extensions)), Malformed::Nonce);
    }
    let bare = extension(NONCE, None, &[9; 16]);
    assert_eq!(refused(&request(&[asked(&[7])], &[bare])), Malformed::Der);
}

#[test]
fn one_to_twenty_certificates_are_asked_about() {
    let several = |count| request(&vec![asked(&[7]); count], &[]);
    assert_eq!(refused(&several(0)), Malformed::NoCertId);
    assert_eq!(Request::read(&several(20)).unwrap().asked().count(), 20);
    for count in [21, 100] {
        assert_eq!(refused(&several(count)), Malformed::TooManyCertIds);
    }
}

#[test]
fn trailing_octets_are_refused() {
    let mut der = request(&[asked(&[7])], &[]);
    der.push(0);
    assert_eq!(refused(&der), Malformed::Der);
}

#[test]
fn unknown_extensions_are_passed_over_unless_critical() {
    let service_locator = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x07];
    let with = |critical| extension(&service_locator, critical, &[5, 0]);
    assert!(Request::read(&request(&[asked(&[7])], &[with(None)])).is_ok());
    assert_eq!(refused(&request(&[asked(&[7])], &[with(Some(0xff))])), Malformed::CriticalExtension);
    assert_eq!(refused(&request(&[asked(&[7])], &[with(Some(0))])), Malformed::Der);
    let single = |critical| {
        let extensions = value(context(0), &[&value(SEQ, &[&with(critical)])]);
        request(&[value(SEQ, &[&cert_id(HashAlgorithm::Sha1, true, &[7]), &extensions])], &[])
    };
    let der = single(None);
    assert_eq!(Request::read(&der).unwrap().encode(), der);
    assert_eq!(refused(&single(Some(0xff))), Malformed::CriticalExtension);
}

#[test]
fn versions_requestors_and_signatures_are_read_over() {
    let list = value(SEQ, &[&asked(&[7])]);
    let requestor = value(context(1), &[&value(0x82, &[b"a.example"])]);
    let signature =
        value(context(0), &[&value(SEQ, &[&value(SEQ, &[]), &value(BIT_STRING, &[&[0, 1]]), &value(context(0), &[])])]);
    let with_version = |number: u8| {
        let version = value(context(0), &[&value(INTEGER, &[&[number]])]);
        value(SEQ, &[&value(SEQ, &[&version, &requestor, &list]), &signature])
    };
    let der = with_version(0);
    assert_eq!(Request::read(&der).unwrap().encode(), der);
    assert_eq!(refused(&with_version(1)), Malformed::Version);
    let unsigned = value(SEQ, &[&value(SEQ, &[&list]), &value(context(0), &[&value(SEQ, &[])])]);
    assert_eq!(refused(&unsigned), Malformed::Der);
}

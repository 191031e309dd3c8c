//! Signing requests that `openssl` has made, read one by one; `tests/fuzz.rs` damages them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use renewd::ca::csr::Request;
use renewd::config::ca::profile::built_in;

/// What becomes of each file: `None`: the profile `client` has room for all of it.
const EXPECTED: [(&str, Option<&str>); 32] = [
    ("bad-directory-name", Some("a subject alternative name in it is a directoryName, which is not certified")),
    ("bad-dns-address", Some("`192.0.2.1`, a subject alternative name in it, is no DNS name")),
    ("bad-dns-mail", Some("`ann@example.com`, a subject alternative name in it, is no DNS name")),
    ("bad-other-name", Some("a subject alternative name in it is an otherName, which is not certified")),
    ("bad-pss", Some("it is signed with an algorithm that is not accepted, `1.2.840.113549.1.1.10`")),
    ("bad-registered-id", Some("a subject alternative name in it is a registeredID, which is not certified")),
    ("bad-rsa1024", Some("its public key cannot be certified: its RSA modulus is shorter than 2048 bits")),
    ("bad-secp256k1", Some("its public key cannot be certified: it is of a kind that is not certified: ")),
    ("bad-sha1", Some("it is signed with an algorithm that is not accepted, `1.2.840.10045.4.1`")),
    ("bad-sha1-rsa", Some("it is signed with an algorithm that is not accepted, `1.2.840.113549.1.1.5`")),
    ("bad-two-common-names", Some("the common name stands in it twice")),
    ("excess-any-purpose", Some("does not allow the purpose 2.5.29.37.0")),
    ("excess-authority-key", Some("does not allow the extension 1.3.6.1.5.5.7.1.1")),
    ("excess-ca", Some("does not allow a CA's certificate")),
    ("excess-critical", Some("does not allow the critical extension 1.2.3.4")),
    ("excess-crl-sign", Some("does not allow the key usage cRLSign")),
    ("excess-decipher", Some("does not allow the key usage keyAgreement")),
    ("excess-key-cert-sign", Some("does not allow the key usage keyCertSign")),
    ("excess-name-constraints", Some("does not allow the critical extension 2.5.29.30")),
    ("excess-ocsp-no-check", Some("does not allow the extension 1.3.6.1.5.5.7.48.1.5")),
    ("excess-ocsp-signing", Some("does not allow the purpose 1.3.6.1.5.5.7.3.9")),
    ("excess-policies", Some("does not allow the extension 2.5.29.32")),
    ("good-bmp-challenge", None),
    ("good-client", None),
    ("good-ed25519", None),
    ("good-no-subject", None),
    ("good-p256", None),
    ("good-p384", None),
    ("good-p521", None),
    ("good-rsa2048", None),
    ("good-server", Some("does not allow the purpose 1.3.6.1.5.5.7.3.1")),
    ("good-sha512", None),
];

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/csr"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn each_is_read_or_refused_and_the_reason_told() {
    let (corpus, client) = (corpus(), &built_in()["client"]);
    assert_eq!(corpus.keys().collect::<Vec<_>>(), EXPECTED.map(|(name, _)| name).iter().collect::<Vec<_>>());
    for (name, expected) in EXPECTED {
        let read = Request::from_der(&corpus[name]).map_err(|error| error.to_string());
        let held = read.and_then(|request| {
            let held = request.check("client", client, &request.names);
            held.map_err(|error| error.to_string())
        });
        match (expected, held) {
            (None, held) => assert_eq!(held, Ok(()), "{name}"),
            (Some(words), Err(told)) => assert!(told.contains(words), "{name}: {told}"),
            (Some(_), Ok(())) => panic!("{name} is taken"),
        }
    }
}

#[test]
fn a_server_s_request_is_read_whole() {
    let request = Request::from_der(&corpus()["good-server"]).unwrap();
    request.check("server", &built_in()["server"], &request.names).unwrap();
    let names: Vec<String> = request.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"]);
    let subject = &request.subject;
    assert_eq!((subject.common_name.as_deref(), subject.locality.as_deref()), (Some("a.example"), Some("Berlin")));
    assert_eq!((subject.country.as_deref(), subject.organizational_unit.as_deref()), (Some("DE"), Some("Unit")));
    let client = Request::from_der(&corpus()["good-client"]).unwrap();
    assert_eq!(client.subject.common_name.as_deref(), Some("Änn"));
}

#[test]
fn a_damaged_signature_or_message_is_no_request() {
    for (name, der) in corpus().into_iter().filter(|(name, _)| name.starts_with("good")) {
        let request = Request::from_der(&der).unwrap();
        for place in 0..der.len() {
            let mut damaged = der.clone();
            damaged[place] ^= 1;
            let read = Request::from_der(&damaged);
            // DER writes a signature of ECDSA in one way; nothing else of a request is outside its own signature.
            assert!(read.is_err(), "{name}: octet {place} may be another: {:?} and {:?}", read.unwrap(), request);
        }
    }
}

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType,
};

use super::*;
use crate::config::ca::profile::built_in;
use crate::pki::key::{KeyType, PrivateKey};

fn pem(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Ann");
    change(&mut params);
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    params.serialize_request(key.signing_key()).unwrap().pem().unwrap()
}

fn held(change: impl FnOnce(&mut CertificateParams)) -> Result<(), String> {
    let request = Request::read(&pem(change)).unwrap();
    let certified = [AlternativeName::parse("ann@example.com").unwrap()];
    request.check("client", &built_in()["client"], &certified).map_err(|error| error.to_string())
}

#[test]
fn a_plain_request_is_read() {
    let request = Request::read(&pem(|_| {})).unwrap();
    assert_eq!((request.subject.common_name.as_deref(), request.names.len()), (Some("Ann"), 0));
}

#[test]
fn a_foreign_signature_and_garbage_are_refused() {
    let text = pem(|_| {});
    assert_eq!(Request::read("").unwrap_err(), CsrError::Pem);
    assert_eq!(Request::read(&"x".repeat(LONGEST + 1)).unwrap_err(), CsrError::TooLong);
    assert_eq!(Request::read(&(text.clone() + &pem(|_| {}))).unwrap_err(), CsrError::Several);
    let mut der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).unwrap().to_vec();
    let end = der.len() - 1;
    der[end] ^= 1;
    let encode = |der: &[u8]| crate::pki::pem::encode(crate::pki::pem::Label::CertificateRequest, der);
    assert_eq!(Request::read(&encode(&der)).unwrap_err(), CsrError::Signature);
    der.push(0);
    assert_eq!(Request::read(&encode(&der)).unwrap_err(), CsrError::Der);
    assert_eq!(Request::read(&encode(&der[..9])).unwrap_err(), CsrError::Der);
}

#[test]
fn what_a_profile_allows_may_be_asked_for() {
    let asked = held(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![SanType::Rfc822Name("ann@example.com".try_into().unwrap())];
    });
    assert_eq!(asked, Ok(()));
}

#[test]
fn whatever_else_is_smuggled_in_is_refused() {
    type Smuggle = fn(&mut CertificateParams);
    let smuggled: [(Smuggle, &str); 5] = [
        (|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "a CA's certificate"),
        (|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign], "the key usage keyCertSign"),
        (|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "1.3.6.1.5.5.7.3.1"),
        (|params| params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())], "a.example"),
        (
            |params| params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0])],
            "the extension 1.2.3",
        ),
    ];
    for (change, told) in smuggled {
        let refused = held(change).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
}

#[test]
fn what_stands_there_twice_or_too_often_is_refused() {
    let twice = pem(|params| {
        let one = |value| CustomExtension::from_oid_content(&[1, 2, 3], vec![4, 1, value]);
        params.custom_extensions = vec![one(1), one(2)];
    });
    assert_eq!(Request::read(&twice).unwrap_err(), CsrError::Twice { what: "the extension 1.2.3".to_owned() });
    let many = |count: usize| {
        let name = |number| SanType::DnsName(format!("n{number}.example").try_into().unwrap());
        pem(|params| params.subject_alt_names = (0..count).map(name).collect())
    };
    assert_eq!(Request::read(&many(100)).unwrap().names.len(), 100);
    assert_eq!(Request::read(&many(101)).unwrap_err(), CsrError::TooManyNames { found: 101 });
}

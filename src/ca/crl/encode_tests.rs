use std::io::Cursor;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::*;
use crate::ca::crl::head;
use crate::pki::key::{KeyType, PrivateKey};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const URL: &str = "http://pki.example.com/crl/internal/1/0.crl";
/// CN=Example
const ISSUER: &[u8] = &[0x30, 0x12, 0x31, 0x10, 0x30, 0x0e, 6, 3, 0x55, 4, 3, 0x0c, 7, 69, 120, 97, 109, 112, 108, 101];

fn heading() -> Heading<'static> {
    static POINTS: LazyLock<[String; 1]> = LazyLock::new(|| [URL.to_owned()]);
    Heading {
        issuer: ISSUER,
        key_identifier: &[7; 20],
        number: 1_800_000_000_123,
        this_update: NOW,
        next_update: NOW.plus(std::time::Duration::from_secs(7 * 86_400)),
        points: &*POINTS,
        base: None,
        freshest: Some("http://pki.example.com/crl/internal/1/0/delta.crl"),
    }
}

fn signer(kind: KeyType) -> Signer {
    Signer::from_pkcs8_der(&PrivateKey::generate(kind).unwrap().to_pkcs8_der()).unwrap()
}

fn list(heading: &Heading<'_>, entries: &[(&str, u8)], signer: &Signer) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let mut spool = Spool::new(directory.path().join("spool"));
    spool.append(|out| entries.iter().for_each(|(serial, reason)| push_entry(out, serial, NOW, *reason))).unwrap();
    let mut out = Vec::new();
    write(&mut out, heading, &mut spool, signer).unwrap();
    out
}

fn told_by_openssl(der: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("list.crl");
    Write::write_all(&mut std::fs::File::create(&path).unwrap(), der).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(path).stderr(Stdio::inherit());
    let output = openssl.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn openssl_reads_every_field() {
    let entries = [("01", 0), ("80ff", 1), ("0a", 3), ("0b", 4), ("0c", 5), ("0d", 6), ("0e", 9), ("0f", 10)];
    let text = told_by_openssl(&list(&heading(), &entries, &signer(KeyType::EcdsaP256)));
    let expected = [
        "Version 2 (0x1)",
        "Issuer: CN = Example",
        "Last Update: Jan 15 08:00:00 2027 GMT",
        "Next Update: Jan 22 08:00:00 2027 GMT",
        "07:07:07:07",
        "1800000000123",
        "X509v3 Issuing Distribution Point: critical",
        URL,
        "Only User Certificates",
        "X509v3 Freshest CRL",
        "Serial Number: 80FF",
        "Key Compromise",
        "Affiliation Changed",
        "Superseded",
        "Cessation Of Operation",
        "Certificate Hold",
        "Privilege Withdrawn",
        "AA Compromise",
    ];
    for words in expected {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
    assert_eq!(text.matches("Serial Number:").count(), 8);
    assert_eq!(text.matches("Reason Code").count(), 7, "unspecified is left out");
}

#[test]
fn a_list_without_entries_has_no_list_of_them() {
    let der = list(&Heading { points: &[], freshest: None, ..heading() }, &[], &signer(KeyType::EcdsaP256));
    let text = told_by_openssl(&der);
    assert!(text.contains("No Revoked Certificates.") && !text.contains("Distribution Point"), "{text}");
}

#[test]
fn a_delta_says_critically_what_it_is_one_to() {
    let delta = Heading { base: Some(1_700_000_000_000), freshest: None, ..heading() };
    let der = list(&delta, &[("0a", 8)], &signer(KeyType::EcdsaP256));
    let text = told_by_openssl(&der);
    assert!(text.contains("X509v3 Delta CRL Indicator: critical") && text.contains("Remove From CRL"), "{text}");
    let head = head::read(&mut Cursor::new(&der)).unwrap();
    assert_eq!((head.number, head.base), (Some(delta.number), delta.base));
    assert_eq!(head.points, [URL]);
}

#[test]
fn a_list_may_have_several_distribution_points() {
    let points = [URL.to_owned(), "http://old.example/crl/internal/1/0.crl".to_owned()];
    let der = list(&Heading { points: &points, ..heading() }, &[], &signer(KeyType::EcdsaP256));
    assert_eq!(head::read(&mut Cursor::new(&der)).unwrap().points, points);
    let text = told_by_openssl(&der);
    let issuing = text.find("Issuing Distribution Point: critical").unwrap();
    let freshest = text.find("Freshest").unwrap();
    assert_eq!(text[issuing..freshest].matches("URI:http").count(), 2, "{text}");
    let der = list(&Heading { points: &[], ..heading() }, &[], &signer(KeyType::EcdsaP256));
    assert_eq!(head::read(&mut Cursor::new(&der)).unwrap().points, [""; 0]);
}

#[test]
fn every_kind_of_key_signs_what_it_says() {
    for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Ed25519] {
        let signer = signer(kind);
        let der = list(&heading(), &[("01", 1)], &signer);
        let (rest, parsed) = CertificateRevocationList::from_der(&der).unwrap();
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(signer.spki_der()).unwrap();
        assert!(rest.is_empty() && parsed.verify_signature(&spki).is_ok(), "{}", kind.as_str());
        assert_eq!(parsed.tbs_cert_list.signature, parsed.signature_algorithm);
    }
}

#[test]
fn the_head_is_read_back_however_long_the_list_is() {
    let serials: Vec<String> =
        (0..40_000_u32).map(|number| format!("{:016x}", u64::from(number) + (1 << 50))).collect();
    let signer = signer(KeyType::EcdsaP256);
    for count in [0, 1, 3, 10, 5_000, 40_000] {
        let entries: Vec<_> = serials[..count].iter().map(|serial| (serial.as_str(), 1)).collect();
        let der = list(&heading(), &entries, &signer);
        let head = head::read(&mut Cursor::new(&der)).unwrap();
        assert_eq!((head.number, head.base), (Some(1_800_000_000_123), None));
        assert_eq!((head.this_update, head.length), (NOW, der.len() as u64));
        assert_eq!(head.issuer, ISSUER);
        let (_, parsed) = CertificateRevocationList::from_der(&der).unwrap();
        assert_eq!(parsed.iter_revoked_certificates().count(), count);
        for end in [der.len() - 1, der.len() / 2] {
            assert!(head::read(&mut Cursor::new(&der[..end])).is_err(), "a list that is not whole is none");
        }
    }
}

#[test]
fn times_from_2050_on_have_four_digits_of_the_year() {
    assert_eq!(time(Timestamp::from_seconds(2_524_607_999)), b"\x17\x0d491231235959Z");
    assert_eq!(time(Timestamp::from_seconds(2_524_608_000)), b"\x18\x0f20500101000000Z");
}

#[test]
fn numbers_are_positive_and_as_short_as_can_be() {
    for (number, der) in [
        (0, &[2, 1, 0][..]),
        (127, &[2, 1, 127]),
        (128, &[2, 2, 0, 128]),
        (256, &[2, 2, 1, 0]),
        (i64::MAX, &[2, 8, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
    ] {
        assert_eq!(integer(number), der);
    }
}

proptest::proptest! {
    #[test]
    fn times_are_what_the_calendar_says(seconds in -62_135_596_800_i64..253_402_300_800) {
        let instant = Timestamp::from_seconds(seconds);
        let at = time(instant);
        let text = std::str::from_utf8(&at[2..]).unwrap();
        let whole: String = instant.to_string().chars().filter(char::is_ascii_digit).collect();
        let short = (1950..2050).contains(&instant.to_datetime().year());
        let expected = format!("{}Z", if short { &whole[2..] } else { &whole });
        proptest::prop_assert_eq!(text, expected);
        proptest::prop_assert_eq!((at[0], usize::from(at[1])), (if short { 0x17 } else { 0x18 }, at.len() - 2));
    }
}

//! OCSP requests, put together by hand: those that no client would make, too.

#![allow(dead_code, reason = "benchmarks include this file by its path, and make usual requests only")]

use aws_lc_rs::digest;

/// A hash function for CertIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hash {
    Sha1,
    Sha256,
    /// Nobody answers to it.
    Md5,
}

/// An issuer as CertIDs name it.
pub struct Issuer {
    name: Vec<u8>,
    key: Vec<u8>,
}

impl Issuer {
    /// From its certificate, PEM.
    pub fn of(certificate: &str) -> Self {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).expect("PEM");
        Self::from_der(&pem.contents)
    }

    /// From its certificate, DER.
    pub fn from_der(certificate: &[u8]) -> Self {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).expect("a certificate");
        let key = certificate.public_key().subject_public_key.data.to_vec();
        Self { name: certificate.subject().as_raw().to_vec(), key }
    }

    /// One that is nobody's.
    pub fn nobody() -> Self {
        Self { name: b"nobody".to_vec(), key: b"no key".to_vec() }
    }

    /// A CertID for a serial: the octets of a positive integer.
    pub fn cert_id(&self, hash: Hash, serial: &[u8]) -> Vec<u8> {
        let algorithm = tlv(0x30, &[&tlv(0x06, &[hash.oid()]), &[0x05, 0x00]]);
        let (name, key) = (hash.of(&self.name), hash.of(&self.key));
        tlv(0x30, &[&algorithm, &tlv(0x04, &[&name]), &tlv(0x04, &[&key]), &integer(serial)])
    }
}

impl Hash {
    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Self::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            Self::Md5 => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05],
        }
    }

    fn of(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec(),
            Self::Sha256 => digest::digest(&digest::SHA256, octets).as_ref().to_vec(),
            Self::Md5 => octets.iter().copied().chain([0; 16]).take(16).collect(),
        }
    }
}

/// An OCSPRequest about these CertIDs with these extensions.
pub fn request(ids: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let asked: Vec<u8> = ids.iter().flat_map(|id| tlv(0x30, &[id])).collect();
    let extensions = match extensions {
        [] => Vec::new(),
        extensions => tlv(0xa2, &[&tlv(0x30, &[&extensions.concat()])]),
    };
    tlv(0x30, &[&tlv(0x30, &[&tlv(0x30, &[&asked]), &extensions])])
}

/// The extension with a nonce of these octets.
pub fn nonce(octets: &[u8]) -> Vec<u8> {
    const OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
    tlv(0x30, &[&tlv(0x06, &[OID]), &tlv(0x04, &[&tlv(0x04, &[octets])])])
}

fn integer(octets: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if octets.first().is_some_and(|octet| octet & 0x80 != 0) { &[0] } else { &[] };
    tlv(0x02, &[sign, octets])
}

/// A value in DER.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("nothing here is longer").to_be_bytes();
    let head = match content.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}

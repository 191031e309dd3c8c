//! Certificates that servers need before the product has made any.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its private key, both PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: String,
}

/// An authority of one test, for the HTTPS of its own servers.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Authority {
    /// Makes a new root.
    pub fn new() -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        params.distinguished_name = named("root of one test's own servers");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root can be signed").pem();
        Authority { issuer: Issuer::new(params, key), root }
    }

    /// The root, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Issues a certificate for these names or addresses.
    pub fn issue(&self, names: &[&str]) -> Pair {
        let key = new_key();
        let certificate = leaf(names).signed_by(&key, &self.issuer).expect("a leaf can be signed").pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate that nobody trusts.
pub fn self_signed(names: &[&str]) -> Pair {
    let key = new_key();
    let certificate = leaf(names).self_signed(&key).expect("a leaf can be signed").pem();
    Pair { certificate, key: key.serialize_pem() }
}

fn leaf(names: &[&str]) -> CertificateParams {
    let owned: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(owned).expect("tests give valid names");
    params.distinguished_name = named(names.first().expect("tests give a name"));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

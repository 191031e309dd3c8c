//! A root, another root, an issuing certificate under each with one key, and leaves.

use instant_acme::CertificateIdentifier;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateSigningRequestDer;
use time::{Duration, OffsetDateTime};

/// What signs leaves.
pub(super) struct Signing {
    issuing: Issuer<'static, KeyPair>,
    /// The issuing certificate under each root, PEM.
    issuing_pems: [String; 2],
    root_pem: String,
    serial: u64,
    misname: Option<Vec<SanType>>,
    /// By how much its clock is ahead.
    pub(super) ahead: Duration,
}

/// A certificate.
pub(super) struct Issued {
    /// RFC 9773's name for it, by another's reading of it.
    pub(super) cert_id: String,
    /// Its chains: PEM of each certificate, leaf first.
    pub(super) chains: Vec<Vec<String>>,
}

impl Signing {
    pub(super) fn new() -> Self {
        let key = new_key();
        let issuing = authority("Fake Issuing");
        let roots = ["Fake Root X1", "Fake Root X2"].map(|name| (authority(name), new_key()));
        let root_pem = roots[0].0.self_signed(&roots[0].1).expect("a root").pem();
        let issuing_pems = roots.map(|(params, root_key)| {
            issuing.signed_by(&key, &Issuer::new(params, root_key)).expect("an issuing certificate").pem()
        });
        Self {
            issuing: Issuer::new(issuing, key),
            issuing_pems,
            root_pem,
            serial: 0x8000_0000_0000_0000,
            misname: None,
            ahead: Duration::ZERO,
        }
    }

    pub(super) fn root_pem(&self) -> String {
        self.root_pem.clone()
    }

    /// From now on certificates are for these names, or again for those that were ordered.
    pub(super) fn misname(&mut self, names: Option<&[&str]>) {
        let san = |name: &&str| SanType::DnsName((*name).try_into().expect("a name"));
        self.misname = names.map(|names| names.iter().map(san).collect());
    }

    /// Signs a leaf for the request's key, where the request is for exactly these names.
    pub(super) fn sign(&mut self, csr: &[u8], names: &[String]) -> Result<Issued, String> {
        let der = CertificateSigningRequestDer::from(csr);
        let mut request = CertificateSigningRequestParams::from_der(&der).map_err(|error| error.to_string())?;
        let mut asked: Vec<_> = request.params.subject_alt_names.iter().map(name).collect::<Result<_, _>>()?;
        let mut wanted = names.to_vec();
        asked.sort();
        wanted.sort();
        if asked != wanted {
            return Err(format!("the request is for {asked:?}, the order for {wanted:?}"));
        }
        self.serial += 1;
        self.dress(&mut request.params);
        if let Some(names) = &self.misname {
            request.params.subject_alt_names.clone_from(names);
        }
        let leaf = request.signed_by(&self.issuing).map_err(|error| error.to_string())?;
        let id = CertificateIdentifier::try_from(leaf.der())?;
        let chains = self.issuing_pems.iter().map(|issuing| vec![leaf.pem(), issuing.clone()]).collect();
        Ok(Issued { cert_id: format!("{}.{}", id.authority_key_identifier, id.serial), chains })
    }

    /// A leaf for a key that nobody has.
    pub(super) fn foreign_leaf(&mut self, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        self.serial += 1;
        self.dress(&mut params);
        params.signed_by(&new_key(), &self.issuing).expect("a leaf").pem()
    }

    fn dress(&self, params: &mut CertificateParams) {
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(self.serial.to_be_bytes().to_vec().into());
        params.not_before = OffsetDateTime::now_utc() + self.ahead - Duration::hours(1);
        params.not_after = params.not_before + Duration::days(90);
        params.use_authority_key_identifier_extension = true;
    }
}

fn name(name: &SanType) -> Result<String, String> {
    match name {
        SanType::DnsName(name) => Ok(name.as_str().to_owned()),
        other => Err(format!("a name of a kind that was not ordered: {other:?}")),
    }
}

fn authority(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = params.not_before + Duration::days(3650);
    params.use_authority_key_identifier_extension = true;
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

//! Certificates of a simulated CA, signed with one cheap key.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SubjectPublicKeyInfo,
};

use super::SimulationError;
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::pki::csr::alternative_names;
use crate::pki::pem::{Label, encode};

/// What a leaf says.
#[derive(Debug)]
pub(super) struct Says<'a> {
    pub(super) names: &'a [Identifier],
    pub(super) spki: &'a [u8],
    pub(super) serial: u64,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Signs leaves.
#[derive(Debug)]
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Signer {
    /// A CA whose certificate outlives every simulation.
    pub(super) fn new(name: &str, start: Timestamp) -> Result<Self, SimulationError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params(start.minus(YEAR), start.plus(YEAR * 30));
        params.distinguished_name.push(DnType::CommonName, format!("Simulated {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).map_err(failed)?;
        let pem = encode(Label::Certificate, certificate.der());
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The chain in PEM, the leaf first.
    pub(super) fn sign(&self, says: &Says<'_>) -> Result<String, SimulationError> {
        let mut params = params(says.not_before, says.not_after);
        params.subject_alt_names = alternative_names(says.names).map_err(failed)?;
        params.serial_number = Some(says.serial.to_be_bytes().to_vec().into());
        params.use_authority_key_identifier_extension = true;
        let key = SubjectPublicKeyInfo::from_der(says.spki).map_err(failed)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(encode(Label::Certificate, leaf.der()) + &self.pem)
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn params(not_before: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = not_before.to_datetime();
    params.not_after = not_after.to_datetime();
    params
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn failed(error: rcgen::Error) -> SimulationError {
    SimulationError::Signing { what: error.to_string() }
}

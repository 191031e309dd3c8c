//! What stands in the certificates of a CA (RFC 5280).

use std::time::Duration;

use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, KeyUsagePurpose, PublicKeyData as _, SubjectPublicKeyInfo,
};

use super::generation::Generation;
use super::{CaError, LeafRequest};
use crate::clock::Timestamp;
use crate::config::{self, ca::Subject};
use crate::identifier::Identifier;
use crate::pki::csr::alternative_names;
use crate::pki::der::{self, SEQUENCE};
use crate::pki::serial::Serial;

/// Verifiers whose clock is behind ours must not refuse what is fresh.
const BACKDATED: Duration = Duration::from_secs(15 * 60);

/// Leaves that live no longer than this are not revoked but left to expire.
const SHORT_LIVED: Duration = Duration::from_secs(7 * 86_400);

/// As long as a name, an organization and its unit may be (RFC 5280, appendix A.1), in characters.
const LONGEST_ATTRIBUTE: usize = 64;

/// A certificate before it has a key and an issuer.
pub(super) struct Profile {
    /// Everything in it.
    pub params: CertificateParams,
    /// The serial, which is in `params`, too.
    pub serial: Serial,
    /// Whole seconds.
    pub not_before: Timestamp,
    /// Whole seconds.
    pub not_after: Timestamp,
}

impl Profile {
    /// A serial, the time from a little before now on, and nothing else.
    fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, CaError> {
        let whole = |instant: Timestamp| Timestamp::from_seconds(instant.seconds());
        let (not_before, not_after) = (whole(not_before), whole(not_after));
        let serial = Serial::random()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(serial.to_be_bytes().into());
        params.not_before = not_before.to_datetime();
        params.not_after = not_after.to_datetime();
        params.use_authority_key_identifier_extension = true;
        Ok(Self { params, serial, not_before, not_after })
    }
}

/// The root.
pub(super) fn root(config: &config::Ca, now: Timestamp) -> Result<Profile, CaError> {
    let mut profile = Profile::new(now.minus(BACKDATED), now.plus(config.lifetime))?;
    profile.params.distinguished_name = subject(&config.subject, "Root")?;
    profile.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    profile.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(profile)
}

/// An issuing certificate: signs leaves, and later OCSP answers, but no further CAs.
pub(super) fn issuing(
    config: &config::Ca,
    generation: u32,
    root: &Generation,
    now: Timestamp,
) -> Result<Profile, CaError> {
    let (not_before, not_after) = within(root, config.issuing_lifetime, now)?;
    let mut profile = Profile::new(not_before, not_after)?;
    profile.params.distinguished_name = subject(&config.subject, &generation.to_string())?;
    profile.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    profile.params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(profile)
}

/// A server's certificate. `issuing_url` is where its issuer's certificate can be fetched.
pub(super) fn leaf(
    request: &LeafRequest<'_>,
    issuing: &Generation,
    issuing_url: Option<&str>,
    now: Timestamp,
) -> Result<Profile, CaError> {
    let first = request.names.first().ok_or(CaError::NoNames)?;
    let (not_before, not_after) = within(issuing, request.lifetime, now)?;
    let mut profile = Profile::new(not_before, not_after)?;
    let params = &mut profile.params;
    params.distinguished_name = common_name(first);
    params.subject_alt_names = alternative_names(request.names)?;
    // Says `CA:FALSE` aloud, and brings the subject key identifier along.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = leaf_key_usages(request.spki_der)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if not_after.since(now) <= SHORT_LIVED {
        params.custom_extensions.push(no_revocation_available());
    }
    if let Some(url) = issuing_url {
        params.custom_extensions.push(authority_information_access(url)?);
    }
    Ok(profile)
}

/// Begin and end of something that lives this long from now on, within its issuer's time.
fn within(issuer: &Generation, lifetime: Duration, now: Timestamp) -> Result<(Timestamp, Timestamp), CaError> {
    if issuer.not_after <= now {
        return Err(CaError::Expired { not_after: issuer.not_after });
    }
    Ok((now.minus(BACKDATED).max(issuer.not_before), now.plus(lifetime).min(issuer.not_after)))
}

fn subject(subject: &Subject, suffix: &str) -> Result<DistinguishedName, CaError> {
    let mut name = DistinguishedName::new();
    if let Some(country) = &subject.country {
        name.push(DnType::CountryName, DnValue::PrintableString(printable_country(country)?));
    }
    let organization = ("subject.organization", DnType::OrganizationName, subject.organization.clone());
    let unit = ("subject.organizational_unit", DnType::OrganizationalUnitName, subject.organizational_unit.clone());
    let common_name = format!("{} {suffix}", subject.common_name);
    let common_name = ("subject.common_name", DnType::CommonName, Some(common_name));
    for (attribute, kind, value) in [organization, unit, common_name] {
        let Some(value) = value else { continue };
        if !(1..=LONGEST_ATTRIBUTE).contains(&value.chars().count()) {
            return Err(CaError::Subject { attribute, bound: "1 to 64 characters long", found: value });
        }
        name.push(kind, value);
    }
    Ok(name)
}

fn printable_country(country: &str) -> Result<PrintableString, CaError> {
    let letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    let refused = || CaError::Subject { attribute: "subject.country", bound: "two letters", found: country.to_owned() };
    let letters = letters.then(|| PrintableString::try_from(country).ok()).flatten();
    letters.ok_or_else(refused)
}

/// A common name for those who still look there, or nothing where the name is too long for one: then the subject
/// alternative name becomes critical.
fn common_name(first: &Identifier) -> DistinguishedName {
    let (mut name, first) = (DistinguishedName::new(), first.to_string());
    if first.len() <= LONGEST_ATTRIBUTE {
        name.push(DnType::CommonName, first);
    }
    name
}

/// RSA keys may also encrypt, for TLS 1.2 without forward secrecy.
fn leaf_key_usages(spki: &[u8]) -> Result<Vec<KeyUsagePurpose>, CaError> {
    let key = SubjectPublicKeyInfo::from_der(spki).map_err(CaError::PublicKey)?;
    Ok(if key.algorithm() == &rcgen::PKCS_RSA_SHA256 {
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment]
    } else {
        vec![KeyUsagePurpose::DigitalSignature]
    })
}

/// id-ce-noRevAvail (RFC 9608): nobody answers for this certificate's status, and nobody need ask.
fn no_revocation_available() -> CustomExtension {
    const NULL: &[u8] = &[0x05, 0x00];
    CustomExtension::from_oid_content(&[2, 5, 29, 56], NULL.to_vec())
}

/// id-pe-authorityInfoAccess (RFC 5280, section 4.2.2.1) with id-ad-caIssuers alone.
fn authority_information_access(url: &str) -> Result<CustomExtension, CaError> {
    const CA_ISSUERS: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    const UNIFORM_RESOURCE_IDENTIFIER: u8 = 0x86;
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CaError::PublicUrl { url: url.to_owned() });
    }
    let location = der::value(UNIFORM_RESOURCE_IDENTIFIER, &[url.as_bytes()]);
    let description = der::value(SEQUENCE, &[CA_ISSUERS, &location]);
    let content = der::value(SEQUENCE, &[&description]);
    Ok(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content))
}

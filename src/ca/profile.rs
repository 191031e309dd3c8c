//! What stands in the certificates of a CA (RFC 5280).

use std::time::Duration;

use super::certificate::Certificate;
use super::constraints::Constraints;
use super::extension::{Extension, key_identifier, public_key_bits};
use super::generation::{Generation, Root};
use super::key::{Algorithm, Signer};
use super::name::{self, AlternativeName, LeafSubject};
use super::pointers::LeafPointers;
use super::{CaError, LeafRequest, constraints, strength};
use crate::clock::Timestamp;
use crate::config;
use crate::config::ca::{LeafProfile, SubjectRules};
use crate::identifier::Identifier;
use crate::pki::key::KeyType;
use crate::pki::serial::Serial;

/// Verifiers whose clock is behind ours must not refuse what is fresh.
pub(super) const BACKDATED: Duration = Duration::from_secs(15 * 60);

/// Leaves that live no longer than this are not revoked but left to expire.
const SHORT_LIVED: Duration = Duration::from_secs(7 * 86_400);

/// The longest common name (RFC 5280, appendix A.1), in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// Bits of key usage.
const DIGITAL_SIGNATURE: u8 = 0;
const CONTENT_COMMITMENT: u8 = 1;
const KEY_ENCIPHERMENT: u8 = 2;
const DATA_ENCIPHERMENT: u8 = 3;
const KEY_AGREEMENT: u8 = 4;
const KEY_CERT_SIGN: u8 = 5;
const CRL_SIGN: u8 = 6;

/// A certificate to be written down and signed.
#[derive(Debug)]
pub(super) struct Draft {
    pub serial: Serial,
    /// Whole seconds.
    pub not_before: Timestamp,
    /// Whole seconds.
    pub not_after: Timestamp,
    /// A TBSCertificate in DER.
    pub to_be_signed: Vec<u8>,
}

/// The root.
pub(super) fn root(config: &config::Ca, signer: &Signer, now: Timestamp) -> Result<Draft, CaError> {
    let subject = name::authority(&config.subject, "Root")?;
    let key = key_identifier_of(signer.spki_der())?;
    let extensions = [
        Extension::subject_key(&key),
        Extension::authority_key(&key),
        Extension::authority(config.path_length),
        Extension::key_usage(&[KEY_CERT_SIGN, CRL_SIGN]),
    ];
    let (not_before, not_after) = (whole(now.minus(BACKDATED)), whole(now.plus(config.lifetime)));
    let spki_der = signer.spki_der();
    draft(Parts {
        signer,
        issuer: &subject,
        subject: &subject,
        spki_der,
        extensions: &extensions,
        not_before,
        not_after,
    })
}

/// Where an issuing certificate says that its own status is told; `None`: nowhere.
#[derive(Debug, Clone, Default)]
pub(super) struct IssuingPointers {
    /// Who answers OCSP for its issuer.
    pub ocsp_url: Option<String>,
    /// The list of its issuer.
    pub crl_url: Option<String>,
}

/// An issuing certificate: signs leaves, CRLs and OCSP answers, but no further CAs.
pub(super) fn issuing(
    config: &config::Ca,
    generation: u32,
    root: &Root,
    pointers: &IssuingPointers,
    spki_der: &[u8],
    now: Timestamp,
) -> Result<Draft, CaError> {
    let signer = root.signer.as_ref().ok_or(CaError::RootKeyElsewhere)?;
    let (not_before, not_after) = within((root.not_before, root.not_after), config.issuing_lifetime, now)?;
    let subject = issuing_subject(config, generation)?;
    Constraints::read(&root.certificate)?.check_subject(&subject)?;
    let mut extensions = vec![Extension::authority_key(&root.key_identifier)];
    extensions.extend(issuing_extensions(config, spki_der)?);
    let ocsp_url = pointers.ocsp_url.as_deref().map(is_clean).transpose()?;
    let crl_url = pointers.crl_url.as_deref().map(is_clean).transpose()?;
    extensions.extend(ocsp_url.map(|url| Extension::information_access(url, None)));
    extensions.extend(crl_url.map(Extension::distribution_point));
    let (issuer, subject, extensions) = (&root.subject, &subject, &extensions);
    draft(Parts { signer, issuer, subject, spki_der, extensions, not_before, not_after })
}

/// The Name of an issuing certificate, in DER.
pub(super) fn issuing_subject(config: &config::Ca, generation: u32) -> Result<Vec<u8>, CaError> {
    name::authority(&config.subject, &generation.to_string())
}

/// What an issuing certificate says, whoever signs it.
pub(super) fn issuing_extensions(config: &config::Ca, spki_der: &[u8]) -> Result<Vec<Extension>, CaError> {
    let mut extensions = vec![
        Extension::subject_key(&key_identifier_of(spki_der)?),
        Extension::authority(Some(0)),
        Extension::key_usage(&[DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN]),
    ];
    extensions.extend(constraints::extension(&config.name_constraints));
    Ok(extensions)
}

/// What a leaf is made by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub ca: &'a str,
    pub config: &'a config::Ca,
    pub public_url: Option<&'a str>,
    pub issuing: &'a Generation,
    pub now: Timestamp,
}

/// A leaf, and what lists show of it.
#[derive(Debug)]
pub(super) struct LeafDraft {
    pub draft: Draft,
    /// Empty where there is none.
    pub common_name: String,
}

/// What a leaf will be, but for the CRL that would name it.
#[derive(Debug)]
pub(super) struct Plan {
    /// A Name in DER.
    subject: Vec<u8>,
    common_name: String,
    extensions: Vec<Extension>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A leaf that the CRL of `shard` would name.
pub(super) fn leaf(request: &LeafRequest, shard: u32, terms: &Terms<'_>) -> Result<LeafDraft, CaError> {
    plan(request, terms)?.draft(request, shard, terms)
}

/// Holds a request against its profile and the issuing certificate.
pub(super) fn plan(request: &LeafRequest, terms: &Terms<'_>) -> Result<Plan, CaError> {
    let profile = terms.config.profiles.get(&request.profile);
    let profile = profile.ok_or_else(|| CaError::NoProfile { profile: request.profile.clone() })?;
    let key = strength::check(&request.spki_der)?;
    check_key(request, profile, key)?;
    check_usage(request, profile, key)?;
    check_names(request, profile)?;
    let from_outside = terms.issuing.from_outside.then(|| Constraints::of_config(&terms.config.name_constraints));
    let held: Vec<&Constraints> = terms.issuing.constraints.iter().chain(&from_outside).collect();
    let subject = subject(request, profile, &held);
    if request.names.is_empty() && subject.common_name.is_none() {
        return Err(CaError::NoNames);
    }
    let subject_der = subject.to_der()?;
    let constrained = |held: &Constraints| held.check(&request.names, subject.common_name.as_deref(), &subject_der);
    held.into_iter().try_for_each(constrained)?;
    let purposes = &terms.issuing.purposes;
    purposes.iter().try_for_each(|allowed| allowed.check(&request.profile, &profile.purposes))?;
    let lifetime = lifetime(request, profile, terms.config)?;
    let (not_before, not_after) = within((terms.issuing.not_before, terms.issuing.not_after), lifetime, terms.now)?;
    let extensions = leaf_extensions(request, profile, key, terms.issuing, subject.is_empty())?;
    let common_name = subject.common_name.unwrap_or_default();
    Ok(Plan { subject: subject_der, common_name, extensions, not_before, not_after })
}

impl Plan {
    /// Puts it in words, with the CRL that would name it.
    pub fn draft(mut self, request: &LeafRequest, shard: u32, terms: &Terms<'_>) -> Result<LeafDraft, CaError> {
        if self.not_after.since(terms.now) <= SHORT_LIVED {
            self.extensions.push(Extension::no_revocation_available());
        } else if let Some(url) = terms.public_url {
            self.extensions.extend(pointers(url, terms, shard)?);
        }
        let draft = draft(Parts {
            signer: terms.issuing.signer(),
            issuer: &terms.issuing.subject,
            subject: &self.subject,
            spki_der: &request.spki_der,
            extensions: &self.extensions,
            not_before: self.not_before,
            not_after: self.not_after,
        })?;
        Ok(LeafDraft { draft, common_name: self.common_name })
    }
}

/// A delegated OCSP responder of an issuer (RFC 6960, section 4.2.2.2), whom nobody need ask about itself.
pub(super) fn responder(
    common_name: &str,
    spki_der: &[u8],
    issuer: &Root,
    lifetime: Duration,
    now: Timestamp,
) -> Result<Draft, CaError> {
    const ID_KP_OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
    let signer = issuer.signer.as_ref().ok_or(CaError::RootKeyElsewhere)?;
    let (not_before, not_after) = within((issuer.not_before, issuer.not_after), lifetime, now)?;
    let extensions = [
        Extension::authority_key(&issuer.key_identifier),
        Extension::key_usage(&[DIGITAL_SIGNATURE]),
        Extension::extended_key_usage([ID_KP_OCSP_SIGNING]),
        Extension::subject_key(&key_identifier_of(spki_der)?),
        Extension::end_entity(),
        Extension::ocsp_no_check(),
    ];
    draft(Parts {
        signer,
        issuer: &issuer.subject,
        subject: &constraints::own_subject(&issuer.constraints, &LeafSubject::named(common_name).to_der()?),
        spki_der,
        extensions: &extensions,
        not_before,
        not_after,
    })
}

fn leaf_extensions(
    request: &LeafRequest,
    profile: &LeafProfile,
    key: Algorithm,
    issuing: &Generation,
    names_are_critical: bool,
) -> Result<Vec<Extension>, CaError> {
    let mut extensions = vec![Extension::authority_key(&issuing.key_identifier)];
    if !request.names.is_empty() {
        extensions.push(Extension::alternative_names(&request.names, names_are_critical));
    }
    extensions.push(Extension::key_usage(&key_usage(profile, key)));
    if !profile.purposes.is_empty() {
        extensions.push(Extension::extended_key_usage(profile.purposes.iter().map(|purpose| purpose.0.as_bytes())));
    }
    extensions.push(Extension::subject_key(&key_identifier_of(&request.spki_der)?));
    extensions.push(Extension::end_entity());
    Ok(extensions)
}

/// The bits of key usage that a profile has, whatever the key is. RSA keys may also encrypt, for TLS 1.2 without forward
/// secrecy.
pub(super) fn key_usages(profile: &LeafProfile) -> Vec<u8> {
    let said = profile.key_usage.as_ref().map(|usages| usages.iter().map(|usage| *usage as u8).collect());
    said.unwrap_or_else(|| vec![DIGITAL_SIGNATURE, KEY_ENCIPHERMENT])
}

/// Those of them that a key of this kind may have.
fn key_usage(profile: &LeafProfile, key: Algorithm) -> Vec<u8> {
    key_usages(profile).into_iter().filter(|bit| may_have(key, *bit)).collect()
}

/// RSA keys sign and encrypt (RFC 3279, section 2.3.1), points sign and agree (RFC 8813, section 3), and Ed25519 signs
/// (RFC 8410, section 5).
const fn may_have(key: Algorithm, usage: u8) -> bool {
    match usage {
        DIGITAL_SIGNATURE | CONTENT_COMMITMENT => true,
        KEY_ENCIPHERMENT | DATA_ENCIPHERMENT => matches!(key, Algorithm::RsaSha256),
        KEY_AGREEMENT => !matches!(key, Algorithm::RsaSha256 | Algorithm::Ed25519),
        _ => false,
    }
}

fn pointers(url: &str, terms: &Terms<'_>, shard: u32) -> Result<[Extension; 2], CaError> {
    let pointers = LeafPointers::new(is_clean(url)?, terms.ca, terms.issuing.number, shard);
    let access = Extension::information_access(&pointers.ocsp_url, Some(&pointers.ca_issuers_url));
    Ok([access, Extension::distribution_point(&pointers.crl_url)])
}

/// A URL goes into certificates as it is written, or not at all.
fn is_clean(url: &str) -> Result<&str, CaError> {
    let clean = url.bytes().all(|byte| byte.is_ascii_graphic());
    clean.then_some(url).ok_or_else(|| CaError::PublicUrl { url: url.to_owned() })
}

fn check_key(request: &LeafRequest, profile: &LeafProfile, key: Algorithm) -> Result<(), CaError> {
    let Some(allowed) = &profile.allowed_keys else { return Ok(()) };
    let found = strength::key_type(&request.spki_der, key);
    if found.is_some_and(|found| allowed.contains(&found)) {
        return Ok(());
    }
    let what = format!("a key of the kind `{}`", found.map_or("other", KeyType::as_str));
    Err(CaError::Profile { profile: request.profile.clone(), what })
}

/// A certificate says of at least one use that it is for it (RFC 5280, section 4.2.1.3).
fn check_usage(request: &LeafRequest, profile: &LeafProfile, key: Algorithm) -> Result<(), CaError> {
    if !key_usage(profile, key).is_empty() {
        return Ok(());
    }
    let kind = strength::key_type(&request.spki_der, key).map_or("other", KeyType::as_str);
    let what = format!("a key of the kind `{kind}`, which can be used for nothing of its `key_usage`");
    Err(CaError::Profile { profile: request.profile.clone(), what })
}

fn check_names(request: &LeafRequest, profile: &LeafProfile) -> Result<(), CaError> {
    let allowed = |name: &&AlternativeName| match &profile.allowed_names {
        Some(patterns) => patterns.iter().any(|pattern| constraints::pattern_holds(pattern, name)),
        None => profile.people || matches!(name, AlternativeName::Dns(_) | AlternativeName::Ip(_)),
    };
    match request.names.iter().find(|name| !allowed(name)) {
        Some(name) => {
            let what = format!("the {} `{name}`", name.kind());
            Err(CaError::Profile { profile: request.profile.clone(), what })
        }
        None => Ok(()),
    }
}

/// What is asked for, as far as the profile lets whoever asks say it; the first name is the common name where nothing
/// else is and it is short enough.
fn subject(request: &LeafRequest, profile: &LeafProfile, held: &[&Constraints]) -> LeafSubject {
    let (rules, asked): (&SubjectRules, &LeafSubject) = (&profile.subject, &request.subject);
    let choose =
        |fixed: &Option<String>, asked: &Option<String>| fixed.clone().or_else(|| asked.clone().filter(|_| rules.open));
    let first = || request.names.first().map(ToString::to_string);
    let common_name = asked.common_name.clone().filter(|_| profile.people || is_one_of(asked, request)).or_else(first);
    LeafSubject {
        common_name: common_name
            .filter(|name| !rules.no_common_name && name.chars().count() <= LONGEST_COMMON_NAME)
            .filter(|name| !is_mistaken(name, request, profile, held)),
        organization: choose(&rules.organization, &asked.organization),
        organizational_unit: choose(&rules.organizational_unit, &asked.organizational_unit),
        locality: choose(&rules.locality, &asked.locality),
        state: choose(&rules.state, &asked.state),
        country: choose(&rules.country, &asked.country),
    }
}

/// A common name that only repeats a name, and that verifiers would hold against the DNS names that are permitted, since
/// no DNS name stands beside it: an address, and with servers anything.
fn is_mistaken(common_name: &str, request: &LeafRequest, profile: &LeafProfile, held: &[&Constraints]) -> bool {
    let is_repeated = |name: &AlternativeName| {
        (!profile.people || matches!(name, AlternativeName::Ip(_))) && name.to_string() == common_name
    };
    let has_dns = request.names.iter().any(|name| matches!(name, AlternativeName::Dns(_)));
    !has_dns && request.names.iter().any(is_repeated) && held.iter().any(|held| held.permit_dns_names())
}

/// What a common name is under a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Naming {
    /// Whatever somebody is called.
    Free,
    /// One of the names that it is for.
    Name(AlternativeName),
    /// None that it has room for.
    Refused,
}

/// What this common name is under a profile: what is not for people is called by one of its names.
pub(super) fn naming(profile: &LeafProfile, common_name: &str) -> Naming {
    if profile.people {
        return Naming::Free;
    }
    Identifier::parse(common_name).map_or(Naming::Refused, |name| Naming::Name(name.into()))
}

/// A server's common name is one of its names.
fn is_one_of(subject: &LeafSubject, request: &LeafRequest) -> bool {
    subject.common_name.as_ref().is_some_and(|wanted| request.names.iter().any(|name| name.to_string() == *wanted))
}

fn lifetime(request: &LeafRequest, profile: &LeafProfile, config: &config::Ca) -> Result<Duration, CaError> {
    let usual = profile.lifetime.unwrap_or(config.leaf_lifetime);
    let most = profile.max_lifetime.unwrap_or(usual);
    let asked = request.lifetime.unwrap_or(usual.min(most));
    if asked > most {
        return Err(CaError::Lifetime { profile: request.profile.clone(), asked, most });
    }
    Ok(asked)
}

/// Begin and end of something that lives this long from now on, within its issuer's time.
fn within(
    issuer: (Timestamp, Timestamp),
    lifetime: Duration,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), CaError> {
    if issuer.1 <= now {
        return Err(CaError::Expired { not_after: issuer.1 });
    }
    Ok((whole(now.minus(BACKDATED)).max(issuer.0), whole(now.plus(lifetime)).min(issuer.1)))
}

fn whole(instant: Timestamp) -> Timestamp {
    Timestamp::from_seconds(instant.seconds())
}

pub(super) fn key_identifier_of(spki_der: &[u8]) -> Result<Vec<u8>, CaError> {
    let unreadable = CaError::PublicKey { reason: "it cannot be read" };
    public_key_bits(spki_der).map(key_identifier).ok_or(unreadable)
}

#[derive(Clone, Copy)]
struct Parts<'a> {
    signer: &'a Signer,
    issuer: &'a [u8],
    subject: &'a [u8],
    spki_der: &'a [u8],
    extensions: &'a [Extension],
    not_before: Timestamp,
    not_after: Timestamp,
}

fn draft(parts: Parts<'_>) -> Result<Draft, CaError> {
    let Parts { signer, issuer, subject, spki_der, extensions, not_before, not_after } = parts;
    let serial = Serial::random()?;
    let algorithm = signer.algorithm_identifier_der();
    let certificate =
        Certificate { serial: &serial, algorithm, issuer, not_before, not_after, subject, spki_der, extensions };
    Ok(Draft { to_be_signed: certificate.to_be_signed(), serial, not_before, not_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ca::profile::built_in;

    #[test]
    fn only_rsa_keys_encipher() {
        use crate::config::ca::profile::KeyUsage;
        let server = &built_in()["server"];
        assert_eq!(key_usage(server, Algorithm::RsaSha256), [DIGITAL_SIGNATURE, KEY_ENCIPHERMENT]);
        assert_eq!(key_usage(server, Algorithm::EcdsaSha256), [DIGITAL_SIGNATURE]);
        let key_usage_of = Some(vec![KeyUsage::KeyEncipherment, KeyUsage::KeyAgreement]);
        let other = LeafProfile { key_usage: key_usage_of, ..server.clone() };
        assert_eq!(key_usage(&other, Algorithm::RsaSha256), [KEY_ENCIPHERMENT]);
        assert_eq!(key_usage(&other, Algorithm::EcdsaSha384), [KEY_AGREEMENT]);
        assert_eq!(key_usage(&other, Algorithm::Ed25519), [0_u8; 0]);
    }

    #[test]
    fn what_is_not_for_people_is_called_by_its_name() {
        let name = |text: &str| AlternativeName::parse(text).unwrap();
        let (server, client) = (&built_in()["server"], &built_in()["client"]);
        assert_eq!(naming(server, "A.example"), Naming::Name(name("a.example")));
        assert_eq!(naming(server, "192.0.2.1"), Naming::Name(name("192.0.2.1")));
        assert_eq!(naming(server, "Ann Smith"), Naming::Refused);
        assert_eq!(naming(server, "ann@example.com"), Naming::Refused);
        assert_eq!(naming(client, "a.example"), Naming::Free);
    }
}

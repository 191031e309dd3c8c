//! `[ca.NAME]`: a private CA.

pub mod constraints;
pub mod crl;
pub mod profile;
pub mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use super::certificate::{KeyType, read_key_type};
use super::read::{Section, Value};

pub use constraints::{NameConstraints, NamePattern};
pub use profile::{KeyUsage, LeafProfile, Purpose, SubjectRules};
pub use token::Token;

/// A private CA. `subject`, `key` and the CA's own lifetimes take effect when a generation is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    /// The subject; the root adds ` Root` to the common name, issuing certificates their generation.
    pub subject: Subject,
    /// The algorithm of the CA's own keys.
    pub key: KeyType,
    /// Where those keys are made and stay; `None`: in the database, sealed.
    pub token: Option<Token>,
    /// Of the root.
    pub lifetime: Duration,
    /// Of issuing certificates.
    pub issuing_lifetime: Duration,
    /// Of leaves, unless their profile says otherwise.
    pub leaf_lifetime: Duration,
    /// How many levels of issuing certificates the root allows; `None`: any.
    pub path_length: Option<u8>,
    /// What may stand below issuing certificates.
    pub name_constraints: NameConstraints,
    /// So many leaves share a CRL.
    pub crl_shard_size: u32,
    /// From a CRL's thisUpdate to its nextUpdate.
    pub crl_validity: Duration,
    /// A CRL is made anew after this long, whether something was revoked or not; at most half of its validity.
    pub crl_refresh: Duration,
    /// An OCSP answer lasts this long.
    pub ocsp_validity: Duration,
    /// Leaves' profiles by name: the built-in ones, changed and added to.
    pub profiles: BTreeMap<String, LeafProfile>,
}

/// A distinguished name, as far as the config tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// CN.
    pub common_name: String,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C, two letters.
    pub country: Option<String>,
}

const DAY: u64 = 86_400;

/// Of the root, unless said: 20 years.
const LIFETIME: Duration = Duration::from_secs(20 * 365 * DAY);

/// Of issuing certificates, unless said: 10 years.
const ISSUING_LIFETIME: Duration = Duration::from_secs(10 * 365 * DAY);

/// Of leaves, unless said: 90 days.
const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY);

/// OCSP answers last this long, unless said: 12 hours.
pub const OCSP_VALIDITY: Duration = Duration::from_secs(12 * 3600);

/// Shorter ones would expire on their way, longer ones outlive half of a responder's certificate.
const OCSP_VALIDITY_BOUNDS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(600)..=Duration::from_secs(7 * DAY);

/// Leaves that share a CRL, unless said.
const CRL_SHARD_SIZE: u32 = 10_000;

/// RFC 5280's upper bound of localities and states, in characters.
const LONGEST_PLACE: usize = 128;

/// RFC 5280's upper bound of names, in characters.
const LONGEST_NAME: usize = 64;

/// The same for the common name, to which ` Root` or a generation is added.
const LONGEST_COMMON_NAME: usize = 58;

impl Ca {
    /// Reads `[ca.NAME]`.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let subject = section.required("subject", "write `subject = { common_name = \"Example Internal CA\" }`");
        let subject = subject.and_then(|value| Subject::read(value.section()?));
        let key = section.value("key");
        let token = section.section("pkcs11").and_then(Token::read);
        let key = key.and_then(|value| read_key(&value, token.is_some())).unwrap_or_default();
        let lifetime = read_lifetime(&mut section, "lifetime", LIFETIME, None);
        let issuing = read_lifetime(&mut section, "issuing_lifetime", ISSUING_LIFETIME, Some(("lifetime", lifetime)));
        let leaf = read_lifetime(&mut section, "leaf_lifetime", LEAF_LIFETIME, Some(("issuing_lifetime", issuing)));
        let path_length = section.number("path_length", 1..=16).and_then(|length| u8::try_from(length).ok());
        let constraints = section.section("name_constraints").map(NameConstraints::read).unwrap_or_default();
        let ocsp_validity = read_ocsp_validity(&mut section);
        let shard = section.number("crl_shard_size", 1..=10_000_000).unwrap_or(CRL_SHARD_SIZE);
        let (crl_validity, crl_refresh) = crl::read(&mut section);
        let profiles = profile::read_all(section.section("profile"), issuing);
        section.finish();
        Some(Self {
            key,
            token,
            lifetime,
            issuing_lifetime: issuing,
            leaf_lifetime: leaf,
            path_length,
            name_constraints: constraints,
            crl_shard_size: shard,
            crl_validity,
            crl_refresh,
            ocsp_validity,
            profiles,
            ..Self::new(subject?)
        })
    }

    /// A CA with this subject and every default.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            key: KeyType::default(),
            token: None,
            lifetime: LIFETIME,
            issuing_lifetime: ISSUING_LIFETIME,
            leaf_lifetime: LEAF_LIFETIME,
            path_length: None,
            name_constraints: NameConstraints::default(),
            crl_shard_size: CRL_SHARD_SIZE,
            crl_validity: crl::VALIDITY,
            crl_refresh: crl::REFRESH,
            ocsp_validity: OCSP_VALIDITY,
            profiles: profile::built_in(),
        }
    }
}

/// Reads the kind of the CA's own keys.
fn read_key(value: &Value<'_>, in_token: bool) -> Option<KeyType> {
    let key = read_key_type(value)?;
    if in_token && key == KeyType::Ed25519 {
        value.refuse("is not used in tokens", "write ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096");
    }
    Some(key)
}

/// Reads how long OCSP answers last.
fn read_ocsp_validity(section: &mut Section<'_>) -> Duration {
    let Some(value) = section.value("ocsp_validity") else { return OCSP_VALIDITY };
    let Some(validity) = value.duration() else { return OCSP_VALIDITY };
    if !OCSP_VALIDITY_BOUNDS.contains(&validity) {
        value.refuse("must be between 10 minutes and 7 days", "write for instance `ocsp_validity = \"12h\"`");
    }
    validity
}

/// Reads a lifetime, which must not be longer than that of the certificate above.
fn read_lifetime(
    section: &mut Section<'_>,
    key: &'static str,
    default: Duration,
    above: Option<(&str, Duration)>,
) -> Duration {
    let value = section.value(key);
    let length = value.as_ref().and_then(Value::duration).unwrap_or(default);
    if let Some((upper, _)) = above.filter(|(_, limit)| length > *limit) {
        let message = format!("`{key}` must not be longer than `{upper}`: no certificate outlives its issuer");
        match value {
            Some(value) => value.refuse(message, format!("write a shorter one, or a longer `{upper}`")),
            None => section.refuse(
                format!("{message}; unless said it is {} days", default.as_secs() / DAY),
                format!("write `{key} = \"…\"`"),
            ),
        }
    }
    length
}

impl Subject {
    /// A common name alone.
    #[must_use]
    pub fn named(common_name: impl Into<String>) -> Self {
        let common_name = common_name.into();
        let (organization, organizational_unit, locality, state, country) = (None, None, None, None, None);
        Self { common_name, organization, organizational_unit, locality, state, country }
    }

    fn read(mut section: Section<'_>) -> Option<Self> {
        let common_name = section.required("common_name", "write `common_name = \"Example Internal CA\"`");
        let common_name = common_name.and_then(|value| read_name(&value, LONGEST_COMMON_NAME));
        let organization = section.value("organization").and_then(|value| read_name(&value, LONGEST_NAME));
        let unit = section.value("organizational_unit").and_then(|value| read_name(&value, LONGEST_NAME));
        let locality = section.value("locality").and_then(|value| read_name(&value, LONGEST_PLACE));
        let state = section.value("state").and_then(|value| read_name(&value, LONGEST_PLACE));
        let country = section.value("country").and_then(|value| read_country(&value));
        section.finish();
        let common_name = common_name?;
        Some(Self { common_name, organization, organizational_unit: unit, locality, state, country })
    }
}

pub(super) fn read_name(value: &Value<'_>, longest: usize) -> Option<String> {
    let text = value.text()?;
    if text.chars().any(char::is_control) || text.trim() != text {
        value.refuse("has control characters, or spaces around it", "");
        return None;
    }
    if text.chars().count() > longest {
        value.refuse(format!("is longer than {longest} characters"), "");
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn read_country(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(text.to_owned());
    }
    value.refuse("is not a country", "write two capital letters (ISO 3166), for instance \"DE\"");
    None
}

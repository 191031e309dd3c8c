//! `[ca.NAME.profile.NAME]`: what a leaf may be and say.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use const_oid::ObjectIdentifier;

use super::constraints::NamePattern;
use super::{read_country, read_name};
use crate::config::certificate::{KeyType, read_key_type};
use crate::config::read::{Section, Value};

/// The profile of whoever names none.
pub const DEFAULT: &str = "server";

/// What a leaf may be and say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafProfile {
    /// Key usage; `None`: digital signature, and key encipherment for RSA.
    pub key_usage: Option<Vec<KeyUsage>>,
    /// Extended key usage.
    pub purposes: Vec<Purpose>,
    /// How long leaves live, in place of the CA's `leaf_lifetime`.
    pub lifetime: Option<Duration>,
    /// The longest that may be asked for; `None`: the lifetime.
    pub max_lifetime: Option<Duration>,
    /// Names that may be asked for; `None`: any of a kind that the profile is for.
    pub allowed_names: Option<Vec<NamePattern>>,
    /// Mail addresses and URIs are names that it is for.
    pub people: bool,
    /// What stands in the subject.
    pub subject: SubjectRules,
    /// Kinds of keys that are certified; `None`: every kind.
    pub allowed_keys: Option<Vec<KeyType>>,
}

/// What stands in a leaf's subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectRules {
    /// Whoever asks may say organization, unit, locality, state and country where they are not fixed.
    pub open: bool,
    /// No common name at all.
    pub no_common_name: bool,
    /// O, whatever is asked for.
    pub organization: Option<String>,
    /// OU, whatever is asked for.
    pub organizational_unit: Option<String>,
    /// L, whatever is asked for.
    pub locality: Option<String>,
    /// ST, whatever is asked for.
    pub state: Option<String>,
    /// C, whatever is asked for.
    pub country: Option<String>,
}

/// A bit of key usage (RFC 5280, section 4.2.1.3) that a leaf may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    /// Bit 0.
    DigitalSignature = 0,
    /// Bit 1, nonRepudiation of old.
    ContentCommitment = 1,
    /// Bit 2.
    KeyEncipherment = 2,
    /// Bit 3.
    DataEncipherment = 3,
    /// Bit 4.
    KeyAgreement = 4,
}

/// The words of the config.
const KEY_USAGES: [(&str, KeyUsage); 5] = [
    ("digitalSignature", KeyUsage::DigitalSignature),
    ("contentCommitment", KeyUsage::ContentCommitment),
    ("keyEncipherment", KeyUsage::KeyEncipherment),
    ("dataEncipherment", KeyUsage::DataEncipherment),
    ("keyAgreement", KeyUsage::KeyAgreement),
];

/// A purpose of extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(pub ObjectIdentifier);

impl Purpose {
    /// TLS servers.
    pub const SERVER: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"));
    /// TLS clients.
    pub const CLIENT: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"));
    const NAMED: [(&str, Self); 6] = [
        ("serverAuth", Self::SERVER),
        ("clientAuth", Self::CLIENT),
        ("codeSigning", Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"))),
        ("emailProtection", Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"))),
        ("ipsecIKE", Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.17"))),
        ("smartcardLogon", Self(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.2"))),
    ];

    /// Only the CA itself may give these away: OCSP signing, time stamping, and any purpose at all.
    fn is_reserved(self) -> bool {
        ["1.3.6.1.5.5.7.3.9", "1.3.6.1.5.5.7.3.8", "2.5.29.37.0"].contains(&self.0.to_string().as_str())
    }
}

/// As the config writes it.
impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, purpose)| purpose == self) {
            Some((word, _)) => formatter.write_str(word),
            None => write!(formatter, "{}", self.0),
        }
    }
}

/// The profiles that every CA has. Labels beside `client` say what a certificate is used for.
#[must_use]
pub fn built_in() -> BTreeMap<String, LeafProfile> {
    let server = || LeafProfile {
        key_usage: None,
        purposes: vec![Purpose::SERVER],
        lifetime: None,
        max_lifetime: None,
        allowed_names: None,
        people: false,
        subject: SubjectRules::default(),
        allowed_keys: None,
    };
    let open = SubjectRules { open: true, ..SubjectRules::default() };
    let client = || LeafProfile { purposes: vec![Purpose::CLIENT], people: true, subject: open.clone(), ..server() };
    let peer = LeafProfile { purposes: vec![Purpose::SERVER, Purpose::CLIENT], ..server() };
    let profiles =
        [("server", server()), ("client", client()), ("api-mtls", client()), ("vpn", client()), ("peer", peer)];
    profiles.map(|(name, profile)| (name.to_owned(), profile)).into()
}

/// Reads `[ca.NAME.profile]`: the built-in profiles, changed and added to. `longest` is the issuing certificates'.
pub(super) fn read_all(section: Option<Section<'_>>, longest: Duration) -> BTreeMap<String, LeafProfile> {
    let mut profiles = built_in();
    let Some(section) = section else { return profiles };
    for (name, value) in section.entries() {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if name.is_empty() || name.len() > 63 || !name.bytes().all(sound) {
            value.at_key().refuse("is no name of a profile", "write letters a-z, digits, `-` and `_`");
            continue;
        }
        let before = profiles.get(name).cloned();
        let Some(section) = value.section() else { continue };
        profiles.insert(name.to_owned(), LeafProfile::read(section, before, longest));
    }
    profiles
}

impl LeafProfile {
    /// What is not said is as in the built-in profile of that name, else as in `client`.
    fn read(mut section: Section<'_>, before: Option<Self>, longest: Duration) -> Self {
        let is_new = before.is_none();
        let before = before.unwrap_or_else(|| built_in().remove("client").expect("it is one of them"));
        let purposes = section.value("extended_key_usage").map(|value| read_purposes(&value));
        if is_new && purposes.is_none() {
            section.missing(
                "extended_key_usage",
                "is missing",
                "write for instance `extended_key_usage = [\"clientAuth\"]`",
            );
        }
        let key_usage = section.value("key_usage").map(|value| read_key_usage(&value)).or(before.key_usage);
        let lifetime = read_lifetime(&mut section, "lifetime", longest).or(before.lifetime);
        let max_lifetime = read_lifetime(&mut section, "max_lifetime", longest).or(before.max_lifetime);
        if let (Some(lifetime), Some(most)) = (lifetime, max_lifetime)
            && lifetime > most
        {
            section.refuse("`lifetime` is longer than `max_lifetime`", "write a longer `max_lifetime`");
        }
        let names = section.value("allowed_names").map(|value| NamePattern::read_list(&value));
        let keys = section.value("allowed_keys").map(|value| read_keys(&value));
        let subject = section.section("subject").map_or(before.subject, SubjectRules::read);
        section.finish();
        Self {
            key_usage,
            purposes: purposes.unwrap_or(before.purposes),
            lifetime,
            max_lifetime,
            allowed_names: names.or(before.allowed_names),
            people: before.people,
            subject,
            allowed_keys: keys.or(before.allowed_keys),
        }
    }
}

impl SubjectRules {
    fn read(mut section: Section<'_>) -> Self {
        let mut fixed = |key, longest| section.value(key).and_then(|value| read_name(&value, longest));
        let organization = fixed("organization", 64);
        let organizational_unit = fixed("organizational_unit", 64);
        let (locality, state) = (fixed("locality", 128), fixed("state", 128));
        let country = section.value("country").and_then(|value| read_country(&value));
        let open = section.flag("from_request");
        let common_name = section.value("common_name").and_then(|value| value.flag()).unwrap_or(true);
        section.finish();
        Self { open, no_common_name: !common_name, organization, organizational_unit, locality, state, country }
    }
}

fn read_purposes(value: &Value<'_>) -> Vec<Purpose> {
    let read = |value: &Value<'_>| {
        let text = value.text()?;
        let named = Purpose::NAMED.iter().find(|(word, _)| *word == text).map(|(_, purpose)| *purpose);
        let purpose = named.or_else(|| text.parse().ok().map(Purpose));
        match purpose {
            Some(purpose) if purpose.is_reserved() => {
                value.refuse(
                    "is no purpose for leaves",
                    "leave it out: the CA makes such certificates for itself alone",
                );
                None
            }
            Some(purpose) => Some(purpose),
            None => {
                let words = Purpose::NAMED.map(|(word, _)| word).join(", ");
                value.refuse("is no purpose", format!("write one of {words}, or an object identifier"));
                None
            }
        }
    };
    if value.is_empty_list() {
        value.refuse("is empty: its leaves would be for any purpose", "write what they are for");
    }
    let mut purposes = Vec::new();
    for purpose in value.list().unwrap_or_default().iter().filter_map(read) {
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    purposes
}

fn read_key_usage(value: &Value<'_>) -> Vec<KeyUsage> {
    if value.is_empty_list() {
        value.refuse("is empty", "leave it out, or write what keys are for");
    }
    value.list().unwrap_or_default().iter().filter_map(|value| value.word(&KEY_USAGES)).collect()
}

fn read_keys(value: &Value<'_>) -> Vec<KeyType> {
    value.list().unwrap_or_default().iter().filter_map(read_key_type).collect()
}

fn read_lifetime(section: &mut Section<'_>, key: &'static str, longest: Duration) -> Option<Duration> {
    let value = section.value(key)?;
    let length = value.duration()?;
    if length > longest {
        value.refuse(format!("`{key}` must not be longer than `issuing_lifetime`"), "write a shorter one");
    }
    Some(length)
}

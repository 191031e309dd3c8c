//! What somebody asks a client certificate with, and what of it cannot be.

use std::time::Duration;

use serde::Deserialize;

use crate::ca::AlternativeName;
use crate::ca::csr::{CsrError, Request};
use crate::pki::key::KeyType;
use crate::state::client::ClientSubject;

/// No certificate is asked for longer than this, in days; the CA's profile may bound it further.
pub const MOST_DAYS: u32 = 3650;

/// What a certificate is used for unless somebody says it.
pub const LABEL: &str = "api-mtls";

/// The profile that a certificate is issued by unless somebody says it.
pub const PROFILE: &str = "client";

/// As long as a common name, an organization or its unit may be (RFC 5280, appendix A.1), in characters.
const LONGEST_ATTRIBUTE: usize = 64;

/// As long as an identifier may be, in octets.
const LONGEST_IDENTIFIER: usize = 128;

/// As long as a remark may be, in characters.
const LONGEST_NOTES: usize = 4096;

/// As many further names as one certificate may carry.
const MOST_NAMES: usize = 100;

/// Words that stand where identifiers stand.
const RESERVED: [&str; 5] = ["batch", "create", "issue", "sign", "stats"];

/// Who asks for what. What is left out is decided here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientRequest {
    /// The CA's name in the config.
    pub ca: String,
    /// What the identity is to be called: asked for again under the same one, the same certificate is answered.
    pub id: Option<String>,
    /// CN.
    pub common_name: String,
    /// An rfc822Name.
    pub email: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// C.
    pub country: Option<String>,
    /// Further subject alternative names.
    pub names: Vec<String>,
    /// What it is used for.
    pub usage: Option<String>,
    /// The CA's profile.
    pub profile: Option<String>,
    /// Whose it is.
    pub tenant: Option<String>,
    /// How long it lives.
    pub days: Option<u32>,
    /// The algorithm of a key that is made here.
    pub key: Option<String>,
    /// Somebody's own request in PEM, in place of a key made here.
    pub csr: Option<String>,
    /// It is renewed without being asked.
    pub auto_renew: bool,
    /// A remark.
    pub notes: Option<String>,
}

/// Something in a request that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The field of the request, or the column of the file.
    pub field: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub hint: String,
}

/// A request in which everything can be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The CA's name in the config.
    pub ca: String,
    /// What the identity is to be called, where somebody said it.
    pub identifier: Option<String>,
    /// Who it is.
    pub subject: ClientSubject,
    /// Further subject alternative names.
    pub names: Vec<String>,
    /// What it is used for.
    pub label: String,
    /// The CA's profile.
    pub profile: String,
    /// Whose it is.
    pub tenant: String,
    /// How long it lives; `None`: as the profile says.
    pub lifetime: Option<Duration>,
    /// The algorithm of a key that is made here.
    pub key: KeyType,
    /// Somebody's own request in PEM.
    pub csr: Option<String>,
    /// It is renewed without being asked.
    pub auto_renew: bool,
    /// A remark.
    pub notes: String,
}

impl ClientRequest {
    /// Looks at every field, and tells of all that cannot be at once.
    ///
    /// # Errors
    /// One fault at least.
    pub fn check(mut self) -> Result<Wanted, Vec<Fault>> {
        let mut faults = Faults::default();
        self.csr = self.csr.filter(|csr| !csr.trim().is_empty());
        if let Err(problem) = self.take_from_csr() {
            faults.add("csr", problem.to_string(), "make one with `openssl req -new -key client.key -subj /CN=NAME`");
        }
        let subject = ClientSubject {
            common_name: faults.attribute("common_name", &self.common_name),
            email: self.email.as_deref().map(|text| faults.email(text)).unwrap_or_default(),
            organization: faults.optional_attribute("organization", self.organization.as_deref()),
            organizational_unit: faults.optional_attribute("organizational_unit", self.organizational_unit.as_deref()),
            country: self.country.as_deref().map(|text| faults.country(text)).unwrap_or_default(),
        };
        let wanted = Wanted {
            ca: faults.ca(self.ca),
            identifier: given(self.id.as_deref()).map(|text| faults.identifier(text)),
            subject,
            label: faults.word("usage", self.usage.as_deref(), LABEL),
            profile: faults.word("profile", self.profile.as_deref(), PROFILE),
            tenant: faults.word("tenant", self.tenant.as_deref(), ""),
            lifetime: faults.lifetime(self.days),
            key: faults.key(self.key.as_deref()),
            names: faults.names(self.names),
            csr: self.csr,
            auto_renew: self.auto_renew,
            notes: faults.notes(self.notes),
        };
        if faults.0.is_empty() { Ok(wanted) } else { Err(faults.0) }
    }
}

impl ClientRequest {
    /// What somebody's own request says, where nobody says otherwise here.
    fn take_from_csr(&mut self) -> Result<(), CsrError> {
        let Some(csr) = &self.csr else { return Ok(()) };
        let request = Request::read(csr)?;
        if self.common_name.trim().is_empty() {
            self.common_name = request.subject.common_name.unwrap_or_default();
        }
        for name in request.names {
            match (name, &self.email) {
                (AlternativeName::Email(address), None) => self.email = Some(address),
                (name, _) => self.names.push(name.to_string()),
            }
        }
        Ok(())
    }
}

/// A text that is there; blank is not there.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &'static str, problem: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Fault { field, problem: problem.into(), hint: hint.into() });
    }

    fn ca(&mut self, ca: String) -> String {
        if ca.is_empty() {
            self.add("ca", "no CA is named", "write the name of a `[ca.NAME]` of the config");
        }
        ca
    }

    fn attribute(&mut self, field: &'static str, text: &str) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 {
            self.add(field, "it is empty", "write 1 to 64 characters");
        } else if length > LONGEST_ATTRIBUTE {
            self.add(field, format!("it is {length} characters long"), "write 1 to 64 characters");
        } else if text.chars().any(char::is_control) {
            self.add(field, "it holds control characters", "write it without");
        }
        text.to_owned()
    }

    fn optional_attribute(&mut self, field: &'static str, text: Option<&str>) -> String {
        given(text).map(|text| self.attribute(field, text)).unwrap_or_default()
    }

    fn email(&mut self, text: &str) -> String {
        let text = text.trim();
        if !text.is_empty() && !is_address(text) {
            self.add("email", format!("`{}` is no mail address", start_of(text)), "write it like `ann@example.com`");
        }
        text.to_owned()
    }

    fn country(&mut self, text: &str) -> String {
        let text = text.trim();
        let sound = text.is_empty() || text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if !sound {
            let problem = format!("`{}` is no country", start_of(text));
            self.add("country", problem, "write two capital letters (ISO 3166), for instance `DE`");
        }
        text.to_owned()
    }

    fn identifier(&mut self, text: &str) -> String {
        let shown = start_of(text);
        if RESERVED.contains(&text) || uuid::Uuid::parse_str(text).is_ok() {
            self.add("id", format!("`{shown}` means something else"), "write another");
        } else if !is_identifier(text) {
            let hint = "write 1 to 128 of `a-z 0-9 . _ @ -`, not beginning with a sign";
            self.add("id", format!("`{shown}` is no identifier"), hint);
        }
        text.to_owned()
    }

    fn word(&mut self, field: &'static str, text: Option<&str>, default: &str) -> String {
        let Some(text) = given(text) else { return default.to_owned() };
        if !is_word(text) {
            let hint = "write 1 to 63 of `a-z 0-9 _ -`, beginning with a letter or digit";
            self.add(field, format!("`{}` is no name", start_of(text)), hint);
        }
        text.to_owned()
    }

    fn lifetime(&mut self, days: Option<u32>) -> Option<Duration> {
        let days = days?;
        if !(1..=MOST_DAYS).contains(&days) {
            self.add("days", format!("{days} is out of bounds"), format!("write 1 to {MOST_DAYS}"));
        }
        Some(Duration::from_secs(u64::from(days) * 86_400))
    }

    fn key(&mut self, text: Option<&str>) -> KeyType {
        let Some(text) = given(text) else { return KeyType::default() };
        KeyType::parse(text).unwrap_or_else(|| {
            let words = KeyType::ALL.map(KeyType::as_str).join(", ");
            self.add("key", format!("`{}` is no kind of key", start_of(text)), format!("write one of {words}"));
            KeyType::default()
        })
    }

    fn names(&mut self, names: Vec<String>) -> Vec<String> {
        if names.len() > MOST_NAMES {
            self.add("names", format!("{} are too many", names.len()), format!("write {MOST_NAMES} at the most"));
        }
        let names = names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let names: Vec<String> = names.collect();
        for name in &names {
            if let Err(error) = AlternativeName::parse(name) {
                self.add("names", error.to_string(), "write a DNS name, an address, a mail address or a URI");
            }
        }
        names
    }

    fn notes(&mut self, notes: Option<String>) -> String {
        let notes = notes.unwrap_or_default();
        if notes.chars().count() > LONGEST_NOTES {
            self.add("notes", "it is too long", format!("write {LONGEST_NOTES} characters at the most"));
        }
        notes
    }
}

/// The beginning of a text that may be long.
fn start_of(text: &str) -> String {
    text.chars().take(80).collect()
}

fn is_address(text: &str) -> bool {
    matches!(AlternativeName::parse(text), Ok(AlternativeName::Email(_)))
}

fn is_identifier(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte);
    first && text.len() <= LONGEST_IDENTIFIER && text.bytes().all(plain)
}

fn is_word(text: &str) -> bool {
    is_identifier(text) && text.len() <= 63 && !text.contains(['.', '@'])
}

/// What an identity is called when nobody says it: its common name as an identifier.
pub(super) fn identifier_of(common_name: &str) -> String {
    let sign = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' }
    };
    let words: String = common_name.chars().map(sign).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    if name.is_empty() || RESERVED.contains(&name.as_str()) || uuid::Uuid::parse_str(&name).is_ok() {
        format!("client-{name}").trim_end_matches('-').to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(common_name: &str) -> ClientRequest {
        ClientRequest { ca: "own".to_owned(), common_name: common_name.to_owned(), ..ClientRequest::default() }
    }

    #[test]
    fn what_is_left_out_is_decided() {
        let wanted = asked(" Ann ").check().unwrap();
        assert_eq!((wanted.subject.common_name.as_str(), wanted.label.as_str()), ("Ann", "api-mtls"));
        assert_eq!((wanted.profile.as_str(), wanted.tenant.as_str()), ("client", ""));
        assert_eq!((wanted.lifetime, wanted.key), (None, KeyType::EcdsaP256));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let request = ClientRequest {
            email: Some("ann".to_owned()),
            organization: Some("x".repeat(65)),
            country: Some("de".to_owned()),
            usage: Some("V P N".to_owned()),
            tenant: Some("-".to_owned()),
            id: Some("Ann".to_owned()),
            days: Some(0),
            key: Some("dsa".to_owned()),
            notes: Some("n".repeat(4097)),
            ..ClientRequest::default()
        };
        let fields: Vec<_> = request.check().unwrap_err().into_iter().map(|fault| fault.field).collect();
        let expected =
            ["common_name", "email", "organization", "country", "ca", "id", "usage", "tenant", "days", "key", "notes"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn identifiers_that_mean_something_else_are_refused() {
        for id in ["stats", "0197f3a2-7d10-7abc-8def-0123456789ab", "-a", "a b", "Ä", &"a".repeat(129)] {
            assert!(ClientRequest { id: Some(id.to_owned()), ..asked("Ann") }.check().is_err(), "{id}");
        }
        for id in ["ann", "ann.smith@example.com", "7", "a_b-c"] {
            assert!(ClientRequest { id: Some(id.to_owned()), ..asked("Ann") }.check().is_ok(), "{id}");
        }
    }

    #[test]
    fn a_common_name_becomes_an_identifier() {
        for (name, identifier) in [
            ("Ann Smith", "ann-smith"),
            ("web-1.example.com", "web-1-example-com"),
            ("Stats", "client-stats"),
            ("日本", "client"),
        ] {
            assert_eq!(identifier_of(name), identifier);
            assert!(is_identifier(&identifier_of(name)));
        }
    }

    #[test]
    fn mail_addresses_are_known_by_their_form() {
        for text in ["ann@example.com", "a.b+c@x.example"] {
            assert!(is_address(text), "{text}");
        }
        for text in
            ["ann", "@example.com", "ann@", "a b@example.com", "a@b@example.com", "ann@*.example.com", "ä@x.example"]
        {
            assert!(!is_address(text), "{text}");
        }
    }
}

//! Names: what a certificate is issued for, and what we call it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Why a text is no name. `Display` tells what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is no DNS name.
    #[error("`{name}` is not a DNS name: {why}")]
    Dns {
        /// The text that was found.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The text is no certificate name.
    #[error(
        "`{name}` is not a certificate name: write 1–200 of `a-z 0-9 . _ - *`, not beginning with `.` or `-`, `*` only as the first label"
    )]
    Certificate {
        /// The text that was found.
        name: String,
    },
    /// The certificate name is one of renewd's own paths.
    #[error(
        "`{name}` is reserved for renewd's own paths: choose another certificate name and give the DNS names in `names`"
    )]
    Reserved {
        /// The text that was found.
        name: String,
    },
}

/// A DNS name as certificates carry it: lower case A-labels, no trailing dot, `*` at most as the whole first label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(String);

impl DnsName {
    /// Reads a name, turning upper case and Unicode (UTS 46) into their ASCII form and dropping one trailing dot.
    ///
    /// # Errors
    /// Where the text is no DNS name, with the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |why| NameError::Dns { name: shorten(text), why };
        let bare = text.strip_suffix('.').unwrap_or(text);
        let (wildcard, base) = match bare.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, bare),
        };
        let ascii = idna::domain_to_ascii(base).map_err(|_| refuse("it cannot be written in ASCII (IDNA)"))?;
        let name = if wildcard { format!("*.{ascii}") } else { ascii };
        check_dns(&name, wildcard).map_err(refuse)?;
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It begins with `*.`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without a leading `*.`: what an ACME authorization names.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }
}

fn check_dns(name: &str, wildcard: bool) -> Result<(), &'static str> {
    let base = if wildcard { &name[2..] } else { name };
    if base.is_empty() {
        return Err("it is empty");
    }
    if name.len() > 253 {
        return Err("it is longer than 253 octets");
    }
    for label in base.split('.') {
        check_label(label)?;
    }
    if base.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its last label is a number");
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    match label {
        "" => Err("it has an empty label"),
        "*" => Err("`*` may stand only as the whole first label"),
        _ if label.len() > 63 => Err("a label is longer than 63 octets"),
        _ if label.starts_with('-') || label.ends_with('-') => Err("a label begins or ends with `-`"),
        _ if label.contains('*') => Err("`*` may stand only as the whole first label"),
        _ if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') => {
            Err("only letters, digits and `-` may stand in a label")
        }
        _ => Ok(()),
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a certificate vouches for: a DNS name, or an IP address (RFC 8738).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// A DNS name, perhaps a wildcard.
    Dns(DnsName),
    /// An IP address.
    Ip(IpAddr),
}

impl Identifier {
    /// Reads an IP address, else a DNS name.
    ///
    /// # Errors
    /// Where the text is neither.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match IpAddr::from_str(text) {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => DnsName::parse(text).map(Self::Dns),
        }
    }

    /// The DNS name, where it is one.
    #[must_use]
    pub fn dns(&self) -> Option<&DnsName> {
        match self {
            Self::Dns(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(formatter),
            Self::Ip(address) => address.fmt(formatter),
        }
    }
}

/// First path segments of renewd's own HTTP surface, which no certificate may take.
pub const RESERVED: [&str; 9] = ["api", "health", "ocsp", "crl", "ca", "metrics", ".well-known", "create", "jobs"];

/// What we call a certificate: safe as a path component and as a URL segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateName(String);

impl CertificateName {
    /// Reads a name, turning upper case and Unicode into their ASCII form.
    ///
    /// # Errors
    /// Where the text is no certificate name or is reserved.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = normalise(text).ok_or_else(|| NameError::Certificate { name: shorten(text) })?;
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'*');
        let star_leads = !name.contains('*') || (name.matches('*').count() == 1 && name.starts_with("*."));
        let dotless = name != "." && name != ".." && !name.starts_with(['.', '-']);
        if RESERVED.contains(&name.as_str()) || name == "check-dns-alias" {
            return Err(NameError::Reserved { name });
        }
        if (1..=200).contains(&name.len()) && name.bytes().all(fits) && star_leads && dotless {
            return Ok(Self(name));
        }
        Err(NameError::Certificate { name: shorten(text) })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn normalise(text: &str) -> Option<String> {
    if text.is_ascii() {
        return Some(text.to_ascii_lowercase());
    }
    let (star, base) = text.strip_prefix("*.").map_or(("", text), |base| ("*.", base));
    idna::domain_to_ascii(base).ok().map(|ascii| format!("{star}{ascii}"))
}

/// A hostile or endless text made fit to be quoted in an error.
fn shorten(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(80).collect()
}

impl fmt::Display for CertificateName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for CertificateName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_are_normalised() {
        for (text, name) in [
            ("Example.COM.", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("_acme-challenge.example.com", "_acme-challenge.example.com"),
        ] {
            assert_eq!(DnsName::parse(text).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_dns_name_is_refused() {
        let long = "a".repeat(64);
        for text in
            ["", ".", "a..b", "*", "a.*.b", "*a.b", "-a.b", "a b.c", "1.2.3.4", "../etc", "a/b", &long, "*.*.a.b"]
        {
            assert!(DnsName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn certificate_names_are_safe_paths() {
        assert_eq!(CertificateName::parse("Example.com").unwrap().as_str(), "example.com");
        assert_eq!(CertificateName::parse("*.example.com").unwrap().as_str(), "*.example.com");
        for text in ["", ".", "..", ".a", "-a", "a/b", "a*b", "a.*.b", "**.a", "a\nb", "ü/.."] {
            assert!(matches!(CertificateName::parse(text), Err(NameError::Certificate { .. })), "{text}");
        }
        assert!(matches!(CertificateName::parse("API"), Err(NameError::Reserved { .. })));
    }

    #[test]
    fn addresses_are_identifiers() {
        assert_eq!(Identifier::parse("::1").unwrap().to_string(), "::1");
        assert!(Identifier::parse("10.0.0.1").unwrap().dns().is_none());
    }
}

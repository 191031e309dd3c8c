//! `[account.NAME]`: an ACME account.

use std::path::PathBuf;

use super::Limits;
use super::network;
use super::read::{Section, Value};
use super::suggest;
use crate::secret::SecretRef;

/// An ACME account (RFC 8555, section 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The directory's URL; the short names (`letsencrypt` …) are resolved already.
    pub directory_url: String,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// The operator agrees to the CA's terms of service.
    pub agree_to_terms: bool,
    /// External account binding (RFC 8555, section 7.3.4).
    pub eab: Option<Eab>,
    /// PEM file of the roots of the directory's own TLS certificate, where the system's do not do.
    pub trusted_roots: Option<PathBuf>,
    /// Orders worked on at the same time.
    pub parallel_orders: usize,
    /// What the CA gives: no more is asked for.
    pub limits: Limits,
}

/// External account binding: what a CA hands to its customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eab {
    /// The key identifier.
    pub kid: String,
    /// The MAC key, base64url.
    pub hmac_key: SecretRef,
}

/// Orders worked on at the same time, unless said.
const PARALLEL_ORDERS: u32 = 16;

/// A CA that has a short name.
struct Known {
    name: &'static str,
    url: &'static str,
    /// It opens accounts for its customers only (RFC 8555, section 7.3.4).
    binds_accounts: bool,
}

const KNOWN: [Known; 7] = [
    Known { name: "letsencrypt", url: "https://acme-v02.api.letsencrypt.org/directory", binds_accounts: false },
    Known {
        name: "letsencrypt-staging",
        url: "https://acme-staging-v02.api.letsencrypt.org/directory",
        binds_accounts: false,
    },
    Known { name: "zerossl", url: "https://acme.zerossl.com/v2/DV90", binds_accounts: true },
    Known { name: "google", url: "https://dv.acme-v02.api.pki.goog/directory", binds_accounts: true },
    Known { name: "sslcom", url: "https://acme.ssl.com/sslcom-dv-ecc", binds_accounts: true },
    Known { name: "actalis", url: "https://acme-api.actalis.com/acme/directory", binds_accounts: true },
    Known { name: "digicert", url: "https://acme.digicert.com/v2/acme/directory/", binds_accounts: true },
];

impl Account {
    /// Reads `[account.NAME]`.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let directory = section.required("directory", "write `directory = \"letsencrypt\"`, or the CA's directory URL");
        let directory_url = directory.as_ref().and_then(read_directory);
        let contact = section.value("contact").map(|value| read_contact(&value)).unwrap_or_default();
        let agree_to_terms = read_agreement(&mut section);
        let eab = section.section("eab").map(Eab::read);
        if let (None, Some(value), Some(url)) = (&eab, &directory, &directory_url) {
            note_missing_eab(value, url);
        }
        let trusted_roots = section.value("trusted_roots").and_then(|value| value.readable_path());
        let parallel_orders = section.number("parallel_orders", 1..=100).unwrap_or(PARALLEL_ORDERS) as usize;
        let limits = section.value("limits");
        section.finish();
        let usual = Limits::of_directory(directory_url.as_deref().unwrap_or_default());
        let limits = limits.map_or(usual, |value| Limits::read(&value, usual));
        Some(Self {
            directory_url: directory_url?,
            contact,
            agree_to_terms,
            eab: eab.flatten(),
            trusted_roots,
            parallel_orders,
            limits,
        })
    }
}

impl Eab {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let kid = section.required("kid", "write the key identifier that the CA gave you");
        let hmac_key =
            section.required("hmac_key", "write `hmac_key = { file = \"…\" }`: the MAC key that the CA gave you");
        section.finish();
        let kid = kid.and_then(|value| value.text());
        let hmac_key = hmac_key.and_then(|value| value.secret());
        Some(Self { kid: kid?.to_owned(), hmac_key: hmac_key? })
    }
}

/// A URL, or the short name of one.
fn read_directory(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !text.contains([':', '/', '@']) {
        let known = KNOWN.iter().find(|known| known.name == text);
        if known.is_none() {
            let help = suggest::instead(text, KNOWN.iter().map(|known| known.name));
            value.refuse("is not the short name of a CA", format!("{help} A directory URL may stand here, too"));
        }
        return known.map(|known| known.url.to_owned());
    }
    let url = network::web_url(value)?;
    if url.starts_with("http:") && !is_loopback(&url) {
        value.note("is not https: RFC 8555 wants it, and CAs answer on nothing else");
    }
    Some(url)
}

fn is_loopback(url: &str) -> bool {
    let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let host = network::split_host_port(authority).map_or(authority, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn note_missing_eab(directory: &Value<'_>, url: &str) {
    if let Some(known) = KNOWN.iter().find(|known| known.url == url && known.binds_accounts) {
        directory.note(format!(
            "`{}` opens accounts for its customers only: without `eab = {{ kid = \"…\", hmac_key = {{ file = \"…\" }} }}` only an \
             account that exists already works",
            known.name
        ));
    }
}

fn read_contact(value: &Value<'_>) -> Vec<String> {
    let list = value.list().unwrap_or_default();
    list.iter().filter_map(read_mailto).collect()
}

/// One address and no header fields (RFC 8555, section 7.3).
fn read_mailto(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    let fits = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || ",?@".contains(c));
    if !address.is_some_and(|(user, host)| fits(user) && fits(host)) {
        value.refuse("is not a contact", "write for instance \"mailto:ops@example.com\", one address an entry");
        return None;
    }
    Some(text.to_owned())
}

fn read_agreement(section: &mut Section<'_>) -> bool {
    const HELP: &str = "read the CA's terms of service, then write `agree_to_terms = true`";
    let Some(value) = section.required("agree_to_terms", HELP) else { return false };
    let agreed = value.flag();
    if agreed == Some(false) {
        value.refuse("a CA opens no account for who does not agree to its terms", HELP);
    }
    agreed.unwrap_or_default()
}

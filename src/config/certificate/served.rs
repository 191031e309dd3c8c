//! `verify`: where a certificate must be served.

use super::super::network;
use super::super::read::{Section, Value};
use super::{StartTls, Verify};
use crate::identifier::{DnsName, Identifier};

impl Verify {
    /// Reads one entry of `verify`.
    pub(super) fn read(mut section: Section<'_>, names: &[Identifier]) -> Option<Self> {
        let address = section.required("address", "write `address = \"www.example.com:443\"`");
        let address = address.and_then(|value| network::host_port(&value, None));
        let server_name = section.value("server_name");
        let starttls = section.value("starttls");
        let starttls = starttls.map(|value| {
            value.word(&[("smtp", StartTls::Smtp), ("imap", StartTls::Imap), ("postgres", StartTls::Postgres)])
        });
        let server_name = match (&server_name, &address) {
            (Some(value), _) => read_server_name(value).map(Some),
            (None, Some(address)) => default_server_name(&section, address, names),
            (None, None) => None,
        };
        section.finish();
        Some(Self { address: address?, server_name: server_name?, starttls: starttls.flatten() })
    }
}

fn read_server_name(value: &Value<'_>) -> Option<String> {
    match DnsName::parse(value.text()?) {
        Ok(name) if name.is_wildcard() => {
            value.refuse("is a wildcard, which no client asks for", "write one host's name");
        }
        Ok(name) => return Some(name.to_string()),
        Err(error) => value.refuse(error.to_string(), ""),
    }
    None
}

/// The first DNS name of the certificate. Where that is a wildcard: the host of the address that it covers, or else
/// the first name that is none. `None` where there is nothing to choose.
fn default_server_name(section: &Section<'_>, address: &str, names: &[Identifier]) -> Option<Option<String>> {
    let mut dns = names.iter().filter_map(Identifier::dns);
    let Some(first) = dns.clone().next() else { return Some(None) };
    if !first.is_wildcard() {
        return Some(Some(first.to_string()));
    }
    let host = network::split_host_port(address).map_or(address, |(host, _)| host);
    let covered = dns.clone().any(|name| covers(name, host)).then(|| host.to_owned());
    let name = covered.or_else(|| dns.find(|name| !name.is_wildcard()).map(ToString::to_string));
    if name.is_none() {
        let message = "cannot be guessed: every DNS name of the certificate is a wildcard";
        section.missing("server_name", message, "write `server_name = \"www.example.com\"`");
    }
    name.map(Some)
}

/// A wildcard covers one label (RFC 9525, section 6.3).
fn covers(name: &DnsName, host: &str) -> bool {
    let below = || host.split_once('.').is_some_and(|(_, parent)| parent == name.base());
    if name.is_wildcard() { below() } else { name.as_str() == host }
}

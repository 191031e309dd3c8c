//! `[http]`: the listeners.

use std::net::{IpAddr, SocketAddr};

use super::network;
use super::read::{Section, Value};
use super::suggest;
use crate::identifier::CertificateName;

/// The HTTP surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; may be empty.
    pub listen: Vec<Listen>,
    /// The managed certificate of the https listeners.
    pub certificate: Option<CertificateName>,
    /// What our CAs write into their leaves: `http://pki.example.com`, without a trailing slash.
    pub public_url: Option<String>,
    /// Networks of proxies whose forwarding headers are believed: (address, prefix length).
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// `/{name}/tls` wants a key.
    pub protect_downloads: bool,
}

/// One listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// HTTPS, with the managed certificate.
    pub tls: bool,
}

impl Default for Http {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 8460));
        Self {
            listen: vec![Listen { address, tls: false }],
            certificate: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            protect_downloads: false,
        }
    }
}

impl Http {
    /// Reads `[http]`; `certificates` are the names of those that the config manages.
    pub(super) fn read(mut section: Section<'_>, certificates: &[&str]) -> Self {
        let certificate_value = section.value("certificate");
        let listen = section.value("listen").map(|value| read_listeners(&value, certificate_value.is_some()));
        let certificate = certificate_value.and_then(|value| read_certificate(&value, certificates));
        let public_url = section.value("public_url").and_then(|value| read_public_url(&value));
        let proxies = section.value("trusted_proxies").and_then(|value| value.list()).unwrap_or_default();
        let trusted_proxies = proxies.iter().filter_map(network::network).collect();
        let protect_downloads = section.flag("protect_downloads");
        section.finish();
        let listen = listen.unwrap_or_else(|| Self::default().listen);
        Self { listen, certificate, public_url, trusted_proxies, protect_downloads }
    }
}

fn read_listeners(value: &Value<'_>, certificate: bool) -> Vec<Listen> {
    let mut listen: Vec<Listen> = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(listener) = read_listener(&value) else { continue };
        if listener.tls && !certificate {
            value.refuse(
                "an https listener needs a certificate",
                "write `certificate = \"…\"` in [http], the name of a managed certificate",
            );
        }
        if listener.address.port() > 0 && listen.iter().any(|other| other.address == listener.address) {
            value.refuse("this address stands here twice", "leave one of them out");
        }
        listen.push(listener);
    }
    listen
}

fn read_listener(value: &Value<'_>) -> Option<Listen> {
    let text = value.text()?;
    let secure = text.strip_prefix("https://");
    let (tls, rest) = (secure.is_some(), secure.or_else(|| text.strip_prefix("http://")).unwrap_or_default());
    let address = rest.strip_suffix('/').unwrap_or(rest).parse().ok();
    if address.is_none() {
        value.refuse(
            "is not an address to listen on",
            "write scheme, IP address and port: \"http://127.0.0.1:8460\", \"https://0.0.0.0:8443\" or \"http://[::]:8460\"",
        );
    }
    Some(Listen { address: address?, tls })
}

fn read_certificate(value: &Value<'_>, certificates: &[&str]) -> Option<CertificateName> {
    let name = match CertificateName::parse(value.text()?) {
        Ok(name) => name,
        Err(error) => {
            value.refuse(error.to_string(), "");
            return None;
        }
    };
    if !certificates.contains(&name.as_str()) {
        let help = suggest::instead(name.as_str(), certificates.iter().copied());
        let help = if help.is_empty() { format!("add [certificate.\"{name}\"]") } else { help };
        value.refuse_reference(format!("no certificate `{name}`"), help);
    }
    Some(name)
}

/// Plain http: a verifier must be able to fetch a CRL before it can check anyone's TLS (RFC 5280, section 8).
fn read_public_url(value: &Value<'_>) -> Option<String> {
    let url = network::plain_url(value, &["http"])?;
    if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
        value.refuse("is no URL to which paths can be added", "write for instance \"http://pki.example.com\"");
        return None;
    }
    value.text().map(|text| text.trim_end_matches('/').to_owned())
}

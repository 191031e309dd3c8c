//! URLs, hosts and addresses as the config writes them.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::read::Value;
use crate::identifier::DnsName;

/// Reads an `http` or `https` URL without user and password; as it was written.
pub(super) fn web_url(value: &Value<'_>) -> Option<String> {
    let url = plain_url(value, &["http", "https"])?;
    if url.host_str().is_none_or(str::is_empty) {
        value.refuse("names no host", "write for instance \"https://host.example.com\"");
        return None;
    }
    value.text().map(str::to_owned)
}

/// Reads the URL of an API, to which paths are added: like [`web_url`], without slashes at its end.
pub(super) fn base_url(value: &Value<'_>) -> Option<String> {
    web_url(value).map(|url| url.trim_end_matches('/').to_owned())
}

/// Reads a URL of one of `schemes` that carries neither user nor password. The text is never repeated.
pub(super) fn plain_url(value: &Value<'_>, schemes: &[&str]) -> Option<Url> {
    let text = value.text()?;
    let form = || format!("write a URL that begins with `{}://`", schemes.join("://` or `"));
    let begins = schemes.iter().any(|scheme| has_scheme(text, scheme));
    let clean = !text.chars().any(|character| character.is_whitespace() || character.is_control());
    let Some(url) = Url::parse(text).ok().filter(|_| begins && clean) else {
        value.refuse("is not such a URL as belongs here", form());
        return None;
    };
    if carries_login(&url) {
        value.refuse("carries a user or a password", "write the URL without; a secret has a key of its own");
        return None;
    }
    Some(url)
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        && text[scheme.len()..].starts_with("://")
}

fn carries_login(url: &Url) -> bool {
    let named = |key: &str| matches!(key, "user" | "username" | "password" | "passwd");
    !url.username().is_empty() || url.password().is_some() || url.query_pairs().any(|(key, _)| named(&key))
}

/// Reads `host:port`; `port` is taken where none is written.
pub(super) fn host_port(value: &Value<'_>, port: Option<u16>) -> Option<String> {
    let text = value.text()?;
    let read = split_host_port(text).and_then(|(host, written)| {
        let port = written.or(port)?;
        Some(format!("{}:{port}", normal_host(host)?))
    });
    if read.is_none() {
        let also = if port.is_some() { " (without a port where it is the usual one)" } else { "" };
        value.refuse("is not a host and a port", format!("write \"host.example.com:port\" or \"[::1]:port\"{also}"));
    }
    read
}

/// Host (an IPv6 address in its brackets) and port.
pub(super) fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        None => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port > 0).map(|port| (host, Some(port)))
        }
        Some(_) => None,
    }
}

fn normal_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: std::net::Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    match host.parse::<IpAddr>() {
        Ok(address) => Some(address.to_string()),
        Err(_) => DnsName::parse(host).ok().filter(|name| !name.is_wildcard()).map(|name| name.to_string()),
    }
}

/// Reads `address` or `address:port`; the port is 53 where none is written.
pub(super) fn name_server(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    let address = text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 53)));
    let address = address.filter(|address: &SocketAddr| address.port() > 0);
    if address.is_none() {
        value.refuse(
            "is not an IP address with or without a port",
            "write for instance \"10.0.0.53:53\" or \"[2001:db8::53]:53\"",
        );
    }
    address
}

/// Reads a list of name servers.
pub(super) fn name_servers(value: Option<Value<'_>>) -> Vec<SocketAddr> {
    let list = value.and_then(|value| value.list()).unwrap_or_default();
    list.iter().filter_map(name_server).collect()
}

/// Reads a network: `10.0.0.0/8`, or one address.
pub(super) fn network(value: &Value<'_>) -> Option<(IpAddr, u8)> {
    let text = value.text()?;
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let read = address.parse::<IpAddr>().ok().and_then(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |length| length.parse().ok())?;
        (length <= most).then_some((address, length))
    });
    let Some((address, length)) = read else {
        value.refuse("is not a network", "write for instance \"10.0.0.0/8\" or \"2001:db8::/32\"");
        return None;
    };
    let base = masked(address, length);
    if base != address {
        value.refuse("has bits set beyond its prefix length", format!("write \"{base}/{length}\""));
    }
    Some((base, length))
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split() {
        for (text, split) in [
            ("a.example:1", Some(("a.example", Some(1)))),
            ("a.example", Some(("a.example", None))),
            ("[::1]:2", Some(("[::1]", Some(2)))),
            ("[::1]", Some(("[::1]", None))),
            ("::1", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:+1", None),
            ("[::1]2", None),
        ] {
            assert_eq!(split_host_port(text), split, "{text}");
        }
    }

    #[test]
    fn masks_cut() {
        for (address, length, base) in
            [("10.1.2.3", 8, "10.0.0.0"), ("10.1.2.3", 32, "10.1.2.3"), ("10.1.2.3", 0, "0.0.0.0"), ("ff::1", 0, "::")]
        {
            assert_eq!(masked(address.parse().unwrap(), length), base.parse::<IpAddr>().unwrap());
        }
    }
}

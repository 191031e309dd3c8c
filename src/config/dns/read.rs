//! `[dns.NAME]` out of TOML.

use std::time::Duration;

use super::super::network;
use super::super::read::{Section, Value};
use super::{AcmeDnsCredentials, DnsInstance, DnsKind, Propagation, TsigAlgorithm};
use crate::identifier::DnsName;

/// Unless said.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(120);

/// Unless said.
const EXEC_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads the fields of one provider.
type ReadKind = fn(Section<'_>) -> Option<DnsKind>;

/// Every provider, as the config writes it.
const PROVIDERS: [(&str, ReadKind); 6] = [
    ("rfc2136", read_rfc2136),
    ("cloudflare", read_cloudflare),
    ("route53", read_route53),
    ("powerdns", read_powerdns),
    ("acme-dns", read_acme_dns),
    ("exec", read_exec),
];

impl DnsInstance {
    /// Reads `[dns.NAME]` and `[dns.NAME.PROVIDER]`.
    pub(in super::super) fn read(mut section: Section<'_>) -> Option<Self> {
        let zones = section.value("zones").and_then(|value| value.list()).unwrap_or_default();
        let zones = zones.iter().filter_map(read_zone).collect();
        let propagation = section.section("propagation").map(Propagation::read).unwrap_or_default();
        let kind = read_kind(&mut section);
        section.finish();
        Some(Self { zones, propagation, kind: kind? })
    }
}

impl Default for Propagation {
    fn default() -> Self {
        Self { timeout: PROPAGATION_TIMEOUT, servers: Vec::new(), recursive: false }
    }
}

impl Propagation {
    fn read(mut section: Section<'_>) -> Self {
        let timeout = section.duration("timeout").unwrap_or(PROPAGATION_TIMEOUT);
        let servers = network::name_servers(section.value("servers"));
        let recursive = section.flag("recursive");
        section.finish();
        Self { timeout, servers, recursive }
    }
}

fn read_zone(value: &Value<'_>) -> Option<DnsName> {
    match DnsName::parse(value.text()?) {
        Ok(zone) if zone.is_wildcard() => value.refuse("a zone has no wildcard", format!("write \"{}\"", zone.base())),
        Ok(zone) => return Some(zone),
        Err(error) => value.refuse(error.to_string(), ""),
    }
    None
}

/// Exactly one provider; the fields of all that stand there are checked.
fn read_kind(section: &mut Section<'_>) -> Option<DnsKind> {
    let named = PROVIDERS.iter().filter_map(|(name, read)| Some((*name, section.value(name)?, *read)));
    let named: Vec<_> = named.collect();
    if named.is_empty() && !section.holds_unknown_tables() {
        let all: Vec<_> = PROVIDERS.iter().map(|(name, _)| format!("[{}.{name}]", section.key_path())).collect();
        section.missing("", "has no provider", format!("write one of {}", all.join(", ")));
    }
    for (name, value, _) in named.iter().skip(1) {
        let message = format!("an instance has one provider, and this one has `{}` already", named[0].0);
        value.clone().at_key().refuse(message, format!("move `{name}` into a [dns.…] of its own"));
    }
    let read: Vec<_> = named.into_iter().map(|(_, value, read)| read(value.section()?)).collect();
    read.into_iter().next().flatten()
}

fn read_rfc2136(mut section: Section<'_>) -> Option<DnsKind> {
    let server = section.required("server", "write `server = \"ns1.example.com:53\"`");
    let tsig_key = section.required("tsig_key", "write the TSIG key's name");
    let algorithm = section.value("tsig_algorithm").map(|value| read_algorithm(&value));
    let tsig_secret = section.required("tsig_secret", "write `tsig_secret = { file = \"…\" }`");
    section.finish();
    let server = server.and_then(|value| network::host_port(&value, Some(53)));
    let tsig_key = tsig_key.and_then(|value| read_key_name(&value));
    let tsig_secret = tsig_secret.and_then(|value| value.secret());
    let tsig_algorithm = algorithm.unwrap_or(Some(TsigAlgorithm::default()))?;
    Some(DnsKind::Rfc2136 { server: server?, tsig_key: tsig_key?, tsig_algorithm, tsig_secret: tsig_secret? })
}

fn read_algorithm(value: &Value<'_>) -> Option<TsigAlgorithm> {
    value.word(&[("hmac-sha256", TsigAlgorithm::HmacSha256), ("hmac-sha512", TsigAlgorithm::HmacSha512)])
}

/// TSIG keys are named by domain names (RFC 8945, section 4.2).
fn read_key_name(value: &Value<'_>) -> Option<String> {
    match DnsName::parse(value.text()?) {
        Ok(name) => Some(name.to_string()),
        Err(_) => {
            value.refuse("is not a key's name", "write it as the name server's own config does, without quotes inside");
            None
        }
    }
}

fn read_cloudflare(mut section: Section<'_>) -> Option<DnsKind> {
    let api_token = section.required("api_token", "write `api_token = { credential = \"cloudflare\" }`");
    let api_url = section.value("api_url").and_then(|value| network::base_url(&value));
    section.finish();
    Some(DnsKind::Cloudflare { api_token: api_token?.secret()?, api_url })
}

fn read_route53(mut section: Section<'_>) -> Option<DnsKind> {
    let mut text = |key| section.text(key).map(str::to_owned);
    let (region, profile, hosted_zone_id) = (text("region"), text("profile"), text("hosted_zone_id"));
    let key_id = section.value("access_key_id");
    let secret = section.value("secret_access_key");
    match (&key_id, &secret) {
        (Some(value), None) => {
            value
                .refuse_reference("goes with `secret_access_key`", "write `secret_access_key = { file = \"…\" }`, too");
        }
        (None, Some(value)) => value.refuse_reference("goes with `access_key_id`", "write `access_key_id`, too"),
        _ => {}
    }
    let endpoint_url = section.value("endpoint_url").and_then(|value| network::base_url(&value));
    section.finish();
    let access_key_id = key_id.and_then(|value| value.text()).map(str::to_owned);
    let secret_access_key = secret.and_then(|value| value.secret());
    Some(DnsKind::Route53 { region, profile, access_key_id, secret_access_key, hosted_zone_id, endpoint_url })
}

fn read_powerdns(mut section: Section<'_>) -> Option<DnsKind> {
    let api_url = section.required("api_url", "write `api_url = \"http://host:8081\"`");
    let api_key = section.required("api_key", "write `api_key = { file = \"…\" }`");
    let server_id = section.text("server_id").unwrap_or("localhost").to_owned();
    section.finish();
    let api_url = api_url.and_then(|value| network::base_url(&value));
    let api_key = api_key.and_then(|value| value.secret());
    Some(DnsKind::PowerDns { api_url: api_url?, api_key: api_key?, server_id })
}

fn read_acme_dns(mut section: Section<'_>) -> Option<DnsKind> {
    let api_url = section.required("api_url", "write `api_url = \"https://auth.example.com\"`");
    let api_url = api_url.and_then(|value| network::base_url(&value));
    let credentials = read_registration(&mut section);
    section.finish();
    Some(DnsKind::AcmeDns { api_url: api_url?, credentials: credentials? })
}

/// All three or none; `None` where something is wrong.
fn read_registration(section: &mut Section<'_>) -> Option<Option<AcmeDnsCredentials>> {
    const KEYS: [&str; 3] = ["username", "password", "subdomain"];
    let values = KEYS.map(|key| section.value(key));
    if values.iter().all(Option::is_none) {
        return Some(None);
    }
    for (key, _) in KEYS.iter().zip(&values).filter(|(_, value)| value.is_none()) {
        let help = "write `username`, `password` and `subdomain`, or none of them: then renewd registers each name";
        section.missing(key, "is missing", help);
    }
    let [username, password, subdomain] = values;
    let username = username.and_then(|value| value.text());
    let password = password.and_then(|value| value.secret());
    let subdomain = subdomain.and_then(|value| value.text());
    let (username, subdomain) = (username?.to_owned(), subdomain?.to_owned());
    Some(Some(AcmeDnsCredentials { username, password: password?, subdomain }))
}

fn read_exec(mut section: Section<'_>) -> Option<DnsKind> {
    let command = section.required("command", "write `command = [\"/usr/local/bin/dns-hook\"]`");
    let command = command.and_then(|value| value.command());
    let timeout = section.duration("timeout").unwrap_or(EXEC_TIMEOUT);
    let environment = section.section("environment");
    let environment =
        environment.iter().flat_map(Section::entries).filter_map(|(name, value)| read_variable(name, &value));
    let environment = environment.collect();
    section.finish();
    Some(DnsKind::Exec { command: command?, timeout, environment })
}

fn read_variable(name: &str, value: &Value<'_>) -> Option<(String, String)> {
    let text = value.argument()?;
    if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
        value.refuse("is not an environment variable", "write `NAME = \"value\"`");
        return None;
    }
    let upper = name.to_ascii_uppercase();
    if ["TOKEN", "PASSWORD", "SECRET", "API_KEY"].iter().any(|word| upper.ends_with(word)) {
        value.note("looks like a secret written in the file: let the program read it from a file of its own");
    }
    Some((name.to_owned(), text))
}

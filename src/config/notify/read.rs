//! `[notify.NAME]` out of TOML.

use providers::sinks::EventKind;
use providers::sinks::smtp::{Address, SmtpTls, is_this_machine};
use providers::sinks::template::Template;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::super::network;
use super::super::read::{Section, Value};
use super::super::suggest;
use super::{Given, Notify, NotifyKind, SmtpNotify, WebhookNotify};
use crate::secret::SecretRef;

/// Reads the fields of one kind.
type ReadKind = fn(Section<'_>) -> Option<NotifyKind>;

/// Every kind, as the config writes it.
const KINDS: [(&str, ReadKind); 2] = [("webhook", read_webhook), ("smtp", read_smtp)];

/// What a subject begins with, unless said.
const SUBJECT_PREFIX: &str = "[renewd]";

/// Words in the names of headers whose values are secrets.
const SECRET_HEADERS: [&str; 7] = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];

impl Notify {
    /// Reads `[notify.NAME]` and `[notify.NAME.KIND]`.
    pub(in super::super) fn read(mut section: Section<'_>) -> Option<Self> {
        let events = section.value("events").map_or_else(|| EventKind::ALL.to_vec(), |value| read_events(&value));
        let certificates = section.value("certificates").map(|value| value.one_or_many()).unwrap_or_default();
        let certificates = certificates.iter().filter_map(read_pattern).collect();
        let kind = read_kind(&mut section);
        section.finish();
        Some(Self { events, certificates, kind: kind? })
    }
}

fn read_events(value: &Value<'_>) -> Vec<EventKind> {
    if value.is_empty_list() {
        value.refuse("names no event", "leave `events` out for all of them");
    }
    value.one_or_many().iter().filter_map(read_event).collect()
}

fn read_event(value: &Value<'_>) -> Option<EventKind> {
    let text = value.text()?;
    let kind = EventKind::parse(text);
    if kind.is_none() {
        let help = suggest::instead(text, EventKind::ALL.iter().map(|kind| kind.as_str()));
        value.refuse("is no kind of event", help);
    }
    kind
}

fn read_pattern(value: &Value<'_>) -> Option<String> {
    let text = value.text()?.to_lowercase();
    let fits = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "._-*".contains(char);
    if !text.chars().all(fits) {
        value.refuse("is neither a certificate's name nor a pattern", "write for instance \"*.example.com\"");
        return None;
    }
    Some(text)
}

/// Exactly one kind; the fields of all that stand there are checked.
fn read_kind(section: &mut Section<'_>) -> Option<NotifyKind> {
    let named: Vec<_> = KINDS.iter().filter_map(|(name, read)| Some((*name, section.value(name)?, *read))).collect();
    if named.is_empty() && !section.holds_unknown_tables() {
        let all: Vec<_> = KINDS.iter().map(|(name, _)| format!("[{}.{name}]", section.key_path())).collect();
        section.missing("", "says not how to tell", format!("write {}", all.join(" or ")));
    }
    for (name, value, _) in named.iter().skip(1) {
        let message = format!("an instance is of one kind, and this one is `{}` already", named[0].0);
        value.clone().at_key().refuse(message, format!("move `{name}` into a [notify.…] of its own"));
    }
    let read: Vec<_> = named.into_iter().map(|(_, value, read)| read(value.section()?)).collect();
    read.into_iter().next().flatten()
}

fn read_webhook(mut section: Section<'_>) -> Option<NotifyKind> {
    let url = section.required("url", "write `url = \"https://hooks.example.com/renewd\"`");
    let url = url.and_then(|value| read_url(&value));
    let method = section.value("method").map_or(Some(Method::POST), |value| read_method(&value));
    let headers = section.section("headers");
    let headers: Vec<_> =
        headers.iter().flat_map(Section::entries).filter_map(|(name, value)| read_header(name, &value)).collect();
    let json = !headers.iter().any(|(name, _)| *name == CONTENT_TYPE);
    let body = section.value("body").map(|value| read_body(&value, json));
    let secret = section.value("secret").map(|value| value.secret());
    section.finish();
    let (body, secret) = (body.map_or(Some(None), |body| body.map(Some)), secret.map_or(Some(None), |it| it.map(Some)));
    Some(NotifyKind::Webhook(WebhookNotify { url: url?, method: method?, headers, body: body?, secret: secret? }))
}

/// The URLs of many services are secrets themselves.
fn read_url(value: &Value<'_>) -> Option<Given> {
    if value.is_table() {
        return value.secret().map(Given::Secret);
    }
    network::web_url(value).map(Given::Text)
}

fn read_method(value: &Value<'_>) -> Option<Method> {
    let text = value.text()?;
    let fits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let method = fits.then(|| Method::from_bytes(text.as_bytes()).ok()).flatten();
    let method = method.filter(|method| *method != Method::CONNECT);
    if method.is_none() {
        value.refuse("is not a method", "write for instance \"POST\" or \"PUT\", in capitals");
    }
    method
}

fn read_header(name: &str, value: &Value<'_>) -> Option<(HeaderName, Given)> {
    const OWN: [&str; 5] = ["host", "content-length", "transfer-encoding", "x-renewd-event", "x-renewd-signature"];
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        value.clone().at_key().refuse("is not the name of a header", "");
        return None;
    };
    if OWN.contains(&header.as_str()) {
        value.clone().at_key().refuse("is a header that renewd sets by itself", "leave it out");
        return None;
    }
    let secret = SECRET_HEADERS.iter().any(|word| header.as_str().contains(word));
    if secret || value.is_table() {
        return Some((header, Given::Secret(value.secret()?)));
    }
    let text = value.text()?;
    if HeaderValue::from_str(text).is_err() {
        value.refuse("is not what a header may say", "write one line of ASCII");
        return None;
    }
    Some((header, Given::Text(text.to_owned())))
}

fn read_body(value: &Value<'_>, json: bool) -> Option<Template> {
    match Template::parse(value.text()?, json) {
        Ok(template) => Some(template),
        Err(words) => {
            value.refuse(words, "docs/OPERATIONS.md tells what an event holds");
            None
        }
    }
}

fn read_smtp(mut section: Section<'_>) -> Option<NotifyKind> {
    let server = section.required("server", "write `server = \"mail.example.com\"`");
    let tls = section.value("tls");
    let port = section.number("port", 1..=65_535);
    let trusted_roots = section.value("trusted_roots").and_then(|value| value.readable_path());
    let login = read_login(&mut section);
    let from = section.required("from", "write `from = \"renewd <renewd@example.com>\"`");
    let to = section.required("to", "write `to = [\"ops@example.com\"]`");
    let subject_prefix = section.value("subject_prefix").map_or(Some(SUBJECT_PREFIX.to_owned()), |it| it.argument());
    section.finish();
    let from = from.and_then(|value| read_address(&value));
    let to = to.map(|value| read_addresses(&value)).unwrap_or_default();
    let server = server.and_then(|value| read_server(&value));
    let tls = read_tls(tls.as_ref(), server.as_deref())?;
    let port = port.map_or(usual_port(tls), |port| u16::try_from(port).unwrap_or(u16::MAX));
    Some(NotifyKind::Smtp(SmtpNotify {
        server: server?,
        port,
        tls,
        trusted_roots,
        login: login?,
        from: from?,
        to,
        subject_prefix: subject_prefix?,
    }))
}

const fn usual_port(tls: SmtpTls) -> u16 {
    match tls {
        SmtpTls::StartTls => 587,
        SmtpTls::Implicit => 465,
        SmtpTls::None => 25,
    }
}

fn read_server(value: &Value<'_>) -> Option<String> {
    let host = network::host_port(value, Some(1))?;
    let text = value.text()?;
    match network::split_host_port(text) {
        Some((_, None)) => host.strip_suffix(":1").map(|host| host.trim_matches(['[', ']']).to_owned()),
        _ => {
            value.refuse("has a port in it", "write the host alone, and `port = 587` beside it");
            None
        }
    }
}

fn read_tls(value: Option<&Value<'_>>, server: Option<&str>) -> Option<SmtpTls> {
    let Some(value) = value else { return Some(SmtpTls::StartTls) };
    let words = [("starttls", SmtpTls::StartTls), ("tls", SmtpTls::Implicit), ("none", SmtpTls::None)];
    let tls = value.word(&words)?;
    if tls == SmtpTls::None && server.is_some_and(|server| !is_this_machine(server)) {
        value.refuse("is for a server on this machine only", "write \"starttls\" or \"tls\"");
        return None;
    }
    Some(tls)
}

/// Both or none; `None` where something is wrong.
fn read_login(section: &mut Section<'_>) -> Option<Option<(String, SecretRef)>> {
    match (section.value("username"), section.value("password")) {
        (None, None) => Some(None),
        (Some(user), Some(password)) => {
            let (user, password) = (user.text(), password.secret());
            Some(Some((user?.to_owned(), password?)))
        }
        (Some(user), None) => {
            user.refuse_reference("goes with `password`", "write `password = { file = \"…\" }`, too");
            None
        }
        (None, Some(password)) => {
            let _ = password.secret();
            password.refuse_reference("goes with `username`", "write `username`, too");
            None
        }
    }
}

fn read_addresses(value: &Value<'_>) -> Vec<Address> {
    if value.is_empty_list() {
        value.refuse("names nobody", "write `to = [\"ops@example.com\"]`");
    }
    value.one_or_many().iter().filter_map(read_address).collect()
}

fn read_address(value: &Value<'_>) -> Option<Address> {
    let address = Address::parse(value.text()?);
    if address.is_none() {
        value.refuse("is not a mail address", "write \"ops@example.com\" or \"Ops <ops@example.com>\"");
    }
    address
}

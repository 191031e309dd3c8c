//! Mail: a text an event, handed to a mail server over SMTP (RFC 5321).

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Event, Sink};
use crate::Error;
use crate::error::{chain, shorten};

/// As long as the server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A subject longer than this is cut off.
const LONGEST_SUBJECT: usize = 200;

/// How the connection is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// STARTTLS (RFC 3207), which the server must offer.
    StartTls,
    /// TLS from the first octet (RFC 8314).
    Implicit,
    /// Not at all: for a server on this machine.
    None,
}

/// The server and the mail's head.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// A host's name or an IP address, which the server's certificate must name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub tls: SmtpTls,
    /// Roots in PEM that are trusted in place of the platform's.
    pub trusted_roots: Option<Vec<u8>>,
    /// User and password; only sent over TLS, or to this machine.
    pub login: Option<(String, SecretString)>,
    /// The sender.
    pub from: Address,
    /// Who gets it; at least one.
    pub to: Vec<Address>,
    /// What each subject begins with; may be empty.
    pub subject_prefix: String,
}

/// A mail address, perhaps with a name: `renewd <renewd@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Mailbox);

impl Address {
    /// Takes what RFC 5322 calls a mailbox.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let clean = !text.chars().any(char::is_control);
        clean.then(|| text.parse().ok()).flatten().map(Self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One mail server and those who get mail over it.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    settings: SmtpSettings,
}

impl Smtp {
    /// A sink for the server; nothing is asked yet.
    ///
    /// # Errors
    /// `Unavailable` where the roots cannot be read, `Rejected` where a login would be sent in the clear.
    pub fn new(settings: SmtpSettings) -> Result<Self, Error> {
        crate::tls::install_crypto();
        if settings.tls == SmtpTls::None && !is_this_machine(&settings.server) {
            return Err(Error::rejected("mail and password would leave this machine in the clear"));
        }
        let tls = match settings.tls {
            SmtpTls::StartTls => Tls::Required(parameters(&settings)?),
            SmtpTls::Implicit => Tls::Wrapper(parameters(&settings)?),
            SmtpTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self { transport: builder.build(), settings })
    }

    fn message(&self, event: &Event) -> Result<Message, Error> {
        let Self { settings, .. } = self;
        let mut builder = Message::builder()
            .from(settings.from.0.clone())
            .date(SystemTime::from(event.at))
            .message_id(Some(format!("<{}@{}>", event.id, settings.from.0.email.domain())))
            .subject(subject(&settings.subject_prefix, event))
            .header(EventId(event.id.clone()))
            .header(Automatic)
            .header(ContentType::TEXT_PLAIN);
        for address in &settings.to {
            builder = builder.to(address.0.clone());
        }
        builder
            .body(text(event))
            .map_err(|error| Error::rejected(format!("no mail can be made of it: {}", chain(&error))))
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Smtp({}:{}, {:?})", self.settings.server, self.settings.port, self.settings.tls)
    }
}

#[async_trait]
impl Sink for Smtp {
    async fn notify(&self, event: &Event) -> Result<(), Error> {
        let message = self.message(event)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.sorted(&error)),
        }
    }
}

impl Smtp {
    /// RFC 5321, section 4.2.1: 4yz may work later, 5yz will not; those of RFC 4954, section 6, are about the login.
    fn sorted(&self, error: &lettre::transport::smtp::Error) -> Error {
        let mut words = format!("`{}:{}`: {}", self.settings.server, self.settings.port, chain(error));
        if let Some((_, password)) = &self.settings.login {
            words = words.replace(password.expose_secret(), "***");
        }
        let detail = shorten(&words);
        let code = error.status().map(u16::from);
        match code {
            Some(530 | 534 | 535 | 538) => Error::Unauthorized { detail },
            Some(500..) => Error::Rejected { detail },
            _ => Error::Unavailable { detail },
        }
    }
}

/// The server is on this machine: nothing that is sent to it leaves it.
#[must_use]
pub fn is_this_machine(server: &str) -> bool {
    let address = server.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    server.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn parameters(settings: &SmtpSettings) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(settings.server.clone());
    if let Some(roots) = &settings.trusted_roots {
        let roots = Certificate::from_pem(roots).map_err(|error| Error::unavailable(&error))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(roots);
    }
    builder.build().map_err(|error| Error::unavailable(&error))
}

/// One line, whatever others wrote: a CA's words may stand in a title.
fn subject(prefix: &str, event: &Event) -> String {
    let line = format!("{prefix} {}", event.title);
    let words: Vec<&str> =
        line.split(|char: char| char.is_control() || char.is_whitespace()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LONGEST_SUBJECT).collect()
}

/// The mail's text: the words first, the facts below.
fn text(event: &Event) -> String {
    let time = |time: &OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    let names = (!event.names.is_empty()).then(|| event.names.join(", "));
    let several =
        (event.certificate.is_none() && !event.certificates.is_empty()).then(|| event.certificates.join(", "));
    let facts = [
        ("Certificate", event.certificate.clone().or(several)),
        ("Names", names),
        ("Issuer", event.issuer.clone()),
        ("Serial", event.serial.clone()),
        ("Expires", event.not_after.as_ref().map(time)),
        ("Since", event.since.as_ref().map(time)),
        ("Times", (event.times > 1).then(|| event.times.to_string())),
        ("More", event.url.clone()),
        ("Event", Some(format!("{} ({}), {}", event.kind, event.severity.as_str(), event.id))),
        ("At", Some(time(&event.at))),
        ("Node", Some(event.node.clone())),
    ];
    let mut text = format!("{}\n", event.text);
    if let Some(detail) = &event.detail {
        text += &format!("\n{detail}\n");
    }
    text.push('\n');
    for (name, value) in facts {
        if let Some(value) = value {
            text += &format!("{:<13}{value}\n", format!("{name}:"));
        }
    }
    text
}

/// The event's id, by which a repeat is noticed.
#[derive(Debug, Clone)]
struct EventId(String);

impl Header for EventId {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(super::webhook::EVENT_HEADER)
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// RFC 3834, section 5: nobody answers with a note of absence.
#[derive(Debug, Clone)]
struct Automatic;

impl Header for Automatic {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SmtpSettings {
        SmtpSettings {
            server: "mail.example.com".to_owned(),
            port: 587,
            tls: SmtpTls::StartTls,
            trusted_roots: None,
            login: Some(("renewd".to_owned(), SecretString::from("canary"))),
            from: Address::parse("renewd <renewd@example.com>").unwrap(),
            to: vec![Address::parse("ops@example.com").unwrap(), Address::parse("Õps <b@example.com>").unwrap()],
            subject_prefix: "[renewd]".to_owned(),
        }
    }

    #[test]
    fn a_hostile_title_and_detail_stay_where_they_belong() {
        let event = Event {
            title: "no\r\nBcc: evil@example.com\r\n\r\nbody".to_owned(),
            detail: Some("first\r\n.\r\nMAIL FROM:<evil@example.com>".to_owned()),
            ..Event::full_sample()
        };
        let mail = Smtp::new(settings()).unwrap().message(&event).unwrap().formatted();
        let mail = String::from_utf8(mail).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> =
            head.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
        assert!(!names.iter().any(|name| name.eq_ignore_ascii_case("bcc")), "{head}");
        assert!(head.contains("Subject: [renewd] no Bcc: evil@example.com body"), "{head}");
        assert!(head.contains("Message-ID: <01920000-0000-7000-8000-000000000000@example.com>"), "{head}");
        assert!(head.contains("X-Renewd-Event: 01920000-0000-7000-8000-000000000000"), "{head}");
        assert!(head.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000"), "{head}");
    }

    #[test]
    fn nothing_leaves_this_machine_in_the_clear() {
        let refused = Smtp::new(SmtpSettings { tls: SmtpTls::None, ..settings() }).unwrap_err();
        assert!(matches!(refused, Error::Rejected { .. }));
        let own = SmtpSettings { server: "127.0.0.1".to_owned(), tls: SmtpTls::None, ..settings() };
        let shown = format!("{:?} {:?}", own.clone(), Smtp::new(own).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        for (server, own) in
            [("localhost", true), ("::1", true), ("127.9.9.9", true), ("10.0.0.1", false), ("a", false)]
        {
            assert_eq!(is_this_machine(server), own, "{server}");
        }
    }

    #[test]
    fn addresses_are_mailboxes() {
        assert!(Address::parse("ops@example.com").is_some());
        assert_eq!(Address::parse("A B <a@b.example>").unwrap().to_string(), "A B <a@b.example>");
        for wrong in ["", "ops", "a@b\r\nBcc: c@d", "a b@c"] {
            assert!(Address::parse(wrong).is_none(), "{wrong}");
        }
    }
}

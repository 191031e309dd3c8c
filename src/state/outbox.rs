//! The outbox: what happened and is still to be told. Events are queued in the transaction that makes them true, and sent
//! by `notify` afterwards, at least once.

pub mod alarm;
pub mod alert;
pub mod sending;
pub mod sink;

use providers::sinks::{Event, EventKind, SCHEMA};
use sqlx::Row as _;

use super::row::{list, text};
use super::{Result, State, StateError, Write};
use crate::clock::Timestamp;

pub use alert::Alert;
pub use sending::Due;
pub use sink::{SinkRow, SinkSettings};

/// Something that has just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What kind of event it is.
    pub kind: EventKind,
    /// What happened, in one line.
    pub title: String,
    /// What happened, in sentences.
    pub text: String,
    /// What somebody else said of it.
    pub detail: Option<String>,
    /// A page that tells more.
    pub url: Option<String>,
    /// The certificates that it is about.
    pub certificates: Vec<String>,
    /// What the certificate vouches for.
    pub names: Vec<String>,
    /// The account or CA.
    pub issuer: Option<String>,
    /// Lower-case hex.
    pub serial: Option<String>,
    /// When the certificate expires.
    pub not_after: Option<Timestamp>,
}

impl NewEvent {
    /// An event that says this much.
    #[must_use]
    pub fn new(kind: EventKind, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            text: text.into(),
            detail: None,
            url: None,
            certificates: Vec::new(),
            names: Vec::new(),
            issuer: None,
            serial: None,
            not_after: None,
        }
    }

    /// The same about this certificate.
    #[must_use]
    pub fn about(mut self, certificate: &str) -> Self {
        self.certificates.push(certificate.to_owned());
        self
    }

    /// The same with what somebody else said of it.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same by this issuer.
    #[must_use]
    pub fn by(mut self, issuer: &str) -> Self {
        self.issuer = Some(issuer.to_owned());
        self
    }

    /// As it is sent, by this node, the first time.
    #[must_use]
    pub fn to_event(&self, node: &str, run: Run, now: Timestamp) -> Event {
        let at = Timestamp::from_seconds(now.seconds()).to_datetime();
        let only = if let [only] = &self.certificates[..] { Some(only.clone()) } else { None };
        Event {
            schema: SCHEMA,
            id: super::new_id(),
            kind: self.kind,
            severity: self.kind.severity(),
            at,
            node: node.to_owned(),
            title: self.title.clone(),
            text: self.text.clone(),
            detail: self.detail.clone(),
            url: self.url.clone(),
            certificate: only,
            certificates: self.certificates.clone(),
            names: self.names.clone(),
            issuer: self.issuer.clone(),
            serial: self.serial.clone(),
            not_after: self.not_after.map(|time| Timestamp::from_seconds(time.seconds()).to_datetime()),
            times: run.times,
            since: run.since.map(|time| Timestamp::from_seconds(time.seconds()).to_datetime()),
            sent_at: at,
            attempt: 1,
        }
    }
}

/// How long something has gone on.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// How often it has happened in a row.
    pub times: u32,
    /// When it began.
    pub since: Option<Timestamp>,
}

impl Run {
    /// It has happened once.
    pub const ONCE: Self = Self { times: 1, since: None };
}

/// What is told together with what made it true.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// It happened.
    pub events: Vec<NewEvent>,
    /// It failed once more.
    pub alerts: Vec<Alert>,
    /// It is well again.
    pub recovered: Vec<Alert>,
}

impl News {
    /// Nothing but that something failed once more.
    pub(super) fn alert(alert: Alert) -> Self {
        Self { alerts: vec![alert], ..Self::default() }
    }
}

impl State {
    /// Queues all of it in an open transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_news(&self, write: &mut Write, news: &News, now: Timestamp) -> Result<()> {
        for event in &news.events {
            self.add_event(write, event, Run::ONCE, now).await?;
        }
        for alert in &news.alerts {
            self.add_alert(write, alert, now).await?;
        }
        for alert in &news.recovered {
            self.end_alert(write, alert, now).await?;
        }
        Ok(())
    }

    /// Queues all of it in a transaction, commits that, and has it sent.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) async fn commit_and_tell(&self, mut write: Write, news: &News, now: Timestamp) -> Result<()> {
        self.add_news(&mut write, news, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    /// Queues an event for every sink that is to hear of it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tell(&self, event: &NewEvent, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.add_event(&mut write, event, Run::ONCE, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    /// Queues an event in an open transaction. `wake_notify` after the commit has it sent at once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_event(&self, write: &mut Write, event: &NewEvent, run: Run, now: Timestamp) -> Result<()> {
        let sinks = hearing(write, event).await?;
        if sinks.is_empty() {
            return Ok(());
        }
        let told = event.to_event(self.node(), run, now);
        insert(write, &told, now).await?;
        for sink in sinks {
            sqlx::query(
                "INSERT INTO notification (event_id, sink, state, failures, retry_at) VALUES ($1, $2, 'due', 0, 0)",
            )
            .bind(&told.id)
            .bind(sink)
            .execute(&mut **write)
            .await?;
        }
        Ok(())
    }
}

async fn insert(write: &mut Write, event: &Event, now: Timestamp) -> Result<()> {
    let body = serde_json::to_string(event).map_err(|error| damaged(&event.id, &error.to_string()))?;
    sqlx::query(
        "INSERT INTO event (id, kind, severity, certificate, issuer, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&event.id)
    .bind(event.kind.as_str())
    .bind(event.severity.as_str())
    .bind(event.certificate.as_deref())
    .bind(event.issuer.as_deref())
    .bind(now.millis())
    .bind(body)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The sinks that are to hear of it.
async fn hearing(write: &mut Write, event: &NewEvent) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT name, kinds, patterns FROM sink ORDER BY name").fetch_all(&mut **write).await?;
    let mut sinks = Vec::new();
    for row in &rows {
        let kinds = list(row, "sink", "kinds")?;
        let patterns = list(row, "sink", "patterns")?;
        if kinds.iter().any(|kind| kind == event.kind.as_str()) && concerns(&patterns, &event.certificates) {
            sinks.push(text(row, "name")?);
        }
    }
    Ok(sinks)
}

/// Without patterns everything concerns a sink; with them only what is about one of these certificates.
fn concerns(patterns: &[String], certificates: &[String]) -> bool {
    let fits = |certificate: &String| patterns.iter().any(|pattern| matches(pattern, certificate));
    patterns.is_empty() || certificates.iter().any(fits)
}

/// `*` stands for any characters, none too.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// Forgets events, and who was told of them, from before `before`. What is still due stays.
pub(super) async fn sweep(write: &mut Write, before: Timestamp) -> Result<()> {
    for statement in [
        "DELETE FROM notification WHERE state <> 'due' AND event_id IN (SELECT id FROM event WHERE at < $1)",
        "DELETE FROM event WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM notification WHERE event_id = event.id)",
    ] {
        sqlx::query(statement).bind(before.millis()).execute(&mut **write).await?;
    }
    Ok(())
}

fn damaged(id: &str, what: &str) -> StateError {
    StateError::Damaged { table: "event", row: id.to_owned(), what: what.to_owned() }
}

fn read_event(row: &sqlx::any::AnyRow) -> Result<Event> {
    let body: String = row.try_get("body")?;
    let id = text(row, "event_id")?;
    serde_json::from_str(&body).map_err(|error| damaged(&id, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, fits) in [
            ("example.com", "example.com", true),
            ("example.com", "www.example.com", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*", "anything", true),
            ("shop-*.example.*", "shop-1.example.org", true),
            ("a*a", "a", false),
            ("a*b*c", "a-c-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_concerns_no_certificate_is_for_those_who_hear_of_all() {
        let patterns = ["*.example.com".to_owned()];
        assert!(concerns(&[], &[]));
        assert!(!concerns(&patterns, &[]));
        assert!(concerns(&patterns, &["x.test".to_owned(), "a.example.com".to_owned()]));
    }
}

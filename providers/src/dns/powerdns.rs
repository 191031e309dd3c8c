//! PowerDNS Authoritative Server through its HTTP API, version 1.
//!
//! Servers up to 4.8 change whole sets only (`REPLACE`, `DELETE`), so a value is added by reading the set and writing
//! it back with the value in it: two writers at once can lose one, and the caller serialises.

use std::fmt;

use async_trait::async_trait;
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Capabilities, DnsProvider, Registration, TxtRecord, txt};
use crate::Error;
use crate::http::{self, Answer, Client};

/// How long a zone may be as JSON: some hundred thousand records.
const ZONE_LIMIT: usize = 64 << 20;

/// Where the API is and how to log in.
#[derive(Debug, Clone)]
pub struct PowerDnsSettings {
    /// The web server's address, without `/api/v1`: `http://127.0.0.1:8081`.
    pub api_url: String,
    /// The value of `api-key` in the server's configuration.
    pub api_key: SecretString,
    /// `localhost`, unless a proxy stands before several servers.
    pub server_id: String,
}

/// One PowerDNS server.
pub struct PowerDns {
    client: Client,
    zones: Url,
    api_key: SecretString,
}

impl PowerDns {
    /// A provider for the server; nothing is asked yet.
    ///
    /// # Errors
    /// `Rejected` where `api_url` is no http or https URL.
    pub fn new(settings: PowerDnsSettings) -> Result<Self, Error> {
        let base = http::base(&settings.api_url)?;
        let zones = http::join(&base, &["api", "v1", "servers", &settings.server_id, "zones"]);
        Ok(Self { client: Client::new()?, zones, api_key: settings.api_key })
    }

    /// Reads the whole zone: asked for one name, 4.7 leaves disabled values out, and the set written back would lose
    /// them.
    async fn read(&self, record: &TxtRecord) -> Result<RecordSet, Error> {
        let name = rooted(&record.name);
        let request = self.client.request(Method::GET, self.zone_url(record)).limit(ZONE_LIMIT);
        let answer = request.secret_header("X-API-Key", &self.api_key)?.send().await?;
        let zone: Zone = hosted(answer, record)?.json()?;
        let found = zone.rrsets.into_iter().find(|set| set.kind == "TXT" && set.name.eq_ignore_ascii_case(&name));
        Ok(found.unwrap_or_else(|| RecordSet { name, kind: "TXT".to_owned(), ttl: record.ttl, records: Vec::new() }))
    }

    async fn write(&self, record: &TxtRecord, set: &RecordSet) -> Result<(), Error> {
        let changetype = if set.records.is_empty() { "DELETE" } else { "REPLACE" };
        let patch = Patch { rrsets: [Change { set, changetype }] };
        let request = self.client.request(Method::PATCH, self.zone_url(record));
        let answer = request.secret_header("X-API-Key", &self.api_key)?.json(&patch).send().await?;
        hosted(answer, record)?.done()
    }

    fn zone_url(&self, record: &TxtRecord) -> Url {
        http::join(&self.zones, &[&rooted(&record.zone)])
    }
}

impl fmt::Debug for PowerDns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PowerDns({})", self.zones)
    }
}

#[async_trait]
impl DnsProvider for PowerDns {
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_append: false, ..Capabilities::FULL }
    }

    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let mut set = self.read(record).await?;
        if set.add(&record.value) { self.write(record, &set).await } else { Ok(()) }
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let mut set = self.read(record).await?;
        if set.remove(&record.value) { self.write(record, &set).await } else { Ok(()) }
    }
}

/// The API wants names with the trailing dot.
fn rooted(name: &str) -> String {
    format!("{name}.")
}

/// 404 says that the server does not have the zone.
fn hosted(answer: Answer, record: &TxtRecord) -> Result<Answer, Error> {
    if answer.is_not_found() {
        return Err(Error::ZoneNotFound { zone: record.zone.clone() });
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct Zone {
    rrsets: Vec<RecordSet>,
}

#[derive(Serialize)]
struct Patch<'a> {
    rrsets: [Change<'a>; 1],
}

#[derive(Serialize)]
struct Change<'a> {
    #[serde(flatten)]
    set: &'a RecordSet,
    changetype: &'static str,
}

/// All TXT values at one name. Comments are left out, which keeps those that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RecordSet {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    ttl: u32,
    records: Vec<Content>,
}

/// One value, in presentation format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    content: String,
    #[serde(default)]
    disabled: bool,
}

impl Content {
    fn is(&self, value: &str) -> bool {
        txt::unquote(&self.content) == value.as_bytes()
    }
}

impl RecordSet {
    /// Adds the value, or enables it where it stands disabled; says whether that changed anything.
    fn add(&mut self, value: &str) -> bool {
        match self.records.iter_mut().find(|content| content.is(value)) {
            Some(content) => std::mem::replace(&mut content.disabled, false),
            None => {
                self.records.push(Content { content: txt::quote(value), disabled: false });
                true
            }
        }
    }

    /// Takes the value away; says whether it was there.
    fn remove(&mut self, value: &str) -> bool {
        let before = self.records.len();
        self.records.retain(|content| !content.is(value));
        self.records.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(contents: &[(&str, bool)]) -> RecordSet {
        let content = |&(content, disabled): &(&str, bool)| Content { content: content.to_owned(), disabled };
        let records = contents.iter().map(content).collect();
        RecordSet { name: "a.zone.test.".to_owned(), kind: "TXT".to_owned(), ttl: 3600, records }
    }

    #[test]
    fn adding_keeps_what_stands_there() {
        let mut found = set(&[(r#""foreign""#, false), (r#""off""#, true)]);
        assert!(found.add("ours"));
        assert_eq!(found, set(&[(r#""foreign""#, false), (r#""off""#, true), (r#""ours""#, false)]));
        assert!(!found.add("ours"), "a second time changes nothing");
    }

    #[test]
    fn a_value_is_known_in_other_spellings() {
        let mut found = set(&[(r#""fo" "r\101ign""#, false), ("bare", true)]);
        assert!(!found.add("foreign"));
        assert!(found.add("bare"), "a disabled value is enabled");
        assert_eq!(found, set(&[(r#""fo" "r\101ign""#, false), ("bare", false)]));
    }

    #[test]
    fn removing_takes_one_value_only() {
        let mut found = set(&[(r#""foreign""#, false), (r#""ours""#, false)]);
        assert!(found.remove("ours"));
        assert_eq!(found, set(&[(r#""foreign""#, false)]));
        assert!(!found.remove("ours"));
    }

    #[test]
    fn debug_shows_no_key() {
        let api_key = SecretString::from("canary");
        let settings =
            PowerDnsSettings { api_url: "http://127.0.0.1:1".to_owned(), api_key, server_id: "localhost".to_owned() };
        assert!(!format!("{settings:?}").contains("canary"));
        assert!(!format!("{:?}", PowerDns::new(settings).unwrap()).contains("canary"));
    }
}

//! Cloudflare, through its public API (v4) and an API token with `Zone:Read` and `DNS:Edit`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloudflare::framework::Environment;
use cloudflare::framework::auth::Credentials;
use cloudflare::framework::client::ClientConfig;
use cloudflare::framework::client::async_api::Client;
use reqwest12::Url;
use secrecy::{ExposeSecret, SecretString};

use self::endpoint::{Call, CreateTxt, DeleteRecord, Envelope, FindZones, ListTxt, NewRecord, Raw, Record, Zone};
use self::refusal::{Failure, Refusal};
use super::txt::{quote, unquote};
use super::{Capabilities, DnsProvider, Registration, TxtRecord};
use crate::{Error, http, tls};

mod endpoint;
mod refusal;

/// The time for one call, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(20);
/// More pages than any one name has: an end, should the server not find one.
const MOST_PAGES: u32 = 100;
const API: &str = "https://api.cloudflare.com/client/v4";

/// How to reach Cloudflare.
#[derive(Debug, Clone)]
pub struct CloudflareSettings {
    /// An API token with `Zone:Read` and `DNS:Edit` for the zones.
    pub api_token: SecretString,
    /// Another address of the API, up to and with the version: `https://api.cloudflare.com/client/v4` unless said.
    pub api_url: Option<String>,
}

/// Cloudflare as a DNS host. It keeps each TXT value as a record of its own, so that adding one loses no other.
pub struct Cloudflare {
    client: Client,
    api_url: Url,
    zone_ids: Mutex<HashMap<String, String>>,
}

impl Cloudflare {
    /// Makes the client. Nothing is sent yet: `Rejected` where the token or the address cannot be sent at all.
    pub fn new(settings: CloudflareSettings) -> Result<Self, Error> {
        let CloudflareSettings { api_token, api_url } = settings;
        let api_url = base_url(api_url.as_deref().unwrap_or(API))?;
        let credentials = Credentials::UserAuthToken { token: sendable_token(&api_token)? };
        tls::install_crypto();
        let config = ClientConfig { http_timeout: TIMEOUT, ..ClientConfig::default() };
        let client = Client::new(credentials, config, Environment::Custom(api_url.to_string()))
            .map_err(|error| Error::unavailable(&error))?;
        Ok(Self { client, api_url, zone_ids: Mutex::default() })
    }

    async fn append(&self, record: &TxtRecord) -> Result<(), Error> {
        let zone_id = self.zone_id(&record.zone).await?;
        let call = CreateTxt { zone_id: &zone_id, record: new_record(record) };
        match self.call(call).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(refusal)) if refusal.may_mean_already_there() => {
                match self.matching(&zone_id, record).await?.is_empty() {
                    true => Err(Failure::Refused(refusal).sorted(&record.zone)),
                    false => Ok(()),
                }
            }
            Err(failure) => Err(failure.sorted(&record.zone)),
        }
    }

    async fn delete(&self, record: &TxtRecord) -> Result<(), Error> {
        let zone_id = self.zone_id(&record.zone).await?;
        for found in self.matching(&zone_id, record).await? {
            match self.call(DeleteRecord { zone_id: &zone_id, id: &found.id }).await {
                // Someone else was faster: the list has just shown that the zone is there.
                Ok(_) | Err(Failure::Refused(Refusal { status: 404, .. })) => {}
                Err(failure) => return Err(failure.sorted(&record.zone)),
            }
        }
        Ok(())
    }

    /// The TXT records at that name that say that value, however it is quoted.
    async fn matching(&self, zone_id: &str, record: &TxtRecord) -> Result<Vec<Record>, Error> {
        let listed = self.pages(|page| ListTxt { zone_id, name: &record.name, page }).await;
        let mut records = listed.map_err(|failure| failure.sorted(&record.zone))?;
        records.retain(|found| is_record(found, record));
        Ok(records)
    }

    async fn zone_id(&self, zone: &str) -> Result<String, Error> {
        let known = self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).get(zone).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let found = self.pages(|page| FindZones { name: zone, page }).await;
        let id = chosen_zone(found.map_err(|failure| failure.sorted(zone))?, zone)?;
        self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.to_owned(), id.clone());
        Ok(id)
    }

    /// Forgets the zone's id where Cloudflare no longer knows it: a zone that was removed and added again has another.
    fn observed<T>(&self, zone: &str, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::ZoneNotFound { .. }) = &outcome {
            self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
        }
        outcome
    }

    /// Everything on all pages of a list.
    async fn pages<C, T>(&self, call: impl Fn(u32) -> C) -> Result<Vec<T>, Failure>
    where
        C: Call<Answer = Vec<T>>,
    {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let envelope = self.call(call(page)).await?;
            all.extend(envelope.result.into_iter().flatten());
            if envelope.result_info.is_none_or(|info| info.pages() <= page) {
                break;
            }
        }
        Ok(all)
    }

    async fn call<C: Call>(&self, call: C) -> Result<Envelope<C::Answer>, Failure> {
        let body = self.client.request(&Raw(call)).await?;
        let envelope: Envelope<C::Answer> = serde_json::from_slice(&body).map_err(|error| {
            Failure::Unanswered(Error::Unavailable { detail: format!("an answer that cannot be read: {error}") })
        })?;
        match envelope.success {
            true => Ok(envelope),
            false => Err(Failure::Refused(Refusal { status: 200, complaints: envelope.errors.unwrap_or_default() })),
        }
    }
}

#[async_trait]
impl DnsProvider for Cloudflare {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.observed(&record.zone, self.append(record).await)
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.observed(&record.zone, self.delete(record).await)
    }
}

impl fmt::Debug for Cloudflare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cloudflare").field("api_url", &self.api_url.as_str()).finish_non_exhaustive()
    }
}

/// The address with a slash at its end, so that paths are added to it and take no part of its place.
fn base_url(text: &str) -> Result<Url, Error> {
    let url = http::base(&format!("{}/", text.trim_end_matches('/')))?;
    match url.query().or(url.fragment()).or(url.password()) {
        Some(_) => Err(Error::rejected("`api_url` must end with its path and hold no password")),
        None => Ok(url),
    }
}

/// The token, where it can stand in a header. Its mistakes are told without it.
fn sendable_token(token: &SecretString) -> Result<String, Error> {
    let token = token.expose_secret().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "`api_token` is empty or holds what no token holds: blanks or characters beyond ASCII";
        return Err(Error::Unauthorized { detail: detail.to_owned() });
    }
    Ok(token.to_owned())
}

fn new_record(record: &TxtRecord) -> NewRecord<'_> {
    let content = quote(&record.value);
    NewRecord { kind: "TXT", name: &record.name, content, ttl: record.ttl.clamp(60, 86_400) }
}

fn is_record(found: &Record, record: &TxtRecord) -> bool {
    found.kind == "TXT" && found.name.eq_ignore_ascii_case(&record.name) && says(&found.content, &record.value)
}

/// Whether the content is this text: in quotes it is zone file data, without them it is the text itself.
fn says(content: &str, text: &str) -> bool {
    match content.starts_with('"') {
        true => unquote(content) == text.as_bytes(),
        false => content == text,
    }
}

/// The id of the zone of that very name: the active one where several accounts have it.
fn chosen_zone(mut zones: Vec<Zone>, name: &str) -> Result<String, Error> {
    zones.retain(|zone| zone.name.eq_ignore_ascii_case(name));
    if let Some(active) = zones.iter().position(|zone| zone.status.as_deref() == Some("active")) {
        return Ok(zones.swap_remove(active).id);
    }
    match (zones.pop(), zones.is_empty()) {
        (Some(only), true) => Ok(only.id),
        (Some(_), false) => Err(Error::rejected(format!(
            "several zones are named `{name}`, and none of them is active: limit the API token to one of them"
        ))),
        (None, _) => Err(Error::ZoneNotFound { zone: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, name: &str, status: &str) -> Zone {
        Zone { id: id.to_owned(), name: name.to_owned(), status: Some(status.to_owned()) }
    }

    fn cloudflare(token: &str, api_url: &str) -> Result<Cloudflare, Error> {
        Cloudflare::new(CloudflareSettings { api_token: token.into(), api_url: Some(api_url.to_owned()) })
    }

    #[test]
    fn the_active_zone_of_that_very_name_is_chosen() {
        let zones =
            vec![zone("1", "b.a.test", "active"), zone("2", "a.test", "pending"), zone("3", "a.test", "active")];
        assert_eq!(chosen_zone(zones, "a.test"), Ok("3".to_owned()));
        assert_eq!(chosen_zone(vec![zone("2", "a.test", "pending")], "a.test"), Ok("2".to_owned()));
        let missing = Error::ZoneNotFound { zone: "a.test".to_owned() };
        assert_eq!(chosen_zone(vec![zone("1", "b.a.test", "active")], "a.test"), Err(missing));
        let moved = vec![zone("1", "a.test", "moved"), zone("2", "a.test", "pending")];
        assert!(matches!(chosen_zone(moved, "a.test"), Err(Error::Rejected { .. })));
    }

    #[test]
    fn a_record_is_ours_by_name_type_and_text() {
        let ours = TxtRecord { zone: "a.test".into(), name: "_x.a.test".into(), value: "text".into(), ttl: 60 };
        let found = |name: &str, kind: &str, content: &str| Record {
            id: "1".into(),
            name: name.into(),
            kind: kind.into(),
            content: content.into(),
        };
        assert!(is_record(&found("_x.a.test", "TXT", "\"text\""), &ours));
        assert!(is_record(&found("_X.a.test", "TXT", "text"), &ours));
        assert!(!is_record(&found("_y.a.test", "TXT", "text"), &ours));
        assert!(!is_record(&found("_x.a.test", "SPF", "text"), &ours));
        assert!(!is_record(&found("_x.a.test", "TXT", "texts"), &ours));
    }

    #[test]
    fn content_is_read_with_quotes_and_without() {
        assert!(says(r"two words\065", r"two words\065"));
        assert!(says(r#""two" " words\065""#, "two wordsA"));
        assert!(!says("twowords", "two words"));
    }

    #[test]
    fn the_address_keeps_its_path() {
        for text in ["http://127.0.0.1:1/client/v4", "http://127.0.0.1:1/client/v4/"] {
            assert_eq!(base_url(text).unwrap().join("zones").unwrap().as_str(), "http://127.0.0.1:1/client/v4/zones");
        }
        for text in ["", "api.cloudflare.com", "ftp://a.test", "http://a.test/?q=1", "http://u:p@a.test"] {
            assert!(matches!(base_url(text), Err(Error::Rejected { .. })), "{text}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let shown = format!("{:?}", cloudflare("canary-token", API).unwrap());
        assert!(shown.contains("api.cloudflare.com") && !shown.contains("canary"), "{shown}");
        for token in ["", "canary token", "canary\u{1f4a9}"] {
            let error = cloudflare(token, API).unwrap_err();
            assert!(matches!(error, Error::Unauthorized { .. }) && !error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_ttl_keeps_to_cloudflare_s_limits() {
        let ttl = |ttl| new_record(&TxtRecord { zone: "z".into(), name: "n".into(), value: "v".into(), ttl }).ttl;
        assert_eq!([ttl(1), ttl(300), ttl(1_000_000)], [60, 300, 86_400]);
    }
}

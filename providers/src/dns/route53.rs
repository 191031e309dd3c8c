//! Amazon Route 53.
//!
//! Route 53 keeps the values of a name as one set, and changes sets as a whole. A change here is a batch that deletes
//! the set exactly as it was read and creates the new one: Route 53 does all of a batch or nothing, and refuses to
//! delete a set that is not exactly so. Whoever else changes the set in between makes the batch fail, not vanish; it
//! is then read and tried again. So a value is added without losing one that somebody adds at the same moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_route53::Client;
use aws_sdk_route53::error::SdkError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{HostedZone, RrType};
use secrecy::SecretString;
use tokio::sync::OnceCell;

use self::rrset::{Replacement, TxtSets};
use super::{Capabilities, DnsProvider, Registration, TxtRecord};
use crate::Error;
use crate::cloud::aws::{LogIn, sorted};
use crate::error::shorten;

mod rrset;

/// How often a set is read and changed again when someone else was faster.
const ATTEMPTS: usize = 5;
/// The most values that a set can hold (Route 53's quota).
const VALUES: usize = 400;

/// How to log in to Amazon and which zone to change. Everything is optional: the SDK's own ways to log in
/// (environment, profiles, roles) come first unless keys are given.
#[derive(Debug, Clone, Default)]
pub struct Route53Settings {
    /// Matters outside Amazon's main partition only: `us-east-1` where nobody says.
    pub region: Option<String>,
    /// The profile in the SDK's files.
    pub profile: Option<String>,
    /// Goes with `secret_access_key`.
    pub access_key_id: Option<String>,
    /// Goes with `access_key_id`.
    pub secret_access_key: Option<SecretString>,
    /// Decides where several public zones have one name, and where zones may not be listed: `Z148QEXAMPLE8V`.
    pub hosted_zone_id: Option<String>,
    /// Another address than Amazon's.
    pub endpoint_url: Option<String>,
}

/// Route 53 as a DNS host.
pub struct Route53 {
    log_in: LogIn,
    hosted_zone_id: Option<String>,
    client: OnceCell<Client>,
    zone_ids: Mutex<HashMap<String, String>>,
}

impl Route53 {
    /// Keeps the settings; logging in waits for the first use. `Rejected` where they contradict themselves.
    pub fn new(settings: Route53Settings) -> Result<Self, Error> {
        let log_in = LogIn::new(settings.region, settings.profile)
            .with_keys(settings.access_key_id, settings.secret_access_key)?
            .at(settings.endpoint_url)?;
        let hosted_zone_id = settings.hosted_zone_id.map(|id| bare_id(&id).to_owned());
        Ok(Self { log_in, hosted_zone_id, client: OnceCell::new(), zone_ids: Mutex::default() })
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| async { Client::new(&self.log_in.load().await) }).await
    }

    /// Reads the sets and changes them as `plan` says, again where someone else was faster.
    async fn change(&self, record: &TxtRecord, plan: Plan) -> Result<(), Error> {
        let zone_id = self.zone_id(&record.zone).await?;
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let Some(next) = plan(&self.txt_sets(&zone_id, record).await?, record)? else { return Ok(()) };
            match self.replace(&zone_id, next.clone(), &record.zone).await? {
                Outcome::Done => return Ok(()),
                // Lists show the newest state: nobody else was at work, Route 53 does not want this very change.
                Outcome::Refused(words) if before.as_ref() == Some(&next) => return Err(Error::rejected(words)),
                Outcome::Refused(_) => before = Some(next),
            }
        }
        Err(Error::Unavailable {
            detail: format!("the TXT records of `{}` are being changed all the time", record.name),
        })
    }

    async fn txt_sets(&self, zone_id: &str, record: &TxtRecord) -> Result<TxtSets, Error> {
        let list = self.client().await.list_resource_record_sets().hosted_zone_id(zone_id);
        let list = list.start_record_name(format!("{}.", record.name)).start_record_type(RrType::Txt);
        let listed = list.send().await.map_err(|error| match error.as_service_error() {
            Some(service) if service.is_no_such_hosted_zone() => no_zone(&record.zone),
            _ => sorted(&error),
        })?;
        Ok(TxtSets::at(&record.name, listed.resource_record_sets))
    }

    async fn replace(&self, zone_id: &str, replacement: Replacement, zone: &str) -> Result<Outcome, Error> {
        let change = self.client().await.change_resource_record_sets().hosted_zone_id(zone_id);
        let Err(error) = change.change_batch(replacement.batch()?).send().await else { return Ok(Outcome::Done) };
        match error.as_service_error() {
            Some(service) if service.is_no_such_hosted_zone() => Err(no_zone(zone)),
            _ => refused_batch(&error).map(Outcome::Refused).ok_or_else(|| sorted(&error)),
        }
    }

    async fn zone_id(&self, zone: &str) -> Result<String, Error> {
        let known = self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).get(zone).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let id = match (self.zones(zone).await, &self.hosted_zone_id) {
            // Narrow permissions allow the one zone and no list: those who name it need none.
            (Err(Error::Unauthorized { .. }), Some(id)) => id.clone(),
            (zones, wanted) => chosen_zone(&zones?, wanted.as_deref(), zone)?,
        };
        self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.to_owned(), id.clone());
        Ok(id)
    }

    /// The public zones of that very name. Zones come sorted by name, so that they stand at the beginning.
    async fn zones(&self, name: &str) -> Result<Vec<HostedZone>, Error> {
        let is_ours = |zone: &HostedZone| bare_name(&zone.name).eq_ignore_ascii_case(name);
        let (mut zones, mut start) = (Vec::new(), (Some(format!("{name}.")), None));
        while start.0.as_deref().is_some_and(|next| bare_name(next).eq_ignore_ascii_case(name)) {
            let list = self.client().await.list_hosted_zones_by_name();
            let list = list.set_dns_name(start.0).set_hosted_zone_id(start.1);
            let page = list.send().await.map_err(|error| sorted(&error))?;
            zones.extend(page.hosted_zones.into_iter().filter(|zone| is_ours(zone) && is_public(zone)));
            start = (page.next_dns_name.filter(|_| page.is_truncated), page.next_hosted_zone_id);
        }
        Ok(zones)
    }

    /// Forgets the zone's id where Route 53 no longer knows it: a zone that was made anew has another.
    fn observed(&self, zone: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        if let Err(Error::ZoneNotFound { .. }) = &outcome {
            self.zone_ids.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
        }
        outcome
    }
}

/// What changes sets so that a value is there, or is not; `None` where that is so already.
type Plan = fn(&TxtSets, &TxtRecord) -> Result<Option<Replacement>, Error>;

/// What came of a batch.
enum Outcome {
    Done,
    /// As a whole, with these words: the set is not what was read, or Route 53 does not want the new one.
    Refused(String),
}

#[async_trait]
impl DnsProvider for Route53 {
    /// Adding is atomic: see the head of this module.
    fn capabilities(&self) -> Capabilities {
        Capabilities { values_per_name: Some(VALUES), ..Capabilities::FULL }
    }

    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.observed(&record.zone, self.change(record, TxtSets::adding).await)
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.observed(&record.zone, self.change(record, TxtSets::removing).await)
    }
}

impl fmt::Debug for Route53 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Route53");
        debug.field("log_in", &self.log_in).field("hosted_zone_id", &self.hosted_zone_id).finish_non_exhaustive()
    }
}

/// The id of the one zone, or of the wanted one among several.
fn chosen_zone(zones: &[HostedZone], wanted: Option<&str>, name: &str) -> Result<String, Error> {
    let mut ids: Vec<String> = zones.iter().map(|zone| bare_id(&zone.id).to_owned()).collect();
    if let Some(wanted) = wanted.filter(|wanted| ids.iter().any(|id| id == wanted)) {
        return Ok(wanted.to_owned());
    }
    match (ids.pop(), ids.as_slice()) {
        (None, _) => Err(no_zone(name)),
        (Some(only), []) => Ok(only),
        (Some(last), others) => Err(Error::rejected(format!(
            "several public zones are named `{name}`: set `hosted_zone_id` to one of {}, {last}",
            others.join(", ")
        ))),
    }
}

/// What Route 53 has against the batch. It says so in an error of the usual form, or in a document of its own, which
/// the SDK does not know: `<InvalidChangeBatch><Messages><Message>…`.
fn refused_batch(error: &SdkError<ChangeResourceRecordSetsError>) -> Option<String> {
    if let Some(ChangeResourceRecordSetsError::InvalidChangeBatch(batch)) = error.as_service_error() {
        let words = batch.message().into_iter().chain(batch.messages().iter().map(String::as_str));
        return Some(shorten(&words.collect::<Vec<_>>().join("; ")));
    }
    let body = str::from_utf8(error.raw_response()?.body().bytes()?).ok()?;
    let (_, document) = body.split_once("<InvalidChangeBatch")?;
    let messages = document.split("<Message>").skip(1).filter_map(|rest| rest.split_once("</Message>"));
    Some(shorten(&messages.map(|(message, _)| message).collect::<Vec<_>>().join("; ")))
}

fn no_zone(zone: &str) -> Error {
    Error::ZoneNotFound { zone: zone.to_owned() }
}

fn is_public(zone: &HostedZone) -> bool {
    zone.config().is_none_or(|config| !config.private_zone())
}

/// Ids come as `/hostedzone/Z148QEXAMPLE8V`, and are given as `Z148QEXAMPLE8V`.
fn bare_id(id: &str) -> &str {
    id.strip_prefix("/hostedzone/").unwrap_or(id)
}

fn bare_name(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(ids: &[&str]) -> Vec<HostedZone> {
        let zone =
            |id: &&str| HostedZone::builder().id(format!("/hostedzone/{id}")).name("a.test.").caller_reference("r");
        ids.iter().map(|id| zone(id).build().unwrap()).collect()
    }

    #[test]
    fn several_zones_of_one_name_need_the_setting() {
        assert_eq!(chosen_zone(&zones(&["Z1"]), None, "a.test"), Ok("Z1".to_owned()));
        assert_eq!(chosen_zone(&zones(&["Z1"]), Some("Z9"), "a.test"), Ok("Z1".to_owned()), "Z9 is for another name");
        assert_eq!(chosen_zone(&zones(&["Z1", "Z2"]), Some("Z2"), "a.test"), Ok("Z2".to_owned()));
        assert_eq!(chosen_zone(&zones(&[]), Some("Z2"), "a.test"), Err(no_zone("a.test")));
        let told = chosen_zone(&zones(&["Z1", "Z2"]), None, "a.test").unwrap_err().to_string();
        assert!(told.contains("hosted_zone_id") && told.contains("Z1, Z2"), "{told}");
    }

    #[test]
    fn the_secret_is_never_shown() {
        let settings = Route53Settings {
            access_key_id: Some("AKID".into()),
            secret_access_key: Some("canary".into()),
            ..Route53Settings::default()
        };
        assert!(!format!("{settings:?} {:?}", Route53::new(settings.clone()).unwrap()).contains("canary"));
        let half = Route53Settings { access_key_id: None, ..settings };
        assert!(!Route53::new(half).unwrap_err().to_string().contains("canary"));
    }
}

//! What every DNS host must do, whatever its API. [`holds`] is the whole contract; a host's file makes a [`Host`] of a
//! running server, real or a strict fake, and hands it over.

use async_trait::async_trait;
use providers::Error;
use providers::dns::{DnsProvider, Registration, TxtRecord};

/// What really stands in the zone, seen and changed past the provider.
#[async_trait]
pub trait Zone: Send + Sync {
    /// The TXT values at this name, each with its strings joined, in any order.
    async fn txt(&self, name: &str) -> Vec<String>;

    /// Puts a value beside those at this name, as another program would.
    async fn put(&self, name: &str, value: &str);

    /// Makes the name a CNAME of what the provider's `register` handed out: for hosts that have registrations.
    async fn alias(&self, name: &str, target: &str) {
        panic!("`{name}` was registered as `{target}`, but the zone has no way to lead there");
    }
}

/// A DNS host under test.
pub struct Host<'a> {
    /// Logs in with the right credentials.
    pub provider: &'a dyn DnsProvider,
    /// The same host with wrong credentials; `None` where it has none.
    pub stranger: Option<&'a dyn DnsProvider>,
    /// Looks past the provider.
    pub zone: &'a dyn Zone,
    /// A zone that the host has: `zone.test`.
    pub origin: &'a str,
    /// What a value may be.
    pub values: Values,
    /// Whether the host can tell that it does not have a zone.
    pub knows_its_zones: bool,
}

/// What a host takes as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// The answer to a DNS-01 challenge only: 43 characters of base64url (acme-dns).
    Challenge,
}

/// Checks every clause of the contract, each at a name of its own.
pub async fn holds(host: &Host<'_>) {
    an_appended_value_stands_once(host).await;
    values_stand_beside_each_other(host).await;
    deleting_takes_our_value_only(host).await;
    the_zone_s_own_name_works(host).await;
    any_text_survives(host).await;
    a_missing_zone_is_told(host).await;
    a_stranger_is_refused(host).await;
}

async fn an_appended_value_stands_once(host: &Host<'_>) {
    let place = host.place("_acme-challenge.once.zone.test").await;
    let value = challenge("once");
    place.append(&value).await;
    place.holds_exactly(&[&value]).await;
    place.append(&value).await;
    place.holds_exactly(&[&value]).await;
    place.delete(&value).await;
}

async fn values_stand_beside_each_other(host: &Host<'_>) {
    let place = host.place("_acme-challenge.beside.zone.test").await;
    let (first, second) = (challenge("first"), challenge("second"));
    place.append(&first).await;
    place.append(&second).await;
    place.holds_exactly(&[&first, &second]).await;
    place.delete(&first).await;
    place.holds_after_delete(&[&second], &[&first]).await;
    place.delete(&second).await;
    place.holds_after_delete(&[], &[&first, &second]).await;
}

async fn deleting_takes_our_value_only(host: &Host<'_>) {
    let place = host.place("_acme-challenge.foreign.zone.test").await;
    let (ours, foreign) = (challenge("ours"), challenge("foreign"));
    host.zone.put(&place.record.name, &foreign).await;
    place.append(&ours).await;
    place.holds_exactly(&[&foreign, &ours]).await;
    for _ in 0..2 {
        place.delete(&ours).await;
        place.holds_after_delete(&[&foreign], &[&ours]).await;
    }
    let bare = host.place("_acme-challenge.never.zone.test").await;
    bare.delete(&ours).await;
    bare.holds_exactly(&[]).await;
}

/// An alias may lead to a zone's own name, where other types stand, too.
async fn the_zone_s_own_name_works(host: &Host<'_>) {
    let place = host.place("zone.test").await;
    let value = challenge("apex");
    place.append(&value).await;
    place.holds_exactly(&[&value]).await;
    place.delete(&value).await;
    place.holds_after_delete(&[], &[&value]).await;
}

async fn any_text_survives(host: &Host<'_>) {
    if host.values == Values::Challenge {
        return;
    }
    let long = "x".repeat(300);
    let texts = [r#"a "quoted" word"#, r"back\slash \065 \", "two  spaces; and a semicolon", "größer", &long];
    for (number, text) in texts.into_iter().enumerate() {
        let place = host.place(&format!("text-{number}.zone.test")).await;
        place.append(text).await;
        place.append(text).await;
        place.holds_exactly(&[text]).await;
        place.delete(text).await;
        place.holds_after_delete(&[], &[text]).await;
    }
}

async fn a_missing_zone_is_told(host: &Host<'_>) {
    if !host.knows_its_zones {
        return;
    }
    let zone = "not-there.test".to_owned();
    let lost = TxtRecord { name: format!("_acme-challenge.{zone}"), zone, value: challenge("lost"), ttl: 60 };
    let appended = host.provider.append_txt(&lost, None).await;
    assert_eq!(appended, Err(Error::ZoneNotFound { zone: lost.zone.clone() }), "append to a missing zone");
    let deleted = host.provider.delete_txt(&lost, None).await;
    assert_eq!(deleted, Err(Error::ZoneNotFound { zone: lost.zone.clone() }), "delete from a missing zone");
}

async fn a_stranger_is_refused(host: &Host<'_>) {
    let Some(stranger) = host.stranger else { return };
    let place = host.place("_acme-challenge.stranger.zone.test").await;
    let theirs = place.with(&challenge("stranger"));
    let answer = stranger.append_txt(&theirs, None).await;
    assert!(matches!(answer, Err(Error::Unauthorized { .. })), "append with wrong credentials: {answer:?}");
    if stranger.capabilities().delete {
        let answer = stranger.delete_txt(&theirs, None).await;
        assert!(matches!(answer, Err(Error::Unauthorized { .. })), "delete with wrong credentials: {answer:?}");
    }
    place.holds_exactly(&[]).await;
}

impl Host<'_> {
    /// A name below `origin` (given as below `zone.test`), registered where the host wants that.
    async fn place(&self, name: &str) -> Place<'_> {
        let name = name.replace("zone.test", self.origin);
        let registration = self.provider.register(&name).await.expect("register");
        assert_eq!(registration.is_some(), self.provider.capabilities().registers, "`registers` tells the truth");
        if let Some(registration) = &registration {
            self.zone.alias(&name, &registration.target).await;
        }
        let record = TxtRecord { zone: self.origin.to_owned(), name, value: String::new(), ttl: 60 };
        Place { host: self, record, registration }
    }
}

/// One name of the host's zone.
struct Place<'a> {
    host: &'a Host<'a>,
    record: TxtRecord,
    registration: Option<Registration>,
}

impl Place<'_> {
    async fn append(&self, value: &str) {
        let record = self.with(value);
        self.host.provider.append_txt(&record, self.registration.as_ref()).await.expect("append");
    }

    async fn delete(&self, value: &str) {
        let record = self.with(value);
        self.host.provider.delete_txt(&record, self.registration.as_ref()).await.expect("delete");
    }

    /// `kept` stands here; what was deleted does, too, where the host cannot delete.
    async fn holds_after_delete(&self, kept: &[&str], deleted: &[&str]) {
        let deletes = self.host.provider.capabilities().delete;
        let all: Vec<&str> = kept.iter().chain(deleted.iter().filter(|_| !deletes)).copied().collect();
        self.holds_exactly(&all).await;
    }

    async fn holds_exactly(&self, expected: &[&str]) {
        let mut found = self.host.zone.txt(&self.record.name).await;
        found.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "what stands at `{}`", self.record.name);
    }

    fn with(&self, value: &str) -> TxtRecord {
        TxtRecord { value: value.to_owned(), ..self.record.clone() }
    }
}

/// 43 characters of base64url that differ for each word, as a DNS-01 answer is.
fn challenge(word: &str) -> String {
    format!("{word:_<43}")
}

//! What stands at a challenge name, asked of its zone's own servers.
//!
//! The name is usually not there before its TXT is presented. A resolver that is asked for it remembers that (RFC 2308),
//! for hours in some zones, and tells it to a CA that asks the same resolver later. So resolvers are asked for the names
//! above it only; for the name itself they are asked where no server of the zone answers.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::exchange::{Question, Security, ask};
use super::propagation::addresses_of_servers;
use super::recent::Recent;
use super::recursive::Recursive;
use super::zone::{Zones, zone_named};
use super::{Dns01Error, name};

/// An authoritative server knows its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many delegations one below the other are followed from a name's parent.
const MOST_CUTS: usize = 4;

/// What stands at a name.
#[derive(Debug)]
pub(super) struct Found {
    /// The zone that holds the name; `None`: it lies in none.
    pub(super) zone: Option<String>,
    /// The target of its CNAME.
    pub(super) cname: Option<Name>,
}

/// What a server of a zone says of a name.
enum Word {
    /// What stands there.
    Is(Found),
    /// Another zone holds it.
    Delegated(String),
}

/// Looks at names.
#[derive(Debug)]
pub(super) struct Descent {
    port: u16,
    /// By zone. Empty: its servers gave no answer.
    servers: Recent<Vec<SocketAddr>>,
}

impl Descent {
    /// By this port of authoritative servers.
    pub(super) fn new(port: u16) -> Self {
        Self { port, servers: Recent::default() }
    }

    /// What stands at the name.
    pub(super) async fn look(&self, recursive: &Recursive, zones: &Zones, at: &Name) -> Result<Found, Dns01Error> {
        match zones.find(recursive, &name::text(&at.base_name())).await {
            Ok(zone) => match self.ask_zone(recursive, zone, at).await {
                Some(found) => Ok(found),
                None => look_by_resolver(recursive, zones, at).await,
            },
            Err(Dns01Error::NoZone { .. }) => look_by_resolver(recursive, zones, at).await,
            Err(error) => Err(error),
        }
    }

    /// Asks the servers of the zone, and of the zones that they delegate the name to. `None`: they do not say.
    async fn ask_zone(&self, recursive: &Recursive, mut zone: String, at: &Name) -> Option<Found> {
        for _ in 0..MOST_CUTS {
            let servers = self.servers(recursive, &zone).await;
            match first_word(&servers, &zone, at).await {
                Some(Word::Is(found)) => return Some(found),
                Some(Word::Delegated(below)) => zone = below,
                None => {
                    self.servers.remember(&zone, Vec::new());
                    return None;
                }
            }
        }
        None
    }

    async fn servers(&self, recursive: &Recursive, zone: &str) -> Vec<SocketAddr> {
        if let Some(known) = self.servers.remembered(zone) {
            return known;
        }
        let found = addresses_of_servers(recursive, zone, self.port).await.unwrap_or_default();
        self.servers.remember(zone, found.clone());
        found
    }
}

/// Asks all at once: the first that knows is believed.
async fn first_word(servers: &[SocketAddr], zone: &str, at: &Name) -> Option<Word> {
    let question = Question {
        name: at.clone(),
        kind: RecordType::CNAME,
        recursion: false,
        security: Security::Unasked,
        patience: PATIENCE,
    };
    let asked = servers.iter().map(|server| ask(*server, &question));
    let mut answers: FuturesUnordered<_> = asked.collect();
    while let Some(answer) = answers.next().await {
        if let Some(word) = answer.ok().and_then(|answer| word(&answer, zone, at)) {
            return Some(word);
        }
    }
    None
}

/// What an answer means; `None`: nothing.
fn word(answer: &Message, zone: &str, at: &Name) -> Option<Word> {
    if !matches!(answer.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return None;
    }
    if answer.authoritative {
        let own = zone_named(answer, at).map(name::text).filter(|zone| !zone.is_empty());
        return Some(Word::Is(Found { zone: own.or_else(|| Some(zone.to_owned())), cname: target(answer, at) }));
    }
    let delegations = answer.authorities.iter().filter(|record| record.record_type() == RecordType::NS);
    let mut below = delegations.filter(|record| record.name.zone_of(at)).map(|record| name::text(&record.name));
    below.find(|cut| cut != zone && name::is_within(cut, zone)).map(Word::Delegated)
}

async fn look_by_resolver(recursive: &Recursive, zones: &Zones, at: &Name) -> Result<Found, Dns01Error> {
    let answer = recursive.ask(at, RecordType::CNAME).await?;
    let cname = target(&answer, at);
    if cname.is_some() {
        return Ok(Found { zone: None, cname });
    }
    match zones.find(recursive, &name::text(at)).await {
        Ok(zone) => Ok(Found { zone: Some(zone), cname }),
        Err(Dns01Error::NoZone { .. }) => Ok(Found { zone: None, cname }),
        Err(error) => Err(error),
    }
}

fn target(answer: &Message, owner: &Name) -> Option<Name> {
    answer.answers.iter().filter(|record| record.name == *owner).find_map(|record| match &record.data {
        RData::CNAME(cname) => Some(cname.0.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::NS;

    use super::*;

    fn referral(owner: &str) -> Message {
        let mut answer = Message::response(1, OpCode::Query);
        let ns = RData::NS(NS(name::parse("ns.elsewhere.test").unwrap()));
        answer.authorities.push(Record::from_rdata(name::parse(owner).unwrap(), 1, ns));
        answer
    }

    #[test]
    fn only_a_delegation_of_the_name_downwards_is_followed() {
        let at = name::parse("_acme-challenge.sub.a.test").unwrap();
        let below = |owner: &str| match word(&referral(owner), "a.test", &at) {
            Some(Word::Delegated(zone)) => Some(zone),
            Some(Word::Is(_)) => panic!("it is no authority"),
            None => None,
        };
        assert_eq!(below("Sub.a.test").as_deref(), Some("sub.a.test"));
        assert_eq!(below("_acme-challenge.sub.a.test").as_deref(), Some("_acme-challenge.sub.a.test"));
        for owner in ["a.test", "test", "other.a.test", "evil.test"] {
            assert_eq!(below(owner), None, "{owner}");
        }
    }
}

//! The zone that holds a name, by SOA.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, Record, RecordType};

use super::recursive::Recursive;
use super::{Dns01Error, name};

/// How long a zone that was found is believed.
const FRESH: Duration = Duration::from_secs(60);

/// How many are remembered.
const MOST: usize = 4096;

/// Zones found lately. That none was found is never remembered.
#[derive(Debug, Default)]
pub(super) struct Zones(Mutex<HashMap<String, (Instant, String)>>);

impl Zones {
    /// The zone that holds `name`. It may be a top-level one, but not the root.
    pub(super) async fn find(&self, recursive: &Recursive, name: &str) -> Result<String, Dns01Error> {
        if let Some(zone) = self.remembered(name) {
            return Ok(zone);
        }
        let zone = search(recursive, name).await?;
        let zone = zone.ok_or_else(|| Dns01Error::NoZone { name: name.to_owned() })?;
        self.remember(name, &zone);
        Ok(zone)
    }

    fn remembered(&self, name: &str) -> Option<String> {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.get(name).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, zone)| zone.clone())
    }

    fn remember(&self, name: &str, zone: &str) {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.len() >= MOST {
            zones.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if zones.len() >= MOST {
            zones.clear();
        }
        zones.insert(name.to_owned(), (Instant::now(), zone.to_owned()));
    }
}

/// Walks up from the name, label by label, until an answer names a zone.
async fn search(recursive: &Recursive, name: &str) -> Result<Option<String>, Dns01Error> {
    let mut at = name::parse(name)?;
    while !at.is_root() {
        let answer = recursive.ask(&at, RecordType::SOA).await?;
        if let Some(zone) = zone_named(&answer, &at) {
            return Ok(Some(name::text(zone)).filter(|zone| !zone.is_empty()));
        }
        at = at.base_name();
    }
    Ok(None)
}

/// The zone of `asked`, where the answer names it: by the SOA at that very name, or, where nothing is there, by the SOA
/// beside the denial (RFC 2308, section 2). What stands at the end of a CNAME is another name's zone.
fn zone_named<'a>(answer: &'a Message, asked: &Name) -> Option<&'a Name> {
    let is_soa = |record: &&Record| record.record_type() == RecordType::SOA;
    if !answer.answers.is_empty() {
        let own = answer.answers.iter().filter(is_soa).map(|record| &record.name);
        return own.into_iter().find(|owner| *owner == asked);
    }
    let beside = answer.authorities.iter().filter(is_soa).map(|record| &record.name);
    beside.into_iter().find(|owner| owner.zone_of(asked))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::RData;
    use hickory_resolver::proto::rr::rdata::{CNAME, SOA};

    use super::*;

    fn soa(owner: &str) -> Record {
        let name = name::parse("ns.example.com").unwrap();
        Record::from_rdata(name::parse(owner).unwrap(), 1, RData::SOA(SOA::new(name.clone(), name, 1, 1, 1, 1, 1)))
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name::parse(owner).unwrap(), 1, RData::CNAME(CNAME(name::parse(target).unwrap())))
    }

    fn named(answers: Vec<Record>, authorities: Vec<Record>, asked: &str) -> Option<String> {
        let mut message = Message::response(1, OpCode::Query);
        message.answers = answers;
        message.authorities = authorities;
        zone_named(&message, &name::parse(asked).unwrap()).map(name::text)
    }

    #[test]
    fn a_zone_is_named_by_its_own_soa_or_beside_a_denial() {
        assert_eq!(named(vec![soa("A.test")], vec![], "a.test").as_deref(), Some("a.test"));
        assert_eq!(named(vec![], vec![soa("a.test")], "x.y.a.test").as_deref(), Some("a.test"));
        assert_eq!(named(vec![], vec![soa("rpz.local")], "x.y.a.test"), None);
        assert_eq!(named(vec![], vec![], "x.y.a.test"), None);
    }

    #[test]
    fn a_zone_at_the_end_of_a_cname_does_not_count() {
        assert_eq!(named(vec![cname("x.a.test", "b.test"), soa("b.test")], vec![], "x.a.test"), None);
        assert_eq!(named(vec![cname("x.a.test", "y.a.test")], vec![soa("a.test")], "x.a.test"), None);
    }

    #[test]
    fn what_was_found_is_remembered_within_bounds() {
        let zones = Zones::default();
        for number in 0..=MOST {
            zones.remember(&number.to_string(), "a.test");
        }
        assert_eq!(zones.remembered(&MOST.to_string()).as_deref(), Some("a.test"));
        assert!(zones.0.lock().unwrap().len() <= MOST);
    }
}

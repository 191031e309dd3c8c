//! The zone that holds a name, by SOA.

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, Record, RecordType};

use super::recent::Recent;
use super::recursive::Recursive;
use super::{Dns01Error, name};

/// Zones found lately. That none was found is never remembered.
#[derive(Debug, Default)]
pub(super) struct Zones(Recent<String>);

impl Zones {
    /// The zone that holds `name`. It may be a top-level one, but not the root.
    pub(super) async fn find(&self, recursive: &Recursive, name: &str) -> Result<String, Dns01Error> {
        if let Some(zone) = self.0.remembered(name) {
            return Ok(zone);
        }
        let zone = search(recursive, name).await?;
        let zone = zone.ok_or_else(|| Dns01Error::NoZone { name: name.to_owned() })?;
        self.0.remember(name, zone.clone());
        Ok(zone)
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
pub(super) fn zone_named<'a>(answer: &'a Message, asked: &Name) -> Option<&'a Name> {
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
}

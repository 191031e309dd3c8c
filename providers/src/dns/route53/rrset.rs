//! The TXT sets at one name, and how a change of one value changes them. Pure.

use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};

use crate::Error;
use crate::dns::TxtRecord;
use crate::dns::txt::{Escapes, quote_as, unquote_as};

/// The TXT sets at one name: a plain one, or several with a routing policy, and never both.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TxtSets {
    plain: Option<ResourceRecordSet>,
    routed: Vec<ResourceRecordSet>,
}

/// One set in place of another, at once: what was there is taken away exactly as it was read, and so the whole is
/// refused where it has changed since.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Replacement {
    old: Option<ResourceRecordSet>,
    new: Option<ResourceRecordSet>,
}

impl TxtSets {
    /// Picks the sets of that name out of a list that goes on behind it.
    pub(super) fn at(name: &str, listed: Vec<ResourceRecordSet>) -> Self {
        let ours = |set: &ResourceRecordSet| set.r#type == RrType::Txt && is_name(&set.name, name);
        let (plain, routed) = listed.into_iter().filter(ours).partition::<Vec<_>, _>(is_plain);
        Self { plain: plain.into_iter().next(), routed }
    }

    /// What adds the value; `None` where it is there.
    pub(super) fn adding(&self, record: &TxtRecord) -> Result<Option<Replacement>, Error> {
        if self.sets().any(|set| holds(set, record)) {
            return Ok(None);
        }
        if !self.routed.is_empty() {
            return Err(routed(record));
        }
        let mut records = self.plain.as_ref().map(values).unwrap_or_default();
        records.push(resource_record(record)?);
        let new = match &self.plain {
            Some(plain) => with_values(plain, records),
            None => new_set(record, records)?,
        };
        Ok(Some(Replacement { old: self.plain.clone(), new: Some(new) }))
    }

    /// What takes the value away, and the set with its last one; `None` where it is not there.
    pub(super) fn removing(&self, record: &TxtRecord) -> Result<Option<Replacement>, Error> {
        if self.routed.iter().any(|set| holds(set, record)) {
            return Err(routed(record));
        }
        let Some(plain) = self.plain.as_ref().filter(|set| holds(set, record)) else { return Ok(None) };
        let mut left = values(plain);
        left.retain(|value| !is_value(value, record));
        let new = (!left.is_empty()).then(|| with_values(plain, left));
        Ok(Some(Replacement { old: Some(plain.clone()), new }))
    }

    fn sets(&self) -> impl Iterator<Item = &ResourceRecordSet> {
        self.plain.iter().chain(&self.routed)
    }
}

impl Replacement {
    /// As a batch, which Route 53 does as a whole or not at all.
    pub(super) fn batch(self) -> Result<ChangeBatch, Error> {
        let old = self.old.map(|set| change(ChangeAction::Delete, set));
        let new = self.new.map(|set| change(ChangeAction::Create, set));
        let changes = old.into_iter().chain(new).collect::<Result<Vec<_>, _>>().map_err(|error| incomplete(&error))?;
        ChangeBatch::builder().set_changes(Some(changes)).build().map_err(|error| incomplete(&error))
    }
}

fn change(action: ChangeAction, set: ResourceRecordSet) -> Result<Change, BuildError> {
    Change::builder().action(action).resource_record_set(set).build()
}

fn new_set(record: &TxtRecord, records: Vec<ResourceRecord>) -> Result<ResourceRecordSet, Error> {
    ResourceRecordSet::builder()
        .name(format!("{}.", record.name))
        .r#type(RrType::Txt)
        .ttl(i64::from(record.ttl))
        .set_resource_records(Some(records))
        .build()
        .map_err(|error| incomplete(&error))
}

/// The set with other values; its TTL stays.
fn with_values(set: &ResourceRecordSet, records: Vec<ResourceRecord>) -> ResourceRecordSet {
    let mut changed = set.clone();
    changed.resource_records = Some(records);
    changed
}

fn resource_record(record: &TxtRecord) -> Result<ResourceRecord, Error> {
    ResourceRecord::builder().value(quote_as(&record.value, Escapes::Octal)).build().map_err(|error| incomplete(&error))
}

fn values(set: &ResourceRecordSet) -> Vec<ResourceRecord> {
    set.resource_records().to_vec()
}

fn holds(set: &ResourceRecordSet, record: &TxtRecord) -> bool {
    set.resource_records().iter().any(|value| is_value(value, record))
}

fn is_value(value: &ResourceRecord, record: &TxtRecord) -> bool {
    unquote_as(value.value(), Escapes::Octal) == record.value.as_bytes()
}

fn is_name(listed: &str, name: &str) -> bool {
    listed.strip_suffix('.').unwrap_or(listed).eq_ignore_ascii_case(name)
}

fn is_plain(set: &ResourceRecordSet) -> bool {
    set.set_identifier.is_none() && set.alias_target.is_none() && set.traffic_policy_instance_id.is_none()
}

fn routed(record: &TxtRecord) -> Error {
    Error::rejected(format!(
        "the TXT records of `{}` have a routing policy or are an alias: make them a simple set, or delete them",
        record.name
    ))
}

fn incomplete(error: &BuildError) -> Error {
    Error::rejected(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "_acme-challenge.a.test";

    fn record(value: &str) -> TxtRecord {
        TxtRecord { zone: "a.test".to_owned(), name: NAME.to_owned(), value: value.to_owned(), ttl: 60 }
    }

    fn set(name: &str, ttl: i64, values: &[&str]) -> ResourceRecordSet {
        let record = |value: &&str| ResourceRecord::builder().value(*value).build().unwrap();
        let records = values.iter().map(record).collect();
        let set = ResourceRecordSet::builder().name(name).r#type(RrType::Txt).ttl(ttl);
        set.set_resource_records(Some(records)).build().unwrap()
    }

    fn sets(listed: Vec<ResourceRecordSet>) -> TxtSets {
        TxtSets::at(NAME, listed)
    }

    #[test]
    fn the_first_value_makes_the_set() {
        let made = sets(vec![]).adding(&record("one")).unwrap().unwrap();
        assert_eq!(made, Replacement { old: None, new: Some(set("_acme-challenge.a.test.", 60, &["\"one\""])) });
    }

    #[test]
    fn another_value_stands_beside_those_of_others_byte_for_byte() {
        let old = set("_acme-challenge.a.test.", 300, &[r#""ol\144" "er""#]);
        let new = set("_acme-challenge.a.test.", 300, &[r#""ol\144" "er""#, "\"one\""]);
        let made = sets(vec![old.clone()]).adding(&record("one")).unwrap().unwrap();
        assert_eq!(made, Replacement { old: Some(old), new: Some(new) });
    }

    #[test]
    fn a_value_that_is_there_is_not_added() {
        let there = sets(vec![set("_acme-challenge.a.test.", 60, &[r#""o" "ne""#])]);
        assert_eq!(there.adding(&record("one")).unwrap(), None);
    }

    #[test]
    fn removing_leaves_the_others() {
        let old = set("_acme-challenge.a.test.", 300, &["\"one\"", "\"two\""]);
        let new = set("_acme-challenge.a.test.", 300, &["\"two\""]);
        let made = sets(vec![old.clone()]).removing(&record("one")).unwrap().unwrap();
        assert_eq!(made, Replacement { old: Some(old), new: Some(new) });
    }

    #[test]
    fn removing_the_last_value_removes_the_set() {
        let old = set("_acme-challenge.a.test.", 300, &["\"one\""]);
        let made = sets(vec![old.clone()]).removing(&record("one")).unwrap().unwrap();
        assert_eq!(made, Replacement { old: Some(old), new: None });
        assert_eq!(sets(vec![]).removing(&record("one")).unwrap(), None);
    }

    #[test]
    fn other_names_and_types_are_passed_over() {
        let mut other_type = set("_acme-challenge.a.test.", 60, &["\"one\""]);
        other_type.r#type = RrType::Spf;
        let listed = vec![other_type, set("_acme-challenge.b.test.", 60, &["\"one\""])];
        assert_eq!(sets(listed), TxtSets::default());
    }

    #[test]
    fn sets_with_a_routing_policy_are_left_alone() {
        let mut weighted = set("_acme-challenge.a.test.", 60, &["\"one\""]);
        weighted.set_identifier = Some("east".to_owned());
        let weighted = sets(vec![weighted]);
        assert!(matches!(weighted.adding(&record("two")), Err(Error::Rejected { .. })));
        assert!(matches!(weighted.removing(&record("one")), Err(Error::Rejected { .. })));
        assert_eq!(weighted.removing(&record("two")).unwrap(), None);
        assert_eq!(weighted.adding(&record("one")).unwrap(), None);
    }

    #[test]
    fn a_batch_deletes_before_it_creates() {
        let old = set("_acme-challenge.a.test.", 300, &["\"one\""]);
        let made = sets(vec![old]).adding(&record("two")).unwrap().unwrap();
        let actions: Vec<_> = made.batch().unwrap().changes().iter().map(|change| change.action().clone()).collect();
        assert_eq!(actions, [ChangeAction::Delete, ChangeAction::Create]);
    }
}

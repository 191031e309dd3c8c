//! Certification Authority Authorization (RFC 8659): which CAs may issue for a name, and with RFC 8657 for which account
//! and by which method.
//!
//! `verdict` is pure and says what a CA would say; `climb` looks the records up as a CA does.

mod property;
mod verdict;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::recursive::Recursive;
use super::{Dns01, Dns01Error, name};

pub use verdict::{Asker, Verdict, verdict};

/// One CAA record (RFC 8659, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// A CA that does not understand the property must not issue.
    pub critical: bool,
    /// The property's tag, in lower case.
    pub tag: String,
    /// The property's value, byte for byte where it is ASCII.
    pub value: String,
}

/// The records that count for a name, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relevant {
    /// The name, or the parent of it that has them.
    pub at: String,
    /// At least one.
    pub records: Vec<Record>,
}

/// What was found at one name: its records, perhaps none, or why they could not be looked up.
type Found = Result<Vec<Record>, String>;

/// Remembers what stands at each name, so that no name is asked for twice in one examination.
#[derive(Default)]
pub struct Memory(std::sync::Mutex<HashMap<String, Shared<BoxFuture<'static, Found>>>>);

impl Dns01 {
    /// The CAA records that count for `base` (a name without its `*.`): its own, else those of the nearest parent that has
    /// any (RFC 8659, section 3). `None`: there are none up to the top-level domain. CNAMEs are followed by the resolver.
    ///
    /// # Errors
    /// With words, where a name's records could not be looked up: a CA does not issue then.
    pub async fn climb(&self, base: &str, memory: &Memory) -> Result<Option<Relevant>, String> {
        let mut at = name::normal(base);
        loop {
            let records = memory.at(&self.recursive, &at).await?;
            if !records.is_empty() {
                return Ok(Some(Relevant { at, records }));
            }
            match at.split_once('.') {
                Some((_, parent)) => at = parent.to_owned(),
                None => return Ok(None),
            }
        }
    }
}

impl Memory {
    async fn at(&self, recursive: &Arc<Recursive>, at: &str) -> Found {
        let asked = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let ask = || look_up(Arc::clone(recursive), at.to_owned()).boxed().shared();
            known.entry(at.to_owned()).or_insert_with(ask).clone()
        };
        asked.await
    }
}

async fn look_up(recursive: Arc<Recursive>, at: String) -> Found {
    let ask = async {
        let answer = recursive.ask(&name::parse(&at)?, RecordType::CAA).await?;
        Ok::<_, Dns01Error>(records(&answer))
    };
    ask.await.map_err(|error| providers::error::chain(&error))
}

/// The records in the answer, those at the end of CNAMEs among them.
fn records(answer: &Message) -> Vec<Record> {
    let read = answer.answers.iter().filter_map(|record| match &record.data {
        RData::CAA(caa) => Some(Record {
            critical: caa.issuer_critical,
            tag: caa.tag.to_ascii_lowercase(),
            value: caa.value.iter().map(|byte| char::from(*byte)).collect(),
        }),
        _ => None,
    });
    read.collect()
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(formatter, "Memory({} names)", known.len())
    }
}

/// What somebody registered of this name: `example.co.uk` of `www.example.co.uk` (the Public Suffix List says).
#[must_use]
pub fn registered(base: &str) -> String {
    psl::domain_str(base).unwrap_or(base).to_owned()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::Record as Resource;
    use hickory_resolver::proto::rr::rdata::{CAA, CNAME};

    use super::*;

    #[test]
    fn records_at_the_end_of_a_cname_count() {
        let owner = |text: &str| name::parse(text).unwrap();
        let target = owner("elsewhere.test");
        let mut answer = Message::response(1, OpCode::Query);
        answer.add_answer(Resource::from_rdata(owner("a.test"), 1, RData::CNAME(CNAME(target.clone()))));
        let caa = CAA::new_issue(true, Some(owner("ca.test")), Vec::new());
        answer.add_answer(Resource::from_rdata(target, 1, RData::CAA(caa)));
        let found = records(&answer);
        assert_eq!((found.len(), found[0].critical, found[0].tag.as_str()), (1, true, "issue"));
    }

    #[test]
    fn names_are_grouped_by_what_somebody_registered() {
        assert_eq!(registered("www.example.co.uk"), "example.co.uk");
        assert_eq!(registered("localhost"), "localhost");
    }
}

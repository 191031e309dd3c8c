//! Following CNAMEs from a challenge name to where its TXT really is.

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::recursive::Recursive;
use super::{Dns01Error, name};

/// More CNAMEs than this are taken for a loop, as resolvers do.
const LONGEST: usize = 16;

/// The name at the end of the CNAMEs from `start`; `start` itself where there is none.
///
/// Each is asked for by itself. A name with a CNAME and, against RFC 1034, a TXT, too, counts as a CNAME, as it does for
/// a CA.
pub(super) async fn follow(recursive: &Recursive, start: &str) -> Result<String, Dns01Error> {
    let mut seen = vec![name::parse(start)?];
    loop {
        let at = &seen[seen.len() - 1];
        let answer = recursive.ask(at, RecordType::CNAME).await?;
        let Some(next) = target(&answer, at) else { return Ok(name::text(at)) };
        if seen.contains(&next) || seen.len() > LONGEST {
            return Err(Dns01Error::CnameLoop { name: start.to_owned() });
        }
        seen.push(next);
    }
}

fn target(answer: &Message, owner: &Name) -> Option<Name> {
    answer.answers.iter().filter(|record| record.name == *owner).find_map(|record| match &record.data {
        RData::CNAME(cname) => Some(cname.0.clone()),
        _ => None,
    })
}

//! Following CNAMEs from a challenge name to where its TXT really is.

use super::descent::Descent;
use super::recursive::Recursive;
use super::zone::Zones;
use super::{Dns01Error, name};

/// More CNAMEs than this are taken for a loop, as resolvers do.
const LONGEST: usize = 16;

/// Where CNAMEs lead.
#[derive(Debug)]
pub(super) struct End {
    /// The name, lower case, without the trailing dot.
    pub(super) name: String,
    /// The zone that holds it; `None`: it lies in none.
    pub(super) zone: Option<String>,
}

impl End {
    /// The zone.
    ///
    /// # Errors
    /// `NoZone`.
    pub(super) fn zone(&self) -> Result<&str, Dns01Error> {
        self.zone.as_deref().ok_or_else(|| Dns01Error::NoZone { name: self.name.clone() })
    }
}

/// The end of the CNAMEs from `start`; `start` itself where there is none.
///
/// Each is asked for by itself. A name with a CNAME and, against RFC 1034, a TXT, too, counts as a CNAME, as it does for
/// a CA.
pub(super) async fn follow(
    descent: &Descent,
    recursive: &Recursive,
    zones: &Zones,
    start: &str,
) -> Result<End, Dns01Error> {
    let mut seen = vec![name::parse(start)?];
    loop {
        let at = &seen[seen.len() - 1];
        let found = descent.look(recursive, zones, at).await?;
        let Some(next) = found.cname else { return Ok(End { name: name::text(at), zone: found.zone }) };
        if seen.contains(&next) || seen.len() > LONGEST {
            return Err(Dns01Error::CnameLoop { name: start.to_owned() });
        }
        seen.push(next);
    }
}

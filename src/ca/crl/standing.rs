//! How all lists stand, in numbers.

use super::head::Head;
use super::schedule::{self, Freshness, Rhythm};
use crate::clock::Timestamp;
use crate::state::crl::{CrlName, Published};

/// How all lists stand, sorted by their names.
#[derive(Debug, Clone, Default)]
pub struct Lists(Vec<Listed>);

/// How one list stands.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Which list.
    pub name: CrlName,
    /// What is in its place; `None`: it has never been published.
    pub head: Option<Head>,
    rhythm: Rhythm,
}

/// How the lists of one CA stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaLists<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// How many lists it has.
    pub lists: usize,
    /// The oldest thisUpdate; `None` where a list has never been published.
    pub this_update: Option<Timestamp>,
    /// The first nextUpdate that comes; `None` where a list has never been published.
    pub next_update: Option<Timestamp>,
    /// Octets of all of them, without their deltas.
    pub octets: u64,
    /// How well the worst of them is kept.
    pub freshness: Freshness,
}

impl Listed {
    pub(super) const fn new(name: CrlName, head: Option<Head>, rhythm: Rhythm) -> Self {
        Self { name, head, rhythm }
    }

    /// How well it is kept.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let Some(head) = &self.head else { return Freshness::Late };
        let published = Published { this_update: head.this_update, next_update: head.next_update };
        schedule::freshness(published, self.rhythm, now)
    }
}

impl Lists {
    pub(super) fn new(mut lists: Vec<Listed>) -> Self {
        lists.sort_by(|a, b| a.name.cmp(&b.name));
        Self(lists)
    }

    /// All lists.
    pub fn all(&self) -> impl Iterator<Item = &Listed> {
        self.0.iter()
    }

    /// CA by CA.
    pub fn cas(&self, now: Timestamp) -> impl Iterator<Item = CaLists<'_>> {
        self.0.chunk_by(|a, b| a.name.ca == b.name.ca).filter_map(move |lists| of_one_ca(lists, now))
    }
}

fn of_one_ca(lists: &[Listed], now: Timestamp) -> Option<CaLists<'_>> {
    let heads = || lists.iter().map(|list| list.head.as_ref());
    Some(CaLists {
        ca: &lists.first()?.name.ca,
        lists: lists.len(),
        this_update: heads().map(|head| head.map(|head| head.this_update)).min().flatten(),
        next_update: heads().map(|head| head.map(|head| head.next_update)).min().flatten(),
        octets: heads().flatten().map(|head| head.length).sum(),
        freshness: lists.iter().map(|list| list.freshness(now)).max()?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn listed(ca: &str, hours: Option<u32>) -> Listed {
        let head = |hours| Head {
            issuer: Vec::new(),
            number: Some(1),
            base: None,
            points: Vec::new(),
            this_update: NOW,
            next_update: NOW.plus(HOUR * hours),
            length: 100,
        };
        let name = CrlName { ca: ca.to_owned(), generation: 1, shard: None };
        Listed::new(name, hours.map(head), Rhythm { validity: HOUR * 10, refresh: HOUR })
    }

    #[test]
    fn the_worst_list_of_a_ca_counts() {
        let lists = Lists::new(vec![listed("a", Some(10)), listed("b", Some(10)), listed("a", Some(5))]);
        let of = |lists: &Lists, later: u32| {
            let ca = lists.cas(NOW.plus(HOUR * later)).next().unwrap();
            (ca.ca.to_owned(), ca.lists, ca.next_update, ca.octets, ca.freshness)
        };
        assert_eq!(of(&lists, 1), ("a".to_owned(), 2, Some(NOW.plus(HOUR * 5)), 200, Freshness::Fresh));
        assert_eq!(of(&lists, 4).4, Freshness::Late);
        assert_eq!(of(&lists, 5).4, Freshness::Lapsed);
        assert_eq!(lists.cas(NOW).map(|ca| ca.ca.to_owned()).collect::<Vec<_>>(), ["a", "b"]);
        let lists = Lists::new(vec![listed("a", Some(10)), listed("a", None)]);
        assert_eq!(of(&lists, 1), ("a".to_owned(), 2, None, 100, Freshness::Late));
    }
}

//! How all lists stand, in numbers.

use std::collections::BTreeMap;

use super::schedule::{self, Freshness, Rhythm};
use crate::clock::Timestamp;
use crate::state::crl::{CrlName, CrlRow, Published};

/// How all lists stand.
#[derive(Debug, Clone, Default)]
pub struct Lists(BTreeMap<String, Vec<(Option<Published>, Rhythm)>>);

/// How the lists of one CA stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaLists<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// How many lists it has.
    pub lists: usize,
    /// The first nextUpdate that comes; `None` where a list has never been published.
    pub next_update: Option<Timestamp>,
    /// How well the worst of them is kept.
    pub freshness: Freshness,
}

impl Lists {
    pub(super) fn add(&mut self, row: Option<CrlRow>, name: &CrlName, rhythm: Rhythm) {
        let published = row.and_then(|row| row.published);
        self.0.entry(name.ca.clone()).or_default().push((published, rhythm));
    }

    /// CA by CA.
    pub fn cas(&self, now: Timestamp) -> impl Iterator<Item = CaLists<'_>> {
        self.0.iter().map(move |(ca, lists)| {
            let freshness = |(published, rhythm): &(Option<Published>, Rhythm)| match published {
                Some(published) => schedule::freshness(*published, *rhythm, now),
                None => Freshness::Late,
            };
            CaLists {
                ca,
                lists: lists.len(),
                next_update: lists
                    .iter()
                    .map(|(published, _)| published.map(|dates| dates.next_update))
                    .min()
                    .flatten(),
                freshness: lists.iter().map(freshness).max().unwrap_or(Freshness::Fresh),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_worst_list_counts() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut lists = Lists::default();
        let name = CrlName { ca: "a".to_owned(), generation: 1, shard: None };
        let rhythm = Rhythm { validity: HOUR * 10, refresh: HOUR };
        let row = |hours| CrlRow {
            name: name.clone(),
            number: 1,
            current: true,
            published: Some(Published { this_update: now, next_update: now.plus(HOUR * hours) }),
            base: None,
        };
        lists.add(Some(row(10)), &name, rhythm);
        lists.add(Some(row(5)), &name, rhythm);
        let of = |lists: &Lists, later: u32| {
            lists.cas(now.plus(HOUR * later)).next().map(|ca| (ca.lists, ca.next_update, ca.freshness)).unwrap()
        };
        assert_eq!(of(&lists, 1), (2, Some(now.plus(HOUR * 5)), Freshness::Fresh));
        assert_eq!(of(&lists, 4).2, Freshness::Late);
        assert_eq!(of(&lists, 5).2, Freshness::Lapsed);
        lists.add(None, &name, rhythm);
        assert_eq!(of(&lists, 1), (3, None, Freshness::Late));
    }
}

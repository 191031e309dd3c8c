//! Answers that may serve others who ask the same, within a bound.
//!
//! An answer is given out only while the index says of the certificate what the answer says, or has counted no change since
//! it did: nothing need be told here of a revocation, and none can be told too late.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::answer::Kept;
use super::cert_id::CertId;
use crate::ca::index::{SerialKey, Status};
use crate::clock::Timestamp;

/// Parts, each with a lock of its own.
const PARTS: usize = 32;

/// What the maps themselves take for an answer, about.
const OVERHEAD: usize = 160;

/// As many octets as all answers may take, unless said: 64 MiB.
pub const MOST_OCTETS: usize = 64 * 1024 * 1024;

/// Which answer. Equal keys are asked for with equal CertIDs, octet by octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    ca: u32,
    generation: u16,
    form: u8,
    serial: SerialKey,
}

impl Key {
    /// For a CertID that names this generation of this CA.
    pub fn new(ca: u32, generation: u16, id: &CertId<'_>, serial: SerialKey) -> Option<Self> {
        let form = id.algorithm? as u8 * 2 + u8::from(id.null_parameters);
        Some(Self { ca, generation, form, serial })
    }
}

/// The answers of all CAs.
#[derive(Debug)]
pub(super) struct Cache {
    parts: [Mutex<Part>; PARTS],
    most_octets: usize,
}

#[derive(Debug, Default)]
struct Part {
    answers: HashMap<Key, Slot, RandomState>,
    /// Oldest first: where something must go, those not asked for since they were looked at last go first.
    order: VecDeque<Key>,
    octets: usize,
}

#[derive(Debug)]
struct Slot {
    answer: Arc<Kept>,
    /// As many changes the index had counted when it said the same as the answer.
    changes: u64,
    asked: bool,
}

impl Cache {
    /// Holds this many octets, about.
    pub fn new(most_octets: usize) -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), most_octets: most_octets / PARTS }
    }

    /// The answer, where there is one that is fresh and true: the index has counted no more changes since, or says the
    /// same.
    pub fn find(
        &self,
        key: &Key,
        now: Timestamp,
        changes: u64,
        status: impl FnOnce() -> Option<Status>,
    ) -> Option<Arc<Kept>> {
        let mut part = self.part(key);
        let slot = part.answers.get_mut(key)?;
        slot.asked = true;
        if slot.changes != changes {
            status().filter(|status| *status == slot.answer.status)?;
            slot.changes = changes;
        }
        slot.answer.is_fresh(now).then(|| Arc::clone(&slot.answer))
    }

    /// Keeps an answer, in place of the one that was there. `changes`: as the index had counted before it was asked.
    pub fn keep(&self, key: Key, answer: Arc<Kept>, changes: u64) {
        let mut part = self.part(&key);
        part.octets += weight(&answer);
        match part.answers.entry(key) {
            Place::Occupied(mut place) => {
                let before = std::mem::replace(place.get_mut(), Slot { answer, changes, asked: true });
                part.octets -= weight(&before.answer);
            }
            Place::Vacant(place) => {
                place.insert(Slot { answer, changes, asked: false });
                part.order.push_back(key);
            }
        }
        part.shrink(self.most_octets);
    }

    /// About as many octets as are kept.
    #[cfg(test)]
    fn octets(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap().octets).sum()
    }

    fn part(&self, key: &Key) -> MutexGuard<'_, Part> {
        let number = key.serial.low_octet() as usize % PARTS;
        self.parts[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Lets answers go until the rest fits: second chance, so that what many ask for stays.
    fn shrink(&mut self, most_octets: usize) {
        while self.octets > most_octets {
            let Some(key) = self.order.pop_front() else { return };
            let Place::Occupied(mut place) = self.answers.entry(key) else { continue };
            if std::mem::take(&mut place.get_mut().asked) {
                self.order.push_back(key);
            } else {
                self.octets -= weight(&place.remove().answer);
            }
        }
    }
}

fn weight(answer: &Kept) -> usize {
    answer.weight() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn key(number: u32) -> Key {
        let serial = SerialKey::from_be_bytes(&(number + 1).to_be_bytes()).unwrap();
        Key { ca: 0, generation: 1, form: 0, serial }
    }

    fn kept(status: Status) -> Arc<Kept> {
        Arc::new(Kept::new(vec![7; 500], status, NOW, NOW.plus(Duration::from_secs(100))))
    }

    /// Asks for an answer that the index must confirm.
    fn found(cache: &Cache, key: &Key, status: Status, now: Timestamp) -> bool {
        cache.find(key, now, u64::MAX, || Some(status)).is_some()
    }

    #[test]
    fn only_what_is_fresh_and_true_is_found() {
        let cache = Cache::new(MOST_OCTETS);
        cache.keep(key(1), kept(Status::Good), 0);
        assert!(!found(&cache, &key(1), Status::Revoked { at: NOW, reason: 1 }, NOW));
        assert!(found(&cache, &key(1), Status::Good, NOW));
        assert!(!found(&cache, &key(1), Status::Good, NOW.plus(Duration::from_secs(50))));
        for other in [key(2), Key { ca: 1, ..key(1) }, Key { generation: 2, ..key(1) }, Key { form: 1, ..key(1) }] {
            assert!(!found(&cache, &other, Status::Good, NOW));
        }
    }

    #[test]
    fn the_index_is_asked_again_after_each_change_and_only_then() {
        let cache = Cache::new(MOST_OCTETS);
        cache.keep(key(1), kept(Status::Good), 7);
        let unasked = || -> Option<Status> { panic!("nothing changed") };
        assert!(cache.find(&key(1), NOW, 7, unasked).is_some());
        assert!(cache.find(&key(1), NOW, 8, || None).is_none());
        assert!(cache.find(&key(1), NOW, 8, || Some(Status::Revoked { at: NOW, reason: 1 })).is_none());
        assert!(cache.find(&key(1), NOW, 8, || Some(Status::Good)).is_some());
        assert!(cache.find(&key(1), NOW, 8, unasked).is_some());
    }

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_asked_for() {
        let cache = Cache::new(PARTS * 4 * weight(&kept(Status::Good)));
        for number in 0..10_000 {
            cache.keep(key(number), kept(Status::Good), 0);
            assert!(found(&cache, &key(7), Status::Good, NOW) || number < 7, "{number}");
        }
        assert!(cache.octets() <= PARTS * 4 * weight(&kept(Status::Good)));
        assert!(found(&cache, &key(9_999), Status::Good, NOW));
        assert!(!found(&cache, &key(0), Status::Good, NOW));
    }

    #[test]
    fn an_answer_takes_the_place_of_the_one_before() {
        let cache = Cache::new(MOST_OCTETS);
        for _ in 0..3 {
            cache.keep(key(1), kept(Status::Good), 0);
        }
        assert_eq!(cache.octets(), weight(&kept(Status::Good)));
        let held = Status::Revoked { at: NOW, reason: 6 };
        cache.keep(key(1), kept(held), 1);
        assert!(found(&cache, &key(1), held, NOW));
    }
}

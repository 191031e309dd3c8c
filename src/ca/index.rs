//! How every certificate of a CA stands, in memory: serial → generation and status.
//!
//! Built for a million certificates and more: about 30 octets of content each, in 64 parts that grow, and are locked, one
//! by one. The database is the truth: what is here was read from it, or written there first.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

use crate::clock::Timestamp;

/// As many octets as a serial may have (RFC 5280, section 4.1.2.2).
const LONGEST_SERIAL: usize = 20;

/// Parts of the table.
const PARTS: usize = 64;

/// The reason of what is not revoked: RFC 5280 has no such code.
const NOT_REVOKED: u8 = u8::MAX;

/// certificateHold: the one revocation that can be taken back.
pub const ON_HOLD: u8 = 6;

/// A serial number as the index keeps it: the integer in 20 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialKey([u8; LONGEST_SERIAL]);

impl SerialKey {
    /// From the integer's octets, most significant first; `None` where it is zero, or longer than a serial may be.
    #[must_use]
    pub fn from_be_bytes(octets: &[u8]) -> Option<Self> {
        let first = octets.iter().position(|octet| *octet != 0)?;
        let significant = &octets[first..];
        let mut key = [0; LONGEST_SERIAL];
        key.get_mut(LONGEST_SERIAL.checked_sub(significant.len())?..)?.copy_from_slice(significant);
        Some(Self(key))
    }

    /// From the content of a DER INTEGER; `None` where that is not positive, or longer than a serial may be.
    #[must_use]
    pub fn from_integer(content: &[u8]) -> Option<Self> {
        let negative = content.first().is_some_and(|octet| octet & 0x80 != 0);
        if negative { None } else { Self::from_be_bytes(content) }
    }

    /// From lower-case hex, as the database keeps serials.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut octets = [0; LONGEST_SERIAL];
        let octets = octets.get_mut(..text.len() / 2)?;
        hex::decode_to_slice(text, octets).ok()?;
        Self::from_be_bytes(octets)
    }

    /// In lower-case hex, as the database keeps serials.
    #[must_use]
    pub fn to_hex(self) -> String {
        let first = self.0.iter().position(|octet| *octet != 0).unwrap_or(LONGEST_SERIAL - 1);
        hex::encode(&self.0[first..])
    }

    /// The last octet: by it things are spread over parts, since the first ones of short serials are all zero.
    #[must_use]
    pub const fn low_octet(self) -> u8 {
        self.0[LONGEST_SERIAL - 1]
    }

    const fn part(self) -> usize {
        self.low_octet() as usize % PARTS
    }
}

/// How a certificate that we issued stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked, or on hold.
    Revoked {
        /// Since then; whole seconds.
        at: Timestamp,
        /// RFC 5280's code (section 5.3.1).
        reason: u8,
    },
}

impl Status {
    /// From the database's columns.
    #[must_use]
    pub fn from_columns(revoked_at: Option<Timestamp>, reason: Option<u8>) -> Self {
        match revoked_at {
            Some(at) => Self::Revoked { at: Timestamp::from_seconds(at.seconds()), reason: reason.unwrap_or(0) },
            None => Self::Good,
        }
    }

    /// Revoked, and not merely on hold: nothing takes that back.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Revoked { reason, .. } if reason != ON_HOLD)
    }
}

/// A certificate on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The generation that issued it.
    pub generation: u16,
    /// How it stands.
    pub status: Status,
}

/// An entry in seven octets without a gap: seconds of the revocation, generation, reason.
#[derive(Debug, Clone, Copy)]
struct Packed {
    seconds: [u8; 4],
    generation: [u8; 2],
    reason: u8,
}

impl From<Entry> for Packed {
    fn from(entry: Entry) -> Self {
        let (seconds, reason) = match entry.status {
            Status::Good => (0, NOT_REVOKED),
            Status::Revoked { at, reason } => (u32::try_from(at.seconds().max(0)).unwrap_or(u32::MAX), reason),
        };
        Self { seconds: seconds.to_ne_bytes(), generation: entry.generation.to_ne_bytes(), reason }
    }
}

impl From<Packed> for Entry {
    fn from(packed: Packed) -> Self {
        let at = Timestamp::from_seconds(i64::from(u32::from_ne_bytes(packed.seconds)));
        let status = match packed.reason {
            NOT_REVOKED => Status::Good,
            reason => Status::Revoked { at, reason },
        };
        Self { generation: u16::from_ne_bytes(packed.generation), status }
    }
}

type Entries = HashMap<SerialKey, Packed, RandomState>;

#[derive(Debug, Default)]
struct Part {
    entries: RwLock<Entries>,
    /// How often an entry that was there became another one.
    changes: AtomicU64,
}

impl Part {
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How all certificates of one CA stand.
///
/// Whoever issues, revokes or releases tells it so *after* the write to the database, and before answering. What is told
/// while the rows of the database are being read in counts for more than those rows, which may be older.
#[derive(Debug)]
pub struct Index {
    parts: [Part; PARTS],
    /// Serials of which something was told while the database is being read; `None` when nothing is being read.
    told: Mutex<Option<HashSet<SerialKey>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Part::default()), told: Mutex::default() }
    }
}

impl Index {
    /// The certificate of this serial; `None` where there is none on record.
    #[must_use]
    pub fn find(&self, serial: SerialKey) -> Option<Entry> {
        self.part(serial).read().get(&serial).copied().map(Entry::from)
    }

    /// Grows whenever the status of a certificate of this serial, or of some others, changes: while it is what it was
    /// before `find` was asked, `find` would say the same. Quicker than `find`.
    #[must_use]
    pub fn changes(&self, serial: SerialKey) -> u64 {
        self.part(serial).changes.load(Ordering::Acquire)
    }

    fn part(&self, serial: SerialKey) -> &Part {
        &self.parts[serial.part()]
    }

    /// As many certificates as are on record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    /// None is on record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A certificate was written down: from now on it is good. What is revoked for good stays so.
    pub fn issued(&self, serial: SerialKey, generation: u32) {
        let generation = narrow(generation);
        let told = self.tell(serial);
        self.change(serial, |known| known.or(Some(Entry { generation, status: Status::Good })));
        drop(told);
    }

    /// A certificate is revoked, or put on hold. The first final revocation counts.
    pub fn revoked(&self, serial: SerialKey, generation: u32, at: Timestamp, reason: u8) {
        let generation = narrow(generation);
        let told = self.tell(serial);
        let status = Status::from_columns(Some(at), Some(reason));
        self.change(serial, |known| match known {
            Some(known) if known.status.is_final() => Some(known),
            _ => Some(Entry { generation, status }),
        });
        drop(told);
    }

    /// A hold is over. Any other revocation stays.
    pub fn released(&self, serial: SerialKey) {
        let told = self.tell(serial);
        self.change(serial, |known| match known {
            Some(known) if !known.status.is_final() => Some(Entry { status: Status::Good, ..known }),
            known => known,
        });
        drop(told);
    }

    /// A row of the database that was looked up since nothing was known of it. Where something was told meanwhile, the row
    /// may be older than that, and does not count.
    pub fn found(&self, serial: SerialKey, entry: Entry) {
        let told = self.told();
        self.change(serial, |known| known.or(Some(entry)));
        drop(told);
    }

    /// Rows of the database come in from now on, until `end_reading`.
    pub fn begin_reading(&self) {
        *self.told() = Some(HashSet::new());
    }

    /// A row of the database; whether it changed anything. What was told since `begin_reading` counts for more, and a
    /// final revocation for more than anything.
    pub fn read(&self, serial: SerialKey, entry: Entry) -> bool {
        let told = self.told();
        if told.as_ref().is_some_and(|told| told.contains(&serial)) {
            return false;
        }
        self.change(serial, |known| match known {
            Some(known) if known.status.is_final() => Some(known),
            _ => Some(entry),
        })
    }

    /// All rows are in.
    pub fn end_reading(&self) {
        *self.told() = None;
    }

    /// Changes one entry; whether it is another one than before.
    fn change(&self, serial: SerialKey, change: impl FnOnce(Option<Entry>) -> Option<Entry>) -> bool {
        let part = self.part(serial);
        let mut entries = part.write();
        let before = entries.get(&serial).copied().map(Entry::from);
        let after = change(before);
        let Some(entry) = after.filter(|_| before != after) else { return false };
        entries.insert(serial, entry.into());
        if before.is_some() {
            part.changes.fetch_add(1, Ordering::Release);
        }
        true
    }

    /// Remembers that something was told of a serial, where that matters; held until the change is made.
    fn tell(&self, serial: SerialKey) -> MutexGuard<'_, Option<HashSet<SerialKey>>> {
        let mut told = self.told();
        if let Some(told) = told.as_mut() {
            told.insert(serial);
        }
        told
    }

    fn told(&self) -> MutexGuard<'_, Option<HashSet<SerialKey>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A generation's number in two octets: nobody rotates a CA so often that they do not hold it.
#[must_use]
pub fn narrow(generation: u32) -> u16 {
    u16::try_from(generation).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> SerialKey {
        SerialKey::from_be_bytes(&[number]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn status(index: &Index, number: u8) -> Option<Status> {
        index.find(key(number)).map(|entry| entry.status)
    }

    const GOOD: Entry = Entry { generation: 1, status: Status::Good };

    proptest! {
        #[test]
        fn a_serial_is_the_same_however_it_is_written(number in 1_u128..) {
            let octets = number.to_be_bytes();
            let serial = crate::pki::serial::Serial::from_be_bytes(&octets).unwrap();
            let wanted = SerialKey::from_be_bytes(&octets);
            prop_assert!(wanted.is_some());
            prop_assert_eq!(SerialKey::from_hex(&serial.to_string()), wanted);
            prop_assert_eq!(SerialKey::from_integer(&serial.to_der_bytes()), wanted);
            prop_assert_eq!(wanted.map(SerialKey::to_hex), Some(serial.to_string()));
        }

        #[test]
        fn entries_survive_packing(generation: u16, seconds in 0_i64..4_294_967_296, reason in 0_u8..11) {
            let revoked = Entry { generation, status: Status::Revoked { at: at(seconds), reason } };
            prop_assert_eq!(Entry::from(Packed::from(revoked)), revoked);
            let good = Entry { generation, ..GOOD };
            prop_assert_eq!(Entry::from(Packed::from(good)), good);
        }

        /// Whatever happens in whatever order: after a final revocation a certificate is never good again.
        #[test]
        fn revoked_for_good_is_never_good_again(events in prop::collection::vec(0_u8..6, 0..20), reading: bool) {
            let index = Index::default();
            let (mut revoked, one) = (false, key(1));
            if reading {
                index.begin_reading();
            }
            for event in events {
                match event {
                    0 => index.issued(one, 1),
                    1 => index.revoked(one, 1, at(5), ON_HOLD),
                    2 => index.released(one),
                    3 => { index.read(one, GOOD); }
                    4 => { index.revoked(one, 1, at(7), 1); revoked = true; }
                    _ => index.end_reading(),
                }
                let found = index.find(one).map(|entry| entry.status);
                prop_assert!(!revoked || found == Some(Status::Revoked { at: at(7), reason: 1 }), "{:?}", found);
            }
        }
    }

    #[test]
    fn numbers_that_are_no_serials_have_no_key() {
        assert_eq!(SerialKey::from_be_bytes(&[]), None);
        assert_eq!(SerialKey::from_be_bytes(&[0, 0]), None);
        assert_eq!(SerialKey::from_be_bytes(&[1; 21]), None);
        assert_eq!(SerialKey::from_integer(&[0xff]), None);
        assert_eq!(SerialKey::from_integer(&[0, 0xff]), SerialKey::from_be_bytes(&[0xff]));
        assert!(SerialKey::from_be_bytes(&[1; 20]).is_some());
        assert_eq!(SerialKey::from_hex("xy"), None);
        assert_eq!(SerialKey::from_hex("abc"), None);
    }

    #[test]
    fn a_certificate_is_good_until_revoked_and_after_a_hold() {
        let index = Index::default();
        assert_eq!(status(&index, 1), None);
        index.issued(key(1), 3);
        assert_eq!(index.find(key(1)), Some(Entry { generation: 3, status: Status::Good }));
        index.revoked(key(1), 3, Timestamp::from_millis(9_999), ON_HOLD);
        assert_eq!(status(&index, 1), Some(Status::Revoked { at: at(9), reason: ON_HOLD }));
        index.released(key(1));
        assert_eq!(status(&index, 1), Some(Status::Good));
        index.revoked(key(1), 3, at(11), 4);
        index.released(key(1));
        index.revoked(key(1), 3, at(12), 1);
        assert_eq!(status(&index, 1), Some(Status::Revoked { at: at(11), reason: 4 }));
        assert_eq!((index.len(), index.is_empty()), (1, false));
    }

    #[test]
    fn every_change_of_a_status_is_counted_and_nothing_else() {
        let index = Index::default();
        let counted = || index.changes(key(1));
        index.issued(key(1), 1);
        assert_eq!(counted(), 0);
        index.revoked(key(1), 1, at(5), ON_HOLD);
        assert_eq!(counted(), 1);
        index.released(key(1));
        index.released(key(1));
        assert_eq!(counted(), 2);
        index.revoked(key(1), 1, at(5), 1);
        index.revoked(key(1), 1, at(6), 4);
        assert_eq!(counted(), 3);
        index.begin_reading();
        index.read(key(2), GOOD);
        assert_eq!(index.changes(key(2)), 0);
        index.read(key(2), Entry { generation: 1, status: Status::Revoked { at: at(1), reason: 1 } });
        assert_eq!(index.changes(key(2)), 1);
    }

    #[test]
    fn rows_read_in_do_not_undo_what_was_told_meanwhile() {
        let index = Index::default();
        index.revoked(key(1), 1, at(1), ON_HOLD);
        index.begin_reading();
        index.released(key(1));
        index.revoked(key(2), 1, at(2), ON_HOLD);
        let held = Entry { generation: 1, status: Status::Revoked { at: at(1), reason: ON_HOLD } };
        assert!(!index.read(key(1), held));
        assert!(!index.read(key(2), GOOD));
        assert!(index.read(key(3), held));
        index.end_reading();
        assert_eq!(
            (status(&index, 1), status(&index, 2)),
            (Some(Status::Good), Some(Status::Revoked { at: at(2), reason: ON_HOLD }))
        );
        index.begin_reading();
        assert!(index.read(key(3), GOOD), "a hold that somebody else released");
        assert!(!index.read(key(3), GOOD));
    }

    #[test]
    fn a_row_looked_up_does_not_undo_what_was_told_meanwhile() {
        let index = Index::default();
        index.revoked(key(1), 1, at(1), ON_HOLD);
        index.found(key(1), GOOD);
        index.found(key(2), GOOD);
        let held = Some(Status::Revoked { at: at(1), reason: ON_HOLD });
        assert_eq!((status(&index, 1), status(&index, 2)), (held, Some(Status::Good)));
    }

    #[test]
    fn an_entry_takes_little_memory() {
        assert_eq!(size_of::<(SerialKey, Packed)>(), 27);
    }
}

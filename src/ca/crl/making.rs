//! One making of a list: a number, the entries, the signature, the place.

use std::fs::File;
use std::io::{self, BufWriter};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesOrdered, TryStreamExt as _};

use super::armour;
use super::encode::{self, Heading};
use super::folder::{Folder, Kind, beside, create};
use super::head::Head;
use super::spool::Spool;
use super::{CrlError, ListSigner, Rhythm};
use crate::ca::generation::ROOT;
use crate::ca::pointers;
use crate::clock::Timestamp;
use crate::crash;
use crate::state::crl::{Base, CrlName, CrlRow, EntriesOf, EntryPage, Published};
use crate::state::{State, StateError};

/// Verifiers whose clock is behind ours must not refuse a fresh list.
const BACKDATED: Duration = Duration::from_secs(300);

/// A delta CRL reaches back so far behind its base: what was written while the base was made may not be in it.
const MARGIN: Duration = Duration::from_secs(600);

/// Shards that are read at the same time where a list is of several.
const AHEAD: usize = 2;

/// A list that is about to be made.
pub(super) struct Making<'a> {
    pub state: &'a State,
    pub folder: &'a Folder,
    pub signer: &'a ListSigner,
    pub name: &'a CrlName,
    pub rhythm: Rhythm,
    pub public_url: Option<String>,
    /// Where leaves say now that it is.
    pub url: Option<String>,
    /// What was known of it when it was found to be due.
    pub before: Option<CrlRow>,
    pub now: Timestamp,
}

/// A list that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub number: i64,
    pub octets: u64,
    pub took: Duration,
}

/// The shards of a generation: those that leaves were given, and those that were revoked in, should a database from a
/// backup have forgotten the leaves.
pub(super) async fn shards(state: &State, signer: &ListSigner) -> Result<u32, StateError> {
    let revoked = state.highest_revoked_shard(&signer.ca, signer.generation).await?;
    Ok(signer.shards.max(revoked.map_or(0, |shard| shard.saturating_add(1))))
}

impl Making<'_> {
    /// Makes the list and puts it in its place.
    pub(super) async fn publish(self) -> Result<Made, CrlError> {
        let started = Instant::now();
        self.folder.make(self.name).map_err(|error| self.failed(error))?;
        let in_place = self.folder.head(self.name, Kind::Full);
        let number = self.number(in_place.as_ref()).await?;
        crash::point(crash::Point::CrlNumberWritten);
        let dates = self.dates();
        let base = self.has_delta().then(|| self.base(in_place.as_ref(), number, dates));
        let entries = self.entries(in_place.as_ref(), base).await?;
        let points = self.points(in_place.as_ref());
        let octets = self.write(number, dates, base, points, entries).await?;
        crash::point(crash::Point::CrlRenamed);
        self.state.crl_published(self.name, number, dates, base, self.now).await?;
        Ok(Made { number, octets, took: started.elapsed() })
    }

    /// The list's number, above that of the list in place, whatever the database knows.
    async fn number(&self, in_place: Option<&Head>) -> Result<i64, CrlError> {
        let above = in_place.and_then(|head| head.number).map_or(0, |number| number.saturating_add(1));
        Ok(self.state.next_crl_number(self.name, above.max(self.now.millis())).await?)
    }

    fn dates(&self) -> Published {
        let whole = |instant: Timestamp| Timestamp::from_seconds(instant.seconds());
        let next_update = self.now.plus(self.rhythm.validity).min(self.signer.not_after);
        Published { this_update: whole(self.now.minus(BACKDATED)), next_update: whole(next_update) }
    }

    /// Deltas are for lists that leaves name: the root has certified CAs only, which change once in years.
    const fn has_delta(&self) -> bool {
        self.name.shard.is_some() && self.signer.generation != ROOT
    }

    /// The list that the delta is made to: one that some verifier may still hold, or else the one that is in place.
    fn base(&self, in_place: Option<&Head>, number: i64, dates: Published) -> Base {
        let kept = self.before.as_ref().and_then(|row| row.base);
        let kept = kept.filter(|base| base.this_update.plus(self.rhythm.validity) > self.now);
        let in_place = in_place.filter(|head| head.next_update > self.now);
        let in_place = in_place.and_then(|head| Some(Base { number: head.number?, this_update: head.this_update }));
        kept.or(in_place).unwrap_or(Base { number, this_update: dates.this_update })
    }

    /// The distribution points of the list: the one that leaves name now, and those that it has had, since leaves keep
    /// the one that they were issued with. None: it is about everything that the issuer has certified. So is the root's,
    /// though issuing certificates name it: some verifiers want a list for the root itself, which names none.
    fn points(&self, in_place: Option<&Head>) -> Vec<String> {
        if !self.has_delta() {
            return Vec::new();
        }
        let mut points = Vec::from_iter(self.url.clone());
        let before = in_place.iter().flat_map(|head| &head.points).filter(|point| Some(*point) != self.url.as_ref());
        points.extend(before.cloned());
        points
    }

    /// Where the delta CRL is.
    fn delta_url(&self) -> Option<String> {
        let (url, shard) = (self.public_url.as_ref()?, self.name.shard.filter(|_| self.has_delta())?);
        Some(pointers::delta_crl_url(url, &self.name.ca, self.name.generation, shard))
    }

    /// The entries of the list and of its delta.
    async fn entries(&self, in_place: Option<&Head>, base: Option<Base>) -> Result<Entries, CrlError> {
        let spool = |kind: Kind, name: &str| Spool::new(self.folder.path(self.name, kind).with_extension(name));
        let mut entries = Entries { full: spool(Kind::Full, "entries"), delta: spool(Kind::Delta, "entries") };
        let shards = match self.name.shard {
            Some(shard) => shard..shard.saturating_add(1),
            None => 0..shards(self.state, self.signer).await?,
        };
        // An entry stays until a list has shown it after the certificate's end (RFC 5280, section 3.3).
        let shown = in_place.map_or(self.now, |head| head.this_update).min(self.now);
        let of = |shard| EntriesOf {
            ca: &self.name.ca,
            generation: self.name.generation,
            shard,
            ending_after: shown.minus(self.rhythm.validity),
            changed_since: base.map_or(self.now, |base| base.this_update.minus(MARGIN)),
        };
        self.read_revoked(shards.clone().map(of), &mut entries).await?;
        if base.is_some() {
            for shard in shards {
                self.read_released(&of(shard), &mut entries).await?;
            }
        }
        Ok(entries)
    }

    /// Encodes one page while the database reads the next one.
    async fn read_revoked<'a>(
        &self,
        mut shards: impl Iterator<Item = EntriesOf<'a>>,
        entries: &mut Entries,
    ) -> Result<(), CrlError> {
        let mut pages: FuturesOrdered<_> = shards.by_ref().take(AHEAD).map(|of| first_page(self.state, of)).collect();
        while let Some((of, mut page)) = pages.try_next().await? {
            pages.extend(shards.next().map(|of| first_page(self.state, of)));
            loop {
                entries.take_revoked(&page).map_err(|error| self.failed(error))?;
                let Some(last) = page.last() else { break };
                page = self.state.revoked_entries(&of, last).await?;
            }
        }
        Ok(())
    }

    async fn read_released(&self, of: &EntriesOf<'_>, entries: &mut Entries) -> Result<(), CrlError> {
        let mut after = String::new();
        loop {
            let page = self.state.released_entries(of, &after).await?;
            entries.take_released(&page).map_err(|error| self.failed(error))?;
            match page.last() {
                Some(last) => last.clone_into(&mut after),
                None => return Ok(()),
            }
        }
    }

    /// Signs the files, syncs them, and puts them in their places; on a thread that may block.
    async fn write(
        &self,
        number: i64,
        dates: Published,
        base: Option<Base>,
        points: Vec<String>,
        entries: Entries,
    ) -> Result<u64, CrlError> {
        let writer = Writer {
            folder: self.folder.clone(),
            name: self.name.clone(),
            signer: self.signer.clone(),
            freshest: self.delta_url(),
            points,
            number,
            dates,
            base,
        };
        let written = tokio::task::spawn_blocking(move || writer.write(entries)).await;
        written.map_err(|_| CrlError::Interrupted)?
    }

    fn failed(&self, error: io::Error) -> CrlError {
        CrlError::file(&self.folder.path(self.name, Kind::Full), error)
    }
}

/// Which entries a page is the first of, and the page.
async fn first_page<'a>(state: &State, of: EntriesOf<'a>) -> Result<(EntriesOf<'a>, EntryPage), StateError> {
    let page = state.revoked_entries(&of, "").await?;
    Ok((of, page))
}

/// The entries of a list and of its delta, in DER.
struct Entries {
    full: Spool,
    delta: Spool,
}

impl Entries {
    fn take_revoked(&mut self, page: &EntryPage) -> io::Result<()> {
        let mut changed = Vec::new();
        self.full.append(|out| {
            for entry in page.entries() {
                let start = out.len();
                encode::push_entry(out, entry.serial, entry.at, entry.reason);
                if entry.changed {
                    changed.extend_from_slice(&out[start..]);
                }
            }
        })?;
        self.delta.append(|out| out.extend(changed))
    }

    fn take_released(&mut self, page: &EntryPage) -> io::Result<()> {
        self.delta.append(|out| {
            for entry in page.entries() {
                encode::push_entry(out, entry.serial, entry.at, entry.reason);
            }
        })
    }
}

/// Everything that the files of a list are made of.
struct Writer {
    folder: Folder,
    name: CrlName,
    signer: ListSigner,
    freshest: Option<String>,
    points: Vec<String>,
    number: i64,
    dates: Published,
    base: Option<Base>,
}

impl Writer {
    /// The list itself comes into its place last: the delta fits the list before, too.
    fn write(&self, mut entries: Entries) -> Result<u64, CrlError> {
        let mut kinds = vec![Kind::Full];
        let full = self.list(Kind::Full, None, &mut entries.full)?;
        let octets = full.metadata().map_err(|error| self.failed(Kind::Full, error))?.len();
        // The disk takes it while what goes with it is made.
        std::thread::scope(|threads| {
            let synced = threads.spawn(|| full.sync_all().map_err(|error| self.failed(Kind::Full, error)));
            if let Some(base) = self.base {
                let delta = self.list(Kind::Delta, Some(base.number), &mut entries.delta)?;
                delta.sync_all().map_err(|error| self.failed(Kind::Delta, error))?;
                kinds.insert(0, Kind::Delta);
            }
            if self.name.shard.is_none() {
                self.in_armour().map_err(|error| self.failed(Kind::Pem, error))?;
                kinds.insert(0, Kind::Pem);
            }
            synced.join().map_err(|_| CrlError::Interrupted)?
        })?;
        crash::point(crash::Point::CrlWritten);
        let put = self.folder.put(&self.name, &kinds);
        put.map_err(|error| self.failed(Kind::Full, error))?;
        Ok(octets)
    }

    /// Writes a list beside its place; it is still to be synced.
    fn list(&self, kind: Kind, base: Option<i64>, entries: &mut Spool) -> Result<File, CrlError> {
        let path = self.folder.path(&self.name, kind);
        let heading = Heading {
            issuer: &self.signer.issuer,
            key_identifier: &self.signer.key_identifier,
            number: self.number,
            this_update: self.dates.this_update,
            next_update: self.dates.next_update,
            points: &self.points,
            base,
            freshest: self.freshest.as_deref().filter(|_| base.is_none() && self.base.is_some()),
        };
        let failed = |error| self.failed(kind, error);
        let mut out = BufWriter::with_capacity(1 << 16, create(&path).map_err(failed)?);
        encode::write(&mut out, &heading, entries, &self.signer.signer)
            .map_err(|error| CrlError::encoding(&path, error))?;
        out.into_inner().map_err(|error| failed(error.into_error()))
    }

    /// The list as PEM, beside its place, synced.
    fn in_armour(&self) -> io::Result<()> {
        let (from, to) = (self.folder.path(&self.name, Kind::Full), self.folder.path(&self.name, Kind::Pem));
        let mut out = create(&to)?;
        armour::write(&mut File::open(beside(&from))?, &mut out)?;
        out.sync_all()
    }

    fn failed(&self, kind: Kind, error: io::Error) -> CrlError {
        CrlError::file(&self.folder.path(&self.name, kind), error)
    }
}

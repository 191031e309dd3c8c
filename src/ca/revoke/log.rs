//! `revocations.log`: what was revoked, a line each, synced before anybody is told.
//!
//! Its first line gives it a name of its own, so that the database can tell how much of which log it knows.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tracing::{error, warn};

use super::WriteError;
use super::line::Line;
use crate::state::new_id;

/// The file's name.
const NAME: &str = "revocations.log";

/// What its first line begins with.
const HEAD: &str = "# renewd revocations ";

/// The open log. Only its end is written.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    id: String,
    length: u64,
}

/// A place in a log, as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    id: String,
    /// Octets of the log before it.
    pub offset: u64,
}

/// Lines that were read.
#[derive(Debug)]
pub(super) struct Read {
    /// Those that are whole.
    pub lines: Vec<Line>,
    /// Where the next one begins.
    pub mark: Mark,
}

impl Log {
    /// Opens the log, makes it where there is none, and cuts off a line that a crash has left half-written: nobody was
    /// told of it.
    pub(super) fn open(directory: &Path) -> Result<Self, WriteError> {
        let path = directory.join(NAME);
        let unusable = |source| WriteError::Log { path: path.clone(), source };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        let length = cut_torn_end(&mut file).map_err(unusable)?;
        if length == 0 {
            return Self::begin(path.clone(), file).map_err(unusable);
        }
        let id = first_line(&mut file).map_err(unusable)?;
        Ok(Self { path, file, id, length })
    }

    fn begin(path: PathBuf, mut file: File) -> std::io::Result<Self> {
        let id = new_id();
        let head = format!("{HEAD}{id}\n");
        file.write_all(head.as_bytes())?;
        file.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Self { path, file, id, length: head.len() as u64 })
    }

    /// Octets in it.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// How many octets of this log the database knows, by what it keeps of a mark.
    pub(super) fn known(&self, mark: Option<&str>) -> u64 {
        let of_this = mark.and_then(|mark| mark.split_once(' ')).filter(|(id, _)| *id == self.id);
        let offset = of_this.and_then(|(_, offset)| offset.parse().ok()).unwrap_or(0);
        // A log shorter than what was known of it is not the one that it was.
        if offset <= self.length { offset } else { 0 }
    }

    /// Writes lines behind the last one, and returns when they are on the disk.
    pub(super) fn append(&mut self, lines: &str) -> Result<Mark, WriteError> {
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| {
            self.file.write_all(lines.as_bytes())?;
            self.file.sync_data()
        });
        if let Err(source) = written {
            // What may be there of it is not to stand before a later line.
            let _ = self.file.set_len(self.length);
            return Err(self.unusable(source));
        }
        self.length += lines.len() as u64;
        Ok(self.mark(self.length))
    }

    /// Reads up to `most` lines from `offset` on, at which a line begins. What cannot be read is told and passed over.
    pub(super) fn read(&self, offset: u64, most: usize) -> Result<Read, WriteError> {
        let unusable = |source| self.unusable(source);
        let mut file = File::open(&self.path).map_err(unusable)?;
        file.seek(SeekFrom::Start(offset)).map_err(unusable)?;
        let mut reader = BufReader::new(file.take(self.length - offset));
        let (mut lines, mut offset, mut octets) = (Vec::new(), offset, Vec::new());
        while lines.len() < most {
            octets.clear();
            let count = reader.read_until(b'\n', &mut octets).map_err(unusable)?;
            if count == 0 {
                break;
            }
            lines.extend(self.parse(&octets, offset));
            offset += count as u64;
        }
        Ok(Read { lines, mark: self.mark(offset) })
    }

    fn parse(&self, octets: &[u8], offset: u64) -> Option<Line> {
        let text = std::str::from_utf8(octets).ok().map(str::trim_end);
        if text.is_some_and(|text| text.starts_with(HEAD)) {
            return None;
        }
        let line = text.and_then(Line::parse);
        if line.is_none() {
            error!(offset, "a line of `{}` is damaged: what it said of a revocation is lost", self.path.display());
        }
        line
    }

    fn mark(&self, offset: u64) -> Mark {
        Mark { id: self.id.clone(), offset }
    }

    fn unusable(&self, source: std::io::Error) -> WriteError {
        WriteError::Log { path: self.path.clone(), source }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.id, self.offset)
    }
}

/// Cuts off what follows the last line's end, and says how long the rest is.
fn cut_torn_end(file: &mut File) -> std::io::Result<u64> {
    const STEP: u64 = 4096;
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut octets = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut octets)?;
        if let Some(last) = octets.iter().rposition(|octet| *octet == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        warn!(octets = length - end, "the log of revocations ends in the middle of a line, which is cut off");
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(end)
}

/// The log's own name; empty where its first line does not say one.
fn first_line(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut line = String::new();
    match BufReader::new(&mut *file).take(256).read_line(&mut line) {
        Ok(_) => Ok(line.trim_end().strip_prefix(HEAD).unwrap_or_default().to_owned()),
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const LINE: &str = "2027-01-15T08:00:00Z internal 04a1b2 keyCompromise - 2 7 2030-03-17T17:46:40Z\n";

    fn serials(log: &Log, offset: u64, most: usize) -> (Vec<String>, u64) {
        let read = log.read(offset, most).unwrap();
        (read.lines.iter().map(|line| line.serial.to_string()).collect(), read.mark.offset)
    }

    #[test]
    fn what_is_appended_is_read_again_and_what_is_known_is_not() {
        let directory = TempDir::new().unwrap();
        let mut log = Log::open(directory.path()).unwrap();
        let mark = log.append(LINE).unwrap();
        log.append(&LINE.replace("04a1b2", "0b")).unwrap();
        let log = Log::open(directory.path()).unwrap();
        assert_eq!(serials(&log, log.known(None), 9).0, ["04a1b2", "0b"]);
        let (first, next) = serials(&log, 0, 1);
        assert_eq!((first, serials(&log, next, 9).0), (vec!["04a1b2".to_owned()], vec!["0b".to_owned()]));
        let known = log.known(Some(&mark.to_string()));
        assert_eq!(serials(&log, known, 9), (vec!["0b".to_owned()], log.length()));
    }

    #[test]
    fn half_a_line_is_cut_off() {
        let directory = TempDir::new().unwrap();
        let whole = Log::open(directory.path()).unwrap().append(LINE).unwrap().offset;
        for torn in ["2", &LINE[..LINE.len() - 1], &"\0".repeat(9_000)] {
            let path = directory.path().join(NAME);
            File::options().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
            let mut log = Log::open(directory.path()).unwrap();
            assert_eq!(log.length(), whole);
            log.append(&LINE.replace("04a1b2", "0b")).unwrap();
            assert_eq!(serials(&log, 0, 9).0, ["04a1b2", "0b"]);
            File::options().write(true).open(&path).unwrap().set_len(whole).unwrap();
        }
    }

    #[test]
    fn another_log_is_not_known() {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mark = Log::open(one.path()).unwrap().append(LINE).unwrap().to_string();
        let mut log = Log::open(other.path()).unwrap();
        log.append(LINE).unwrap();
        assert_eq!(log.known(Some(&mark)), 0);
        assert_eq!(log.known(Some("nonsense")), 0);
        let own = log.mark(log.length() + 1).to_string();
        assert_eq!(log.known(Some(&own)), 0, "it was longer once");
    }

    #[test]
    fn a_damaged_line_harms_no_other() {
        let directory = TempDir::new().unwrap();
        let mut log = Log::open(directory.path()).unwrap();
        log.append(&format!("\u{0}\u{0}nonsense\n{LINE}")).unwrap();
        assert_eq!(serials(&log, 0, 9).0, ["04a1b2"]);
    }
}

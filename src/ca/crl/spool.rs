//! Octets on their way into a file: a few are kept in memory, many in a file that goes when it is done with.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// As many octets as are kept in memory, and as are read at once.
const HELD: usize = 1 << 20;

/// Octets that are written once and then read as often as is wanted.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    held: Vec<u8>,
    file: Option<File>,
    in_file: u64,
}

impl Spool {
    /// An empty one, whose file would be this one.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, held: Vec::new(), file: None, in_file: 0 }
    }

    /// What `write` appends comes behind what is there.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.held);
        if self.held.len() >= HELD { self.spill() } else { Ok(()) }
    }

    /// How many octets there are.
    pub(super) const fn len(&self) -> u64 {
        self.in_file + self.held.len() as u64
    }

    /// Hands over everything, piece by piece.
    pub(super) fn each(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))?;
            let mut piece = vec![0; HELD];
            let mut left = self.in_file;
            while left > 0 {
                let length = usize::try_from(left).map_or(HELD, |left| left.min(HELD));
                file.read_exact(&mut piece[..length])?;
                take(&piece[..length])?;
                left -= length as u64;
            }
        }
        take(&self.held)
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened =
                    File::options().create(true).truncate(true).read(true).write(true).mode(0o600).open(&self.path)?;
                self.file.insert(opened)
            }
        };
        file.seek(SeekFrom::Start(self.in_file))?;
        file.write_all(&self.held)?;
        self.in_file += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What is left behind is overwritten the next time.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn few_octets_and_many_come_out_as_they_went_in() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("spool");
        for pieces in [0_u32, 1, 3, 700_000] {
            let mut spool = Spool::new(path.clone());
            for number in 0..pieces {
                spool.append(|out| out.extend(number.to_be_bytes())).unwrap();
            }
            assert_eq!(spool.len(), u64::from(pieces) * 4);
            assert_eq!(path.exists(), pieces == 700_000);
            for _ in 0..2 {
                let mut all = Vec::new();
                spool.each(|piece| all.write_all(piece)).unwrap();
                assert_eq!(all, (0..pieces).flat_map(u32::to_be_bytes).collect::<Vec<_>>());
            }
        }
        assert!(!path.exists(), "it goes when it is done with");
    }
}

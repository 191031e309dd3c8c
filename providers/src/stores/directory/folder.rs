//! An open directory, and what is done in it.
//!
//! Everything goes through the open descriptor, so that a directory that is renamed meanwhile stays the same one. The
//! path is kept for error messages only.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::access::Access;
use super::failure::failed;
use crate::Error;

/// No file of a bundle is larger: what is was not written by us, and is read up to here only. In bytes.
const LARGEST_FILE: u64 = 16 << 20;

/// A file's bytes and what the system says of it.
pub(super) type Found = (Zeroizing<Vec<u8>>, Stat);

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a directory, following links; `None` where there is none.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        Self::opened(fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()), path.to_owned())
    }

    /// Opens a directory, making it and what is missing above it.
    pub fn make(path: &Path, access: Access) -> Result<Self, Error> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed("make", path, Errno::INVAL))?;
        let parent = Self::make(parent, access)?;
        let folder = parent.ensure_child(name, access)?;
        parent.sync()?;
        Ok(folder)
    }

    /// Opens the directory of that name, which must not be a link; `None` where there is none.
    pub fn child(&self, name: &str) -> Result<Option<Self>, Error> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::opened(fs::openat(&self.descriptor, name, flags, Mode::empty()), self.path.join(name))
    }

    /// Opens the directory of that name, making it where it is missing; either way it has the mode and group wanted
    /// afterwards. The caller syncs.
    pub fn ensure_child(&self, name: &str, access: Access) -> Result<Self, Error> {
        match fs::mkdirat(&self.descriptor, name, access.mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed("make", name, error)),
        }
        let folder = self.child(name)?.ok_or_else(|| self.failed("open", name, Errno::NOENT))?;
        if !access.agrees(&folder.stat()?) {
            give(&folder.descriptor, &access).map_err(|error| not_given(&folder.path, error))?;
        }
        Ok(folder)
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all that is in it, sorted.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let fail = |error| failed("list", &self.path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What the system says of this directory.
    pub fn stat(&self) -> Result<Stat, Error> {
        fs::fstat(&self.descriptor).map_err(|error| failed("look at", &self.path, error))
    }

    /// What the system says of `name` itself, links not followed; `None` where there is nothing.
    pub fn look_at(&self, name: &str) -> Result<Option<Stat>, Error> {
        match fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("look at", name, error)),
        }
    }

    /// The target of the symbolic link `name`; `None` where it is something else.
    pub fn link_target(&self, name: &str) -> Result<Option<String>, Error> {
        match fs::readlinkat(&self.descriptor, name, Vec::new()) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// Makes a file that was not there; `sync_all` is the caller's. Nobody can read it before owner and mode are as they
    /// should be.
    pub fn create(&self, name: &str, contents: &[u8], access: &Access) -> Result<File, Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(|error| self.failed("make", name, error))?;
        give(&file, access).map_err(|error| not_given(&self.path.join(name), error))?;
        let mut file = File::from(file);
        file.write_all(contents).map_err(|error| self.failed("write", name, error))?;
        Ok(file)
    }

    /// A file's bytes and what the system says of it; `None` where there is none, or something that cannot be read as one.
    pub fn read(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let stat = fs::fstat(&file).map_err(|error| self.failed("look at", name, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let length = u64::try_from(stat.st_size).unwrap_or(0).min(LARGEST_FILE);
        let contents = read_up_to(&file, length).map_err(|error| self.failed("read", name, error))?;
        Ok(Some((contents, stat)))
    }

    /// Syncs a file that somebody else may have written.
    pub fn sync_file(&self, name: &str) -> Result<(), Error> {
        match self.open_file(name)? {
            Some(file) => self.sync_open(name, &file),
            None => Ok(()),
        }
    }

    /// Syncs a file that `create` has made.
    pub fn sync_open(&self, name: &str, file: &File) -> Result<(), Error> {
        file.sync_all().map_err(|error| self.failed("sync", name, error))
    }

    /// Syncs the directory: the names in it are durable afterwards.
    pub fn sync(&self) -> Result<(), Error> {
        fs::fsync(&self.descriptor).map_err(|error| failed("sync", &self.path, error))
    }

    /// Makes a symbolic link.
    pub fn link(&self, name: &str, target: &str) -> Result<(), Error> {
        fs::symlinkat(target, &self.descriptor, name).map_err(|error| self.failed("make", name, error))
    }

    /// Renames within this directory, replacing what `to` was.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        fs::renameat(&self.descriptor, from, &self.descriptor, to).map_err(|error| self.failed("make", to, error))
    }

    /// Removes a file or link; succeeds where there is none.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        match fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Removes a directory and what is in it, or a file; succeeds where there is none. Links are not followed.
    pub fn remove_tree(&self, name: &str) -> Result<(), Error> {
        let is_directory = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !self.look_at(name)?.as_ref().is_some_and(is_directory) {
            return self.remove(name);
        }
        // A directory closed by hand could not be listed; where this fails, opening it says why.
        let _ = fs::chmodat(&self.descriptor, name, Mode::RWXU, AtFlags::empty());
        if let Some(folder) = self.child(name)? {
            folder.names()?.iter().try_for_each(|inner| folder.remove_tree(inner))?;
        }
        match fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Waits until no other writer, in this process or another, is at work in this directory; the lock
    /// ends with this value.
    pub fn lock(&self) -> Result<(), Error> {
        rustix::io::retry_on_intr(|| fs::flock(&self.descriptor, FlockOperation::LockExclusive))
            .map_err(|error| failed("lock", &self.path, error))
    }

    /// Whether `name` in this directory is that very folder.
    pub fn holds(&self, name: &str, folder: &Self) -> Result<bool, Error> {
        let (there, open) = (self.look_at(name)?, folder.stat()?);
        Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (open.st_dev, open.st_ino)))
    }

    fn opened(result: Result<OwnedFd, Errno>, path: PathBuf) -> Result<Option<Self>, Error> {
        match result {
            Ok(descriptor) => Ok(Some(Self { descriptor, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("open", &path, error)),
        }
    }

    /// Opens a file for reading without waiting for a pipe's other end; `None` where there is no file, or none that
    /// we may read.
    fn open_file(&self, name: &str) -> Result<Option<File>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    fn failed(&self, action: &str, name: &str, error: impl Into<io::Error>) -> Error {
        failed(action, &self.path.join(name), error)
    }
}

/// Sets owner and group, then the mode: in this order nobody else can read in between.
fn give(descriptor: &OwnedFd, access: &Access) -> Result<(), Errno> {
    if !access.owned(&fs::fstat(descriptor)?) {
        fs::fchown(descriptor, access.owner, access.group)?;
    }
    fs::fchmod(descriptor, access.mode)
}

fn not_given(path: &Path, error: Errno) -> Error {
    match error {
        Errno::PERM => Error::rejected(format!(
            "cannot give `{}` its owner and group: only root may give files away, and others only to a group that \
             they are in: put the user that renewd runs as into the group",
            path.display()
        )),
        error => failed("set owner and mode of", path, error),
    }
}

/// Reads into one buffer, which never grows: no copy of a key is left behind.
fn read_up_to(mut file: &File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut contents = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(usize::MAX)]);
    let mut filled = 0;
    while filled < contents.len() {
        match file.read(&mut contents[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    contents.truncate(filled);
    Ok(contents)
}

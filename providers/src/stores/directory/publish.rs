//! `put` and `delete`.
//!
//! A writer holds a lock on `.versions/<name>`: whatever is unfinished there was left by a crash.

use super::super::{Bundle, BundleFile, BundleName};
use super::access::Rules;
use super::folder::Folder;
use super::layout::{self, CONDEMNED, UNFINISHED, VERSIONS, VersionName};
use super::{DirectorySettings, read};
use crate::Error;

/// Stores the bundle in place of what is there.
pub(super) fn put(settings: &DirectorySettings, name: &BundleName, bundle: &Bundle) -> Result<(), Error> {
    refuse_strange_files(bundle)?;
    let rules = Rules::new(settings)?;
    let top = Folder::make(&settings.path, rules.directory)?;
    read::our_link(&top, name)?;
    let versions = top.ensure_child(VERSIONS, rules.directory)?;
    let shelf = lock(&versions, name, &rules)?;
    let shop = Shop { settings, rules, name, top, versions, shelf };
    shop.sweep()?;
    let result = shop.publish(bundle);
    if result.is_err() {
        // What cannot be swept now is swept by the next `put`.
        let _ = shop.sweep();
    }
    result
}

/// Takes the link away, then all versions.
pub(super) fn delete(settings: &DirectorySettings, name: &BundleName) -> Result<(), Error> {
    let Some(top) = Folder::open(&settings.path)? else { return Ok(()) };
    read::our_link(&top, name)?;
    let versions = top.child(VERSIONS)?;
    let _lock = versions.as_ref().map(|versions| lock_existing(versions, name)).transpose()?;
    if read::our_link(&top, name)?.is_some() {
        top.remove(name.as_str())?;
    }
    top.remove(&layout::unfinished_link(name))?;
    top.sync()?;
    let Some(versions) = versions else { return Ok(()) };
    versions.remove_tree(name.as_str())?;
    versions.sync()
}

/// The locked directory of a name's versions; `None` where there is none.
fn lock_existing(versions: &Folder, name: &BundleName) -> Result<Option<Folder>, Error> {
    while let Some(shelf) = versions.child(name.as_str())? {
        if locked(versions, &shelf, name)? {
            return Ok(Some(shelf));
        }
    }
    Ok(None)
}

/// The locked directory of a name's versions, made where it is missing.
fn lock(versions: &Folder, name: &BundleName, rules: &Rules) -> Result<Folder, Error> {
    loop {
        let shelf = versions.ensure_child(name.as_str(), rules.directory)?;
        if locked(versions, &shelf, name)? {
            return Ok(shelf);
        }
    }
}

/// Waits for the lock; false where the directory was deleted meanwhile.
fn locked(versions: &Folder, shelf: &Folder, name: &BundleName) -> Result<bool, Error> {
    shelf.lock()?;
    versions.holds(name.as_str(), shelf)
}

/// A bundle's files become files of the same names in one directory.
fn refuse_strange_files(bundle: &Bundle) -> Result<(), Error> {
    if bundle.files.is_empty() {
        return Err(Error::rejected("the bundle holds no files"));
    }
    for (at, file) in bundle.files.iter().enumerate() {
        let strange = file.name.is_empty() || file.name.starts_with('.') || file.name.contains(['/', '\0']);
        if strange || bundle.files[..at].iter().any(|earlier| earlier.name == file.name) {
            return Err(Error::rejected(format!("`{}` cannot be the name of a file of a bundle", file.name)));
        }
    }
    Ok(())
}

/// One bundle's place on disk while it is written, under its lock.
struct Shop<'a> {
    settings: &'a DirectorySettings,
    rules: Rules,
    name: &'a BundleName,
    /// `<path>`
    top: Folder,
    /// `<path>/.versions`
    versions: Folder,
    /// `<path>/.versions/<name>`
    shelf: Folder,
}

impl Shop<'_> {
    fn publish(&self, bundle: &Bundle) -> Result<(), Error> {
        let current = read::our_link(&self.top, self.name)?;
        let version = match self.find(bundle, current)? {
            Some(version) => version,
            None => self.write(bundle)?,
        };
        self.switch(current, version)?;
        self.prune(version);
        (self.settings.checkpoint)("pruned");
        Ok(())
    }

    /// Removes what a crash left unfinished.
    fn sweep(&self) -> Result<(), Error> {
        self.top.remove(&layout::unfinished_link(self.name))?;
        let names = self.shelf.names()?;
        names.iter().filter(|name| name.starts_with('.')).try_for_each(|name| self.shelf.remove_tree(name))
    }

    /// A directory that holds exactly this bundle already: rather the current one than another. It is durable
    /// afterwards, whoever wrote it.
    fn find(&self, bundle: &Bundle, current: Option<VersionName>) -> Result<Option<VersionName>, Error> {
        let mut candidates = self.of_version(bundle.version)?;
        candidates.sort_by_key(|version| (Some(*version) != current, std::cmp::Reverse(*version)));
        for version in candidates {
            let Some(folder) = self.version_folder(version)? else { continue };
            if !self.equals(&folder, bundle)? {
                continue;
            }
            if Some(version) != current {
                self.make_durable(&folder)?;
            }
            return Ok(Some(version));
        }
        Ok(None)
    }

    /// A version's directory; `None` where the name is taken by something else.
    fn version_folder(&self, version: VersionName) -> Result<Option<Folder>, Error> {
        match self.shelf.child(&version.to_string()) {
            Err(Error::Rejected { .. }) => Ok(None),
            result => result,
        }
    }

    /// Whether a version's directory holds this bundle and nothing else, with the right modes and owners.
    fn equals(&self, folder: &Folder, bundle: &Bundle) -> Result<bool, Error> {
        let mut names: Vec<_> = bundle.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if folder.names()? != names || !self.rules.directory.agrees(&folder.stat()?) {
            return Ok(false);
        }
        for file in &bundle.files {
            if !self.file_equals(folder, file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn file_equals(&self, folder: &Folder, file: &BundleFile) -> Result<bool, Error> {
        let found = folder.read(&file.name)?;
        Ok(found
            .is_some_and(|(contents, stat)| contents == file.contents && self.rules.file(file.private).agrees(&stat)))
    }

    fn make_durable(&self, folder: &Folder) -> Result<(), Error> {
        folder.names()?.iter().try_for_each(|name| folder.sync_file(name))?;
        folder.sync()?;
        self.sync_shelf()
    }

    /// Makes a version's directory whole under a temporary name, then gives it its own.
    fn write(&self, bundle: &Bundle) -> Result<VersionName, Error> {
        let folder = self.shelf.ensure_child(UNFINISHED, self.rules.directory)?;
        // All are written before the first is synced: the file system then needs one commit for them, not five.
        let mut written = Vec::with_capacity(bundle.files.len());
        for file in &bundle.files {
            written.push(folder.create(&file.name, &file.contents, &self.rules.file(file.private))?);
        }
        bundle.files.iter().zip(&written).try_for_each(|(file, open)| folder.sync_open(&file.name, open))?;
        folder.sync()?;
        (self.settings.checkpoint)("directory_written");
        let version = self.free_name(bundle.version)?;
        self.shelf.rename(UNFINISHED, &version.to_string())?;
        self.sync_shelf()?;
        (self.settings.checkpoint)("directory_renamed");
        Ok(version)
    }

    /// The first name for this version that is above all that are taken.
    fn free_name(&self, version: u64) -> Result<VersionName, Error> {
        let highest = self.of_version(version)?.into_iter().max();
        Ok(VersionName { version, repair: highest.map_or(0, |taken| taken.repair.saturating_add(1)) })
    }

    /// The shelf's names, and its own name, are durable afterwards.
    fn sync_shelf(&self) -> Result<(), Error> {
        self.shelf.sync()?;
        self.versions.sync()
    }

    /// Lets the link point to `version`.
    fn switch(&self, current: Option<VersionName>, version: VersionName) -> Result<(), Error> {
        if current == Some(version) {
            return self.top.sync();
        }
        let unfinished = layout::unfinished_link(self.name);
        self.top.link(&unfinished, &layout::target(self.name, version))?;
        self.top.rename(&unfinished, self.name.as_str())?;
        self.top.sync()?;
        (self.settings.checkpoint)("link_renamed");
        Ok(())
    }

    /// Removes damaged twins of the version in use at once (a key among them may be readable by others), and old
    /// versions beyond those to keep. The bundle is stored by now: a failure here is told, not returned.
    fn prune(&self, in_use: VersionName) {
        if let Err(error) =
            self.superseded(in_use).and_then(|old| old.into_iter().try_for_each(|old| self.discard(old)))
        {
            let store = self.top.path().display();
            tracing::warn!(certificate = %self.name, %store, %error, "old versions cannot be removed");
        }
    }

    fn superseded(&self, in_use: VersionName) -> Result<Vec<VersionName>, Error> {
        let mut old = self.all()?;
        old.retain(|version| *version != in_use);
        let (twins, mut old): (Vec<_>, Vec<_>) = old.into_iter().partition(|old| old.version == in_use.version);
        old.sort_unstable_by(|a, b| b.cmp(a));
        Ok(old.into_iter().skip(self.settings.keep).chain(twins).collect())
    }

    /// Takes a version away: its number at once, so that nobody finds half of it.
    fn discard(&self, version: VersionName) -> Result<(), Error> {
        self.shelf.rename(&version.to_string(), CONDEMNED)?;
        self.shelf.remove_tree(CONDEMNED)
    }

    fn of_version(&self, version: u64) -> Result<Vec<VersionName>, Error> {
        let mut all = self.all()?;
        all.retain(|name| name.version == version);
        Ok(all)
    }

    fn all(&self) -> Result<Vec<VersionName>, Error> {
        Ok(self.shelf.names()?.iter().filter_map(|name| VersionName::parse(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn bundle(names: &[&str]) -> Bundle {
        let file =
            |name: &&str| BundleFile { name: (*name).to_owned(), contents: Zeroizing::new(Vec::new()), private: false };
        Bundle { version: 1, files: names.iter().map(file).collect() }
    }

    #[test]
    fn file_names_that_would_leave_the_directory_or_meet_are_refused() {
        assert_eq!(refuse_strange_files(&bundle(&["cert.pem", "privkey.pem"])), Ok(()));
        for strange in [&["../cert.pem"][..], &[".hidden"], &[""], &["a\0b"], &["cert.pem", "cert.pem"], &[]] {
            assert!(refuse_strange_files(&bundle(strange)).is_err(), "{strange:?}");
        }
    }
}

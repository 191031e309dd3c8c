//! `get`, `stamp` and `list`.

use rustix::fs::{FileType, Stat};

use super::super::{Bundle, BundleFile, BundleName};
use super::DirectorySettings;
use super::folder::Folder;
use super::layout::{self, Link, VersionName};
use crate::Error;

/// How often a bundle may be replaced under a reader before it gives up.
const ATTEMPTS: usize = 16;

/// The files of a bundle in the order in which they are written, and whether they hold a private key.
const KNOWN: [(&str, bool); 7] = [
    ("cert.pem", false),
    ("chain.pem", false),
    ("fullchain.pem", false),
    ("privkey.pem", true),
    ("metadata.json", false),
    ("combined.pem", true),
    ("cert.pfx", true),
];

/// The current bundle: its known files in their order, then others by name. A missing file, or something in its place
/// that is not a file, is left out.
pub(super) fn bundle(settings: &DirectorySettings, name: &BundleName) -> Result<Option<Bundle>, Error> {
    let current = current(settings, name, files)?;
    Ok(current.map(|(version, files)| Bundle { version: version.version, files: files.unwrap_or_default() }))
}

/// Where the link points and what the system says of each file.
pub(super) fn stamp(settings: &DirectorySettings, name: &BundleName) -> Result<Option<String>, Error> {
    match current(settings, name, witness) {
        Ok(current) => Ok(current.map(|(version, seen)| format!("{version}{}", seen.unwrap_or_default()))),
        // Whoever asks `get` is told what is there instead.
        Err(Error::Rejected { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of all links that this store made, sorted.
pub(super) fn list(settings: &DirectorySettings) -> Result<Vec<BundleName>, Error> {
    let Some(top) = Folder::open(&settings.path)? else { return Ok(Vec::new()) };
    let mut bundles = Vec::new();
    for name in top.names()?.iter().filter_map(|name| BundleName::parse(name)) {
        if let Link::Ours(_) = link(&top, &name)? {
            bundles.push(name);
        }
    }
    bundles.sort_unstable();
    Ok(bundles)
}

/// The version that the link of `name` points to; `None` where there is no link.
///
/// # Errors
/// `Rejected` where something stands there that this store did not make.
pub(super) fn our_link(top: &Folder, name: &BundleName) -> Result<Option<VersionName>, Error> {
    match link(top, name)? {
        Link::Absent => Ok(None),
        Link::Ours(version) => Ok(Some(version)),
        Link::Foreign(what) => Err(Error::rejected(format!(
            "`{}` is {what}, which renewd did not make and will not replace: move it away, or give the store another \
             `path`",
            top.path().join(name.as_str()).display()
        ))),
    }
}

fn link(top: &Folder, name: &BundleName) -> Result<Link, Error> {
    if let Some(target) = top.link_target(name.as_str())? {
        return Ok(Link::parse(name, &target));
    }
    let what = |stat: Stat| match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => "a directory",
        FileType::RegularFile => "a file",
        _ => "something else",
    };
    Ok(top.look_at(name.as_str())?.map_or(Link::Absent, |stat| Link::Foreign(what(stat).to_owned())))
}

/// Resolves the link once and lets `look` read the directory there (`None` from it: somebody removed the directory).
/// Where the link has moved meanwhile, what was seen may be an old version half removed: it is looked at again.
fn current<T>(
    settings: &DirectorySettings,
    name: &BundleName,
    look: impl Fn(&Folder) -> Result<T, Error>,
) -> Result<Option<(VersionName, Option<T>)>, Error> {
    let Some(top) = Folder::open(&settings.path)? else { return Ok(None) };
    for _ in 0..ATTEMPTS {
        let Some(version) = our_link(&top, name)? else { return Ok(None) };
        let folder = top.child(&layout::target(name, version))?;
        let seen = folder.as_ref().map(&look).transpose()?;
        if our_link(&top, name)? == Some(version) {
            return Ok(Some((version, seen)));
        }
    }
    let path = top.path().join(name.as_str());
    Err(Error::Unavailable { detail: format!("`{}` is replaced faster than it can be read", path.display()) })
}

fn files(folder: &Folder) -> Result<Vec<BundleFile>, Error> {
    let mut names = folder.names()?;
    names.sort_by_key(|name| KNOWN.iter().position(|(known, _)| known == name).unwrap_or(KNOWN.len()));
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        if let Some((contents, stat)) = folder.read(&name)? {
            let private = is_private(&name, &stat);
            files.push(BundleFile { name, contents, private });
        }
    }
    Ok(files)
}

/// A known file's nature is known; of others, one that not everybody may read counts as private.
fn is_private(name: &str, stat: &Stat) -> bool {
    let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, private)| *private);
    known.unwrap_or(stat.st_mode & 0o004 == 0)
}

fn witness(folder: &Folder) -> Result<String, Error> {
    let mut line = format!(" {:o}", folder.stat()?.st_mode);
    for name in folder.names()? {
        if let Some(stat) = folder.look_at(&name)? {
            line.push_str(&format!(
                " {name}:{}:{}:{}.{}:{}.{}:{:o}:{}:{}",
                stat.st_ino,
                stat.st_size,
                stat.st_mtime,
                stat.st_mtime_nsec,
                stat.st_ctime,
                stat.st_ctime_nsec,
                stat.st_mode,
                stat.st_uid,
                stat.st_gid
            ));
        }
    }
    Ok(line)
}

//! Made-up bundles and what is on disk, for the directory store's tests.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use providers::stores::directory::{Directory, DirectorySettings};
use providers::stores::{Bundle, BundleFile, BundleName};
use zeroize::Zeroizing;

/// The name that most tests use.
pub fn name() -> BundleName {
    BundleName::parse("example.com").expect("a good name")
}

/// A bundle of five files whose every byte says the version; the i-th file is `unit` × i bytes long.
pub fn bundle(version: u64, unit: usize) -> Bundle {
    let names = ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "metadata.json"];
    let file = |(at, name): (usize, &str)| BundleFile {
        name: name.to_owned(),
        contents: Zeroizing::new(format!("{version:08}").bytes().cycle().take(unit * (at + 1)).collect()),
        private: name == "privkey.pem",
    };
    Bundle { version, files: names.into_iter().enumerate().map(file).collect() }
}

/// A store in `path` as the documentation promises it.
pub fn store(path: &Path) -> Directory {
    Directory::new(DirectorySettings::at(path))
}

/// The directory that the link of the usual name points to.
pub fn current(path: &Path) -> PathBuf {
    let target = fs::read_link(path.join("example.com")).expect("a link");
    assert!(target.is_relative(), "`{}` is relative", target.display());
    path.join(target)
}

/// All files of a directory by name.
pub fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    names(directory).into_iter().map(|name| (name.clone(), fs::read(directory.join(name)).expect("a file"))).collect()
}

/// What a bundle's files are by name.
pub fn expected(bundle: &Bundle) -> BTreeMap<String, Vec<u8>> {
    bundle.files.iter().map(|file| (file.name.clone(), file.contents.to_vec())).collect()
}

/// All names in a directory, sorted; none where there is no directory.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("UTF-8");
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort_unstable();
    names
}

/// The versions of the usual name on disk, and whatever else lies beside them.
pub fn versions(path: &Path) -> Vec<String> {
    names(&path.join(".versions/example.com"))
}

/// The permission bits.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

/// Sets the permission bits, as somebody might by hand.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

/// Asserts that nothing unfinished lies about and that the link leads to exactly this bundle.
pub fn assert_clean(path: &Path, bundle: &Bundle) {
    assert_eq!(contents(&current(path)), expected(bundle));
    assert_eq!(names(path), [".versions", "example.com"]);
    assert!(versions(path).iter().all(|name| !name.starts_with('.')), "{:?}", versions(path));
}

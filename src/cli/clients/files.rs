//! Files with keys and certificates: whole or not there, and for nobody else to read.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use zeroize::Zeroizing;

/// As many files as are written at the same time.
const AT_ONCE: usize = 16;

/// A file as the daemon hands it out.
pub(super) struct File {
    /// Its name.
    pub(super) file_name: String,
    /// What is in it.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl File {
    /// From the daemon's answer. Its name is one of a file in a directory of ours, whatever it says.
    pub(super) fn read(answer: &Value) -> anyhow::Result<Self> {
        let name = answer["file_name"].as_str().filter(|name| is_plain(name));
        let bytes = answer["content"].as_str().and_then(|text| BASE64.decode(text).ok());
        let (name, bytes) = name.zip(bytes).context("the daemon's answer is no file")?;
        Ok(Self { file_name: name.to_owned(), bytes: Zeroizing::new(bytes) })
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

/// Writes a file, 0600 before a byte of it, and puts it in the place of what may be there.
pub(in crate::cli) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write `{}`", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(cannot)?;
    let name = path.file_name().with_context(cannot)?;
    let beside = folder.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside).with_context(cannot)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.with_context(cannot)
}

/// Writes several files as `write` does, some at the same time: what takes long is the disk.
pub(super) fn write_all(files: &BTreeMap<PathBuf, Zeroizing<Vec<u8>>>) -> anyhow::Result<()> {
    let files: Vec<_> = files.iter().collect();
    let share = files.len().div_ceil(AT_ONCE).max(1);
    let write_some =
        |some: &[(&PathBuf, &Zeroizing<Vec<u8>>)]| some.iter().try_for_each(|(path, bytes)| write(path, bytes));
    std::thread::scope(|scope| {
        let shares: Vec<_> = files.chunks(share).map(|some| scope.spawn(move || write_some(some))).collect();
        shares.into_iter().try_for_each(|share| {
            share.join().unwrap_or_else(|_| Err(anyhow::anyhow!("writing files was interrupted")))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ann.key");
        for text in ["a longer text", "short"] {
            write(&path, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn many_files_are_all_written_and_a_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |number: usize| (folder.path().join(format!("{number}")), Zeroizing::new(vec![7; number]));
        let files: BTreeMap<_, _> = (0..50).map(file).collect();
        write_all(&files).unwrap();
        assert!(files.iter().all(|(path, bytes)| std::fs::read(path).unwrap() == **bytes));
        assert!(write_all(&BTreeMap::new()).is_ok());
        let below_a_file = BTreeMap::from([(folder.path().join("1/x"), Zeroizing::new(vec![1])), file(51)]);
        assert!(write_all(&below_a_file).is_err());
        assert!(folder.path().join("51").exists());
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["../a", "/a", ".a", "", "a/b"] {
            assert!(File::read(&serde_json::json!({ "file_name": name, "content": "" })).is_err(), "{name}");
        }
        assert!(File::read(&serde_json::json!({ "file_name": "ann@x.key", "content": "YQ==" })).is_ok());
    }
}

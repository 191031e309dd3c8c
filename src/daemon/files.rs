//! Watching the config's files: editors that rename, included files, symbolic links.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::warn;

/// Editors write in several steps: the last one this long ago ends a change.
const QUIET: Duration = Duration::from_millis(150);

/// Longer than this quiet is not waited for: something else may be writing beside the config all the time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells when one of the config's files has changed.
pub(super) struct Files {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    /// How the files looked before they were last read.
    stamps: BTreeMap<PathBuf, Stamp>,
    changes: mpsc::UnboundedReceiver<()>,
    /// Something happened that was not looked at yet.
    pending: bool,
}

/// Where a file's links lead, and which content stands there: inode, size, change time. `None`: nothing.
type Stamp = Option<(PathBuf, u64, u64, i64, i64)>;

impl Files {
    /// Watches nothing yet. Where the machine offers no way to watch, SIGHUP and `renewd reload` still work.
    pub(super) fn new() -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.send(());
            }
        });
        let watcher = made.inspect_err(|error| warn!("saving the config will not be noticed: {error}")).ok();
        Self { watcher, directories: BTreeSet::new(), stamps: BTreeMap::new(), changes, pending: false }
    }

    /// Watches these files, and no others any more. Their directories are watched, since editors replace files.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        let stamp_of = |file: &PathBuf| self.stamps.get(file).cloned().unwrap_or_else(|| stamp(file));
        self.stamps = files.iter().map(|file| (file.clone(), stamp_of(file))).collect();
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| directories(file)).collect();
        let Some(watcher) = &mut self.watcher else { return };
        for directory in self.directories.difference(&wanted) {
            let _ = watcher.unwatch(directory);
        }
        for directory in wanted.difference(&self.directories) {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                warn!(directory = %directory.display(), "changes there will not be noticed: {error}");
            }
        }
        self.directories = wanted;
    }

    /// The files are about to be read: from now on it counts how they look at this moment.
    pub(super) fn look(&mut self) {
        self.stamps.iter_mut().for_each(|(file, found)| *found = stamp(file));
    }

    /// The files were read before they were watched: the next `changed` returns soon, whatever happened.
    pub(super) fn read_again(&mut self) {
        self.stamps.values_mut().for_each(|found| *found = None);
        self.pending = true;
    }

    /// Returns when one of the files has changed and it has become quiet. What else happens in their directories, such as
    /// a log that grows, is nothing. May be dropped and called again: nothing that happened is forgotten.
    pub(super) async fn changed(&mut self) {
        loop {
            if !self.pending && self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.pending = true;
            let latest = Instant::now() + PATIENCE;
            while timeout(QUIET, self.changes.recv()).await.is_ok() && Instant::now() < latest {}
            self.pending = false;
            if self.stamps.iter().any(|(file, found)| stamp(file) != *found) {
                return self.look();
            }
        }
    }
}

fn stamp(file: &Path) -> Stamp {
    let (path, metadata) = (std::fs::canonicalize(file).ok()?, std::fs::metadata(file).ok()?);
    Some((path, metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

/// The directory of a file, and of what it links to.
fn directories(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| {
        if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) }
    };
    let resolved = std::fs::canonicalize(file).ok();
    [parent(file), resolved.as_deref().and_then(parent)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test writes for itself")]
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    /// A config and its watcher.
    fn watched() -> (TempDir, PathBuf, Files) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, "a");
        let mut files = Files::new();
        files.watch(std::slice::from_ref(&file));
        (directory, file, files)
    }

    async fn changes(files: &mut Files) -> bool {
        timeout(Duration::from_millis(700), files.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn only_the_files_themselves_count() {
        let (directory, file, mut files) = watched();
        assert!(!changes(&mut files).await);
        files.read_again();
        assert!(changes(&mut files).await);
        write(&directory.path().join("log"), "a line");
        assert!(!changes(&mut files).await, "a log beside it is of no interest");
        write(&file, "b");
        assert!(changes(&mut files).await);
        assert!(!changes(&mut files).await);
    }

    #[tokio::test]
    async fn a_change_outlives_whoever_waited_for_it() {
        let (_directory, file, mut files) = watched();
        write(&file, "b");
        assert!(timeout(QUIET / 3, files.changed()).await.is_err(), "it is not quiet yet");
        assert!(changes(&mut files).await);
    }

    #[tokio::test]
    async fn what_is_written_without_end_hides_nothing() {
        let (directory, file, mut files) = watched();
        write(&file, "b");
        let noise = async {
            loop {
                write(&directory.path().join("log"), "a line");
                tokio::time::sleep(QUIET / 5).await;
            }
        };
        tokio::select! {
            () = noise => {}
            seen = timeout(PATIENCE * 4, files.changed()) => assert!(seen.is_ok()),
        }
    }
}

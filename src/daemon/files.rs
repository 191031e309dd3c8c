//! Watching the config's files: editors that rename, included files, symbolic links.

use std::collections::BTreeSet;
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
    paths: Vec<PathBuf>,
    directories: BTreeSet<PathBuf>,
    changes: mpsc::UnboundedReceiver<()>,
    sender: mpsc::UnboundedSender<()>,
    /// Something happened that was not looked at yet.
    pending: bool,
    /// How the files looked when they were last said to have changed; `None`: nobody has looked.
    seen: Option<Vec<Look>>,
}

/// What tells one state of a file from another: the file that a link leads to, its number, size and times; of a directory
/// that of its entries.
type Look = (PathBuf, Vec<(PathBuf, u64, u64, i64, i64)>);

impl Files {
    /// Watches nothing yet. Where the machine offers no way to watch, SIGHUP and `renewd reload` still work.
    pub(super) fn new() -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let events = sender.clone();
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = events.send(());
            }
        });
        let watcher = made.inspect_err(|error| warn!("saving the config will not be noticed: {error}")).ok();
        Self { watcher, paths: Vec::new(), directories: BTreeSet::new(), changes, sender, pending: false, seen: None }
    }

    /// Watches these files, and no others any more. Their directories are watched, since editors replace files.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| directories(file)).collect();
        self.paths = files.to_vec();
        let Some(watcher) = &mut self.watcher else { return };
        for directory in self.directories.difference(&wanted) {
            let _ = watcher.unwatch(directory);
        }
        for directory in wanted.difference(&self.directories) {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                warn!(directory = %directory.display(), "changes there will not be noticed: {error}");
            }
            // What changed between the reading and the watching would be missed: it is read once more.
            self.seen = None;
            let _ = self.sender.send(());
        }
        self.directories = wanted;
    }

    /// Returns when one of the files has changed and it has become quiet. May be dropped and called again: nothing that
    /// happened is forgotten.
    pub(super) async fn changed(&mut self) {
        loop {
            if !self.pending && self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.pending = true;
            let latest = Instant::now() + PATIENCE;
            while timeout(QUIET, self.changes.recv()).await.is_ok() && Instant::now() < latest {}
            self.pending = false;
            let looks = Some(self.paths.iter().map(|path| look(path)).collect());
            if self.seen != looks {
                self.seen = looks;
                return;
            }
        }
    }
}

fn look(path: &Path) -> Look {
    let resolved = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut entries: Vec<PathBuf> = match std::fs::read_dir(&resolved) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![resolved.clone()],
    };
    entries.sort_unstable();
    let told = |path: PathBuf| {
        let told = std::fs::metadata(&path).ok()?;
        let changed = told.ctime().saturating_mul(1_000_000_000).saturating_add(told.ctime_nsec());
        Some((path, told.ino(), told.size(), told.mtime(), changed))
    };
    (resolved, entries.into_iter().filter_map(told).collect())
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
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test writes for itself")]
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    async fn changes(files: &mut Files) -> bool {
        timeout(Duration::from_millis(700), files.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn only_the_files_themselves_count() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, "a");
        let mut files = Files::new();
        files.watch(std::slice::from_ref(&file));
        assert!(changes(&mut files).await, "it is read again once it is watched");
        write(&directory.path().join("log"), "a line");
        assert!(!changes(&mut files).await, "a log beside it is of no interest");
        write(&file, "b");
        assert!(changes(&mut files).await);
        assert!(!changes(&mut files).await);
    }

    #[tokio::test]
    async fn a_change_outlives_whoever_waited_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, "a");
        let mut files = Files::new();
        files.watch(std::slice::from_ref(&file));
        assert!(changes(&mut files).await);
        write(&file, "b");
        assert!(timeout(QUIET / 3, files.changed()).await.is_err(), "it is not quiet yet");
        assert!(changes(&mut files).await);
    }

    #[tokio::test]
    async fn what_is_written_without_end_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        write(&file, "a");
        let mut files = Files::new();
        files.watch(std::slice::from_ref(&file));
        assert!(changes(&mut files).await);
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

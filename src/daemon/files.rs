//! Watching the config's files: editors that rename, included files, symbolic links.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tracing::warn;

/// Editors write in several steps: the last one this long ago ends a change.
const QUIET: Duration = Duration::from_millis(150);

/// Tells when one of the config's files has changed.
pub(super) struct Files {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
    changes: mpsc::UnboundedReceiver<()>,
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
        Self { watcher, directories: BTreeSet::new(), files: Vec::new(), stamps: Vec::new(), changes }
    }

    /// Watches these files, and no others any more. Their directories are watched, since editors replace files.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        self.files = files.to_vec();
        self.stamps = stamps(files);
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

    /// Returns when one of the files changed and it has become quiet. What else happens in their directories, such as a
    /// log that grows, is nothing.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            while tokio::time::timeout(QUIET, self.changes.recv()).await.is_ok_and(|event| event.is_some()) {}
            let found = stamps(&self.files);
            if found != self.stamps {
                self.stamps = found;
                return;
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let (path, metadata) = (std::fs::canonicalize(file).ok()?, std::fs::metadata(file).ok()?);
        Some((path, metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
    };
    files.iter().map(stamp).collect()
}

/// The directory of a file, and of what it links to.
fn directories(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| {
        if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) }
    };
    let resolved = std::fs::canonicalize(file).ok();
    [parent(file), resolved.as_deref().and_then(parent)].into_iter().flatten().collect()
}

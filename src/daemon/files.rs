//! Watching the config's files: editors that rename, included files, symbolic links.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tracing::warn;

/// Editors write in several steps: the last one this long ago ends a change.
const QUIET: Duration = Duration::from_millis(150);

/// Tells when one of the config's files may have changed.
pub(super) struct Files {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    changes: mpsc::UnboundedReceiver<()>,
}

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
        Self { watcher, directories: BTreeSet::new(), changes }
    }

    /// Watches these files, and no others any more. Their directories are watched, since editors replace files.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
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

    /// Returns when something changed and it has become quiet.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while tokio::time::timeout(QUIET, self.changes.recv()).await.is_ok_and(|event| event.is_some()) {}
    }
}

/// The directory of a file, and of what it links to.
fn directories(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| {
        if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) }
    };
    let resolved = std::fs::canonicalize(file).ok();
    [parent(file), resolved.as_deref().and_then(parent)].into_iter().flatten().collect()
}

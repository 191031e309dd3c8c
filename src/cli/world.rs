//! Where a command finds things: the config, the state, the daemon.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::client::{Client, Unanswered};
use super::failure::Failure;
use super::output::Output;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, Report, StoreKind};
use crate::state::{State, StateError};
use crate::worker::reconcile::reconcile;

/// Where the config is looked for first, and then.
const PLACES: [&str; 2] = ["/etc/renewd/config.toml", "config.toml"];

/// The file that was named, else the first that is there, else the first.
pub(super) fn config_path(named: Option<PathBuf>) -> PathBuf {
    let found = || PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    named.or_else(found).unwrap_or_else(|| PathBuf::from(PLACES[0]))
}

/// The config, and the daemon that may run with it.
#[derive(Debug)]
pub(super) struct World {
    config: Result<Config, Report>,
    pub(super) clock: Clock,
    pub(super) client: Client,
    /// Somebody named the config file.
    pub(super) named: bool,
}

impl World {
    /// Reads the config. One that is refused is no failure yet: a daemon may run with the one before it.
    pub(super) fn open(path: &Path, named: bool) -> Result<Self, Failure> {
        let config = config::load(path).map(|loaded| loaded.config);
        let socket = config.as_ref().map_or_else(|_| likely_socket(path), |config| config.state.socket.clone());
        Ok(Self { config, clock: Clock::system(), client: Client::new(&socket)?, named })
    }

    /// The config of the file.
    pub(super) fn config(&self) -> Result<&Config, Failure> {
        self.config.as_ref().map_err(|report| Failure::Config(report.clone()))
    }

    /// The state, to look at; before the first start the certificates of the config as renewd will find them, and that is
    /// said.
    pub(super) async fn state(&self, output: &Output) -> Result<State, Failure> {
        match State::open_to_look(&self.config()?.state).await {
            Err(absent @ StateError::Absent { .. }) => {
                output.complain(&format!("renewd: {absent}"));
                planned(self.config()?, self.clock.now()).await
            }
            state => Ok(state?),
        }
    }

    /// What a daemon that runs says at `path`; `None` where none runs.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.client.get(path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Unanswered::NoDaemon { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// What is told of an order to the daemon that nobody takes: a refused config comes before a missing daemon.
    pub(super) fn explain(&self, unanswered: Unanswered) -> Failure {
        match (unanswered, &self.config) {
            (Unanswered::NoDaemon { .. }, Err(report)) => Failure::Config(report.clone()),
            (unanswered, _) => unanswered.into(),
        }
    }
}

/// In memory: each certificate is new, and not in its stores, but where something lies there already.
async fn planned(config: &Config, now: Timestamp) -> Result<State, Failure> {
    let state = State::simulated().await?;
    reconcile(config, &state, now).await?;
    for (name, wanted) in &config.certificates {
        let lies_there = |store: &String| match config.stores.get(store).map(|store| &store.kind) {
            Some(StoreKind::Directory(directory)) => directory.path.join(name.as_str()).exists(),
            None => false,
        };
        if !wanted.stores.iter().any(lies_there) {
            state.inspected(name.as_str()).await?;
        }
    }
    Ok(state)
}

/// Where the daemon of a config file listens, as far as a file that is refused tells: what stands in `[state]`, else
/// the default places.
pub(super) fn likely_socket(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let (table, _) = toml::de::DeTable::parse_recoverable(&text);
    let said = |key: &str| {
        let state = table.get_ref().get("state")?.get_ref().as_table()?;
        state.get(key)?.get_ref().as_str().map(|said| folder.join(said))
    };
    let default = || {
        if path.starts_with("/etc") { PathBuf::from("/var/lib/renewd") } else { folder.join("renewd-state") }
    };
    said("socket").unwrap_or_else(|| said("directory").unwrap_or_else(default).join("renewd.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_found_in_a_broken_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for (text, socket) in [
            ("", "renewd-state/renewd.sock"),
            ("[state]\nsocket = \"s\"\n[broken\n", "s"),
            ("[state]\ndirectory = \"/d\"\n[http]\nlisten = 7\n", "/d/renewd.sock"),
        ] {
            use std::io::Write as _;
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            assert_eq!(likely_socket(&path), folder.path().join(socket), "{text}");
        }
        assert_eq!(likely_socket(Path::new("/etc/none/config.toml")), Path::new("/var/lib/renewd/renewd.sock"));
    }
}

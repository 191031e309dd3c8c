//! `[state]`: where renewd remembers.

use std::path::{Path, PathBuf};

use super::network;
use super::read::{Section, Value};
use crate::secret::SecretRef;

/// Where the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The state directory, absolute.
    pub directory: PathBuf,
    /// The local socket, absolute.
    pub socket: PathBuf,
    /// This node's name.
    pub node: String,
    /// The database.
    pub database: Database,
    /// Seals private keys: 32 bytes in base64. `None`: a file in the state directory, made on first start (SQLite only).
    pub seal_key: Option<SecretRef>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `renewd.db` in the state directory.
    Sqlite,
    /// PostgreSQL.
    Postgres {
        /// `postgres://host:port/database`, without user and password.
        url: String,
        /// The user.
        user: String,
        /// The password, unless the server trusts us without.
        password: Option<SecretRef>,
    },
}

/// Unix socket addresses hold no longer path.
const LONGEST_SOCKET: usize = 107;

impl StateSettings {
    /// Reads `[state]`, or makes it of nothing but defaults. `config` is the main file's absolute path.
    pub(super) fn read(root: &mut Section<'_>, config: &Path) -> Option<Self> {
        let mut section = root.section("state").unwrap_or_else(|| root.empty("state"));
        let directory = section.path("directory").unwrap_or_else(|| default_directory(config));
        let socket = section.path("socket").unwrap_or_else(|| directory.join("renewd.sock"));
        if socket.as_os_str().len() > LONGEST_SOCKET {
            let message =
                format!("the socket's path is longer than {LONGEST_SOCKET} octets, which no Unix socket takes");
            section.missing(
                "socket",
                message,
                "write a shorter one, for instance `socket = \"/run/renewd/renewd.sock\"`",
            );
        }
        let node = read_node(&mut section);
        let database = section.value("database");
        let seal_key = section.value("seal_key");
        if let (Some(value), None) = (&database, &seal_key) {
            value.refuse_reference(
                "with PostgreSQL the seal key must be given: all nodes need the same one",
                "write `seal_key = { credential = \"seal\" }` in [state] (32 bytes, base64)",
            );
        }
        let database = database.map_or(Some(Database::Sqlite), |value| Database::read(value.section()?));
        let seal_key = seal_key.and_then(|value| value.secret());
        section.finish();
        Some(Self { directory, socket, node: node?, database: database?, seal_key })
    }
}

fn default_directory(config: &Path) -> PathBuf {
    if config.starts_with("/etc") {
        return PathBuf::from("/var/lib/renewd");
    }
    config.parent().unwrap_or(config).join("renewd-state")
}

fn read_node(section: &mut Section<'_>) -> Option<String> {
    let Some(value) = section.value("node") else {
        let name = host_name();
        if name.is_none() {
            section.missing("node", "the host's name cannot be read", "write `node = \"…\"`");
        }
        return name;
    };
    let text = value.text()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.len() > 253 || !text.bytes().all(fits) {
        value.refuse("is not a node's name", "write letters, digits, `.`, `_` and `-`");
        return None;
    }
    Some(text.to_owned())
}

fn host_name() -> Option<String> {
    let places = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let names = places.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    names.map(|name| name.trim().to_owned()).find(|name| !name.is_empty())
}

impl Database {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let url = section.required("url", "write `url = \"postgres://host/database\"`");
        let user = section.required("user", "write `user = \"renewd\"`");
        let password = section.secret("password");
        section.finish();
        let (url, user) = (url.and_then(|value| read_database_url(&value)), user.and_then(|value| value.text()));
        Some(Self::Postgres { url: url?, user: user?.to_owned(), password })
    }
}

fn read_database_url(value: &Value<'_>) -> Option<String> {
    let url = network::plain_url(value, &["postgres", "postgresql"])?;
    if url.path().trim_matches('/').is_empty() {
        value.refuse("names no database", "write `url = \"postgres://host/database\"`");
        return None;
    }
    value.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_system_wide_config_is_below_var() {
        for (config, directory) in [
            ("/etc/renewd/config.toml", "/var/lib/renewd"),
            ("/etcetera/config.toml", "/etcetera/renewd-state"),
            ("/home/a/config.toml", "/home/a/renewd-state"),
        ] {
            assert_eq!(default_directory(Path::new(config)), Path::new(directory));
        }
    }
}

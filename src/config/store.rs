//! `[store.NAME.KIND]`: where bundles go.

use std::path::{Path, PathBuf};

use super::read::{Section, Value};
use crate::secret::SecretRef;

/// One store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where.
    pub kind: StoreKind,
    /// `combined.pem` (key and full chain in one file) is wanted, too.
    pub combined: bool,
    /// `cert.pfx` is wanted, too, with this password.
    pub pfx_password: Option<SecretRef>,
}

/// The kind of a store and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// A directory on this machine.
    Directory(DirectoryStore),
}

impl StoreKind {
    /// As the config writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
        }
    }

    /// Each node has one of its own, rather than all nodes sharing one.
    #[must_use]
    pub const fn is_per_node(&self) -> bool {
        match self {
            Self::Directory(_) => true,
        }
    }
}

/// `[store.NAME.directory]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryStore {
    /// Absolute.
    pub path: PathBuf,
    /// Of private keys: 0600 unless said.
    pub mode: u32,
    /// Of private keys: the user that renewd runs as unless said.
    pub owner: Option<String>,
    /// Of private keys: the group that renewd runs as unless said.
    pub group: Option<String>,
    /// Old versions kept: 3 unless said.
    pub keep: usize,
}

/// Kinds of stores, as the config writes them.
const KINDS: [&str; 1] = ["directory"];

/// Of private keys, unless said.
const KEY_MODE: u32 = 0o600;

/// Old versions kept, unless said.
const KEEP: u32 = 3;

impl Store {
    /// Reads `[store.NAME]` and `[store.NAME.KIND]`.
    pub(super) fn read(mut section: Section<'_>, state: &Path) -> Option<Self> {
        let combined = section.flag("combined");
        let pfx_password = section.section("pfx").and_then(read_pfx);
        let directory = section.value("directory");
        if directory.is_none() && !section.holds_unknown_tables() {
            let kinds: Vec<_> = KINDS.iter().map(|kind| format!("[{}.{kind}]", section.key_path())).collect();
            section.missing("", "says not what kind of store it is", format!("write {}", kinds.join(" or ")));
        }
        section.finish();
        let kind = DirectoryStore::read(directory?.section()?, state)?;
        Some(Self { kind: StoreKind::Directory(kind), combined, pfx_password })
    }
}

fn read_pfx(mut section: Section<'_>) -> Option<SecretRef> {
    let password = section.required("password", "write `password = { file = \"…\" }`");
    section.finish();
    password?.secret()
}

impl DirectoryStore {
    fn read(mut section: Section<'_>, state: &Path) -> Option<Self> {
        let path = section.path("path").unwrap_or_else(|| state.join("certificates"));
        let mode = section.value("mode").map_or(Some(KEY_MODE), |value| read_mode(&value));
        let owner = section.value("owner").and_then(|value| read_user(&value));
        let group = section.value("group").and_then(|value| read_user(&value));
        let keep = section.number("keep", 0..=1_000).unwrap_or(KEEP) as usize;
        section.finish();
        Some(Self { path, mode: mode?, owner, group, keep })
    }
}

/// Octal, in quotes or with `0o`; never more than a group may read.
fn read_mode(value: &Value<'_>) -> Option<u32> {
    const HELP: &str = "write \"0600\", \"0640\", \"0400\" or \"0440\"";
    let mode = match value.octal() {
        Some(mode) => Some(mode),
        None => {
            let text = value.quoted_text("a mode in quotes, such as \"0640\"")?;
            let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
            octal.then(|| u32::from_str_radix(text, 8).ok()).flatten()
        }
    };
    let complaint = match mode {
        None => "is not a mode",
        Some(mode) if mode & 0o007 != 0 => "private keys must not be open to everybody",
        Some(mode) if mode & 0o030 != 0 => "private keys must not be writable by a group",
        Some(mode) if mode & 0o7100 != 0 || mode & 0o400 == 0 => "is not a mode for a file that its owner reads",
        Some(mode) => return Some(mode),
    };
    value.refuse(complaint, HELP);
    None
}

/// The name or number of a user or group.
fn read_user(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$@\\".contains(&byte);
    if !text.bytes().all(fits) || text.starts_with('-') {
        value.refuse("is not the name of a user or group", "write a name or a number in quotes");
        return None;
    }
    Some(text.to_owned())
}

//! Reading values out of parsed TOML, key by key: each mistake is gathered with its place, and hides no other.
//!
//! Keys are taken one at a time rather than through serde: its errors end at the first in a table, and repeat the value
//! that was found, which may be a secret in the wrong place. What is found is never repeated here, only what is
//! expected.

mod section;
mod value;

pub(super) use section::Section;
pub(super) use value::Value;

use super::problems::{Kind, Place, Problems};
use super::source::Source;

/// One file while it is read.
pub(super) struct Page<'a> {
    /// Which of the files.
    pub(super) index: usize,
    /// Its text.
    pub(super) source: &'a Source,
    /// Where its mistakes go.
    pub(super) problems: &'a Problems,
}

impl Page<'_> {
    fn place(&self, offset: usize) -> Place {
        Place { file: self.index, offset: Some(offset) }
    }

    fn error(&self, kind: Kind, offset: usize, key: String, message: String, help: String) {
        self.problems.error(kind, self.place(offset), key, message, help);
    }
}

/// A key's path: `certificate."example.com".dns`.
fn join(path: &str, key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let key = match !key.is_empty() && key.bytes().all(bare) {
        true => key.to_owned(),
        false => format!("\"{}\"", key.chars().take(80).flat_map(char::escape_debug).collect::<String>()),
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

//! One table of the config.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::suggest;
use super::{Kind, Page, Value, join};
use crate::secret::SecretRef;

/// A table, the keys of which are asked for one by one; [`Section::finish`] refuses those nobody asked for.
#[derive(Clone)]
pub(in super::super) struct Section<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) table: &'a DeTable<'a>,
    pub(super) offset: usize,
    pub(super) path: Rc<str>,
    pub(super) known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole of a file.
    pub(in super::super) fn root(page: &'a Page<'a>, table: &'a DeTable<'a>) -> Self {
        Self { page, table, offset: 0, path: "".into(), known: Vec::new() }
    }

    /// The value of a key, where it is there.
    pub(in super::super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let (name, value) = self.table.get_key_value(key)?;
        Some(self.entry(name, value))
    }

    /// The value of a key that must be there.
    pub(in super::super) fn required(&mut self, key: &'static str, help: &str) -> Option<Value<'a>> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, "is missing", help);
        }
        value
    }

    /// A table below, where it is there.
    pub(in super::super) fn section(&mut self, key: &'static str) -> Option<Self> {
        self.value(key)?.section()
    }

    /// A table that is not in the file: all of it is defaults.
    pub(in super::super) fn empty(&self, key: &str) -> Self {
        static NOTHING: std::sync::LazyLock<DeTable<'static>> = std::sync::LazyLock::new(DeTable::new);
        let path = join(&self.path, key).into();
        Self { page: self.page, table: &NOTHING, offset: self.offset, path, known: Vec::new() }
    }

    /// A text, where it is there.
    pub(in super::super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.value(key)?.text()
    }

    /// `true` or `false`; `false` where it is not there.
    pub(in super::super) fn flag(&mut self, key: &'static str) -> bool {
        self.value(key).and_then(|value| value.flag()).unwrap_or_default()
    }

    /// A whole number, where it is there.
    pub(in super::super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.value(key)?.number(range)
    }

    /// A duration longer than nothing, where it is there.
    pub(in super::super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.value(key)?.duration()
    }

    /// A secret's place, where it is there.
    pub(in super::super) fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        self.value(key)?.secret()
    }

    /// A path, where it is there.
    pub(in super::super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.value(key)?.path()
    }

    /// Every name in the table with what stands under it, in the order of the names.
    pub(in super::super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.table.iter().map(|(name, value)| (&**name.get_ref(), self.entry(name, value)))
    }

    /// There are tables that nobody asked for: perhaps a kind or a provider with a slip in its name.
    pub(in super::super) fn holds_unknown_tables(&self) -> bool {
        self.entries().any(|(name, value)| value.is_table() && !self.known.contains(&name))
    }

    /// Refuses every key that nobody asked for.
    pub(in super::super) fn finish(self) {
        for (name, value) in self.entries().filter(|(name, _)| !self.known.contains(name)) {
            let what = if self.path.is_empty() { "unknown section" } else { "unknown key" };
            value.at_key().refuse(what, suggest::instead(name, self.known.iter().copied()));
        }
    }

    /// Adds a mistake that concerns the table as a whole.
    pub(in super::super) fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        self.page.error(Kind::Wrong, self.offset, self.path.to_string(), message.into(), help.into());
    }

    /// Adds a mistake about a key that is not there.
    pub(in super::super) fn missing(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let path = if key.is_empty() { self.path.to_string() } else { join(&self.path, key) };
        self.page.error(Kind::Missing, self.offset, path, message.into(), help.into());
    }

    /// Says something about the table as a whole.
    pub(in super::super) fn note(&self, message: impl Into<String>) {
        self.page.problems.note(self.page.place(self.offset), self.path.to_string(), message.into());
    }

    /// `file:line`, for messages elsewhere.
    pub(in super::super) fn place(&self) -> String {
        format!("{}:{}", self.page.source.path.display(), self.page.source.position(self.offset).0)
    }

    /// The table's own path.
    pub(in super::super) fn key_path(&self) -> &str {
        &self.path
    }

    fn entry(&self, name: &'a Spanned<std::borrow::Cow<'a, str>>, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        Value {
            page: self.page,
            value: value.get_ref(),
            offset: value.span().start,
            key_offset: name.span().start,
            section: Rc::clone(&self.path),
            key: name.get_ref(),
        }
    }
}

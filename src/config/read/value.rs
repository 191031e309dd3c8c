//! One value of the config.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::super::{duration, suggest};
use super::{Kind, Page, Section, join};
use crate::secret::SecretRef;

/// A value, its key and its place.
#[derive(Clone)]
pub(in super::super) struct Value<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) value: &'a DeValue<'a>,
    pub(super) offset: usize,
    pub(super) key_offset: usize,
    pub(super) section: Rc<str>,
    pub(super) key: &'a str,
}

impl<'a> Value<'a> {
    /// A text that is not empty.
    pub(in super::super) fn text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) if text.trim().is_empty() => self.refuse("is empty", ""),
            DeValue::String(text) => return Some(text),
            _ => self.expected("a text in quotes"),
        }
        None
    }

    /// A text that is not empty; anything else is told what belongs here.
    pub(in super::super) fn quoted_text(&self, what: &str) -> Option<&'a str> {
        if self.value.is_str() {
            return self.text();
        }
        self.expected(what);
        None
    }

    /// `true` or `false`.
    pub(in super::super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.expected("`true` or `false`, without quotes");
        }
        flag
    }

    /// A whole number within `range`.
    pub(in super::super) fn number(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number =
            self.value.as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.filter(|number| range.contains(number));
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.value {
            _ if number.is_some() => {}
            DeValue::Integer(_) => self.refuse(format!("is not {wanted}"), ""),
            _ => self.expected(&format!("{wanted}, without quotes")),
        }
        number
    }

    /// A whole number that is written in octal (`0o640`).
    pub(in super::super) fn octal(&self) -> Option<u32> {
        let number = self.value.as_integer().filter(|number| number.radix() == 8)?;
        u32::from_str_radix(number.as_str(), 8).ok()
    }

    /// A duration longer than nothing.
    pub(in super::super) fn duration(&self) -> Option<Duration> {
        let DeValue::String(text) = self.value else {
            self.refuse(format!("expected a duration in quotes, found {}", self.found()), duration::FORM);
            return None;
        };
        match duration::parse(text) {
            Some(duration) if duration.is_zero() => self.refuse("must be longer than nothing", ""),
            Some(duration) => return Some(duration),
            None => self.refuse("is not a duration", duration::FORM),
        }
        None
    }

    /// One of `words`.
    pub(in super::super) fn word<T>(&self, words: &[(&str, T)]) -> Option<T>
    where
        T: Copy,
    {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            self.refuse("is not known", suggest::instead(text, words.iter().map(|(word, _)| *word)));
        }
        found
    }

    /// The elements of a list.
    pub(in super::super) fn list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(array) = self.value else {
            self.expected("a list in brackets");
            return None;
        };
        Some(array.iter().map(|element| self.element(element)).collect())
    }

    /// The elements of a list, or the one value that stands without brackets.
    pub(in super::super) fn one_or_many(&self) -> Vec<Self> {
        match self.value {
            DeValue::Array(array) => array.iter().map(|element| self.element(element)).collect(),
            _ => vec![self.clone()],
        }
    }

    /// A program and its arguments. A program given by a relative path is taken from the file's own directory.
    pub(in super::super) fn command(&self) -> Option<Vec<String>> {
        let list = self.list()?;
        if list.is_empty() {
            self.refuse("names no program", "write for instance [\"systemctl\", \"reload\", \"nginx\"]");
            return None;
        }
        let mut words: Vec<String> = list.iter().map(Self::argument).collect::<Option<_>>()?;
        if words[0].trim().is_empty() || words.iter().any(|word| word.contains('\0')) {
            self.refuse("names no program", "write for instance [\"systemctl\", \"reload\", \"nginx\"]");
            return None;
        }
        if words[0].contains('/') {
            words[0] = self.page.source.directory.join(&words[0]).to_string_lossy().into_owned();
        }
        Some(words)
    }

    /// A text, perhaps an empty one.
    pub(in super::super) fn argument(&self) -> Option<String> {
        let text = self.value.as_str();
        if text.is_none() {
            self.expected("a text in quotes");
        }
        text.map(str::to_owned)
    }

    /// A path; a relative one is taken from the file's own directory.
    pub(in super::super) fn path(&self) -> Option<PathBuf> {
        Some(self.page.source.directory.join(self.text()?))
    }

    /// A path of a file that must be readable when the config is used.
    pub(in super::super) fn readable_path(&self) -> Option<PathBuf> {
        let path = self.path()?;
        self.page.problems.file(self.page.place(self.offset), self.key_path(), path.clone());
        Some(path)
    }

    /// Where a secret is to be found. The value is never repeated: it may be the secret itself.
    pub(in super::super) fn secret(&self) -> Option<SecretRef> {
        let spanned = Spanned::new(0..0, self.value.clone());
        let Ok(secret) = SecretRef::deserialize(ValueDeserializer::from(spanned)) else {
            let wrong = match self.is_table() {
                true => "a secret is referred to in one way",
                false => "a secret is never written here, but referred to",
            };
            self.refuse(wrong, "write { credential = \"…\" }, { file = \"…\" } or { env = \"…\" }");
            return None;
        };
        let secret = secret.relative_to(&self.page.source.directory);
        self.page.problems.secret(self.page.place(self.offset), self.key_path(), secret.clone());
        Some(secret)
    }

    /// The table that this is.
    pub(in super::super) fn section(&self) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value else {
            self.expected("a table");
            return None;
        };
        let path = self.key_path().into();
        Some(Section { page: self.page, table, offset: self.key_offset, path, known: Vec::new() })
    }

    /// It is a list with nothing in it.
    pub(in super::super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|array| array.is_empty())
    }

    /// It is a table.
    pub(in super::super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The same, its mistakes placed at the key.
    pub(in super::super) fn at_key(mut self) -> Self {
        self.offset = self.key_offset;
        self
    }

    /// Adds a mistake. `message` must not repeat the value unless it is a name.
    pub(in super::super) fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        self.page.error(Kind::Wrong, self.offset, self.key_path(), message.into(), help.into());
    }

    /// Adds a mistake that may only follow from another one.
    pub(in super::super) fn refuse_reference(&self, message: impl Into<String>, help: impl Into<String>) {
        self.page.error(Kind::Missing, self.offset, self.key_path(), message.into(), help.into());
    }

    /// Says something about the value.
    pub(in super::super) fn note(&self, message: impl Into<String>) {
        self.page.problems.note(self.page.place(self.offset), self.key_path(), message.into());
    }

    fn expected(&self, what: &str) {
        self.refuse(format!("expected {what}, found {}", self.found()), "");
    }

    fn found(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    fn key_path(&self) -> String {
        join(&self.section, self.key)
    }

    fn element(&self, element: &'a Spanned<DeValue<'a>>) -> Self {
        let offset = element.span().start;
        Self { value: element.get_ref(), offset, key_offset: offset, section: Rc::clone(&self.section), ..*self }
    }
}

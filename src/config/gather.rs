//! The names that a config defines, in whichever of its files.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::read::{Section, Value};
use crate::identifier::CertificateName;

/// Sections that may stand in the main file only.
const MAIN_ONLY: [&str; 5] = ["include", "state", "http", "resolver", "defaults"];

/// Tables by their names.
type Named<'a> = BTreeMap<&'a str, Section<'a>>;

/// What is defined, by its name: a name that stands twice is here once.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    pub(super) accounts: Named<'a>,
    pub(super) cas: Named<'a>,
    pub(super) dns: Named<'a>,
    pub(super) stores: Named<'a>,
    pub(super) notify: Named<'a>,
    pub(super) certificates: BTreeMap<CertificateName, Section<'a>>,
}

impl<'a> Gathered<'a> {
    /// Collects from the main file and the included ones.
    pub(super) fn collect(main: &mut Section<'a>, others: &mut [Section<'a>]) -> Self {
        let mut gathered = Self::default();
        gathered.add_file(main);
        for other in others {
            gathered.add_file(other);
            refuse_main_only(other);
        }
        gathered
    }

    fn add_file(&mut self, root: &mut Section<'a>) {
        for (name, section) in tables(root, "account") {
            add(&mut self.accounts, &[(&self.cas, "a ca")], name, section);
        }
        for (name, section) in tables(root, "ca") {
            add(&mut self.cas, &[(&self.accounts, "an account")], name, section);
        }
        for (name, section) in tables(root, "dns") {
            add(&mut self.dns, &[], name, section);
        }
        for (name, section) in tables(root, "store") {
            add(&mut self.stores, &[], name, section);
        }
        for (name, section) in tables(root, "notify") {
            add(&mut self.notify, &[], name, section);
        }
        for (name, value) in entries(root, "certificate") {
            self.add_certificate(name, &value);
        }
    }

    fn add_certificate(&mut self, text: &str, value: &Value<'a>) {
        let Some(section) = value.section() else { return };
        let name = match CertificateName::parse(text) {
            Ok(name) => name,
            Err(error) => return section.refuse(error.to_string(), ""),
        };
        if name.as_str() != text {
            section.note(format!("is read as `{name}`"));
        }
        match self.certificates.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(section);
            }
            Entry::Occupied(entry) => refuse_second(entry.key().as_str(), &section, entry.get()),
        }
    }
}

fn entries<'a>(root: &mut Section<'a>, kind: &'static str) -> Vec<(&'a str, Value<'a>)> {
    root.section(kind).map(|section| section.entries().collect()).unwrap_or_default()
}

fn tables<'a>(root: &mut Section<'a>, kind: &'static str) -> Vec<(&'a str, Section<'a>)> {
    entries(root, kind).into_iter().filter_map(|(name, value)| Some((name, value.section()?))).collect()
}

fn add<'a>(to: &mut Named<'a>, others: &[(&Named<'a>, &str)], name: &'a str, section: Section<'a>) {
    check_name(name, &section);
    for (other, what) in others {
        if let Some(first) = other.get(name) {
            let message = format!("`{name}` is the name of {what} already: {}", first.place());
            section.refuse(message, "accounts and CAs are both issuers: give them different names");
        }
    }
    match to.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(section);
        }
        Entry::Occupied(entry) => refuse_second(name, &section, entry.get()),
    }
}

fn refuse_second(name: &str, second: &Section<'_>, first: &Section<'_>) {
    second.refuse(format!("`{name}` is defined twice: first at {}", first.place()), "leave one of them out");
}

fn check_name(name: &str, section: &Section<'_>) {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !begins || name.len() > 63 || !name.bytes().all(fits) {
        let help = "write 1–63 of `a-z 0-9 _ -`, beginning with a letter or a digit";
        section.refuse("is not a name", help);
    }
}

fn refuse_main_only(root: &mut Section<'_>) {
    for key in MAIN_ONLY {
        if let Some(value) = root.value(key) {
            let help = "an included file may hold `account`, `ca`, `dns`, `store`, `notify` and `certificate`";
            value.at_key().refuse("may stand in the main file only", help);
        }
    }
}

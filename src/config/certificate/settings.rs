//! What `[defaults]` and `[certificate.NAME]` have in common.

use std::time::Duration;

use super::super::read::{Section, Value};
use super::super::{suggest, window};
use super::{DeployCommand, KeyType, Profile, RenewPolicy, Window, World};

/// Unless said.
const DEPLOY_TIMEOUT: Duration = Duration::from_secs(60);

/// Settings that a certificate has of its own or takes from `[defaults]`.
#[derive(Default)]
pub(in super::super) struct Settings<'a> {
    pub(super) issuers: Option<Choice<'a>>,
    pub(super) dns: Option<Choice<'a>>,
    pub(super) stores: Option<Choice<'a>>,
    pub(super) key: Option<(KeyType, Value<'a>)>,
    pub(super) profile: Option<Profile>,
    pub(super) chain: Option<String>,
    pub(super) before: Option<Duration>,
    pub(super) windows: Option<Vec<Window>>,
    pub(super) attempts_left: Option<u32>,
    pub(super) deploy: Option<Vec<DeployCommand>>,
}

/// Names of issuers, DNS instances or stores, and where they stand.
pub(super) struct Choice<'a> {
    /// Only those that there are.
    pub(super) names: Vec<String>,
    pub(super) value: Value<'a>,
}

impl<'a> Settings<'a> {
    /// Reads the keys that both tables have. Of those, `issuers`, `dns` and `stores` are looked up in `world`.
    pub(in super::super) fn read(section: &mut Section<'a>, world: &World<'_>) -> Self {
        let choice = |value: Value<'a>, sort: Sort| Choice::read(value, sort, world);
        let renew = section.section("renew").map(read_renew).unwrap_or_default();
        let attempts_left = section.number("attempts_left", 0..=1_000);
        Self {
            issuers: section.value("issuers").map(|value| choice(value, Sort::Issuer)),
            dns: section.value("dns").map(|value| choice(value, Sort::Dns)),
            stores: section.value("stores").map(|value| choice(value, Sort::Store)),
            key: section.value("key").and_then(|value| Some((super::read_key_type(&value)?, value))),
            profile: section.value("profile").and_then(|value| Profile::read(&value)),
            chain: section.value("chain").and_then(|value| read_chain(&value)),
            before: renew.0,
            windows: renew.1,
            attempts_left,
            deploy: section.value("deploy").and_then(|value| value.list()).map(|list| read_deploy(&list)),
        }
    }

    /// The policy of renewal: each of its keys is a certificate's own, or else the default.
    pub(super) fn renew(&self, defaults: &Self) -> RenewPolicy {
        let windows = self.windows.as_ref().or(defaults.windows.as_ref());
        RenewPolicy { before: self.before.or(defaults.before), windows: windows.cloned().unwrap_or_default() }
    }
}

/// What a name refers to.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Issuer,
    Dns,
    Store,
}

impl<'a> Choice<'a> {
    fn read(value: Value<'a>, sort: Sort, world: &World<'_>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut wrong = false;
        for element in value.one_or_many() {
            let Some(name) = element.text() else {
                wrong = true;
                continue;
            };
            match sort.contains(world, name) {
                false => sort.refuse(world, name, &element),
                true if names.iter().any(|other| other == name) => element.note(format!("`{name}` stands here twice")),
                true => names.push(name.to_owned()),
            }
        }
        if names.is_empty() && sort == Sort::Issuer && !wrong && value.is_empty_list() {
            value.refuse("names no issuer", "write the name of an account or a CA");
        }
        Self { names, value }
    }
}

impl Sort {
    fn contains(self, world: &World<'_>, name: &str) -> bool {
        match self {
            Self::Issuer => world.issuers.contains_key(name),
            Self::Dns => world.dns.contains_key(name),
            Self::Store => world.stores.contains(name),
        }
    }

    fn refuse(self, world: &World<'_>, name: &str, value: &Value<'_>) {
        let shown: String = name.chars().filter(|character| !character.is_control()).take(80).collect();
        let (message, add, help) = match self {
            Self::Issuer => {
                let names = world.issuers.keys().copied();
                (format!("no account or ca `{shown}`"), "[account.NAME] or [ca.NAME]", suggest::instead(name, names))
            }
            Self::Dns => {
                (format!("no dns instance `{shown}`"), "[dns.NAME]", suggest::instead(name, world.dns.keys().copied()))
            }
            Self::Store => {
                (format!("no store `{shown}`"), "[store.NAME]", suggest::instead(name, world.stores.iter().copied()))
            }
        };
        let help = if help.is_empty() { format!("add {}", add.replace("NAME", &shown)) } else { help };
        value.refuse_reference(message, help);
    }
}

impl Profile {
    fn read(value: &Value<'_>) -> Option<Self> {
        if value.is_table() {
            let mut section = value.section()?;
            let profile = section.required("require", "write `profile = { require = \"tlsserver\" }`");
            section.finish();
            return profile?.text().map(|profile| Self::Required(profile.to_owned()));
        }
        let profile = value.quoted_text("a profile in quotes, or { require = \"…\" }")?;
        Some(Self::Preferred(profile.to_owned()))
    }
}

fn read_chain(value: &Value<'_>) -> Option<String> {
    let name = value.text()?;
    if name.trim().is_empty() {
        value.refuse("names no chain", "write for instance \"ISRG Root X1\", or leave it out");
        return None;
    }
    Some(name.to_owned())
}

fn read_renew(mut section: Section<'_>) -> (Option<Duration>, Option<Vec<Window>>) {
    let before = section.duration("before");
    let windows = section.value("window").map(|value| value.one_or_many());
    section.finish();
    (before, windows.map(|windows| windows.iter().filter_map(read_window).collect()))
}

fn read_window(value: &Value<'_>) -> Option<Window> {
    match window::parse(value.text()?) {
        Ok(window) => Some(window),
        Err((message, help)) => {
            value.refuse(message, help);
            None
        }
    }
}

fn read_deploy(list: &[Value<'_>]) -> Vec<DeployCommand> {
    list.iter().filter_map(|value| DeployCommand::read(value.section()?)).collect()
}

impl DeployCommand {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let command = section.required("command", "write `command = [\"systemctl\", \"reload\", \"nginx\"]`");
        let each = section.flag("each");
        let timeout = section.duration("timeout").unwrap_or(DEPLOY_TIMEOUT);
        section.finish();
        Some(Self { command: command?.command()?, each, timeout })
    }
}

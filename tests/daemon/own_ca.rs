//! A config whose only issuer is a private CA: certificates at once, and at any time of the test's choosing.

use std::time::Duration;

use crate::harness::Daemon;
use crate::home::{Home, STORE, certificate};

/// `[ca.own]` and the store `disk`.
pub const OWN_CA: &str = "[ca.own]\nsubject = { common_name = \"Own CA\" }\n\n";

pub const LIMIT: Duration = Duration::from_secs(30);

pub const DAY: i64 = 86_400;

/// The config of a home with the private CA, the store, and what else there is to say.
pub fn config(home: &Home, extra: &str) -> String {
    format!("{}{OWN_CA}{STORE}{extra}", home.head())
}

/// Certificates of these names, with nothing else to say of them.
pub fn plain(names: &[&str]) -> String {
    names.iter().map(|name| certificate(name, &[name], "")).collect()
}

/// Another time for daemons that are started with `Clock::variable`.
pub struct Clock(String);

impl Clock {
    /// The machine's own time, until it is moved.
    pub fn new(home: &Home) -> Self {
        Clock(home.write("clock", "0").to_string_lossy().into_owned())
    }

    /// The variable that a daemon wants.
    pub fn variable(&self) -> (&str, &str) {
        (renewd::clock::TEST_CLOCK, &self.0)
    }

    /// From now on it is this many seconds later than it is.
    pub fn set(&self, seconds: i64) {
        let beside = format!("{}.new", self.0);
        std::fs::write(&beside, seconds.to_string()).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

/// The number of the current version; 0 where there is none.
pub fn version(daemon: &Daemon, name: &str) -> u64 {
    let all = daemon.certificates();
    all.iter().find(|one| one["name"] == name).and_then(|one| one["version"].as_u64()).unwrap_or(0)
}

/// The problem of a certificate; empty where there is none.
pub fn problem(daemon: &Daemon, name: &str) -> String {
    let all = daemon.certificates();
    let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {all:?}"));
    one["problem"].as_str().unwrap_or_default().to_owned()
}

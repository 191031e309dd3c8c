//! The clock and the state.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Doctor, Source, Standing};
use crate::config::Database;
use crate::report::{Finding, Group};
use crate::state::StateError;

/// A clock further from a CA's than this is said; beyond a day nothing is ordered by it.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// As far as a CA's clock may be away before nothing is ordered.
const CLOCK_LIMIT: Duration = Duration::from_secs(24 * 3600);

impl Doctor<'_> {
    /// Against the highest time seen, and against the CAs' own clocks.
    pub(super) fn clock(&self, sources: &BTreeMap<String, Source>) -> Group {
        const ADVICE: &str = "set the clock, and keep it by NTP";
        let ours = self.worker.clock.machine();
        let mut findings = Vec::new();
        if !self.worker.clock_trusted.load(Ordering::Relaxed) {
            let found = "it is more than an hour behind a time that renewd has seen: nothing is ordered";
            findings.push(Finding::error("clock", found, ADVICE));
        }
        let dates = sources.iter().filter_map(|(name, (offers, _))| Some((name, offers.as_ref().ok()?.date?)));
        for (issuer, theirs) in dates {
            let away = ours.since(theirs).max(theirs.since(ours));
            let found = format!("this machine says {ours}, the CA of `{issuer}` {theirs}");
            findings.push(match away {
                away if away > CLOCK_LIMIT => Finding::error("clock", found + ": nothing is ordered there", ADVICE),
                away if away > CLOCK_TOLERANCE => Finding::warning("clock", found, ADVICE),
                _ => Finding::ok("clock", format!("it agrees with that of the CA of `{issuer}`")),
            });
        }
        if findings.is_empty() {
            findings.push(Finding::ok("clock", format!("{ours}; there was no CA to compare it with")));
        }
        Group::new("clock", None, findings)
    }

    /// The database takes writes, and the seal key is nobody else's to read.
    pub(super) async fn state(&self) -> Group {
        if self.standing == Standing::Makeshift {
            return Group::new("state", None, Vec::new());
        }
        let settings = &self.parts.config.state;
        let mut findings = Vec::new();
        findings.push(match self.write_nothing().await {
            Ok(()) => {
                let key = self.worker.state.sealer().id();
                Finding::ok("database", format!("it takes writes; private keys are sealed with key `{key}`"))
            }
            Err(error) => {
                Finding::error("database", providers::error::chain(&error), "look at its disk, or its server")
            }
        });
        let key = settings.directory.join("seal.key");
        let mode = std::fs::metadata(&key).map(|found| found.permissions().mode());
        if settings.seal_key.is_none()
            && settings.database == Database::Sqlite
            && mode.is_ok_and(|mode| mode & 0o077 != 0)
        {
            let advice = format!("chmod 0600 {}", key.display());
            findings.push(Finding::warning("seal key", "others than its owner may read it", advice));
        }
        Group::new("state", None, findings)
    }

    async fn write_nothing(&self) -> Result<(), StateError> {
        self.worker.state.begin().await?.commit().await?;
        Ok(())
    }
}

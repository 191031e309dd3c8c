//! Telling consumers of a new version, and looking at what they serve.

use std::path::PathBuf;
use std::time::Duration;

use tracing::{info, warn};

use super::reading::Reading;
use super::{Parts, Turn, WorkError, news};
use crate::config::{self, StoreKind};
use crate::crash::{self, Point};
use crate::deploy::command::{self, DeployEvent, Deployed};
use crate::deploy::verify;
use crate::pki::chain::Chain;
use crate::planner::backoff::after_step;
use crate::planner::decide::{command_target, verify_target};
use crate::state::deployment::DeploymentKey;
use crate::state::{DeploymentKind, DeploymentRow, News, VersionRow};

impl Turn<'_> {
    /// Runs a command, once for all certificates that wait for it; with `each` for this one only.
    pub(super) async fn command(&self, reading: &Reading, command: &config::DeployCommand) -> Result<(), WorkError> {
        let Some(version) = &reading.version else { return Ok(()) };
        let target = command_target(command);
        let own = DeploymentKey { version_id: &version.id, kind: DeploymentKind::Command, target: &target };
        if !reading.deployments.iter().any(|row| row.kind == own.kind && row.target == target) {
            return Ok(self.state().add_deployment(own, &version.certificate, self.clock().now()).await?);
        }
        let _alone = self.worker.commands.lock(&[&target]).await;
        let waiting = self.awaiting(version, command, &target).await?;
        if !waiting.iter().any(|row| row.version_id == version.id) {
            // Another certificate's turn has run it for this one, too.
            return Ok(());
        }
        let mut bundles = Vec::new();
        for row in &waiting {
            if let Some(version) = self.state().version(&row.version_id).await? {
                bundles.push(deployed(&self.parts, &version));
            }
        }
        let again = waiting.iter().all(|row| row.done_at.is_some());
        let event = DeployEvent { event: if again { "requested" } else { "issued" }, bundles };
        let outcome = command::run(command, &event).await;
        crash::point(Point::Deployed);
        let failed = outcome
            .err()
            .map(|error| format!("deploy command `{}`: {}", program(command), providers::error::chain(&error)));
        self.remember(&waiting, failed.as_deref()).await
    }

    /// The deployments that one run of the command serves.
    async fn awaiting(
        &self,
        version: &VersionRow,
        command: &config::DeployCommand,
        target: &str,
    ) -> Result<Vec<DeploymentRow>, WorkError> {
        let all = self.state().deployments_awaiting(target).await?;
        let stored = |row: &DeploymentRow| !command.each || row.version_id == version.id;
        Ok(all.into_iter().filter(stored).collect())
    }

    /// Looks at what is served at one address.
    pub(super) async fn verify(&self, reading: &Reading, place: &config::Verify) -> Result<(), WorkError> {
        let Some(version) = &reading.version else { return Ok(()) };
        let target = verify_target(place);
        let key = DeploymentKey { version_id: &version.id, kind: DeploymentKind::Verify, target: &target };
        let Some(row) = reading.deployments.iter().find(|row| row.kind == key.kind && row.target == target) else {
            return Ok(self.state().add_deployment(key, &version.certificate, self.clock().now()).await?);
        };
        let chain = Chain::from_pem(&version.chain).map_err(|error| WorkError::Damaged {
            certificate: version.certificate.clone(),
            what: error.to_string(),
        })?;
        let outcome = verify::check(place, &chain).await;
        let failed = outcome.err().map(|error| format!("`{}`: {}", place.address, providers::error::chain(&error)));
        self.remember(std::slice::from_ref(row), failed.as_deref()).await
    }

    /// Writes down what came of it, for each, and says so.
    async fn remember(&self, rows: &[DeploymentRow], failed: Option<&str>) -> Result<(), WorkError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let now = self.clock().now();
        let keys: Vec<_> = rows.iter().map(key).collect();
        let Some(words) = failed else {
            self.state().deployments_done_and_tell(&keys, &news::deployed(rows), now).await?;
            for row in rows {
                let done = if row.kind == DeploymentKind::Command { "deployed" } else { "served" };
                info!(certificate = %row.certificate, target = %row.target, "{done}");
            }
            return self.look_at_companions(rows).await;
        };
        let failures = rows.iter().map(|row| row.failures).max().unwrap_or(0) + 1;
        let wait = patience(first.kind, failures, self.worker.dice.throw());
        warn!(
            certificate = %first.certificate, certificates = rows.len(), retry_at = %now.plus(wait),
            "not {}: {words}", if first.kind == DeploymentKind::Command { "deployed" } else { "served" },
        );
        let news =
            if is_worth_telling(first.kind, failures) { news::not_deployed(rows, words) } else { News::default() };
        Ok(self.state().deployments_failed_and_tell(&keys, (words, wait), &news, now).await?)
    }

    /// Others that were served by the same run go on at once.
    async fn look_at_companions(&self, rows: &[DeploymentRow]) -> Result<(), WorkError> {
        if rows.len() > 1 {
            for row in rows {
                self.state().look_now(&row.certificate, self.clock().now()).await?;
            }
        }
        Ok(())
    }

    /// An adopted version is in use already: its consumers need not be told.
    pub(super) async fn told_already(&self, reading: &Reading, version_id: &str) -> Result<(), WorkError> {
        let Some(wanted) = &reading.wanted else { return Ok(()) };
        let now = self.clock().now();
        let targets: Vec<String> = wanted.deploy.iter().map(command_target).collect();
        let keys: Vec<_> =
            targets.iter().map(|target| DeploymentKey { version_id, kind: DeploymentKind::Command, target }).collect();
        for key in &keys {
            self.state().add_deployment(*key, &reading.row.name, now).await?;
        }
        Ok(self.state().deployments_done(&keys, now).await?)
    }
}

/// A server that was just told takes a moment to serve: the first looks follow soon.
fn patience(kind: DeploymentKind, failures: u32, spread: u32) -> Duration {
    match kind {
        DeploymentKind::Verify if failures <= 5 => Duration::from_secs(1),
        DeploymentKind::Verify => after_step(failures - 5, None, spread),
        DeploymentKind::Command => after_step(failures, None, spread),
    }
}

/// The first looks after a command are too early to say anything.
fn is_worth_telling(kind: DeploymentKind, failures: u32) -> bool {
    kind == DeploymentKind::Command || failures > 5
}

fn key(row: &DeploymentRow) -> DeploymentKey<'_> {
    DeploymentKey { version_id: &row.version_id, kind: row.kind, target: &row.target }
}

fn program(command: &config::DeployCommand) -> &str {
    command.command.first().map_or("", String::as_str)
}

/// The version as a command is told of it: its paths in the first directory store.
fn deployed(parts: &Parts, version: &VersionRow) -> Deployed {
    let directory = directory(parts, &version.certificate);
    Deployed {
        certificate: version.certificate.clone(),
        fullchain: directory.as_ref().map(|path| path.join("fullchain.pem")),
        privkey: directory.as_ref().map(|path| path.join("privkey.pem")),
        directory,
        serial: version.serial.clone(),
        not_after: version.not_after,
        names: version.names.clone(),
        version: version.number,
    }
}

fn directory(parts: &Parts, certificate: &str) -> Option<PathBuf> {
    let wanted = parts.config.certificates.get(certificate)?;
    let stores = wanted.stores.iter().filter_map(|store| parts.config.stores.get(store));
    stores
        .map(|store| match &store.kind {
            StoreKind::Directory(directory) => directory.path.join(certificate),
        })
        .next()
}

//! What somebody asked for.

use serde_json::Value;
use tracing::{info, warn};

use super::reading::Reading;
use super::{Turn, WorkError, Worker};
use crate::issuer::{IssuerError, RevocationReason};
use crate::planner::backoff::Failure;
use crate::state::{JobRow, VersionRow};

impl Turn<'_> {
    /// Takes a renewal up: an attempt is made now, whatever the backoff.
    pub(super) async fn begin(&self, reading: &Reading, job: &JobRow) -> Result<(), WorkError> {
        let now = self.clock().now();
        info!(certificate = %job.subject, by = %job.requested_by, "{} asked for", job.kind);
        self.state().job_started(&job.id, now).await?;
        self.state().forget_backoff(&job.subject).await?;
        if let Some(order) = reading.order.as_ref().filter(|order| order.next_step_at > now) {
            self.state().order_waits(&order.id, now).await?;
        }
        Ok(())
    }

    /// The job is over.
    pub(super) async fn finish(&self, job: &JobRow, outcome: &Result<String, String>) -> Result<(), WorkError> {
        let told = outcome.as_deref().map_err(String::as_str);
        Ok(self.state().job_finished(&job.id, told, self.clock().now()).await?)
    }

    /// Puts the current version into its stores again and tells its consumers again.
    pub(super) async fn redeploy(&self, reading: &Reading, job: &JobRow) -> Result<(), WorkError> {
        let Some(version) = &reading.version else { return Ok(()) };
        let now = self.clock().now();
        info!(certificate = %job.subject, by = %job.requested_by, "deploy asked for");
        for row in &reading.deliveries {
            self.state().redeliver(&version.id, &row.store, &row.node).await?;
        }
        self.state().redeploy(&version.id, now).await?;
        Ok(self.state().job_started(&job.id, now).await?)
    }

    /// Revokes a version.
    pub(super) async fn revoke(&self, reading: &Reading, job: &JobRow) -> Result<(), WorkError> {
        let outcome = match self.to_be_revoked(reading, job).await? {
            Ok((version, reason)) => self.revoke_version(&version, reason, job).await?,
            Err(words) => Err(words),
        };
        if let Err(words) = &outcome {
            warn!(certificate = %job.subject, by = %job.requested_by, "not revoked: {words}");
        }
        self.finish(job, &outcome).await
    }

    async fn to_be_revoked(
        &self,
        reading: &Reading,
        job: &JobRow,
    ) -> Result<Result<(VersionRow, RevocationReason), String>, WorkError> {
        let arguments: Value = serde_json::from_str(&job.arguments).unwrap_or_default();
        let word = arguments["reason"].as_str().unwrap_or("unspecified");
        let Some(reason) = RevocationReason::parse(word) else {
            return Ok(Err(format!("`{word}` is no reason that a subscriber may give (RFC 5280)")));
        };
        let version = match arguments["serial"].as_str() {
            None => reading.version.clone(),
            Some(serial) => {
                let versions = self.state().versions(&job.subject).await?;
                versions.into_iter().find(|version| version.serial.eq_ignore_ascii_case(serial))
            }
        };
        Ok(match version {
            None => Err("there is no such version".to_owned()),
            Some(version) if version.revoked_at.is_some() => Err("it is revoked already".to_owned()),
            Some(version) => Ok((version, reason)),
        })
    }

    async fn revoke_version(
        &self,
        version: &VersionRow,
        reason: RevocationReason,
        job: &JobRow,
    ) -> Result<Result<String, String>, WorkError> {
        let Some(seats) = self.parts.issuers.get(&version.issuer) else {
            return Ok(Err(format!("its issuer `{}` is not in the config any more", version.issuer)));
        };
        if let Err(error) = seats.issuer.revoke(version, reason).await {
            return Ok(Err(providers::error::chain(&error)));
        }
        let arguments: Value = serde_json::from_str(&job.arguments).unwrap_or_default();
        let replace = arguments["replace"].as_bool().unwrap_or(true);
        self.state().version_revoked(&version.id, reason.as_str(), replace, self.clock().now()).await?;
        self.tell_of_revocation(version, reason.as_str(), job).await?;
        info!(
            certificate = %version.certificate, serial = %version.serial, reason = reason.as_str(),
            by = %job.requested_by, "revoked",
        );
        Ok(Ok(format!("serial {} is revoked ({})", version.serial, reason.as_str())))
    }
}

impl Worker {
    /// Does the jobs on accounts: new keys.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn work_on_accounts(&self) -> Result<(), WorkError> {
        for job in self.state.open_account_jobs().await? {
            self.state.job_started(&job.id, self.clock.now()).await?;
            let outcome = self.rotate_key(&job).await;
            let words = match &outcome {
                Ok(()) => Ok("the account has a new key"),
                Err(words) => Err(words.as_str()),
            };
            self.state.job_finished(&job.id, words, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn rotate_key(&self, job: &JobRow) -> Result<(), String> {
        let parts = self.parts.load_full();
        let Some(seats) = parts.issuers.get(&job.subject) else {
            return Err(format!("there is no account `{}` in the config", job.subject));
        };
        let outcome: Result<(), IssuerError> = seats.issuer.rotate_key().await;
        match &outcome {
            Ok(()) => info!(issuer = %job.subject, by = %job.requested_by, "the account has a new key"),
            Err(error) => {
                let again = if error.failure() == Failure::Temporary { ": ask again later" } else { "" };
                warn!(issuer = %job.subject, "key not rotated: {}{again}", providers::error::chain(error));
            }
        }
        outcome.map_err(|error| providers::error::chain(&error))
    }
}

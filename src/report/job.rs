//! One job: what somebody asked for, and what came of it.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::certificate::told;
use crate::state::{JobKind, Result, State};

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// 1.
    pub schema: u32,
    /// UUIDv7.
    pub id: String,
    /// `renew`, `revoke`, `deploy` or `rotate-key`.
    pub kind: String,
    /// The certificate's or the account's name.
    pub subject: String,
    /// Who asked.
    pub requested_by: String,
    /// `queued`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// When it was asked for.
    pub submitted_at: String,
    /// When it was taken up.
    pub started_at: Option<String>,
    /// When it was over.
    pub finished_at: Option<String>,
    /// What came of it, in words.
    pub result: Option<String>,
    /// Why it cannot be done.
    pub error: Option<String>,
    /// How the certificate stands meanwhile.
    pub certificate_state: Option<String>,
    /// What is wrong with the certificate meanwhile.
    pub problem: Option<String>,
}

impl JobView {
    /// It is over, well or not.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.finished_at.is_some()
    }

    /// It is over, and well.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        self.state == "succeeded"
    }
}

/// The job of that id; `None` where there is none.
///
/// # Errors
/// Where the database fails.
pub async fn job(state: &State, id: &str) -> Result<Option<JobView>> {
    let Some(row) = state.job(id).await? else { return Ok(None) };
    let certificate = match row.kind {
        JobKind::RotateKey => None,
        JobKind::Renew | JobKind::Revoke | JobKind::Deploy => state.certificate(&row.subject).await?,
    };
    Ok(Some(JobView {
        schema: SCHEMA,
        id: row.id,
        kind: row.kind.to_string(),
        subject: row.subject,
        requested_by: row.requested_by,
        state: row.state.to_string(),
        submitted_at: row.submitted_at.to_string(),
        started_at: told(row.started_at),
        finished_at: told(row.finished_at),
        result: row.result,
        error: row.error,
        certificate_state: certificate.as_ref().map(|certificate| certificate.state.to_string()),
        problem: certificate.and_then(|certificate| certificate.problem),
    }))
}

//! Revocation, hold and release of what an identity has.

use super::certifier::StatusChange;
use super::{ClientError, Clients};
use crate::clock::Timestamp;
use crate::state::client::ClientRow;
use crate::state::client::certificate::ClientCertificateRow;

/// RFC 5280's number of `certificateHold`.
pub(super) const HOLD: u8 = 6;

/// RFC 5280's number of `superseded`.
pub(super) const SUPERSEDED: u8 = 4;

impl Clients {
    /// Changes how the certificates of an identity stand that have not ended: all of them, or the one of this serial.
    /// Answers the identity, and the serials that it concerned.
    ///
    /// # Errors
    /// Where there is nothing to change, or the CA or the database fails; what was changed by then stays so, and the same
    /// can be asked for again.
    pub async fn change_status(
        &self,
        client: &ClientRow,
        serial: Option<&str>,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<(ClientRow, Vec<String>), ClientError> {
        let _alone = self.locks.lock(&["client", &client.id]).await;
        let rows = self.state.client_certificates(&client.id).await?;
        let rows: Vec<_> = rows.into_iter().filter(|row| concerns(row, serial, change, now)).collect();
        if rows.is_empty() {
            return Err(nothing(client, change));
        }
        let mut serials = Vec::new();
        for row in &rows {
            self.change(row, change, now).await?;
            serials.extend(row.serial.clone());
        }
        let client = self.state.client(&client.id).await?.ok_or_else(|| ClientError::gone(&client.id))?;
        Ok((client, serials))
    }

    pub(super) async fn change(
        &self,
        row: &ClientCertificateRow,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<(), ClientError> {
        let Some(serial) = &row.serial else { return Ok(()) };
        let changed = self.certifier.change(&row.ca, serial, change, now).await;
        changed.map_err(|source| ClientError::of(&row.ca, source))
    }
}

/// It was issued, has not ended, and is not revoked for good.
pub(super) fn is_in_force(row: &ClientCertificateRow, now: Timestamp) -> bool {
    let lives = row.not_after.is_some_and(|end| end > now);
    lives && (row.revoked_at.is_none() || row.revocation_reason == Some(HOLD))
}

fn concerns(row: &ClientCertificateRow, serial: Option<&str>, change: StatusChange, now: Timestamp) -> bool {
    let named = serial.is_none_or(|serial| row.serial.as_deref() == Some(serial));
    let held = row.revoked_at.is_some() && row.revocation_reason == Some(HOLD);
    named && match change {
        StatusChange::Release => held,
        StatusChange::Revoke(_) => is_in_force(row, now),
    }
}

fn nothing(client: &ClientRow, change: StatusChange) -> ClientError {
    let (standing, hint) = match change {
        StatusChange::Release => ("not on hold", "there is nothing to release"),
        StatusChange::Revoke(_) => ("not in force", "it has no such certificate that has not ended and is not revoked"),
    };
    ClientError::Standing { identifier: client.identifier.clone(), standing, hint }
}

//! Revocation, hold and release of what an identity has.

use super::{ClientError, Clients};
use crate::ca::revoke::{Reason, RevocationError};
use crate::clock::Timestamp;
use crate::pki::serial::Serial;
use crate::state::client::ClientRow;
use crate::state::client::certificate::ClientCertificateRow;

/// What changes in how certificates stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusChange {
    /// Revoked for this reason; `certificateHold` puts it on hold.
    Revoke(Reason),
    /// A hold ends.
    Release,
}

impl Clients {
    /// Changes how the certificates of an identity stand that have not ended: all of them, or the one of this serial.
    /// Answers the identity, and the serials that it concerned. Where all of them are revoked for good already, revoking
    /// changes nothing, and whoever did not hear the answer can ask again.
    ///
    /// # Errors
    /// Where there is nothing to change, or it could not be kept; what was changed by then stays so, and the same can be
    /// asked for again.
    pub async fn change_status(
        &self,
        client: &ClientRow,
        serial: Option<&str>,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<(ClientRow, Vec<String>), ClientError> {
        let _alone = self.locks.lock(&["client", &client.id]).await;
        let rows = self.state.client_certificates(&client.id).await?;
        if let Some(serial) = serial
            && !rows.iter().any(|row| row.serial.as_deref() == Some(serial))
        {
            let identifier = client.identifier.clone();
            return Err(ClientError::NoCertificate { identifier, serial: serial.to_owned() });
        }
        let (concerned, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| concerns(row, serial, change, now));
        let rows = match concerned.is_empty() {
            true => others.into_iter().filter(|row| is_repeated(row, serial, change, now)).collect(),
            false => concerned,
        };
        if rows.is_empty() {
            return Err(nothing(client, change));
        }
        for row in &rows {
            self.change(row, change, now).await?;
        }
        let client = self.state.client(&client.id).await?.ok_or_else(|| ClientError::gone(&client.id))?;
        Ok((client, rows.into_iter().filter_map(|row| row.serial).collect()))
    }

    /// Revokes the certificates that came before this one, and notes that it is done.
    pub(super) async fn revoke_older(&self, row: &ClientCertificateRow, now: Timestamp) -> Result<(), ClientError> {
        for older in self.state.client_certificates(&row.client).await? {
            if older.number < row.number && is_in_force(&older, now) {
                self.change(&older, StatusChange::Revoke(Reason::Superseded), now).await?;
            }
        }
        Ok(self.state.client_debt_paid(&row.id).await?)
    }

    async fn change(
        &self,
        row: &ClientCertificateRow,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<(), ClientError> {
        let Some(serial) = &row.serial else { return Ok(()) };
        let unknown = || RevocationError::Unknown { ca: row.ca.clone(), serial: serial.clone() };
        let serial = Serial::parse_hex(serial).map_err(|_| unknown())?;
        match change {
            StatusChange::Revoke(reason) => self.revocations.revoke(&row.ca, &serial, reason, now).await?,
            StatusChange::Release => self.revocations.release(&row.ca, &serial, now).await?,
        };
        Ok(())
    }
}

/// It was issued, has not ended, and is not revoked for good.
fn is_in_force(row: &ClientCertificateRow, now: Timestamp) -> bool {
    lives(row, now) && (row.revoked_at.is_none() || is_held(row))
}

fn lives(row: &ClientCertificateRow, now: Timestamp) -> bool {
    row.not_after.is_some_and(|end| end > now)
}

fn is_held(row: &ClientCertificateRow) -> bool {
    row.revoked_at.is_some() && row.revocation_reason == Some(Reason::CertificateHold.code())
}

fn is_named(row: &ClientCertificateRow, serial: Option<&str>) -> bool {
    serial.is_none_or(|serial| row.serial.as_deref() == Some(serial))
}

/// It was to be revoked for good, and is.
fn is_repeated(row: &ClientCertificateRow, serial: Option<&str>, change: StatusChange, now: Timestamp) -> bool {
    let is_final = matches!(change, StatusChange::Revoke(reason) if reason != Reason::CertificateHold);
    is_final && is_named(row, serial) && lives(row, now) && row.revoked_at.is_some()
}

fn concerns(row: &ClientCertificateRow, serial: Option<&str>, change: StatusChange, now: Timestamp) -> bool {
    is_named(row, serial)
        && match change {
            StatusChange::Release => is_held(row),
            StatusChange::Revoke(_) => is_in_force(row, now),
        }
}

fn nothing(client: &ClientRow, change: StatusChange) -> ClientError {
    let (standing, hint) = match change {
        StatusChange::Release => ("not on hold", "there is nothing to release"),
        StatusChange::Revoke(_) => {
            ("without such a certificate in force", "what has ended or is revoked for good stays so")
        }
    };
    ClientError::Standing { identifier: client.identifier.clone(), standing, hint }
}

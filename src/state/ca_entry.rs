//! Issuing certificates, as their issuers' registers hold them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Result, State};
use crate::clock::Timestamp;

/// An issuing certificate among what its issuer has certified.
#[derive(Debug)]
pub struct CaEntry<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// Lower-case hex.
    pub serial: &'a str,
    /// The generation that has signed it; 0 is the root.
    pub issuer: u32,
    /// What lists show of it.
    pub subject: &'a str,
    /// In DER.
    pub certificate: &'a [u8],
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
}

impl State {
    /// Puts an issuing certificate on record among the CA's certificates. Where it is there already, that stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn enter_ca_certificate(&self, entry: &CaEntry<'_>) -> Result<()> {
        sqlx::query(
            "INSERT INTO ca_certificate (ca, serial, generation, order_id, names, profile, subject, not_before, \
             not_after, certificate, created_at) VALUES ($1, $2, $3, $4, '[]', 'ca', $5, $6, $7, $8, $6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(entry.ca)
        .bind(entry.serial)
        .bind(i64::from(entry.issuer))
        .bind(format!("ca {}", entry.serial))
        .bind(entry.subject)
        .bind(entry.not_before.millis())
        .bind(entry.not_after.millis())
        .bind(BASE64.encode(entry.certificate))
        .execute(self.writer())
        .await?;
        Ok(())
    }
}

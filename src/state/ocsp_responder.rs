//! Certificates that sign OCSP answers for a private CA: keys, and what is to be signed, before it is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::row::{optional_text, text, time};
use super::{Result, State, StateError};
use crate::clock::Timestamp;
use crate::secret::Column;

/// A responder of one generation of a CA.
#[derive(Debug, Clone)]
pub struct OcspResponderRow {
    /// The CA's name in the config.
    pub ca: String,
    /// Lower-case hex.
    pub serial: String,
    key_sealed: String,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// A TBSCertificate in DER, until signed.
    pub to_be_signed: Option<Vec<u8>>,
    /// The certificate in DER, once signed.
    pub certificate: Option<Vec<u8>>,
}

/// What is needed to write a responder down before it is signed.
#[derive(Debug)]
pub struct NewOcspResponder<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// The generation that signs it, and that it answers for.
    pub generation: u32,
    /// Lower-case hex.
    pub serial: &'a str,
    /// Its common name, for lists.
    pub subject: &'a str,
    /// PKCS#8 DER.
    pub key: &'a [u8],
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// A TBSCertificate in DER.
    pub to_be_signed: &'a [u8],
}

impl OcspResponderRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let serial = text(row, "serial")?;
        Ok(Self {
            ca: text(row, "ca")?,
            key_sealed: text(row, "key_sealed")?,
            not_before: time(row, "not_before")?,
            not_after: time(row, "not_after")?,
            to_be_signed: der(row, &serial, "to_be_signed")?,
            certificate: der(row, &serial, "certificate")?,
            serial,
        })
    }

    /// The private key, PKCS#8 DER.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Zeroizing<Vec<u8>>> {
        let row = row_key(&self.ca, &self.serial);
        Ok(state.sealer().open(column(&row), &self.key_sealed)?)
    }
}

fn der(row: &AnyRow, serial: &str, column: &str) -> Result<Option<Vec<u8>>> {
    let damaged =
        |_| StateError::Damaged { table: "ocsp_responder", row: serial.to_owned(), what: "it is no base64".to_owned() };
    optional_text(row, column)?.map(|text| BASE64.decode(text).map_err(damaged)).transpose()
}

fn row_key(ca: &str, serial: &str) -> String {
    format!("{ca} {serial}")
}

fn column(row: &str) -> Column<'_> {
    Column { table: "ocsp_responder", row, column: "key_sealed" }
}

impl State {
    /// The responder of a generation that ends last; `None` where there is none yet.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub async fn newest_ocsp_responder(&self, ca: &str, generation: u32) -> Result<Option<OcspResponderRow>> {
        self.last_ocsp_responder(ca, generation, "").await
    }

    /// As `newest_ocsp_responder`, among those that are signed.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub async fn newest_signed_ocsp_responder(&self, ca: &str, generation: u32) -> Result<Option<OcspResponderRow>> {
        self.last_ocsp_responder(ca, generation, "AND r.certificate IS NOT NULL").await
    }

    async fn last_ocsp_responder(&self, ca: &str, generation: u32, which: &str) -> Result<Option<OcspResponderRow>> {
        let statement = format!(
            "SELECT r.ca, r.serial, r.key_sealed, r.not_before, r.not_after, r.certificate, c.to_be_signed \
             FROM ocsp_responder r JOIN ca_certificate c ON c.ca = r.ca AND c.serial = r.serial \
             WHERE r.ca = $1 AND r.generation = $2 {which} ORDER BY r.not_after DESC, r.serial LIMIT 1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca).bind(i64::from(generation));
        let found = query.fetch_optional(self.reader()).await?;
        found.as_ref().map(OcspResponderRow::read).transpose()
    }

    /// Writes a responder down before it is signed, among the CA's certificates, too.
    ///
    /// # Errors
    /// Where sealing or the database fails, or the CA has used the serial before.
    pub async fn add_ocsp_responder(&self, new: &NewOcspResponder<'_>, now: Timestamp) -> Result<()> {
        let row = row_key(new.ca, new.serial);
        let sealed = self.sealer().seal(column(&row), new.key)?;
        let mut write = self.begin().await?;
        sqlx::query(
            "INSERT INTO ca_certificate (ca, serial, generation, order_id, names, profile, subject, not_before, \
             not_after, to_be_signed, created_at) VALUES ($1, $2, $3, $4, '[]', 'ocsp', $5, $6, $7, $8, $9)",
        )
        .bind(new.ca)
        .bind(new.serial)
        .bind(i64::from(new.generation))
        .bind(format!("ocsp {}", new.serial))
        .bind(new.subject)
        .bind(new.not_before.millis())
        .bind(new.not_after.millis())
        .bind(BASE64.encode(new.to_be_signed))
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        sqlx::query(
            "INSERT INTO ocsp_responder (ca, generation, serial, key_sealed, not_before, not_after, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.ca)
        .bind(i64::from(new.generation))
        .bind(new.serial)
        .bind(sealed)
        .bind(new.not_before.millis())
        .bind(new.not_after.millis())
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// A responder is signed. Where it was signed already, that signature stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ocsp_responder_signed(&self, ca: &str, serial: &str, certificate: &[u8]) -> Result<()> {
        let mut write = self.begin().await?;
        for statement in [
            "UPDATE ca_certificate SET certificate = $3, to_be_signed = NULL \
             WHERE ca = $1 AND serial = $2 AND certificate IS NULL",
            "UPDATE ocsp_responder SET certificate = $3 WHERE ca = $1 AND serial = $2 AND certificate IS NULL",
        ] {
            sqlx::query(statement).bind(ca).bind(serial).bind(BASE64.encode(certificate)).execute(&mut *write).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Forgets the keys of responders that ended before `before`, those of the root (generation 0) only where that
    /// has another: else it would not be seen that it had one. Their certificates stay on record.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_ocsp_responders(&self, ca: &str, generation: u32, before: Timestamp) -> Result<()> {
        sqlx::query(
            "DELETE FROM ocsp_responder WHERE ca = $1 AND not_after < $2 AND (generation > 0 OR generation = $3)",
        )
        .bind(ca)
        .bind(before.millis())
        .bind(i64::from(generation))
        .execute(self.writer())
        .await?;
        Ok(())
    }
}

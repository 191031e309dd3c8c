//! Keys of private CAs that come and go: those that wait for a certificate which somebody else signs, and roots' keys
//! that are taken offline.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::ca::{KeyPlace, NewCa};
use super::row::{optional_text, text};
use super::{Result, State, StateError};
use crate::clock::Timestamp;
use crate::secret::Column;

/// The root's generation.
const ROOT: i64 = 0;

/// A key that waits for its certificate.
#[derive(Debug, Clone)]
pub struct CaRequestRow {
    /// The CA's name in the config.
    pub ca: String,
    /// As the config writes it.
    pub key_type: String,
    /// The key in a PKCS#11 token (RFC 7512), where it is in one.
    pub key_uri: Option<String>,
    /// A PKCS#10 in DER.
    pub request: Vec<u8>,
    key_sealed: String,
}

/// What is needed to write a request down.
#[derive(Debug)]
pub struct NewCaRequest<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// As the config writes it.
    pub key_type: &'a str,
    /// The private key.
    pub key: KeyPlace<'a>,
    /// A PKCS#10 in DER.
    pub request: &'a [u8],
}

impl CaRequestRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let ca = text(row, "ca")?;
        let damaged =
            |_| StateError::Damaged { table: "ca_request", row: ca.clone(), what: "it is no base64".to_owned() };
        Ok(Self {
            key_type: text(row, "key_type")?,
            key_uri: optional_text(row, "key_uri")?,
            request: BASE64.decode(text(row, "request")?).map_err(damaged)?,
            key_sealed: text(row, "key_sealed")?,
            ca,
        })
    }

    /// The private key, PKCS#8 DER; `None` where it is in a token.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if self.key_sealed.is_empty() {
            return Ok(None);
        }
        Ok(Some(state.sealer().open(column(&self.ca), &self.key_sealed)?))
    }
}

fn column(ca: &str) -> Column<'_> {
    Column { table: "ca_request", row: ca, column: "key_sealed" }
}

impl State {
    /// The request of a CA that waits for its certificate.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_request(&self, ca: &str) -> Result<Option<CaRequestRow>> {
        let found =
            sqlx::query("SELECT * FROM ca_request WHERE ca = $1").bind(ca).fetch_optional(self.reader()).await?;
        found.as_ref().map(CaRequestRow::read).transpose()
    }

    /// Writes a request down, in place of the one before.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn put_ca_request(&self, new: &NewCaRequest<'_>, now: Timestamp) -> Result<()> {
        let (sealed, uri) = match new.key {
            KeyPlace::Sealed(key) => (self.sealer().seal(column(new.ca), key)?, None),
            KeyPlace::Token(uri) => (String::new(), Some(uri)),
            KeyPlace::Elsewhere => (String::new(), None),
        };
        sqlx::query(
            "INSERT INTO ca_request (ca, key_type, key_sealed, key_uri, request, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (ca) DO UPDATE SET key_type = excluded.key_type, \
             key_sealed = excluded.key_sealed, key_uri = excluded.key_uri, request = excluded.request, \
             created_at = excluded.created_at",
        )
        .bind(new.ca)
        .bind(new.key_type)
        .bind(sealed)
        .bind(uri)
        .bind(BASE64.encode(new.request))
        .bind(now.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// Writes down the generation that a request has become, and forgets the request, both or neither.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn install_ca(&self, new: &NewCa<'_>, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.add_ca_in(&mut write, new, now).await?;
        sqlx::query("DELETE FROM ca_request WHERE ca = $1").bind(new.name).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }

    /// The root's key was handed out.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn root_key_exported(&self, ca: &str, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE ca SET exported_at = $3 WHERE name = $1 AND generation = $2")
            .bind(ca)
            .bind(ROOT)
            .bind(now.millis())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// Forgets the root's key, where it was handed out before; says whether it did.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_root_key(&self, ca: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE ca SET key_sealed = '' WHERE name = $1 AND generation = $2 AND exported_at IS NOT NULL",
        )
        .bind(ca)
        .bind(ROOT)
        .execute(self.writer())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps the root's key again, PKCS#8 DER, sealed.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn put_root_key(&self, ca: &str, key: &[u8]) -> Result<()> {
        sqlx::query("UPDATE ca SET key_sealed = $3 WHERE name = $1 AND generation = $2")
            .bind(ca)
            .bind(ROOT)
            .bind(self.seal_ca_key(ca, 0, key)?)
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

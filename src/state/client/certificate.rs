//! The certificates of an identity: what each was made from, and what is still owed for it.
//!
//! A row is written before anything is signed, under the id that is the order at the CA: whatever happens then, the same
//! certificate comes of it.

use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::ClientRow;
use crate::clock::Timestamp;
use crate::secret::Column;
use crate::state::certificate::words;
use crate::state::row::{count, optional_integer, optional_text, optional_time, parsed, text, time};
use crate::state::{Result, State, Write};

words! {
    /// What is still to be done for a certificate.
    ClientOwed {
        /// It is not signed yet.
        Issue = "issue",
        /// It is not signed yet, and when it is, those before it are to be revoked.
        IssueAndRevoke = "issue-and-revoke",
        /// Those before it are to be revoked.
        Revoke = "revoke",
    }
}

/// A certificate of an identity.
#[derive(Debug, Clone)]
pub struct ClientCertificateRow {
    /// UUIDv7; also its order at the CA.
    pub id: String,
    /// The identity's id.
    pub client: String,
    /// 1, 2, …
    pub number: u32,
    /// The CA's name in the config.
    pub ca: String,
    /// Lower-case hex, once issued.
    pub serial: Option<String>,
    key_sealed: Option<String>,
    /// The request that it was made from, in PEM.
    pub csr: Option<String>,
    /// In force from here, once issued.
    pub not_before: Option<Timestamp>,
    /// In force until here, once issued.
    pub not_after: Option<Timestamp>,
    /// The id of the certificate that took its place.
    pub superseded_by: Option<String>,
    /// What is still to be done.
    pub owed: Option<ClientOwed>,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Since when it is revoked or on hold, as the CA has it.
    pub revoked_at: Option<Timestamp>,
    /// Why: RFC 5280's number; 6 is a hold.
    pub revocation_reason: Option<u8>,
}

/// Certificates with what the CA says of each.
const WITH_STATUS: &str = "SELECT client_certificate.*, ca_certificate.revoked_at, ca_certificate.revocation_reason \
                           FROM client_certificate LEFT JOIN ca_certificate \
                           ON ca_certificate.ca = client_certificate.ca \
                           AND ca_certificate.order_id = client_certificate.id";

/// What a certificate is to be made from.
#[derive(Clone, Copy)]
pub enum ClientKey<'a> {
    /// A key that was made here: PKCS#8 DER, to be sealed.
    Own(&'a [u8]),
    /// Somebody's request, in PEM.
    Request(&'a str),
}

impl std::fmt::Debug for ClientKey<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Own(_) => "Own",
            Self::Request(_) => "Request",
        })
    }
}

/// What is needed to write a certificate down before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct NewClientCertificate<'a> {
    /// What it is to be made from.
    pub key: ClientKey<'a>,
    /// Those before it are to be revoked when it is issued.
    pub revoke_old: bool,
}

/// A certificate that was signed.
#[derive(Debug, Clone)]
pub struct IssuedClient {
    /// Its id.
    pub id: String,
    /// The identity's id.
    pub client: String,
    /// The CA's name in the config.
    pub ca: String,
    /// 1, 2, …
    pub number: u32,
    /// Lower-case hex.
    pub serial: String,
    /// In force from here.
    pub not_before: Timestamp,
    /// In force until here.
    pub not_after: Timestamp,
    /// A third of its life is left.
    pub renew_at: Timestamp,
}

impl ClientCertificateRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let owed = optional_text(row, "owed")?;
        Ok(Self {
            id: text(row, "id")?,
            client: text(row, "client")?,
            number: count(row, "number")?,
            ca: text(row, "ca")?,
            serial: optional_text(row, "serial")?,
            key_sealed: optional_text(row, "key_sealed")?,
            csr: optional_text(row, "csr")?,
            not_before: optional_time(row, "not_before")?,
            not_after: optional_time(row, "not_after")?,
            superseded_by: optional_text(row, "superseded_by")?,
            owed: owed.map(|_| parsed(row, "client_certificate", "owed", ClientOwed::parse)).transpose()?,
            requested_by: text(row, "requested_by")?,
            created_at: time(row, "created_at")?,
            revoked_at: optional_time(row, "revoked_at")?,
            revocation_reason: optional_integer(row, "revocation_reason")?.and_then(|code| u8::try_from(code).ok()),
        })
    }

    /// The private key, PKCS#8 DER; `None` where the certificate was made from a request.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(sealed) = &self.key_sealed else { return Ok(None) };
        Ok(Some(state.sealer().open(column(&self.id), sealed)?))
    }

    /// The private key is here.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.key_sealed.is_some()
    }
}

fn column(id: &str) -> Column<'_> {
    Column { table: "client_certificate", row: id, column: "key_sealed" }
}

impl State {
    /// Writes the next certificate of an identity down, and answers its id. Where one is written down already that is not
    /// signed, that one's.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_client_certificate(
        &self,
        client: &ClientRow,
        new: &NewClientCertificate<'_>,
        asker: &str,
        now: Timestamp,
    ) -> Result<String> {
        let mut write = self.begin().await?;
        lock(&mut write, &client.id).await?;
        let newest = format!("{WITH_STATUS} WHERE client = $1 ORDER BY number DESC LIMIT 1");
        let newest = sqlx::query(sqlx::AssertSqlSafe(newest)).bind(&client.id).fetch_optional(&mut *write).await?;
        let newest = newest.as_ref().map(ClientCertificateRow::read).transpose()?;
        let id = match newest {
            Some(open) if open.serial.is_none() => open.id,
            newest => {
                let number = newest.map_or(1, |newest| newest.number + 1);
                self.insert_client_certificate(&mut write, &client.id, &client.ca, number, new, asker, now).await?
            }
        };
        write.commit().await?;
        Ok(id)
    }

    #[expect(clippy::too_many_arguments, reason = "a row")]
    pub(super) async fn insert_client_certificate(
        &self,
        write: &mut Write,
        client: &str,
        ca: &str,
        number: u32,
        new: &NewClientCertificate<'_>,
        asker: &str,
        now: Timestamp,
    ) -> Result<String> {
        let id = crate::state::new_id();
        let (sealed, csr) = match new.key {
            ClientKey::Own(key) => (Some(self.sealer().seal(column(&id), key)?), None),
            ClientKey::Request(csr) => (None, Some(csr)),
        };
        let owed = if new.revoke_old { ClientOwed::IssueAndRevoke } else { ClientOwed::Issue };
        sqlx::query(
            "INSERT INTO client_certificate (id, client, number, ca, key_sealed, csr, owed, requested_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&id)
        .bind(client)
        .bind(i64::from(number))
        .bind(ca)
        .bind(sealed)
        .bind(csr)
        .bind(owed.as_str())
        .bind(asker)
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
        Ok(id)
    }

    /// Certificates were signed: each becomes the current one of its identity, and it is noted that this is to be told, in
    /// one transaction. Said twice, it is as if said once.
    ///
    /// # Errors
    /// Where the database fails; nothing is written then.
    pub async fn client_certificates_issued(&self, issued: &[IssuedClient], now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        let mut new = Vec::with_capacity(issued.len());
        for one in issued {
            if note_serial(&mut write, one).await? {
                supersede(&mut write, one).await?;
                make_current(&mut write, one).await?;
                new.push(one);
            }
        }
        self.note_client_news(&mut write, &new, now).await?;
        write.commit().await?;
        self.wake();
        Ok(())
    }

    /// What was owed for a certificate is done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_debt_paid(&self, id: &str) -> Result<()> {
        let statement = "UPDATE client_certificate SET owed = NULL WHERE id = $1 AND serial IS NOT NULL";
        sqlx::query(statement).bind(id).execute(self.writer()).await?;
        Ok(())
    }

    /// The CA will never sign this: it is forgotten, and with it an identity that has no other. What the CA has written
    /// down under its id stays, and then it stays, too.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn withdraw_client_certificate(&self, row: &ClientCertificateRow) -> Result<()> {
        let mut write = self.begin().await?;
        let done = sqlx::query(
            "DELETE FROM client_certificate WHERE id = $1 AND serial IS NULL \
             AND NOT EXISTS (SELECT 1 FROM ca_certificate WHERE ca = $2 AND order_id = $1)",
        )
        .bind(&row.id)
        .bind(&row.ca)
        .execute(&mut *write)
        .await?;
        if done.rows_affected() > 0 {
            sqlx::query("DELETE FROM client WHERE id = $1 AND standing = 'pending' AND number = 0")
                .bind(&row.client)
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// The certificate of that id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_certificate(&self, id: &str) -> Result<Option<ClientCertificateRow>> {
        let statement = format!("{WITH_STATUS} WHERE client_certificate.id = $1");
        let found = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).fetch_optional(self.reader()).await?;
        found.as_ref().map(ClientCertificateRow::read).transpose()
    }

    /// All certificates of an identity, the newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_certificates(&self, client: &str) -> Result<Vec<ClientCertificateRow>> {
        let statement = format!("{WITH_STATUS} WHERE client = $1 ORDER BY number DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(client).fetch_all(self.reader()).await?;
        rows.iter().map(ClientCertificateRow::read).collect()
    }

    /// Certificates for which something is owed, behind the id `after` and from before `before`, the oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn owed_client_certificates(
        &self,
        after: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClientCertificateRow>> {
        let statement = format!(
            "{WITH_STATUS} WHERE owed IS NOT NULL AND client_certificate.id > $1 \
             AND client_certificate.created_at <= $2 ORDER BY client_certificate.id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(before.millis())
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(ClientCertificateRow::read).collect()
    }
}

/// Others who write to this identity wait until we have committed.
async fn lock(write: &mut Write, client: &str) -> Result<()> {
    sqlx::query("UPDATE client SET number = number WHERE id = $1").bind(client).execute(&mut **write).await?;
    Ok(())
}

/// Whether it was not known before.
async fn note_serial(write: &mut Write, one: &IssuedClient) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE client_certificate SET serial = $2, not_before = $3, not_after = $4, \
         owed = CASE WHEN owed = 'issue-and-revoke' THEN 'revoke' ELSE NULL END WHERE id = $1 AND serial IS NULL",
    )
    .bind(&one.id)
    .bind(&one.serial)
    .bind(one.not_before.millis())
    .bind(one.not_after.millis())
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn supersede(write: &mut Write, one: &IssuedClient) -> Result<()> {
    sqlx::query(
        "UPDATE client_certificate SET superseded_by = $2 WHERE client = $1 AND id < $2 AND superseded_by IS NULL",
    )
    .bind(&one.client)
    .bind(&one.id)
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn make_current(write: &mut Write, one: &IssuedClient) -> Result<()> {
    sqlx::query(
        "UPDATE client SET standing = 'active', certificate_id = $2, serial = $3, not_before = $4, not_after = $5, \
         renew_at = $6, renew_next = CASE WHEN auto_renew = 1 THEN CAST($6 AS BIGINT) ELSE NULL END, \
         renew_failures = 0, renew_error = NULL, \
         number = (SELECT number FROM client_certificate WHERE client_certificate.id = $2) WHERE id = $1",
    )
    .bind(&one.client)
    .bind(&one.id)
    .bind(&one.serial)
    .bind(one.not_before.millis())
    .bind(one.not_after.millis())
    .bind(one.renew_at.millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// A certificate of a CA was revoked, put on hold or released: where it is the current one of an identity, the identity
/// says so from the same moment on.
pub(in crate::state) async fn follow(write: &mut Write, ca: &str, serial: &str) -> Result<()> {
    sqlx::query(
        "UPDATE client SET standing = (SELECT CASE WHEN revoked_at IS NULL THEN 'active' \
         WHEN revocation_reason = 6 THEN 'on-hold' ELSE 'revoked' END FROM ca_certificate \
         WHERE ca_certificate.ca = client.ca AND ca_certificate.serial = client.serial) \
         WHERE ca = $1 AND serial = $2",
    )
    .bind(ca)
    .bind(serial)
    .execute(&mut **write)
    .await?;
    sqlx::query(
        "UPDATE client SET renew_next = CASE WHEN standing = 'active' AND auto_renew = 1 THEN renew_at ELSE NULL END, \
         renew_failures = 0, renew_error = NULL WHERE ca = $1 AND serial = $2",
    )
    .bind(ca)
    .bind(serial)
    .execute(&mut **write)
    .await?;
    Ok(())
}

//! Versions: certificates that were issued or adopted, with their keys.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::outbox::News;
use super::renewal::RenewalRow;
use super::row::{integer, list, optional_text, optional_time, text, time, to_list};
use super::{OrderRow, Result, State, Write};
use crate::clock::Timestamp;
use crate::secret::Column;

/// One version of a certificate.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// UUIDv7.
    pub id: String,
    /// The certificate's name.
    pub certificate: String,
    /// Counted from 1 for each certificate.
    pub number: u64,
    /// The order that made it; `None`: adopted.
    pub order_id: Option<String>,
    /// The account or CA, as the config names it.
    pub issuer: String,
    /// The ACME directory.
    pub directory_url: Option<String>,
    /// The ACME order.
    pub order_url: Option<String>,
    /// The profile that was asked for.
    pub profile: Option<String>,
    /// Lower-case hex.
    pub serial: String,
    /// What it vouches for.
    pub names: Vec<String>,
    /// As the config writes it.
    pub key_type: String,
    key_sealed: String,
    /// PEM, leaf first.
    pub chain: String,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// 0 to 999,999: chosen once, moves the renewal.
    pub jitter: u32,
    /// When it came to us.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why, in RFC 5280's word.
    pub revocation_reason: Option<String>,
    /// Whoever had it revoked wanted no replacement.
    pub not_replaced: bool,
    /// What its CA says of its renewal (RFC 9773).
    pub renewal: RenewalRow,
}

/// What is needed to write a version down.
#[derive(Debug)]
pub struct NewVersion<'a> {
    /// The certificate's name.
    pub certificate: &'a str,
    /// The account or CA.
    pub issuer: &'a str,
    /// The ACME directory.
    pub directory_url: Option<&'a str>,
    /// The ACME order.
    pub order_url: Option<&'a str>,
    /// The profile that was asked for.
    pub profile: Option<&'a str>,
    /// Lower-case hex.
    pub serial: String,
    /// What it vouches for.
    pub names: Vec<String>,
    /// As the config writes it.
    pub key_type: &'a str,
    /// PKCS#8 DER.
    pub key: &'a [u8],
    /// PEM, leaf first.
    pub chain: &'a str,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// 0 to 999,999.
    pub jitter: u32,
    /// No smaller number is given: an adopted version keeps the store's number.
    pub number_at_least: u64,
    /// The stores that are to have it: (store, node).
    pub stores: Vec<(String, String)>,
    /// Those that have it already are not told again.
    pub adopted: bool,
}

impl VersionRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: text(row, "id")?,
            certificate: text(row, "certificate")?,
            number: u64::try_from(integer(row, "number")?).unwrap_or(0),
            order_id: optional_text(row, "order_id")?,
            issuer: text(row, "issuer")?,
            directory_url: optional_text(row, "directory_url")?,
            order_url: optional_text(row, "order_url")?,
            profile: optional_text(row, "profile")?,
            serial: text(row, "serial")?,
            names: list(row, "version", "names")?,
            key_type: text(row, "key_type")?,
            key_sealed: text(row, "key_sealed")?,
            chain: text(row, "chain")?,
            not_before: time(row, "not_before")?,
            not_after: time(row, "not_after")?,
            jitter: u32::try_from(integer(row, "jitter")?).unwrap_or(0),
            created_at: time(row, "created_at")?,
            revoked_at: optional_time(row, "revoked_at")?,
            revocation_reason: optional_text(row, "revocation_reason")?,
            not_replaced: integer(row, "not_replaced")? != 0,
            renewal: RenewalRow::read(row)?,
        })
    }

    /// The private key, PKCS#8 DER.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Zeroizing<Vec<u8>>> {
        Ok(state.sealer().open(column(&self.id), &self.key_sealed)?)
    }
}

fn column(id: &str) -> Column<'_> {
    Column { table: "version", row: id, column: "key_sealed" }
}

impl State {
    /// The version of that id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn version(&self, id: &str) -> Result<Option<VersionRow>> {
        let found = sqlx::query("SELECT * FROM version WHERE id = $1").bind(id).fetch_optional(self.reader()).await?;
        found.as_ref().map(VersionRow::read).transpose()
    }

    /// All versions of a certificate, newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn versions(&self, certificate: &str) -> Result<Vec<VersionRow>> {
        let rows = sqlx::query("SELECT * FROM version WHERE certificate = $1 ORDER BY number DESC")
            .bind(certificate)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(VersionRow::read).collect()
    }

    /// Current versions' (certificate, not_after), soonest first, `limit` at the most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expiries(&self, limit: u32) -> Result<BTreeMap<String, Timestamp>> {
        let rows = sqlx::query(
            "SELECT name, not_after FROM certificate WHERE not_after IS NOT NULL AND retired_at IS NULL \
             ORDER BY not_after LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| Ok((text(row, "name")?, time(row, "not_after")?))).collect()
    }

    /// One transaction: the version, the order that made it done, its deliveries due, the certificate on it and its
    /// failures forgotten. It wakes whoever waits for a new version.
    ///
    /// # Errors
    /// Where sealing or the database fails; nothing is written then.
    pub async fn add_version(&self, new: &NewVersion<'_>, order: Option<&OrderRow>, now: Timestamp) -> Result<String> {
        self.add_version_and_tell(new, order, &News::default(), now).await
    }

    /// The same, and what is to be told of it in the same transaction.
    ///
    /// # Errors
    /// Where sealing or the database fails; nothing is written then.
    pub async fn add_version_and_tell(
        &self,
        new: &NewVersion<'_>,
        order: Option<&OrderRow>,
        news: &News,
        now: Timestamp,
    ) -> Result<String> {
        let id = super::new_id();
        let sealed = self.sealer().seal(column(&id), new.key)?;
        let mut write = self.begin().await?;
        let number = next_number(&mut write, new).await?;
        insert(&mut write, &id, number, &sealed, new, order, now).await?;
        if let Some(order) = order {
            super::order::finish(&mut write, &order.id, "done", None, now).await?;
        }
        for (store, node) in &new.stores {
            super::delivery::insert(&mut write, &id, new.certificate, store, node, new.adopted, now).await?;
        }
        sqlx::query(
            "UPDATE certificate SET version_id = $2, not_after = $3, failures = 0, retry_at = 0, last_error = NULL, \
             last_error_at = NULL WHERE name = $1",
        )
        .bind(new.certificate)
        .bind(&id)
        .bind(new.not_after.millis())
        .execute(&mut *write)
        .await?;
        super::obstacle::overcome(&mut write, new.certificate, new.issuer).await?;
        super::outbox::alarm::set(&mut write, new).await?;
        self.commit_and_tell(write, news, now).await?;
        self.wake();
        Ok(id)
    }

    /// The CA has revoked the version, and it is to be replaced or not.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn version_revoked(&self, id: &str, reason: &str, replace: bool, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE version SET revoked_at = $2, revocation_reason = $3, not_replaced = $4 WHERE id = $1")
            .bind(id)
            .bind(now.millis())
            .bind(reason)
            .bind(i64::from(!replace))
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

async fn next_number(write: &mut Write, new: &NewVersion<'_>) -> Result<i64> {
    let highest: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM version WHERE certificate = $1")
        .bind(new.certificate)
        .fetch_one(&mut **write)
        .await?;
    Ok((highest.unwrap_or(0) + 1).max(i64::try_from(new.number_at_least).unwrap_or(1)))
}

async fn insert(
    write: &mut Write,
    id: &str,
    number: i64,
    sealed: &str,
    new: &NewVersion<'_>,
    order: Option<&OrderRow>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO version (id, certificate, number, order_id, issuer, directory_url, order_url, profile, serial, \
         names, key_type, key_sealed, chain, not_before, not_after, jitter, created_at, not_replaced) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0)",
    )
    .bind(id)
    .bind(new.certificate)
    .bind(number)
    .bind(order.map(|order| order.id.as_str()))
    .bind(new.issuer)
    .bind(new.directory_url)
    .bind(new.order_url)
    .bind(new.profile)
    .bind(&new.serial)
    .bind(to_list(&new.names))
    .bind(new.key_type)
    .bind(sealed)
    .bind(new.chain)
    .bind(new.not_before.millis())
    .bind(new.not_after.millis())
    .bind(i64::from(new.jitter))
    .bind(now.millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

#[cfg(test)]
impl VersionRow {
    /// A version for tests that look at rows only: its key does not open.
    pub(crate) fn sample(names: &[&str], not_before: Timestamp, not_after: Timestamp) -> Self {
        Self {
            id: "version".into(),
            certificate: "a".into(),
            number: 1,
            order_id: None,
            issuer: "ca".into(),
            directory_url: None,
            order_url: None,
            profile: None,
            serial: "01".into(),
            names: names.iter().map(ToString::to_string).collect(),
            key_type: "ecdsa-p256".into(),
            key_sealed: String::new(),
            chain: String::new(),
            not_before,
            not_after,
            jitter: 0,
            created_at: not_before,
            revoked_at: None,
            revocation_reason: None,
            not_replaced: false,
            renewal: RenewalRow::default(),
        }
    }
}

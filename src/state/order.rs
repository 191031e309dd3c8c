//! Orders: the row and its sealed key stand before the CA hears of it.

mod trouble;

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::certificate::words;
use super::row::{count, list, optional_text, optional_time, parsed, text, time, to_list};
use super::spent::{self, Asker, Claim, Held, SpentKind};
use super::{Result, State, Write};
use crate::clock::Timestamp;
use crate::config::Limits;
use crate::secret::Column;

words! {
    /// How an order stands.
    OrderState {
        /// There is work to do on it.
        Open = "open",
        /// It became a version.
        Done = "done",
        /// It became nothing.
        Failed = "failed",
    }
}

/// One order.
#[derive(Debug, Clone)]
pub struct OrderRow {
    /// UUIDv7.
    pub id: String,
    /// The certificate's name.
    pub certificate: String,
    /// The account or CA, as the config names it.
    pub issuer: String,
    /// Why it was made: a `planner::Reason` in JSON.
    pub reason: String,
    /// What it is for.
    pub names: Vec<String>,
    /// As the config writes it.
    pub key_type: String,
    key_sealed: String,
    /// The profile that is asked for.
    pub profile: Option<String>,
    /// The ACME directory at which `url` is an order.
    pub directory_url: Option<String>,
    /// The order's URL at the CA (RFC 8555, section 7.4).
    pub url: Option<String>,
    /// PEM, leaf first: downloaded and checked.
    pub chain: Option<String>,
    /// How it stands.
    pub state: OrderState,
    /// No step before this.
    pub next_step_at: Timestamp,
    /// When the TXT values were first presented.
    pub presented_at: Option<Timestamp>,
    /// When it was decided on.
    pub created_at: Timestamp,
    /// When it was done or failed.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// What the operator must do before it can go on.
    pub waits_for: Option<String>,
    /// The CertID of the certificate that it replaces (RFC 9773, section 5); `None`: none, or the CA refused it.
    pub replaces: Option<String>,
}

/// What is needed to write an order down.
#[derive(Debug)]
pub struct NewOrder<'a> {
    /// The certificate's name.
    pub certificate: &'a str,
    /// The account or CA.
    pub issuer: &'a str,
    /// A `planner::Reason` in JSON.
    pub reason: &'a str,
    /// What it is for.
    pub names: Vec<String>,
    /// As the config writes it.
    pub key_type: &'a str,
    /// PKCS#8 DER.
    pub key: &'a [u8],
    /// The profile that is asked for.
    pub profile: Option<&'a str>,
    /// The CertID of the certificate that it replaces (RFC 9773, section 5), where the same CA issued that.
    pub replaces: Option<&'a str>,
}

/// What came of an order that was to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is open; its id.
    Order(String),
    /// Its CA's limits leave no room for it.
    Held(Held),
}

impl Added {
    /// The order's id; `None`: it is held back.
    #[must_use]
    pub fn id(self) -> Option<String> {
        match self {
            Self::Order(id) => Some(id),
            Self::Held(_) => None,
        }
    }
}

impl OrderRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: text(row, "id")?,
            certificate: text(row, "certificate")?,
            issuer: text(row, "issuer")?,
            reason: text(row, "reason")?,
            names: list(row, "acme_order", "names")?,
            key_type: text(row, "key_type")?,
            key_sealed: text(row, "key_sealed")?,
            profile: optional_text(row, "profile")?,
            directory_url: optional_text(row, "directory_url")?,
            url: optional_text(row, "url")?,
            chain: optional_text(row, "chain")?,
            state: parsed(row, "acme_order", "state", OrderState::parse)?,
            next_step_at: time(row, "next_step_at")?,
            presented_at: optional_time(row, "presented_at")?,
            created_at: time(row, "created_at")?,
            finished_at: optional_time(row, "finished_at")?,
            error: optional_text(row, "error")?,
            waits_for: optional_text(row, "waits_for")?,
            replaces: optional_text(row, "replaces")?,
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
    Column { table: "acme_order", row: id, column: "key_sealed" }
}

impl State {
    /// Writes an order down, open, its key sealed, and on its certificate why it was decided on, and takes what it claims
    /// of its CA's limits: one transaction. Where there is no room, the certificate is held back, and nothing else is
    /// written.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_order(&self, new: &NewOrder<'_>, claims: &[Claim], now: Timestamp) -> Result<Added> {
        let id = super::new_id();
        let sealed = self.sealer().seal(column(&id), new.key)?;
        let mut write = self.begin().await?;
        if let Some(held) = spent::claim(&mut write, &id, &new.into(), claims, now).await? {
            write.commit().await?;
            return Ok(Added::Held(held));
        }
        sqlx::query(
            "INSERT INTO acme_order (id, certificate, issuer, reason, names, key_type, key_sealed, profile, state, \
             next_step_at, created_at, replaces) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $9, $10)",
        )
        .bind(&id)
        .bind(new.certificate)
        .bind(new.issuer)
        .bind(new.reason)
        .bind(to_list(&new.names))
        .bind(new.key_type)
        .bind(sealed)
        .bind(new.profile)
        .bind(now.millis())
        .bind(new.replaces)
        .execute(&mut *write)
        .await?;
        super::certificate::note_decision(&mut write, new.certificate, new.reason, now).await?;
        write.commit().await?;
        Ok(Added::Order(id))
    }

    /// The certificate's open order: the newest, should there be several.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn open_order(&self, certificate: &str) -> Result<Option<OrderRow>> {
        let found =
            sqlx::query("SELECT * FROM acme_order WHERE certificate = $1 AND state = 'open' ORDER BY id DESC LIMIT 1")
                .bind(certificate)
                .fetch_optional(self.reader())
                .await?;
        found.as_ref().map(OrderRow::read).transpose()
    }

    /// Other certificates that are about to have a new version: an open order that waits for nobody, or a delivery due.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn on_their_way(&self, but: &str) -> Result<Vec<String>> {
        let names = sqlx::query_scalar(
            "SELECT certificate FROM acme_order WHERE state = 'open' AND waits_for IS NULL AND certificate <> $1 \
             UNION SELECT name FROM certificate WHERE state = 'pending' AND problem IS NULL AND name <> $1",
        )
        .bind(but)
        .fetch_all(self.reader())
        .await?;
        Ok(names)
    }

    /// The certificate's last orders, newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn orders(&self, certificate: &str, limit: u32) -> Result<Vec<OrderRow>> {
        let rows = sqlx::query("SELECT * FROM acme_order WHERE certificate = $1 ORDER BY id DESC LIMIT $2")
            .bind(certificate)
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(OrderRow::read).collect()
    }

    /// How many orders there are for each (issuer, state).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_orders(&self) -> Result<Vec<(String, OrderState, u32)>> {
        let rows = sqlx::query("SELECT issuer, state, COUNT(*) AS amount FROM acme_order GROUP BY issuer, state")
            .fetch_all(self.reader())
            .await?;
        let read = |row: &AnyRow| {
            let state = parsed(row, "acme_order", "state", OrderState::parse)?;
            Ok(((text(row, "issuer")?, state), count(row, "amount")?))
        };
        let mut counts: BTreeMap<_, _> = rows.iter().map(read).collect::<Result<_>>()?;
        for (issuer, state, swept) in self.swept_orders().await? {
            *counts.entry((issuer, state)).or_default() += swept;
        }
        Ok(counts.into_iter().map(|((issuer, state), count)| (issuer, state, count)).collect())
    }

    /// Orders that were swept out, as `meta` remembers them.
    async fn swept_orders(&self) -> Result<Vec<(String, OrderState, u32)>> {
        let rows =
            sqlx::query("SELECT name, value FROM meta WHERE name LIKE 'swept %'").fetch_all(self.reader()).await?;
        let read = |row: &AnyRow| -> Result<Option<_>> {
            let (name, value) = (text(row, "name")?, text(row, "value")?);
            let mut words = name.split(' ').skip(1);
            let state = words.next().and_then(OrderState::parse);
            Ok(words.next().zip(state).map(|(issuer, state)| (issuer.to_owned(), state, value.parse().unwrap_or(0))))
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// The CA has made the order: its limit of new orders counts from now on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_made(
        &self,
        id: &str,
        directory_url: &str,
        url: &str,
        profile: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE acme_order SET directory_url = $2, url = $3, profile = $4 WHERE id = $1")
            .bind(id)
            .bind(directory_url)
            .bind(url)
            .bind(profile)
            .execute(&mut *write)
            .await?;
        spent::counts_from(&mut write, id, &[SpentKind::Order], now).await?;
        write.commit().await?;
        Ok(())
    }

    /// Open orders at an issuer that it has not made, as far as anybody saw: their ids and their certificates.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn orders_unmade(&self, issuer: &str) -> Result<Vec<(String, String)>> {
        let query = "SELECT id, certificate FROM acme_order WHERE state = 'open' AND url IS NULL AND issuer = $1";
        Ok(sqlx::query_as(query).bind(issuer).fetch_all(self.reader()).await?)
    }

    /// The TXT values are presented; the first time counts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_presented(&self, id: &str, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE acme_order SET presented_at = COALESCE(presented_at, $2) WHERE id = $1")
            .bind(id)
            .bind(now.millis())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The CA refused `replaces`: the order is made without, and counts as every other. Where its CA's limits leave no
    /// room for that, it is given up and its certificate held back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_replaces_nothing(
        &self,
        order: &OrderRow,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Option<Held>> {
        let asker = Asker { certificate: &order.certificate, issuer: &order.issuer };
        let names = Claim::of(SpentKind::Names, spent::exact_set(&order.names), limits.names);
        let claims = [names, Claim::of(SpentKind::Order, String::new(), limits.orders)];
        let mut write = self.begin().await?;
        let held = spent::claim(&mut write, &order.id, &asker, &claims, now).await?;
        match &held {
            Some(held) => trouble::give_up(&mut write, &order.id, &held.why, now).await?,
            None => {
                let nothing = sqlx::query("UPDATE acme_order SET replaces = NULL WHERE id = $1").bind(&order.id);
                nothing.execute(&mut *write).await?;
            }
        }
        write.commit().await?;
        Ok(held)
    }

    /// The order goes well and is put down until `next_step_at`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_waits(&self, id: &str, next_step_at: Timestamp) -> Result<()> {
        sqlx::query("UPDATE acme_order SET next_step_at = $2, waits_for = NULL WHERE id = $1")
            .bind(id)
            .bind(next_step_at.millis())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The chain is downloaded and checked: the CA's limits of certificates count from now on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_issued(&self, id: &str, chain: &str, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE acme_order SET chain = $2 WHERE id = $1").bind(id).bind(chain).execute(&mut *write).await?;
        spent::counts_from(&mut write, id, &[SpentKind::Domain, SpentKind::Names], now).await?;
        write.commit().await?;
        Ok(())
    }
}

/// Adds the orders that are about to be swept out to the counts in `meta`, so that what is counted never falls.
pub(super) async fn keep_counts(write: &mut Write, before: Timestamp) -> Result<()> {
    let rows = sqlx::query(
        "SELECT issuer, state, COUNT(*) AS amount FROM acme_order WHERE finished_at < $1 GROUP BY issuer, state",
    )
    .bind(before.millis())
    .fetch_all(&mut **write)
    .await?;
    for row in &rows {
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
             SET value = CAST(CAST(meta.value AS BIGINT) + CAST(excluded.value AS BIGINT) AS TEXT)",
        )
        .bind(format!("swept {} {}", text(row, "state")?, text(row, "issuer")?))
        .bind(count(row, "amount")?.to_string())
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

pub(super) async fn finish(
    write: &mut Write,
    id: &str,
    state: &str,
    error: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query("UPDATE acme_order SET state = $2, error = $3, finished_at = $4 WHERE id = $1")
        .bind(id)
        .bind(state)
        .bind(error)
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
    Ok(())
}

#[cfg(test)]
impl OrderRow {
    /// An open order for tests that look at rows only: its key does not open.
    pub(crate) fn sample(names: &[&str], now: Timestamp) -> Self {
        Self {
            id: "order".into(),
            certificate: "a".into(),
            issuer: "ca".into(),
            reason: String::new(),
            names: names.iter().map(ToString::to_string).collect(),
            key_type: "ecdsa-p256".into(),
            key_sealed: String::new(),
            profile: None,
            directory_url: None,
            url: None,
            chain: None,
            state: OrderState::Open,
            next_step_at: now,
            presented_at: None,
            created_at: now,
            finished_at: None,
            error: None,
            waits_for: None,
            replaces: None,
        }
    }
}

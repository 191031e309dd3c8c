//! Client certificates: the identities that they are for. What belongs to one certificate stands in
//! [`certificate`], lists in [`list`], renewal without being asked in [`renewal`], and what is wrong
//! with that in [`trouble`].

pub mod certificate;
pub mod list;
pub mod news;
pub mod renewal;
pub mod trouble;

use std::time::Duration;

use sqlx::any::AnyRow;

use super::certificate::words;
use super::row::{
    count, integer, list as texts, optional_integer, optional_text, optional_time, parsed, text, time, to_list,
};
use super::{Result, State, Write};
use crate::clock::Timestamp;
use certificate::NewClientCertificate;

words! {
    /// How the current certificate of an identity stands, whatever the time is.
    ClientStanding {
        /// Nothing was issued yet.
        Pending = "pending",
        /// It was issued, and is in force until it ends.
        Active = "active",
        /// It is revoked for the time being.
        OnHold = "on-hold",
        /// It is revoked for good.
        Revoked = "revoked",
    }
}

/// Who a certificate is for, as it says so itself. An empty text: it says nothing of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSubject {
    /// CN.
    pub common_name: String,
    /// An rfc822Name.
    pub email: String,
    /// O.
    pub organization: String,
    /// OU.
    pub organizational_unit: String,
    /// C, two capital letters.
    pub country: String,
}

/// An identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// UUIDv7.
    pub id: String,
    /// Whose it is; empty: nobody's in particular.
    pub tenant: String,
    /// What people call it; no two of one tenant are alike.
    pub identifier: String,
    /// The CA's name in the config.
    pub ca: String,
    /// The CA's profile.
    pub profile: String,
    /// Who it is.
    pub subject: ClientSubject,
    /// Further subject alternative names.
    pub names: Vec<String>,
    /// What its certificates are used for: `api-mtls`, `vpn` and so on.
    pub label: String,
    /// Whatever people wrote about it.
    pub notes: String,
    /// As the config writes it.
    pub key_type: String,
    /// Of each certificate; `None`: as the profile says.
    pub lifetime: Option<Duration>,
    /// It is renewed without being asked.
    pub auto_renew: bool,
    /// How the current certificate stands.
    pub standing: ClientStanding,
    /// The current certificate, once there is one.
    pub current: Option<CurrentCertificate>,
    /// When its next renewal without being asked is tried.
    pub renew_next: Option<Timestamp>,
    /// Such renewals that failed in a row.
    pub renew_failures: u32,
    /// Why the last of them failed.
    pub renew_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
}

/// The certificate that an identity has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentCertificate {
    /// Its row in `client_certificate`, and its order at the CA.
    pub id: String,
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

/// What is needed to write an identity down.
#[derive(Debug, Clone)]
pub struct NewClient<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// What people call it.
    pub identifier: &'a str,
    /// The CA's name in the config.
    pub ca: &'a str,
    /// The CA's profile.
    pub profile: &'a str,
    /// Who it is.
    pub subject: &'a ClientSubject,
    /// Further subject alternative names.
    pub names: &'a [String],
    /// What its certificates are used for.
    pub label: &'a str,
    /// Whatever people wrote about it.
    pub notes: &'a str,
    /// As the config writes it.
    pub key_type: &'a str,
    /// Of each certificate; `None`: as the profile says.
    pub lifetime: Option<Duration>,
    /// It is renewed without being asked.
    pub auto_renew: bool,
}

impl ClientRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: text(row, "id")?,
            tenant: text(row, "tenant")?,
            identifier: text(row, "identifier")?,
            ca: text(row, "ca")?,
            profile: text(row, "profile")?,
            subject: ClientSubject::read(row)?,
            names: texts(row, "client", "names")?,
            label: text(row, "label")?,
            notes: text(row, "notes")?,
            key_type: text(row, "key_type")?,
            lifetime: optional_integer(row, "lifetime")?
                .map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))),
            auto_renew: integer(row, "auto_renew")? != 0,
            standing: parsed(row, "client", "standing", ClientStanding::parse)?,
            current: CurrentCertificate::read(row)?,
            renew_next: optional_time(row, "renew_next")?,
            renew_failures: count(row, "renew_failures")?,
            renew_error: optional_text(row, "renew_error")?,
            created_at: time(row, "created_at")?,
            created_by: text(row, "created_by")?,
        })
    }
}

impl ClientSubject {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            common_name: text(row, "common_name")?,
            email: text(row, "email")?,
            organization: text(row, "organization")?,
            organizational_unit: text(row, "organizational_unit")?,
            country: text(row, "country")?,
        })
    }
}

impl CurrentCertificate {
    fn read(row: &AnyRow) -> Result<Option<Self>> {
        let Some(id) = optional_text(row, "certificate_id")? else { return Ok(None) };
        Ok(Some(Self {
            id,
            number: count(row, "number")?,
            serial: text(row, "serial")?,
            not_before: time(row, "not_before")?,
            not_after: time(row, "not_after")?,
            renew_at: time(row, "renew_at")?,
        }))
    }
}

impl State {
    /// Writes identities down, each with the first certificate that it is to get, in one transaction. Answers the ids of
    /// the certificates, in their order; `None` where the tenant has that identifier already, and nothing was written.
    ///
    /// # Errors
    /// Where sealing or the database fails; nothing is written then.
    pub async fn add_clients(
        &self,
        new: &[(NewClient<'_>, NewClientCertificate<'_>)],
        asker: &str,
        now: Timestamp,
    ) -> Result<Vec<Option<String>>> {
        let mut write = self.begin().await?;
        let mut added = Vec::with_capacity(new.len());
        for (client, certificate) in new {
            let id = super::new_id();
            added.push(match insert(&mut write, &id, client, asker, now).await? {
                true => {
                    Some(self.insert_client_certificate(&mut write, &id, client.ca, 1, certificate, asker, now).await?)
                }
                false => None,
            });
        }
        write.commit().await?;
        Ok(added)
    }

    /// The identity of that id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client(&self, id: &str) -> Result<Option<ClientRow>> {
        let found = sqlx::query("SELECT * FROM client WHERE id = $1").bind(id).fetch_optional(self.reader()).await?;
        found.as_ref().map(ClientRow::read).transpose()
    }

    /// The identity that a tenant calls so.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_called(&self, tenant: &str, identifier: &str) -> Result<Option<ClientRow>> {
        let found = sqlx::query("SELECT * FROM client WHERE tenant = $1 AND identifier = $2")
            .bind(tenant)
            .bind(identifier)
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(ClientRow::read).transpose()
    }

    /// The identities that a word may mean, `limit` at the most: their id, their identifier, their common name, or the
    /// serial of any of their certificates. The first of these that anything is found by counts. `tenant` bounds it to
    /// one tenant's.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn clients_meant(&self, word: &str, tenant: Option<&str>, limit: u32) -> Result<Vec<ClientRow>> {
        for condition in [
            "id = $1",
            "identifier = $1",
            "common_name = $1",
            "id IN (SELECT client FROM client_certificate WHERE serial = $1)",
        ] {
            let of_tenant = if tenant.is_some() { "AND tenant = $3" } else { "" };
            let statement = format!("SELECT * FROM client WHERE {condition} {of_tenant} ORDER BY id LIMIT $2");
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(word).bind(i64::from(limit));
            let query = if let Some(tenant) = tenant { query.bind(tenant) } else { query };
            let rows = query.fetch_all(self.reader()).await?;
            if !rows.is_empty() {
                return rows.iter().map(ClientRow::read).collect();
            }
        }
        Ok(Vec::new())
    }
}

/// Whether it was written: not where the tenant has that identifier already.
async fn insert(write: &mut Write, id: &str, new: &NewClient<'_>, asker: &str, now: Timestamp) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO client (id, tenant, identifier, ca, profile, common_name, email, organization, \
         organizational_unit, country, label, notes, names, sought, key_type, lifetime, auto_renew, standing, number, \
         renew_failures, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
         $15, $16, $17, 'pending', 0, 0, $18, $19) ON CONFLICT (tenant, identifier) DO NOTHING",
    )
    .bind(id)
    .bind(new.tenant)
    .bind(new.identifier)
    .bind(new.ca)
    .bind(new.profile)
    .bind(&new.subject.common_name)
    .bind(&new.subject.email)
    .bind(&new.subject.organization)
    .bind(&new.subject.organizational_unit)
    .bind(&new.subject.country)
    .bind(new.label)
    .bind(new.notes)
    .bind(to_list(new.names))
    .bind(sought(new))
    .bind(new.key_type)
    .bind(new.lifetime.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)))
    .bind(i64::from(new.auto_renew))
    .bind(now.millis())
    .bind(asker)
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What a search looks at. A line feed stands between the parts, so that nothing is found across them.
fn sought(new: &NewClient<'_>) -> String {
    [new.identifier, &new.subject.common_name, &new.subject.email].join("\n").to_lowercase()
}

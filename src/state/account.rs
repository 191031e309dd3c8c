//! ACME accounts: the key first, the account's URL when the CA has it.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};
use zeroize::Zeroizing;

use super::row::{list, optional_text, optional_time, text, time, to_list};
use super::{Result, State};
use crate::clock::Timestamp;
use crate::secret::Column;

/// One account at one directory.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// Its name in the config.
    pub name: String,
    /// The directory at which it is registered.
    pub directory_url: String,
    key_sealed: String,
    next_key_sealed: Option<String>,
    /// The account's URL (RFC 8555, section 7.3), once registered.
    pub url: Option<String>,
    /// The contacts that the CA was told.
    pub contact: Vec<String>,
    /// When the key was made.
    pub created_at: Timestamp,
    /// When the CA registered it.
    pub registered_at: Option<Timestamp>,
}

impl AccountRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            name: text(row, "name")?,
            directory_url: text(row, "directory_url")?,
            key_sealed: text(row, "key_sealed")?,
            next_key_sealed: optional_text(row, "next_key_sealed")?,
            url: optional_text(row, "url")?,
            contact: list(row, "account", "contact")?,
            created_at: time(row, "created_at")?,
            registered_at: optional_time(row, "registered_at")?,
        })
    }

    /// The account's key, PKCS#8 DER.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Zeroizing<Vec<u8>>> {
        let row = row_key(&self.name, &self.directory_url);
        Ok(state.sealer().open(column(&row, "key_sealed"), &self.key_sealed)?)
    }

    /// A key is on its way to replace the other.
    #[must_use]
    pub const fn has_next_key(&self) -> bool {
        self.next_key_sealed.is_some()
    }

    /// The key on its way to replace the other, PKCS#8 DER.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn next_key(&self, state: &State) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let row = row_key(&self.name, &self.directory_url);
        let open = |sealed: &String| state.sealer().open(column(&row, "next_key_sealed"), sealed);
        Ok(self.next_key_sealed.as_ref().map(open).transpose()?)
    }
}

fn row_key(name: &str, directory_url: &str) -> String {
    format!("{name} {directory_url}")
}

fn column<'a>(row: &'a str, column: &'static str) -> Column<'a> {
    Column { table: "account", row, column }
}

const OF: &str = "WHERE name = $1 AND directory_url = $2";

impl State {
    /// The account of that name at that directory.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn account(&self, name: &str, directory_url: &str) -> Result<Option<AccountRow>> {
        let found = sqlx::query(AssertSqlSafe(format!("SELECT * FROM account {OF}")))
            .bind(name)
            .bind(directory_url)
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(AccountRow::read).transpose()
    }

    /// Keeps a key for an account to be registered. Where there is one already, that one stays.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_account(
        &self,
        name: &str,
        directory_url: &str,
        key: &[u8],
        contact: &[String],
        now: Timestamp,
    ) -> Result<()> {
        let row = row_key(name, directory_url);
        let sealed = self.sealer().seal(column(&row, "key_sealed"), key)?;
        sqlx::query(
            "INSERT INTO account (name, directory_url, key_sealed, contact, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name, directory_url) DO NOTHING",
        )
        .bind(name)
        .bind(directory_url)
        .bind(sealed)
        .bind(to_list(contact))
        .bind(now.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// The CA has registered the account at this URL.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn account_registered(&self, name: &str, directory_url: &str, url: &str, now: Timestamp) -> Result<()> {
        let change = change_of(name, directory_url, "url = $3, registered_at = $4");
        change.bind(url).bind(now.millis()).execute(self.writer()).await?;
        Ok(())
    }

    /// The CA has taken these contacts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn account_contact_changed(&self, name: &str, directory_url: &str, contact: &[String]) -> Result<()> {
        let change = change_of(name, directory_url, "contact = $3");
        change.bind(to_list(contact)).execute(self.writer()).await?;
        Ok(())
    }

    /// Keeps a key that is to replace the account's: before the CA is asked.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn keep_next_account_key(&self, name: &str, directory_url: &str, key: &[u8]) -> Result<()> {
        let row = row_key(name, directory_url);
        let sealed = self.sealer().seal(column(&row, "next_key_sealed"), key)?;
        let change = change_of(name, directory_url, "next_key_sealed = $3");
        change.bind(sealed).execute(self.writer()).await?;
        Ok(())
    }

    /// The CA has taken the next key: from now on it is the account's key.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn account_key_replaced(&self, name: &str, directory_url: &str, key: &[u8]) -> Result<()> {
        let row = row_key(name, directory_url);
        let sealed = self.sealer().seal(column(&row, "key_sealed"), key)?;
        let change = change_of(name, directory_url, "key_sealed = $3, next_key_sealed = NULL");
        change.bind(sealed).execute(self.writer()).await?;
        Ok(())
    }
}

/// Sets columns of one account; what they are set to is bound from `$3` on.
fn change_of<'q>(name: &'q str, directory_url: &'q str, columns: &str) -> Query<'q, Any, AnyArguments> {
    let statement = format!("UPDATE account SET {columns} {OF}");
    sqlx::query(AssertSqlSafe(statement)).bind(name).bind(directory_url)
}

//! Credentials that a DNS host handed out for one name (acme-dns), sealed.

use providers::dns::Registration;
use secrecy::{ExposeSecret as _, SecretString};

use super::row::text;
use super::{Result, State, StateError};
use crate::clock::Timestamp;
use crate::secret::Column;

fn column(row: &str) -> Column<'_> {
    Column { table: "registration", row, column: "secret_sealed" }
}

impl State {
    /// The registration of a name at an instance.
    ///
    /// # Errors
    /// Where the database fails or the secret does not open.
    pub async fn registration(&self, instance: &str, name: &str) -> Result<Option<Registration>> {
        let found = sqlx::query("SELECT * FROM registration WHERE instance = $1 AND name = $2")
            .bind(instance)
            .bind(name)
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let key = format!("{instance} {name}");
        let plain = self.sealer().open(column(&key), &text(&row, "secret_sealed")?)?;
        let secret = String::from_utf8(plain.to_vec()).map_err(|_| StateError::Damaged {
            table: "registration",
            row: key,
            what: "the secret is no text".to_owned(),
        })?;
        Ok(Some(Registration { target: text(&row, "target")?, secret: SecretString::from(secret) }))
    }

    /// Keeps a registration. Where there is one already, that one stays.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_registration(
        &self,
        instance: &str,
        name: &str,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<()> {
        let key = format!("{instance} {name}");
        let sealed = self.sealer().seal(column(&key), registration.secret.expose_secret().as_bytes())?;
        sqlx::query(
            "INSERT INTO registration (instance, name, target, secret_sealed, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (instance, name) DO NOTHING",
        )
        .bind(instance)
        .bind(name)
        .bind(&registration.target)
        .bind(sealed)
        .bind(now.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }
}

//! Private CAs: keys, and what is to be signed, before it is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::row::{integer, optional_text, optional_time, text, time, to_list};
use super::{Result, State, StateError, Write};
use crate::clock::Timestamp;
use crate::secret::Column;

/// A generation of a private CA: the root (0), or an issuing certificate.
#[derive(Debug, Clone)]
pub struct CaRow {
    /// The CA's name in the config.
    pub name: String,
    /// 0 is the root.
    pub generation: u32,
    /// Lower-case hex.
    pub serial: String,
    /// As the config writes it; `other` where it cannot.
    pub key_type: String,
    key_sealed: String,
    /// The key in a PKCS#11 token (RFC 7512), where it is in one.
    pub key_uri: Option<String>,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// A TBSCertificate (RFC 5280, section 4.1) in DER.
    pub to_be_signed: Vec<u8>,
    /// The certificate in DER, once signed.
    pub certificate: Option<Vec<u8>>,
    /// The certificates above an issuing one in DER, the root last; `None`: the root of generation 0 alone.
    pub above: Option<Vec<Vec<u8>>>,
    /// So many leaves share a CRL.
    pub shard_size: u32,
    /// So many places in CRLs were given out.
    pub leaves: u64,
    /// The key was handed out then.
    pub exported_at: Option<Timestamp>,
}

/// Where the key of a generation is.
#[derive(Clone, Copy)]
pub enum KeyPlace<'a> {
    /// PKCS#8 DER, to be sealed.
    Sealed(&'a [u8]),
    /// In a PKCS#11 token: a URI (RFC 7512).
    Token(&'a str),
    /// Not here: an outside root, or one whose key was taken offline.
    Elsewhere,
}

impl std::fmt::Debug for KeyPlace<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Sealed(_) => "Sealed",
            Self::Token(_) => "Token",
            Self::Elsewhere => "Elsewhere",
        })
    }
}

/// What is needed to write a generation down.
#[derive(Debug)]
pub struct NewCa<'a> {
    /// The CA's name in the config.
    pub name: &'a str,
    /// 0 is the root.
    pub generation: u32,
    /// Lower-case hex.
    pub serial: String,
    /// As the config writes it.
    pub key_type: &'a str,
    /// The private key.
    pub key: KeyPlace<'a>,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// In DER.
    pub to_be_signed: &'a [u8],
    /// In DER, where somebody else has signed it.
    pub certificate: Option<&'a [u8]>,
    /// The certificates above it in DER, the root last; `None`: the root of generation 0 alone.
    pub above: Option<&'a [Vec<u8>]>,
    /// So many leaves share a CRL.
    pub shard_size: u32,
}

/// A leaf of a private CA.
#[derive(Debug, Clone)]
pub struct CaCertificateRow {
    /// The CA's name in the config.
    pub ca: String,
    /// Lower-case hex.
    pub serial: String,
    /// The generation that signs it.
    pub generation: u32,
    /// The order that it answers.
    pub order_id: String,
    /// In DER, until signed.
    pub to_be_signed: Option<Vec<u8>>,
    /// The certificate in DER, once signed.
    pub certificate: Option<Vec<u8>>,
}

/// What is needed to write a leaf down before it is signed.
#[derive(Debug)]
pub struct NewCaCertificate<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// Lower-case hex.
    pub serial: String,
    /// The generation that signs it.
    pub generation: u32,
    /// The order that it answers.
    pub order_id: &'a str,
    /// What it vouches for, in words.
    pub names: &'a [String],
    /// The profile's name.
    pub profile: &'a str,
    /// The common name, for lists; may be empty.
    pub subject: &'a str,
    /// The CRL that it would stand in.
    pub shard: u32,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// In DER.
    pub to_be_signed: &'a [u8],
}

impl CaRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let name = text(row, "name")?;
        Ok(Self {
            generation: generation(row)?,
            serial: text(row, "serial")?,
            key_type: text(row, "key_type")?,
            key_sealed: text(row, "key_sealed")?,
            key_uri: optional_text(row, "key_uri")?,
            not_before: time(row, "not_before")?,
            not_after: time(row, "not_after")?,
            to_be_signed: decode("ca", &name, &text(row, "to_be_signed")?)?,
            certificate: optional_der(row, "ca", &name, "certificate")?,
            above: optional_text(row, "above")?.map(|text| above(&name, &text)).transpose()?,
            shard_size: u32::try_from(integer(row, "shard_size")?).unwrap_or(u32::MAX).max(1),
            leaves: u64::try_from(integer(row, "leaves")?).unwrap_or(0),
            exported_at: optional_time(row, "exported_at")?,
            name,
        })
    }

    /// The private key, PKCS#8 DER; `None` where it is not in the database.
    ///
    /// # Errors
    /// Where the sealed key does not open.
    pub fn key(&self, state: &State) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if self.key_sealed.is_empty() {
            return Ok(None);
        }
        let row = row_key(&self.name, self.generation);
        Ok(Some(state.sealer().open(column(&row), &self.key_sealed)?))
    }

    /// It says the same of certificate and key as that one: what was opened of either is good for both.
    #[must_use]
    pub fn opens_like(&self, other: &Self) -> bool {
        let parts = |row: &Self| (row.certificate.clone(), row.key_sealed.clone(), row.key_uri.clone());
        parts(self) == parts(other)
    }

    /// The private key is in the database, or in a token.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        !self.key_sealed.is_empty() || self.key_uri.is_some()
    }
}

impl CaCertificateRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        let serial = text(row, "serial")?;
        Ok(Self {
            ca: text(row, "ca")?,
            generation: generation(row)?,
            order_id: text(row, "order_id")?,
            to_be_signed: optional_der(row, "ca_certificate", &serial, "to_be_signed")?,
            certificate: optional_der(row, "ca_certificate", &serial, "certificate")?,
            serial,
        })
    }
}

fn generation(row: &AnyRow) -> Result<u32> {
    Ok(u32::try_from(integer(row, "generation")?).unwrap_or(u32::MAX))
}

fn optional_der(row: &AnyRow, table: &'static str, key: &str, column: &str) -> Result<Option<Vec<u8>>> {
    optional_text(row, column)?.map(|text| decode(table, key, &text)).transpose()
}

fn decode(table: &'static str, row: &str, base64: &str) -> Result<Vec<u8>> {
    let damaged = |_| StateError::Damaged { table, row: row.to_owned(), what: "it is no base64".to_owned() };
    BASE64.decode(base64).map_err(damaged)
}

/// Certificates as one column holds them.
fn above(name: &str, json: &str) -> Result<Vec<Vec<u8>>> {
    let damaged = |_| StateError::Damaged { table: "ca", row: name.to_owned(), what: "`above` is no list".to_owned() };
    let texts: Vec<String> = serde_json::from_str(json).map_err(damaged)?;
    texts.iter().map(|text| decode("ca", name, text)).collect()
}

fn row_key(name: &str, generation: u32) -> String {
    format!("{name} {generation}")
}

fn column(row: &str) -> Column<'_> {
    Column { table: "ca", row, column: "key_sealed" }
}

impl State {
    /// One generation of a CA.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca(&self, name: &str, generation: u32) -> Result<Option<CaRow>> {
        let found = sqlx::query("SELECT * FROM ca WHERE name = $1 AND generation = $2")
            .bind(name)
            .bind(i64::from(generation))
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(CaRow::read).transpose()
    }

    /// The newest issuing generation of a CA; `None` where it has none yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn newest_ca(&self, name: &str) -> Result<Option<CaRow>> {
        let found = sqlx::query("SELECT * FROM ca WHERE name = $1 AND generation > 0 ORDER BY generation DESC LIMIT 1")
            .bind(name)
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(CaRow::read).transpose()
    }

    /// Writes a generation down before it is signed. Where there is one already, that one stays.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_ca(&self, new: &NewCa<'_>, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.add_ca_in(&mut write, new, now).await?;
        write.commit().await?;
        Ok(())
    }

    /// As `add_ca`, as a part of something larger.
    ///
    /// # Errors
    /// Where sealing or the database fails.
    pub async fn add_ca_in(&self, write: &mut Write, new: &NewCa<'_>, now: Timestamp) -> Result<()> {
        let (sealed, uri) = match new.key {
            KeyPlace::Sealed(key) => (self.seal_ca_key(new.name, new.generation, key)?, None),
            KeyPlace::Token(uri) => (String::new(), Some(uri)),
            KeyPlace::Elsewhere => (String::new(), None),
        };
        let above = |ders: &[Vec<u8>]| to_list(&ders.iter().map(|der| BASE64.encode(der)).collect::<Vec<_>>());
        sqlx::query(
            "INSERT INTO ca (name, generation, serial, key_type, key_sealed, key_uri, not_before, not_after, \
             to_be_signed, certificate, above, shard_size, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (name, generation) DO NOTHING",
        )
        .bind(new.name)
        .bind(i64::from(new.generation))
        .bind(&new.serial)
        .bind(new.key_type)
        .bind(sealed)
        .bind(uri)
        .bind(new.not_before.millis())
        .bind(new.not_after.millis())
        .bind(BASE64.encode(new.to_be_signed))
        .bind(new.certificate.map(|der| BASE64.encode(der)))
        .bind(new.above.map(above))
        .bind(i64::from(new.shard_size))
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// A generation's key as its row holds it.
    pub(super) fn seal_ca_key(&self, name: &str, generation: u32, key: &[u8]) -> Result<String> {
        Ok(self.sealer().seal(column(&row_key(name, generation)), key)?)
    }

    /// The names of all CAs on record, those taken out of the config with them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_names(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT DISTINCT name FROM ca ORDER BY name").fetch_all(self.reader()).await?)
    }

    /// The issuing generations of a CA, the oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_generations(&self, name: &str) -> Result<Vec<CaRow>> {
        let found = sqlx::query("SELECT * FROM ca WHERE name = $1 AND generation > 0 ORDER BY generation")
            .bind(name)
            .fetch_all(self.reader())
            .await?;
        found.iter().map(CaRow::read).collect()
    }

    /// Takes `count` places in the CRLs of a generation, which nobody else gets: answers the first.
    ///
    /// # Errors
    /// Where the database fails, or there is no such generation.
    pub async fn take_places(&self, name: &str, generation: u32, count: u32) -> Result<u64> {
        let after: i64 = sqlx::query_scalar(
            "UPDATE ca SET leaves = leaves + $3 WHERE name = $1 AND generation = $2 RETURNING leaves",
        )
        .bind(name)
        .bind(i64::from(generation))
        .bind(i64::from(count))
        .fetch_one(self.writer())
        .await?;
        Ok(u64::try_from(after).unwrap_or(0).saturating_sub(u64::from(count)))
    }

    /// A generation is signed. Where it was signed already, that signature stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_signed(&self, name: &str, generation: u32, certificate: &[u8]) -> Result<()> {
        sqlx::query("UPDATE ca SET certificate = $3 WHERE name = $1 AND generation = $2 AND certificate IS NULL")
            .bind(name)
            .bind(i64::from(generation))
            .bind(BASE64.encode(certificate))
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The leaf that answers an order.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_certificate_of(&self, ca: &str, order_id: &str) -> Result<Option<CaCertificateRow>> {
        let found = sqlx::query("SELECT * FROM ca_certificate WHERE ca = $1 AND order_id = $2")
            .bind(ca)
            .bind(order_id)
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(CaCertificateRow::read).transpose()
    }
}

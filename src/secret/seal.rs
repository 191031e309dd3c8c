//! Sealing: AES-256-GCM bound to table, row and column, so that a sealed value copied to another place does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

/// The format of sealed values: `v1:<key id>:<base64 of nonce and ciphertext>`.
const FORMAT: &str = "v1";

/// Why a value cannot be sealed or opened. It never shows the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The seal key is not 32 bytes in base64.
    #[error("the seal key is not 32 bytes in base64: make one with `openssl rand -base64 32`")]
    Key,
    /// The value was sealed with another key.
    #[error("it was sealed with key `{found}`, and the key at hand is `{expected}`")]
    OtherKey {
        /// The id of the key that sealed the value.
        found: String,
        /// The id of the key at hand.
        expected: String,
    },
    /// The value is no sealed value, or was changed, or was sealed for another place.
    #[error("the sealed value in `{table}.{column}` is damaged or belongs elsewhere")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The machine gave no randomness.
    #[error("no randomness")]
    Randomness,
}

/// The place of a sealed value.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The table.
    pub table: &'static str,
    /// The row's primary key.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
}

impl Column<'_> {
    fn associated_data(&self) -> Vec<u8> {
        // Lengths before the parts: no two places yield the same bytes.
        let mut data = Vec::new();
        for part in [self.table, self.row, self.column] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }

    fn damaged(&self) -> SealError {
        SealError::Damaged { table: self.table, column: self.column }
    }
}

/// Seals and opens values with one key.
pub struct Sealer {
    key: LessSafeKey,
    id: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sealer({})", self.id)
    }
}

impl Sealer {
    /// Takes a key of 32 bytes in base64.
    ///
    /// # Errors
    /// `SealError::Key` where it is not that.
    pub fn from_base64(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| SealError::Key)?);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::Key)?;
        let id = hex::encode(&digest::digest(&digest::SHA256, &bytes).as_ref()[..4]);
        Ok(Self { key: LessSafeKey::new(key), id })
    }

    /// A fresh key, in base64.
    ///
    /// # Errors
    /// `SealError::Randomness`.
    pub fn generate_base64() -> Result<Zeroizing<String>, SealError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::fill(bytes.as_mut()).map_err(|_| SealError::Randomness)?;
        Ok(Zeroizing::new(BASE64.encode(bytes.as_ref())))
    }

    /// What tells this key from others: the first four octets of its SHA-256, in hex.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `plain` for this place.
    ///
    /// # Errors
    /// `SealError::Randomness`.
    pub fn seal(&self, place: Column<'_>, plain: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        let mut bytes = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.associated_data()),
                &mut bytes,
            )
            .map_err(|_| SealError::Randomness)?;
        let sealed = [nonce.as_slice(), &bytes].concat();
        Ok(format!("{FORMAT}:{}:{}", self.id, BASE64.encode(sealed)))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// `OtherKey` or `Damaged`.
    pub fn open(&self, place: Column<'_>, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut parts = sealed.splitn(3, ':');
        let (Some(FORMAT), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(place.damaged());
        };
        if id != self.id {
            return Err(SealError::OtherKey { found: id.to_owned(), expected: self.id.clone() });
        }
        let mut bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| place.damaged())?);
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(|| place.damaged())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| place.damaged())?;
        let plain =
            self.key.open_in_place(nonce, Aad::from(place.associated_data()), body).map_err(|_| place.damaged())?;
        Ok(Zeroizing::new(plain.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Column<'_> = Column { table: "account", row: "a", column: "key" };

    fn sealer() -> Sealer {
        Sealer::from_base64(&Sealer::generate_base64().unwrap()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let sealer = sealer();
        let sealed = sealer.seal(PLACE, b"secret").unwrap();
        assert_eq!(sealer.open(PLACE, &sealed).unwrap().as_slice(), b"secret");
        for elsewhere in [
            Column { row: "b", ..PLACE },
            Column { column: "eab", ..PLACE },
            Column { table: "order", ..PLACE },
            Column { table: "accounta", row: "", ..PLACE },
        ] {
            assert!(matches!(sealer.open(elsewhere, &sealed), Err(SealError::Damaged { .. })));
        }
    }

    #[test]
    fn another_key_is_named() {
        let sealed = sealer().seal(PLACE, b"secret").unwrap();
        assert!(matches!(sealer().open(PLACE, &sealed), Err(SealError::OtherKey { .. })));
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let sealer = sealer();
        for sealed in
            ["", "v1", "v1:x", "v2:a:b", &format!("v1:{}:AAAA", sealer.id()), &format!("v1:{}:!", sealer.id())]
        {
            assert!(sealer.open(PLACE, sealed).is_err(), "{sealed}");
        }
    }
}

//! A secret is never written in the config file but referred to.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// The environment variable by which systemd names the folder of `LoadCredential=`.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Larger files are no secrets.
const LIMIT: u64 = 64 * 1024;

/// Where a secret is to be found: `{ credential = "…" }`, `{ file = "…" }` or `{ env = "…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// A systemd credential (`LoadCredential=`).
    Credential(String),
    /// A file; relative to the config file that names it.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// Why a secret cannot be had. It names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Not running as a systemd unit with credentials.
    #[error("credential `{name}` cannot be read outside the unit: it is given by systemd's LoadCredential=")]
    NoCredentials {
        /// The credential's name.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than a secret can be.
    #[error("`{}` is larger than 64 KiB: that is no secret", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The variable is not set, or is no text.
    #[error("the environment variable `{name}` is not set")]
    NoVariable {
        /// The variable.
        name: String,
    },
    /// There is nothing in it.
    #[error("{place} is empty")]
    Empty {
        /// The place, as `SecretRef` displays it.
        place: String,
    },
}

impl SecretRef {
    /// Reads the secret; one trailing newline is not part of it.
    ///
    /// # Errors
    /// Where it is not there, is empty, or is no text.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Credential(name) => read_file(&credential_path(name)?)?,
            Self::File(path) => read_file(path)?,
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NoVariable { name: name.clone() })?,
        };
        let text = zeroize::Zeroizing::new(text);
        let bare = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if bare.is_empty() {
            return Err(SecretError::Empty { place: self.to_string() });
        }
        Ok(SecretString::from(bare.to_owned()))
    }

    /// The same, a relative file taken from `directory`.
    #[must_use]
    pub fn relative_to(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            other => other,
        }
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential(name) => write!(formatter, "credential `{name}`"),
            Self::File(path) => write!(formatter, "file `{}`", path.display()),
            Self::Env(name) => write!(formatter, "environment variable `{name}`"),
        }
    }
}

fn credential_path(name: &str) -> Result<PathBuf, SecretError> {
    let directory = std::env::var_os(CREDENTIALS_DIRECTORY);
    directory
        .map(|path| Path::new(&path).join(name))
        .ok_or_else(|| SecretError::NoCredentials { name: name.to_owned() })
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > LIMIT {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Hand-written, because the derived errors repeat the value that was found, and that may be the secret itself.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Place)
    }
}

const FORM: &str =
    "a secret is never written here: write `{ credential = \"…\" }`, `{ file = \"…\" }` or `{ env = \"…\" }`";

struct Place;

impl<'de> Visitor<'de> for Place {
    type Value = SecretRef;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(FORM)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(E::custom(FORM))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(E::custom(FORM))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(E::custom(FORM))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(E::custom(FORM))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(serde::de::Error::custom(FORM))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let refuse = || serde::de::Error::custom(FORM);
        let mut place = None;
        while let Some(key) = map.next_key::<String>().map_err(|_| refuse())? {
            let Ok(value) = map.next_value::<Text>() else { return Err(refuse()) };
            let found = match (key.as_str(), value.0) {
                ("credential", Some(name)) if is_credential_name(&name) => SecretRef::Credential(name),
                ("file", Some(path)) if !path.is_empty() => SecretRef::File(path.into()),
                ("env", Some(name)) if !name.is_empty() => SecretRef::Env(name),
                _ => return Err(refuse()),
            };
            if place.replace(found).is_some() {
                return Err(refuse());
            }
        }
        place.ok_or_else(refuse)
    }
}

fn is_credential_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

/// A text, or `None` for a value of any other type.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Text, A::Error> {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        secret: SecretRef,
    }

    #[test]
    fn the_three_forms_are_read() {
        let read = |text: &str| toml::from_str::<Table>(text).unwrap().secret;
        assert_eq!(read("secret = { credential = \"a\" }"), SecretRef::Credential("a".into()));
        assert_eq!(read("secret = { file = \"b\" }"), SecretRef::File("b".into()));
        assert_eq!(read("secret = { env = \"C\" }"), SecretRef::Env("C".into()));
    }

    #[test]
    fn a_literal_is_refused_and_never_repeated() {
        for literal in [
            "\"CANARY\"",
            "[\"CANARY\"]",
            "{ file = [\"CANARY\"] }",
            "{ credential = \"../CANARY\" }",
            "{ CANARY = \"x\" }",
            "{ file = \"a\", env = \"CANARY\" }",
        ] {
            let error = toml::from_str::<Table>(&format!("secret = {literal}")).unwrap_err();
            assert!(!error.message().contains("CANARY"), "{error}");
            assert!(error.message().contains("{ file = "), "{error}");
        }
    }

    #[test]
    fn one_newline_is_not_part_of_the_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"word\n").unwrap();
        assert_eq!(SecretRef::File(file.path().to_owned()).read().unwrap().expose_secret(), "word");
        file.as_file().set_len(0).unwrap();
        assert!(matches!(SecretRef::File(file.path().to_owned()).read(), Err(SecretError::Empty { .. })));
    }
}

//! Where a key in a token is: a PKCS#11 URI (RFC 7512) that names module, token, key, and where the PIN is to be found.

use std::fmt;
use std::path::PathBuf;

use crate::config::ca::Token;
use crate::secret::SecretRef;

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub token: Token,
    /// CKA_ID.
    pub id: Vec<u8>,
}

impl Place {
    /// Reads a URI that `Display` wrote.
    pub fn parse(uri: &str) -> Option<Self> {
        let (path, query) = uri.strip_prefix("pkcs11:")?.split_once('?')?;
        let path: Vec<&str> = path.split(';').collect();
        let query: Vec<&str> = query.split('&').collect();
        let find = |parts: &[&str], name: &str| {
            let found = parts.iter().find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
            decode(found)
        };
        let text = |parts: &[&str], name: &str| String::from_utf8(find(parts, name)?).ok();
        let pin = text(&query, "pin-source")?;
        let (kind, name) = pin.split_once(':')?;
        let pin = match kind {
            "file" => SecretRef::File(name.into()),
            "credential" => SecretRef::Credential(name.to_owned()),
            "env" => SecretRef::Env(name.to_owned()),
            _ => return None,
        };
        let token = Token { module: PathBuf::from(text(&query, "module-path")?), label: text(&path, "token")?, pin };
        Some(Self { token, id: find(&path, "id")? })
    }

    /// The same key, reached as the config says where that tells of its token.
    pub fn under(self, configured: Option<&Token>) -> Self {
        match configured.filter(|configured| configured.label == self.token.label) {
            Some(configured) => Self { token: configured.clone(), ..self },
            None => self,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pin = match &self.token.pin {
            SecretRef::File(path) => format!("file:{}", path.display()),
            SecretRef::Credential(name) => format!("credential:{name}"),
            SecretRef::Env(name) => format!("env:{name}"),
        };
        let id: String = self.id.iter().map(|octet| format!("%{octet:02X}")).collect();
        let (label, module) = (encode(&self.token.label), encode(&self.token.module.to_string_lossy()));
        write!(formatter, "pkcs11:token={label};id={id};type=private?module-path={module}&pin-source={}", encode(&pin))
    }
}

/// What RFC 7512 allows in a value both of path and of query stays as it is.
fn encode(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            octets.extend(hex::decode(after.get(..2)?).ok()?);
            rest = &after[2..];
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pin: SecretRef) -> Place {
        let (module, label) = ("/usr/lib/a b.so".into(), "Gerät 1;x=?&%".to_owned());
        Place { token: Token { module, label, pin }, id: vec![0, 1, 0xfe, b'a'] }
    }

    #[test]
    fn a_uri_is_read_back() {
        for pin in
            [SecretRef::File("/run/pin?&".into()), SecretRef::Credential("pin".into()), SecretRef::Env("PIN".into())]
        {
            let place = place(pin);
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        let uri = place(SecretRef::Env("PIN".into())).to_string();
        assert!(uri.starts_with("pkcs11:token=Ger%C3%A4t%201%3Bx%3D%3F%26%25;id=%00%01%FE%61;type=private?"), "{uri}");
        for bad in ["", "pkcs11:token=a", "pkcs11:token=a;id=%0?module-path=m&pin-source=env:P", "https://a?b"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_config_says_how_its_token_is_reached() {
        let before = place(SecretRef::Env("PIN".into()));
        let moved = Token { module: "/opt/new.so".into(), ..before.token.clone() };
        assert_eq!(before.clone().under(Some(&moved)).token, moved);
        let other = Token { label: "other".into(), ..moved };
        assert_eq!(before.clone().under(Some(&other)), before);
    }
}

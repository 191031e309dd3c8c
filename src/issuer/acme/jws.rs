//! Flattened JSON web signatures (RFC 7515; RFC 8555, section 6.2): for what instant-acme cannot sign crash-safely.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwsError {
    /// Not an ECDSA P-256 key in PKCS#8.
    #[error("the account key is damaged")]
    Key,
    /// The crypto library failed.
    #[error("signing with the account key failed")]
    Signing,
}

/// An account's key: ECDSA P-256. `Debug` shows nothing of it.
pub(super) struct AccountKey(EcdsaKeyPair);

impl AccountKey {
    /// Reads a PKCS#8 key.
    pub(super) fn from_pkcs8_der(der: &[u8]) -> Result<Self, JwsError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self).map_err(|_| JwsError::Key)
    }

    /// The public key as a JSON web key (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        let point = self.0.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
    }

    /// Signs `payload` (`""`: POST-as-GET) with ES256. `identity` is `("kid", …)` or `("jwk", …)`.
    pub(super) fn sign(
        &self,
        identity: (&str, Value),
        nonce: Option<&str>,
        url: &str,
        payload: &str,
    ) -> Result<Jws, JwsError> {
        let mut header = json!({ "alg": "ES256", "url": url });
        header[identity.0] = identity.1;
        if let Some(nonce) = nonce {
            header["nonce"] = nonce.into();
        }
        let jws = Jws::unsigned(&header, payload);
        let signature = self.0.sign(&SystemRandom::new(), jws.input().as_bytes()).map_err(|_| JwsError::Signing)?;
        Ok(jws.signed(signature.as_ref()))
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccountKey")
    }
}

/// A signed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Jws {
    protected: String,
    payload: String,
    signature: String,
}

impl Jws {
    /// An external account binding (RFC 8555, section 7.3.4): the account's public key under the CA's MAC key (HS256).
    pub(super) fn binding(key: &AccountKey, kid: &str, mac: &[u8], url: &str) -> Self {
        let header = json!({ "alg": "HS256", "kid": kid, "url": url });
        let jws = Self::unsigned(&header, &key.jwk().to_string());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac), jws.input().as_bytes());
        jws.signed(tag.as_ref())
    }

    fn unsigned(header: &Value, payload: &str) -> Self {
        Self {
            protected: encode(header.to_string().as_bytes()),
            payload: encode(payload.as_bytes()),
            signature: String::new(),
        }
    }

    fn input(&self) -> String {
        format!("{}.{}", self.protected, self.payload)
    }

    fn signed(mut self, signature: &[u8]) -> Self {
        self.signature = encode(signature);
        self
    }
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn key() -> AccountKey {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        AccountKey::from_pkcs8_der(der.as_ref()).unwrap()
    }

    fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn a_signature_verifies_by_the_key_in_its_own_header() {
        let key = key();
        let jws = key.sign(("jwk", key.jwk()), Some("n"), "https://ca.example/x", r#"{"a":1}"#).unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws.protected)).unwrap();
        assert_eq!(
            (&header["alg"], &header["nonce"], &header["url"]),
            (&json!("ES256"), &json!("n"), &json!("https://ca.example/x"))
        );
        let part = |name: &str| decode(header["jwk"][name].as_str().unwrap());
        let point = [vec![4], part("x"), part("y")].concat();
        assert_eq!(point.len(), 65);
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        public.verify(jws.input().as_bytes(), &decode(&jws.signature)).unwrap();
        assert_eq!(decode(&jws.payload), br#"{"a":1}"#);
    }

    #[test]
    fn an_inner_signature_has_no_nonce_and_post_as_get_no_payload() {
        let jws = key().sign(("kid", "https://ca.example/acct/1".into()), None, "u", "").unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws.protected)).unwrap();
        assert!(header.get("nonce").is_none() && header.get("jwk").is_none());
        assert_eq!(jws.payload, "");
    }

    #[test]
    fn a_binding_is_the_key_under_the_mac() {
        let key = key();
        let jws = Jws::binding(&key, "kid-1", b"secret", "https://ca.example/new-account");
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), jws.input().as_bytes(), &decode(&jws.signature))
            .unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&decode(&jws.payload)).unwrap(), key.jwk());
    }

    #[test]
    fn a_key_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "AccountKey");
        assert!(matches!(AccountKey::from_pkcs8_der(b"x"), Err(JwsError::Key)));
    }
}

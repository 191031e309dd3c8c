//! Whether a request is what RFC 8555, section 6 wants.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Book, Endpoint, Reply};

/// A request whose signature verifies.
pub(super) struct Signed {
    /// By number; `None`: signed by a key that it brings along.
    pub(super) account: Option<usize>,
    /// The key that it was signed with.
    pub(super) jwk: Value,
    /// Null: POST-as-GET.
    pub(super) payload: Value,
}

/// A flattened JWS, decoded.
struct Jws {
    header: Value,
    payload: Vec<u8>,
    input: String,
    signature: Vec<u8>,
}

impl Jws {
    fn read(document: &Value) -> Option<Self> {
        let members = document.as_object()?;
        let text = |name: &str| members.get(name)?.as_str();
        let decode = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        (members.len() == 3).then_some(())?;
        Some(Self {
            header: serde_json::from_slice(&decode("protected")?).ok()?,
            payload: decode("payload")?,
            input: format!("{}.{}", text("protected")?, text("payload")?),
            signature: decode("signature")?,
        })
    }
}

impl Book {
    pub(super) fn verify(
        &mut self,
        endpoint: Endpoint,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Signed, Reply> {
        if *method != Method::POST {
            return Err(self.complain(405, &format!("{method} of {endpoint:?}")));
        }
        if headers.get("content-type").is_none_or(|kind| kind != "application/jose+json") {
            return Err(self.complain(415, "the content type is not application/jose+json"));
        }
        let document: Option<Value> = serde_json::from_slice(body).ok();
        let Some(jws) = document.as_ref().and_then(Jws::read) else {
            return Err(self.complain(400, "no flattened JWS"));
        };
        if jws.header["alg"] != "ES256" {
            return Err(self.complain(400, "the algorithm is not ES256"));
        }
        if jws.header["url"] != self.url(path) {
            return Err(self.complain(403, &format!("signed for {}, sent to {path}", jws.header["url"])));
        }
        self.take_nonce(jws.header["nonce"].as_str().unwrap_or_default())?;
        let (account, jwk) = self.signer(endpoint, &jws.header)?;
        if !verifies(&jwk, &jws) {
            return Err(self.complain(403, "the signature does not verify"));
        }
        let payload = if jws.payload.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&jws.payload) };
        let Ok(payload) = payload else { return Err(self.complain(400, "the payload is no JSON")) };
        self.expect_payload(endpoint, &payload)?;
        Ok(Signed { account, jwk, payload })
    }

    fn take_nonce(&mut self, nonce: &str) -> Result<(), Reply> {
        let known = self.nonces.remove(nonce);
        if !known && !nonce.starts_with("nonce-") {
            self.complaints.push(format!("a nonce that is none: `{nonce}`"));
        }
        // 37 has no divisor in common with 100: every remainder comes once in a hundred.
        if !known || self.nonces_made.wrapping_mul(37) % 100 < self.script.nonce_reject_percent {
            self.nonces_refused += 1;
            return Err(Reply::problem(400, "badNonce", "not a nonce of today"));
        }
        Ok(())
    }

    /// The account's number and its key, or the key that the request brings along.
    fn signer(&mut self, endpoint: Endpoint, header: &Value) -> Result<(Option<usize>, Value), Reply> {
        match (header.get("jwk"), header.get("kid").and_then(Value::as_str)) {
            (Some(jwk), None) if matches!(endpoint, Endpoint::NewAccount | Endpoint::Revoke) => Ok((None, jwk.clone())),
            (None, Some(kid)) if endpoint != Endpoint::NewAccount => {
                let prefix = self.url("/account/");
                let number = kid.strip_prefix(&prefix).and_then(|number| number.parse::<usize>().ok());
                let found = number.and_then(|number| Some((number, self.accounts.get(number)?)));
                let Some((number, account)) = found else {
                    return Err(Reply::problem(400, "accountDoesNotExist", "no such account"));
                };
                if account.status != "valid" {
                    return Err(Reply::problem(403, "unauthorized", &format!("the account is {}", account.status)));
                }
                Ok((Some(number), account.jwk.clone()))
            }
            _ => Err(self.complain(400, "neither jwk nor kid where it belongs")),
        }
    }

    /// What is fetched is fetched by POST-as-GET, and what is asked for has a payload.
    fn expect_payload(&mut self, endpoint: Endpoint, payload: &Value) -> Result<(), Reply> {
        use Endpoint::{Account, Authorization, Certificate, Order};
        let fits = match endpoint {
            Order | Authorization | Certificate => payload.is_null(),
            Account => true,
            _ => payload.is_object(),
        };
        if fits { Ok(()) } else { Err(self.complain(400, &format!("the payload does not fit {endpoint:?}"))) }
    }

    /// RFC 8555, section 7.3.4.
    pub(super) fn binds(&self, binding: &Value, jwk: &Value) -> bool {
        let (Some((kid, key)), Some(jws)) = (&self.script.eab, Jws::read(binding)) else { return false };
        let header = jws.header == serde_json::json!({ "alg": "HS256", "kid": kid, "url": self.url("/accounts") });
        let payload: Option<Value> = serde_json::from_slice(&jws.payload).ok();
        let tag = hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), jws.input.as_bytes(), &jws.signature);
        header && payload.as_ref() == Some(jwk) && tag.is_ok()
    }
}

fn verifies(jwk: &Value, jws: &Jws) -> bool {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap_or_default();
    let point = [vec![4], part("x"), part("y")].concat();
    let fits = jwk["kty"] == "EC" && jwk["crv"] == "P-256" && jwk.get("d").is_none();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    fits && public.verify(jws.input.as_bytes(), &jws.signature).is_ok()
}

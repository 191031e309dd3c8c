//! newAccount (RFC 8555, section 7.3), with external account binding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Acme;
use super::account::complaint;
use super::client::{Client, account_trouble};
use super::directory::Directory;
use super::jws::{AccountKey, Jws};
use super::obstacle::{Obstacle, account_is_gone};
use super::post::{As, post};
use super::problem::clean;
use crate::config::account::Eab;
use crate::issuer::IssuerError;
use crate::secret::ExposeSecret as _;

impl Acme {
    /// Registers the key and keeps the account's URL. A key that is registered already, by a try whose answer was lost,
    /// gets the same URL again.
    pub(super) async fn register(
        &self,
        client: &Client,
        directory: &Directory,
        key: &AccountKey,
    ) -> Result<String, IssuerError> {
        let payload = self.new_account(directory, key)?.to_string();
        let answered = post(client, directory, As::Key(key), &directory.new_account, &payload).await;
        let answer = answered.map_err(|obstacle| self.registration_error(obstacle))?;
        let known = answer.json::<Value>().ok();
        if let Some(complaint) = known.as_ref().and_then(complaint) {
            return Err(account_is_gone(self.name(), &complaint));
        }
        let no_url = || IssuerError::Unreachable { detail: "the CA gives the account no URL".to_owned() };
        let url = answer.location().ok_or_else(no_url)?;
        client.permitted(&url).map_err(|obstacle| obstacle.into_error(self.name()))?;
        self.state.account_registered(self.name(), self.directory_url(), &url, self.clock.now()).await?;
        tracing::info!(account = self.name(), url = %clean(&url), "registered the account");
        Ok(url)
    }

    fn new_account(&self, directory: &Directory, key: &AccountKey) -> Result<Value, IssuerError> {
        let (name, settings) = (self.name(), &self.settings.account);
        let mut payload = json!({ "contact": settings.contact });
        match (&directory.meta.terms_of_service, settings.agree_to_terms) {
            (_, true) => payload["termsOfServiceAgreed"] = true.into(),
            (None, false) => {}
            (Some(terms), false) => {
                let terms = clean(terms);
                return Err(account_trouble(format!(
                    "account `{name}`: the CA asks for agreement to its terms, {terms}: read them and set `agree_to_terms = true`"
                )));
            }
        }
        match &settings.eab {
            Some(eab) => payload["externalAccountBinding"] = json!(binding(name, eab, key, &directory.new_account)?),
            None if directory.meta.external_account_required => {
                return Err(account_trouble(format!(
                    "account `{name}`: the CA registers its customers only: set `eab` to the key identifier and key that it gave you"
                )));
            }
            None => {}
        }
        Ok(payload)
    }

    fn registration_error(&self, obstacle: Obstacle) -> IssuerError {
        if !obstacle.is_final() {
            return obstacle.into_error(self.name());
        }
        let hint = if self.settings.account.eab.is_some() { " (is `eab` right, and not used up?)" } else { "" };
        account_trouble(format!("account `{}`: the CA refuses to register it: {obstacle}{hint}", self.name()))
    }
}

fn binding(name: &str, eab: &Eab, key: &AccountKey, url: &str) -> Result<Jws, IssuerError> {
    let secret = eab.hmac_key.read().map_err(|error| {
        account_trouble(format!(
            "account `{name}`: cannot read `eab`'s `hmac_key`: {}",
            providers::error::chain(&error)
        ))
    })?;
    let mac = decode(secret.expose_secret()).ok_or_else(|| {
        account_trouble(format!("account `{name}`: `eab`'s `hmac_key`, {}, is no base64url", eab.hmac_key))
    })?;
    Ok(Jws::binding(key, &eab.kid, &mac, url))
}

/// base64url as RFC 8555 has it; CAs hand out padded and plain base64, too.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let plain = Zeroizing::new(text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_"));
    URL_SAFE_NO_PAD.decode(plain.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_keys_are_read_as_cas_hand_them_out() {
        for text in ["-_8", "+/8=", " -_8=\n"] {
            assert_eq!(decode(text).unwrap().as_slice(), [0xfb, 0xff], "{text}");
        }
        assert_eq!(decode("not base64!"), None);
    }
}

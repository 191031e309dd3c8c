//! The directory (RFC 8555, section 7.1.1), as far as we read it ourselves.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Acme;
use super::client::Client;
use super::obstacle::Obstacle;
use super::problem::clean;
use crate::clock::Timestamp;
use crate::issuer::{IssuerError, Offers};

/// How long a directory is believed.
pub(super) const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a CA's resources are.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) key_change: Option<String>,
    /// RFC 9773, section 3.
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
    /// What the CA's clock said when it answered.
    #[serde(skip)]
    pub(super) date: Option<Timestamp>,
}

/// What a CA says about itself. What has not the form that it should have is left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    pub(super) website: Option<String>,
    pub(super) caa_identities: Vec<String>,
    pub(super) external_account_required: bool,
    /// Descriptions by name (draft-ietf-acme-profiles).
    pub(super) profiles: BTreeMap<String, String>,
}

impl From<Value> for Meta {
    fn from(meta: Value) -> Self {
        let text = |key: &str| meta.get(key).and_then(Value::as_str).map(str::to_owned);
        let identities = meta.get("caaIdentities").and_then(Value::as_array).into_iter().flatten();
        let profiles = meta.get("profiles").and_then(Value::as_object).into_iter().flatten();
        let described = |(name, description): (&String, &Value)| {
            (name.clone(), description.as_str().unwrap_or_default().to_owned())
        };
        Self {
            terms_of_service: text("termsOfService"),
            website: text("website"),
            caa_identities: identities.filter_map(Value::as_str).map(str::to_owned).collect(),
            external_account_required: meta.get("externalAccountRequired") == Some(&Value::Bool(true)),
            profiles: profiles.map(described).collect(),
        }
    }
}

impl Directory {
    /// Asks for the directory.
    pub(super) async fn fetch(client: &Client, url: &str) -> Result<Self, Obstacle> {
        let answer = client.send(Method::GET, url, None).await?.accepted()?;
        let date = providers::http::date(&answer.headers).map(Timestamp::from_datetime);
        Ok(Self { date, ..answer.json()? })
    }

    /// For people: every text cleaned.
    fn offers(&self) -> Offers {
        let meta = &self.meta;
        let profiles = meta.profiles.iter().map(|(name, description)| (clean(name), clean(description)));
        Offers {
            profiles: profiles.collect(),
            terms_of_service: meta.terms_of_service.as_deref().map(clean),
            website: meta.website.as_deref().map(clean),
            caa_identities: meta.caa_identities.iter().map(|name| clean(name)).collect(),
            external_account_required: meta.external_account_required,
            renewal_info: self.renewal_info.is_some(),
        }
    }
}

/// A CA's directory, and how it is spoken to. No account is needed for it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) client: Client,
    pub(super) directory: Directory,
    fetched_at: Timestamp,
}

impl Acme {
    /// The directory as it was not long ago.
    pub(super) async fn site(&self) -> Result<Site, IssuerError> {
        let mut slot = self.site.lock().await;
        let now = self.clock.now();
        match slot.as_ref().filter(|site| now.since(site.fetched_at) < FRESH) {
            Some(site) => Ok(site.clone()),
            None => Ok(slot.insert(self.fetch_site().await?).clone()),
        }
    }

    /// The directory as it is now.
    pub(super) async fn visit(&self) -> Result<Site, IssuerError> {
        let mut slot = self.site.lock().await;
        *slot = None;
        Ok(slot.insert(self.fetch_site().await?).clone())
    }

    /// What the directory says now that the CA offers.
    pub(super) async fn read_offers(&self) -> Result<Offers, IssuerError> {
        Ok(self.visit().await?.directory.offers())
    }

    async fn fetch_site(&self) -> Result<Site, IssuerError> {
        let client = Client::new(self.directory_url(), self.settings.account.trusted_roots.as_deref())?;
        let fetched = Directory::fetch(&client, self.directory_url()).await;
        let directory = fetched.map_err(|obstacle| self.directory_error(obstacle))?;
        Ok(Site { client, directory, fetched_at: self.clock.now() })
    }

    /// A directory refuses nobody: what looks like that is a wrong URL, or a proxy.
    pub(super) fn directory_error(&self, obstacle: Obstacle) -> IssuerError {
        if !obstacle.is_final() {
            return obstacle.into_error(self.name());
        }
        IssuerError::Unreachable { detail: format!("`{}`: {obstacle}", self.directory_url()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_another_form_is_left_out() {
        let directory: Directory = serde_json::from_value(json!({
            "newNonce": "n", "newAccount": "a", "newThing": { "x": 1 },
            "meta": {
                "termsOfService": 7, "website": "https://ca.example/\u{1b}[2J", "caaIdentities": ["ca.example", 3],
                "profiles": { "short": "six days", "odd": ["x"] }, "externalAccountRequired": "no", "unknown": null,
            },
        }))
        .unwrap();
        let offers = directory.offers();
        assert_eq!(offers.terms_of_service, None);
        assert_eq!(offers.website.as_deref(), Some("https://ca.example/ [2J"));
        assert_eq!(offers.caa_identities, ["ca.example"]);
        assert_eq!(
            offers.profiles.into_iter().collect::<Vec<_>>(),
            [("odd".to_owned(), String::new()), ("short".to_owned(), "six days".to_owned())]
        );
        assert!(!offers.external_account_required && !offers.renewal_info);
        for meta in [json!(null), json!(3), json!([])] {
            let bare = json!({ "newNonce": "n", "newAccount": "a", "renewalInfo": "r", "meta": meta });
            assert!(serde_json::from_value::<Directory>(bare).unwrap().offers().renewal_info);
        }
    }
}

//! What the CA offers, and whether the account could order of it.

use super::Acme;
use super::client::Client;
use super::directory::Directory;
use super::obstacle::account_is_gone;
use super::problem::clean;
use crate::config::{self, Profile};
use crate::issuer::{IssuerError, Offers};

impl Acme {
    /// Asks the directory anew, whatever is known of it.
    pub(super) async fn ask_for_offers(&self) -> Result<Offers, IssuerError> {
        let client = Client::new(self.directory_url(), self.settings.account.trusted_roots.as_deref())?;
        let fetched = Directory::fetch(&client, self.directory_url()).await;
        let Directory { meta, renewal_info, date, .. } = fetched.map_err(|obstacle| self.directory_error(obstacle))?;
        let profiles = meta.profiles.iter().map(|(name, words)| (clean(name), clean(words)));
        Ok(Offers {
            profiles: profiles.collect(),
            terms_of_service: meta.terms_of_service.as_deref().map(clean),
            website: meta.website.as_deref().map(clean),
            caa_identities: meta.caa_identities.iter().map(|name| clean(name)).collect(),
            external_account_required: meta.external_account_required,
            renewal_info: renewal_info.is_some(),
            date,
        })
    }

    /// Directory, profile, and the account, which is registered where it is not.
    pub(super) async fn could_order(&self, wanted: &config::Certificate) -> Result<(), IssuerError> {
        let offers = self.ask_for_offers().await?;
        let session = self.session().await?;
        if let Some(complaint) = session.complaint().await {
            return Err(account_is_gone(self.name(), &complaint));
        }
        match &wanted.profile {
            Some(Profile::Required(name)) if !offers.profiles.contains_key(name) => {
                let offered: Vec<&str> = offers.profiles.keys().map(String::as_str).collect();
                let what = format!(
                    "the CA of account `{}` does not offer the profile `{name}` that is required: it offers [{}]",
                    self.name(),
                    offered.join(", ")
                );
                Err(IssuerError::Operator { what })
            }
            _ => Ok(()),
        }
    }
}

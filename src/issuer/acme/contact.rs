//! The account's contacts (RFC 8555, section 7.3.2): brought to what the config says.

use serde_json::json;

use super::Acme;
use super::account::Session;
use crate::issuer::IssuerError;
use crate::state::AccountRow;

impl Acme {
    /// Tells the CA where the config's contacts are others than those that it was told. A CA that does not take them
    /// keeps the old ones, which stands in the way of nothing.
    pub(super) async fn settle_contact(&self, session: &Session, row: &AccountRow) -> Result<(), IssuerError> {
        let contact = &self.settings.account.contact;
        if row.contact == *contact {
            return Ok(());
        }
        let payload = json!({ "contact": contact }).to_string();
        match session.post(&session.url, &payload).await {
            Ok(_) => {
                tracing::info!(account = self.name(), "told the CA of the new `contact`");
                Ok(self.state.account_contact_changed(self.name(), self.directory_url(), contact).await?)
            }
            Err(obstacle) => {
                tracing::warn!(
                    account = self.name(),
                    "the CA did not take the new `contact`, the old one stays: {obstacle}"
                );
                Ok(())
            }
        }
    }
}

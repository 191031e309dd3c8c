//! revokeCert (RFC 8555, section 7.6).

use instant_acme::RevocationRequest;
use rustls_pki_types::CertificateDer;

use super::Acme;
use super::client::account_trouble;
use super::obstacle::patiently;
use crate::issuer::{IssuerError, RevocationReason};
use crate::pki::chain::Chain;
use crate::state::{StateError, VersionRow};

impl Acme {
    /// Revokes by the account's key. What is revoked already is revoked.
    pub(super) async fn revoke_version(
        &self,
        version: &VersionRow,
        reason: RevocationReason,
    ) -> Result<(), IssuerError> {
        self.refuse_foreign(version)?;
        let chain = Chain::from_pem(&version.chain).map_err(|error| StateError::Damaged {
            table: "version",
            row: version.id.clone(),
            what: providers::error::chain(&error),
        })?;
        let certificate = CertificateDer::from(chain.ders()[0].as_slice());
        let session = self.session().await?;
        let request = RevocationRequest { certificate: &certificate, reason: Some(code(reason)) };
        match patiently!(session.account.revoke(&request)) {
            Ok(()) => Ok(()),
            Err(obstacle) if obstacle.is("alreadyRevoked") => Ok(()),
            Err(obstacle) => {
                let gone = self.account_error(&session, &obstacle).await;
                Err(gone.unwrap_or_else(|| obstacle.into_error(self.name())))
            }
        }
    }

    fn refuse_foreign(&self, version: &VersionRow) -> Result<(), IssuerError> {
        let issued_by = version.directory_url.as_deref().unwrap_or(self.directory_url());
        if issued_by == self.directory_url() {
            return Ok(());
        }
        Err(account_trouble(format!(
            "serial `{}` was issued by `{issued_by}`, and account `{}` is at `{}`: give it back its directory to revoke",
            version.serial,
            self.name(),
            self.directory_url(),
        )))
    }
}

const fn code(reason: RevocationReason) -> instant_acme::RevocationReason {
    match reason {
        RevocationReason::Unspecified => instant_acme::RevocationReason::Unspecified,
        RevocationReason::KeyCompromise => instant_acme::RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged => instant_acme::RevocationReason::AffiliationChanged,
        RevocationReason::Superseded => instant_acme::RevocationReason::Superseded,
        RevocationReason::CessationOfOperation => instant_acme::RevocationReason::CessationOfOperation,
    }
}

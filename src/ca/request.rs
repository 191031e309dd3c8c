//! Having an issuing certificate signed by somebody else: a key that is made here, and a request (PKCS#10, RFC 2986).

use zeroize::Zeroizing;

use super::extension::Extension;
use super::import::BroughtIn;
use super::key::Signer;
use super::make::NewKey;
use super::{Authority, CaError, certificate, profile};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::der::{self, SEQUENCE, SET};
use crate::state::ca::KeyPlace;
use crate::state::ca_request::{CaRequestRow, NewCaRequest};

impl Authority {
    /// A request for the next issuing certificate, in DER, with a key that stays here: the same each time until it is
    /// installed, or `anew` is asked for.
    ///
    /// # Errors
    /// Where the CA was taken out of the config, or the database fails.
    pub async fn request(&self, anew: bool, now: Timestamp) -> Result<Vec<u8>, CaError> {
        let _rotating = self.rotating.lock().await;
        let terms = self.terms.load_full();
        let config = terms.config.as_ref().ok_or(CaError::Retired)?;
        if let (Some(row), false) = (self.state.ca_request(&self.name).await?, anew) {
            return Ok(row.request);
        }
        let number = self.next_number();
        let key = NewKey::make(config, format!("renewd {} {number}", self.name)).await?;
        let request = request(config, number, &key.signer).await?;
        let new = NewCaRequest { ca: &self.name, key_type: key.key_type.as_str(), key: key.place(), request: &request };
        self.state.put_ca_request(&new, now).await?;
        tracing::info!(ca = self.name, generation = number, "a request for the next issuing certificate was made");
        Ok(request)
    }

    /// Takes the certificate that somebody signed for the request: it issues from now on.
    ///
    /// # Errors
    /// `CaError::NoRequest`, `CaError::Outside` where the certificate is for another key, may not issue, or its path is
    /// not whole, and where the database fails.
    pub async fn install(&self, given: &[Vec<u8>], now: Timestamp) -> Result<BroughtIn, CaError> {
        let _rotating = self.rotating.lock().await;
        let row = self.state.ca_request(&self.name).await?.ok_or(CaError::NoRequest)?;
        let (sealed, signer) = self.key_of(&row).await?;
        let outside = self.outside(given, signer.spki_der(), now).await?;
        self.check_unknown(&outside, signer.spki_der())?;
        let number = self.next_number();
        let key = match (&row.key_uri, &sealed) {
            (Some(uri), _) => KeyPlace::Token(uri),
            (None, sealed) => KeyPlace::Sealed(sealed),
        };
        let new = self.row(&outside, number, &row.key_type, key)?;
        self.state.install_ca(&new, now).await?;
        self.brought_in(number, &outside).await
    }

    async fn key_of(&self, row: &CaRequestRow) -> Result<(Zeroizing<Vec<u8>>, Signer), CaError> {
        if let Some(uri) = &row.key_uri {
            let terms = self.terms.load_full();
            return Ok((Zeroizing::default(), self.reader(&terms).signer_in_token(uri).await?));
        }
        let sealed = row.key(&self.state)?.ok_or_else(|| self.damaged("a request has no key"))?;
        let signer = Signer::from_pkcs8_der(&sealed)?;
        Ok((sealed, signer))
    }
}

/// A CertificationRequest for an issuing certificate, signed.
async fn request(config: &config::Ca, number: u32, signer: &Signer) -> Result<Vec<u8>, CaError> {
    const VERSION_1: &[u8] = &[0x02, 0x01, 0x00];
    let subject = profile::issuing_subject(config, number)?;
    let extensions = profile::issuing_extensions(config, signer.spki_der())?;
    let attributes = der::value(der::context(0), &[&extension_request(&extensions)]);
    let info = der::value(SEQUENCE, &[VERSION_1, &subject, signer.spki_der(), &attributes]);
    let signature = signer.sign_aside(&info).await?;
    Ok(certificate::assemble(&info, signer.algorithm_identifier_der(), &signature))
}

/// The attribute extensionRequest (RFC 2985, section 5.4.2).
fn extension_request(extensions: &[Extension]) -> Vec<u8> {
    const EXTENSION_REQUEST: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
    let extensions: Vec<u8> = extensions.iter().flat_map(Extension::to_der).collect();
    let values = der::value(SET, &[&der::value(SEQUENCE, &[&extensions])]);
    der::value(SEQUENCE, &[EXTENSION_REQUEST, &values])
}

//! What the CAs are asked with for client certificates.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientError, Clients};
use crate::ca::csr::Request;
use crate::ca::{AlternativeName, Authority, CaError, LeafRequest, LeafSubject, profile};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::key::PrivateKey;
use crate::state::client::certificate::{ClientCertificateRow, ClientKey};
use crate::state::client::{ClientRow, ClientSubject};

/// Who is certified, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certified<'a> {
    pub ca: &'a str,
    pub profile: &'a str,
    pub subject: &'a ClientSubject,
    pub names: &'a [String],
    pub lifetime: Option<Duration>,
}

impl<'a> Certified<'a> {
    pub(super) fn of(client: &'a ClientRow) -> Self {
        Self {
            ca: &client.ca,
            profile: &client.profile,
            subject: &client.subject,
            names: &client.names,
            lifetime: client.lifetime,
        }
    }

    /// The mail address is a name like the others.
    fn names(&self) -> Result<Vec<AlternativeName>, CaError> {
        let email = Some(&self.subject.email).filter(|email| !email.is_empty());
        let parse = |text: &String| AlternativeName::parse(text).map_err(|error| self.refused(error.to_string()));
        let mut names = Vec::new();
        for name in email.into_iter().chain(self.names) {
            let name = parse(name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn refused(&self, what: String) -> CaError {
        CaError::Profile { profile: self.profile.to_owned(), what }
    }

    /// The request to the CA. Somebody's own request is held against the profile first.
    fn request(&self, order: &str, key: ClientKey<'_>, config: &config::Ca) -> Result<LeafRequest, CaError> {
        let names = self.names()?;
        let spki_der = match key {
            ClientKey::Own(key) => PrivateKey::from_pkcs8_der(key)?.spki_der(),
            ClientKey::Request(csr) => {
                let request = Request::read(csr).map_err(|error| self.refused(format!("the request: {error}")))?;
                let missing = || CaError::NoProfile { profile: self.profile.to_owned() };
                let profile = config.profiles.get(self.profile).ok_or_else(missing)?;
                request.check(self.profile, profile, &names)?;
                request.spki_der
            }
        };
        let (subject, profile) = (self.subject.to_leaf(), self.profile.to_owned());
        Ok(LeafRequest { order: order.to_owned(), profile, subject, names, spki_der, lifetime: self.lifetime })
    }
}

impl ClientSubject {
    fn to_leaf(&self) -> LeafSubject {
        let there = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        LeafSubject {
            common_name: there(&self.common_name),
            organization: there(&self.organization),
            organizational_unit: there(&self.organizational_unit),
            country: there(&self.country),
            ..LeafSubject::default()
        }
    }
}

impl Clients {
    /// A CA that issues.
    pub(super) async fn authority(&self, ca: &str) -> Result<(Arc<Authority>, config::Ca), ClientError> {
        let found = self.registry.get(ca).await.map_err(|source| ClientError::of(ca, source))?;
        let config = found.as_ref().and_then(|authority| authority.config());
        found.zip(config).ok_or_else(|| ClientError::NoCa { ca: ca.to_owned() })
    }

    /// Whether the CA would sign this, without writing anything down.
    pub(super) async fn try_out(
        &self,
        certified: &Certified<'_>,
        key: ClientKey<'_>,
        now: Timestamp,
    ) -> Result<(), ClientError> {
        let (authority, config) = self.authority(certified.ca).await?;
        let draft = || {
            let request = certified.request("", key, &config)?;
            let (issuing, public_url) = (authority.newest()?, authority.public_url());
            let (ca, public_url) = (certified.ca, public_url.as_deref());
            let terms = profile::Terms { ca, config: &config, public_url, issuing: &issuing, now };
            profile::leaf(&request, 0, &terms).map(drop)
        };
        draft().map_err(|source| ClientError::of(certified.ca, source))
    }

    /// The request for a certificate that is written down.
    pub(super) async fn leaf(&self, row: &ClientCertificateRow) -> Result<LeafRequest, ClientError> {
        let client = self.state.client(&row.client).await?.ok_or_else(|| ClientError::gone(&row.client))?;
        let (_, config) = self.authority(&row.ca).await?;
        let own = row.key(&self.state)?;
        let key = match (&own, &row.csr) {
            (Some(key), _) => ClientKey::Own(key),
            (None, csr) => ClientKey::Request(csr.as_deref().unwrap_or_default()),
        };
        let request = Certified::of(&client).request(&row.id, key, &config);
        request.map_err(|source| ClientError::of(&client.ca, source))
    }
}

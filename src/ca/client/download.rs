//! What an identity's holder takes home.

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{ClientError, Clients};
use crate::ca::CaError;
use crate::pki::bundle;
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::pki::pem::{self, Label};
use crate::state::client::certificate::ClientCertificateRow;
use crate::state::client::{ClientRow, ClientSubject};

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Crt,
    /// The private key, PKCS#8.
    Key,
    /// The request that it was made from; for a key made here, one that would ask for the same.
    Csr,
    /// The certificates above it, without the root.
    Chain,
    /// The certificate and then the chain.
    Fullchain,
    /// Key and chain as PKCS#12, under a password.
    Pfx,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 6] = [Self::Crt, Self::Key, Self::Csr, Self::Chain, Self::Fullchain, Self::Pfx];

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crt => "crt",
            Self::Key => "key",
            Self::Csr => "csr",
            Self::Chain => "chain",
            Self::Fullchain => "fullchain",
            Self::Pfx => "pfx",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == word)
    }

    /// It holds the private key.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Key | Self::Pfx)
    }

    /// How its media type is called.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Crt | Self::Chain | Self::Fullchain => "application/pem-certificate-chain",
            Self::Key => "application/x-pem-file",
            Self::Csr => "application/pkcs10",
            Self::Pfx => "application/x-pkcs12",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Crt => "crt",
            Self::Key => "key",
            Self::Csr => "csr",
            Self::Chain => "chain.pem",
            Self::Fullchain => "fullchain.pem",
            Self::Pfx => "pfx",
        }
    }
}

/// A file. `Debug` shows its name only.
pub struct Download {
    /// A name for it.
    pub file_name: String,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Download({})", self.file_name)
    }
}

impl Clients {
    /// One file of an identity's current certificate. A PKCS#12 file wants a password.
    ///
    /// # Errors
    /// Where it is not there, or what is on record cannot be read.
    pub async fn download(
        &self,
        client: &ClientRow,
        part: Part,
        password: Option<&SecretString>,
    ) -> Result<Download, ClientError> {
        let missing = |why| ClientError::NoPart { identifier: client.identifier.clone(), part: part.as_str(), why };
        let current = client.current.as_ref().ok_or_else(|| missing("nothing was issued yet"))?;
        let row = self.state.client_certificate(&current.id).await?.ok_or_else(|| ClientError::gone(&client.id))?;
        let key =
            || self.key(&row)?.ok_or_else(|| missing("the key was made elsewhere, and only its request came here"));
        let bytes = match part {
            Part::Crt => self.chain(&row).await?.certificate_pem().into_bytes(),
            Part::Chain => self.chain(&row).await?.chain_pem().into_bytes(),
            Part::Fullchain => self.chain(&row).await?.fullchain_pem().into_bytes(),
            Part::Key => key()?.to_pkcs8_pem().as_bytes().to_vec(),
            Part::Csr => match &row.csr {
                Some(csr) => csr.clone().into_bytes(),
                None => request(&key()?, &client.subject).map_err(|source| ClientError::of(&client.ca, source))?,
            },
            Part::Pfx => {
                let password = password.ok_or_else(|| missing("it wants a password"))?;
                bundle::pfx(&key()?, &self.chain(&row).await?, &client.identifier, password)?.to_vec()
            }
        };
        let file_name = format!("{}.{}", client.identifier, part.suffix());
        Ok(Download { file_name, bytes: Zeroizing::new(bytes) })
    }

    fn key(&self, row: &ClientCertificateRow) -> Result<Option<PrivateKey>, ClientError> {
        let Some(key) = row.key(&self.state)? else { return Ok(None) };
        Ok(Some(PrivateKey::from_pkcs8_der(&key)?))
    }

    /// The leaf and what is between it and the root, as they are on record: a CA taken out of the config does not hide them.
    async fn chain(&self, row: &ClientCertificateRow) -> Result<Chain, ClientError> {
        let damaged = |what| ClientError::of(&row.ca, CaError::Damaged { ca: row.ca.clone(), what });
        let leaf = self.state.ca_certificate_of(&row.ca, &row.id).await?;
        let leaf = leaf.ok_or_else(|| damaged("a leaf that was issued is not there"))?;
        let authority = self.registry.get(&row.ca).await.map_err(|source| ClientError::of(&row.ca, source))?;
        let issuing = authority.and_then(|authority| authority.generation(leaf.generation));
        let issuing = issuing.ok_or_else(|| damaged("a leaf's issuing certificate is not there"))?;
        let leaf = leaf.certificate.ok_or_else(|| damaged("a leaf that was issued is not signed"))?;
        Ok(Chain::from_ders([vec![leaf], issuing.chain()].concat())?)
    }
}

/// A request (RFC 2986) for the same subject by the same key, in PEM.
fn request(key: &PrivateKey, subject: &ClientSubject) -> Result<Vec<u8>, CaError> {
    let mut name = DistinguishedName::new();
    for (kind, value) in [
        (DnType::OrganizationName, &subject.organization),
        (DnType::OrganizationalUnitName, &subject.organizational_unit),
        (DnType::CommonName, &subject.common_name),
    ] {
        if !value.is_empty() {
            name.push(kind, DnValue::Utf8String(value.clone()));
        }
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let request = params.serialize_request(key.signing_key()).map_err(|_| CaError::Signing)?;
    Ok(pem::encode(Label::CertificateRequest, request.der()).into_bytes())
}

//! The certificate of the https listeners: a managed one, swapped while they run.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::pki::chain::{Chain, ChainError};
use crate::state::{State, StateError, VersionRow};

/// Why the managed certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// The database failed, or the key does not open.
    #[error("the certificate cannot be read from the state")]
    State(#[from] StateError),
    /// The chain is damaged.
    #[error("the certificate's chain is damaged")]
    Chain(#[from] ChainError),
    /// Key and chain do not go together, or the key is of a kind that is not served.
    #[error("the certificate cannot be served")]
    Tls(#[from] rustls::Error),
}

/// The certificate that handshakes are answered with.
#[derive(Debug, Default)]
pub(super) struct LiveCertificate {
    served: ArcSwapOption<Served>,
}

#[derive(Debug)]
struct Served {
    version: String,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.served.load().as_ref().map(|served| Arc::clone(&served.key))
    }
}

impl LiveCertificate {
    /// There is a certificate to serve.
    pub(super) fn is_there(&self) -> bool {
        self.served.load().is_some()
    }

    /// Takes up the current version of the certificate `name`, where that is another than the one that is served.
    /// Whatever fails, the one that is served stays.
    pub(super) async fn refresh(&self, state: &State, name: Option<&str>) -> Result<(), CertificateError> {
        let Some(name) = name else {
            self.served.store(None);
            return Ok(());
        };
        let current = state.certificate(name).await?.and_then(|row| row.version_id);
        let Some(current) = current.filter(|current| !self.serves(current)) else { return Ok(()) };
        if let Some(version) = state.version(&current).await? {
            let key = Arc::new(certified_key(state, &version)?);
            self.served.store(Some(Arc::new(Served { version: current, key })));
            tracing::info!(certificate = name, serial = version.serial, "the https listeners serve a new certificate");
        }
        Ok(())
    }

    fn serves(&self, version: &str) -> bool {
        self.served.load().as_ref().is_some_and(|served| served.version == version)
    }
}

fn certified_key(state: &State, version: &VersionRow) -> Result<CertifiedKey, CertificateError> {
    let chain = Chain::from_pem(&version.chain)?;
    let certificates = chain.ders().iter().map(|der| CertificateDer::from(der.clone())).collect();
    let pkcs8 = version.key(state)?;
    // rustls wipes the copy that it is given.
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    Ok(CertifiedKey::from_der(certificates, key, &aws_lc_rs::default_provider())?)
}

/// TLS 1.2 and 1.3, HTTP/1.1, and the live certificate.
pub(super) fn server_config(certificate: Arc<LiveCertificate>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

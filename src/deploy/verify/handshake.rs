//! A TLS handshake for the sake of the certificates shown in it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::witness::Witness;
use super::{AddressError, Served};

/// Shakes hands over a connection, asking for the name, if there is one, and takes down what the server shows. It is
/// served also where the server turns us away afterwards, since we have no certificate of our own to show.
pub(super) async fn certificates(
    stream: TcpStream,
    address: SocketAddr,
    name: Option<ServerName<'static>>,
    farewell: &[u8],
) -> Result<Served, AddressError> {
    let provider = aws_lc_rs::default_provider();
    let witness = Arc::new(Witness::new(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|error| tls(io::Error::other(error)))?;
    let verifier = Arc::clone(&witness);
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.enable_sni = name.is_some();
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    let name = name.unwrap_or_else(|| ServerName::from(address.ip()));
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let seen = witness.seen();
    match shaken {
        Ok(mut stream) => {
            // Politeness, for the sake of the server's log.
            let _ = stream.write_all(farewell).await;
            let _ = stream.shutdown().await;
            Served::new(seen.chain)
        }
        Err(_) if seen.proven => Served::new(seen.chain),
        Err(source) if seen.chain.is_empty() => Err(refused(source)),
        Err(source) => Err(AddressError::Tls { source, shown: Some(Box::new(Served::new(seen.chain)?)) }),
    }
}

fn refused(error: io::Error) -> AddressError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::NoCertificatesPresented) => AddressError::NoCertificate,
        _ => tls(error),
    }
}

const fn tls(source: io::Error) -> AddressError {
    AddressError::Tls { source, shown: None }
}

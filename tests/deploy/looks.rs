//! TLS at once: right, wrong and broken servers.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use renewd::config::Verify;
use renewd::deploy::verify::{self, AddressError, VerifyError};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::issued::{Issued, issue};
use super::s_server::SServer;
use crate::peers::nginx::{Nginx, Site};
use crate::peers::{openssl, ports, programs};

const NAME: &str = "www.example.com";

#[tokio::test]
async fn a_reload_that_changes_nothing_is_found() {
    let issued = issue(NAME);
    let files = crate::peers::folder::Folder::new("site");
    let nginx = Nginx::start(&[Site::from_folder(NAME, files.path())]);
    nginx.reload();
    let error = wrong(nginx.address(), &issued).await;
    let AddressError::Different { served, expected } = &error else { panic!("{error:?}") };
    assert_eq!(served.subject, "CN=placeholder.invalid");
    assert_eq!(expected.serial, openssl::serial(&issued.certificate));
    assert!(error.to_string().contains(&format!("serial {}", served.serial)), "{error}");

    files.write("fullchain.pem", &issued.fullchain());
    files.write("privkey.pem", &issued.key);
    nginx.reload();
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = verify::check(&place(nginx.address()), &issued.expected()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_served_is_told() {
    let issued = issue(NAME);
    let server = SServer::start(&issued, &[]);
    let looks = verify::served(&place(server.address()), verify::LIMIT).await.expect("an address");
    let [(address, Ok(served))] = looks.as_slice() else { panic!("{looks:?}") };
    assert_eq!(*address, server.address());
    assert_eq!([std::slice::from_ref(&served.leaf_der), &served.chain_ders].concat(), issued.expected().ders());
    assert_eq!(served.facts.serial, openssl::serial(&issued.certificate));
    assert_eq!(served.facts.not_after, issued.expected().leaf().not_after);
    assert_eq!(served.facts.sha256, issued.expected().leaf().sha256);
}

#[tokio::test]
async fn a_missing_intermediate_is_found() {
    let issued = issue(NAME);
    let mut site = Site::from_folder(NAME, issued.folder.path());
    site.certificate = issued.certificate_file();
    let nginx = Nginx::start(&[site]);
    let error = wrong(nginx.address(), &issued).await;
    assert!(matches!(error, AddressError::ChainMissing { .. }), "{error}");
}

#[tokio::test]
async fn either_version_of_tls_is_spoken() {
    let issued = issue(NAME);
    for version in ["-tls1_2", "-tls1_3"] {
        let server = SServer::start(&issued, &[version]);
        verify::check(&place(server.address()), &issued.expected()).await.expect(version);
    }
}

#[tokio::test]
async fn a_server_that_wants_our_certificate_has_shown_its_own() {
    let issued = issue(NAME);
    for version in ["-tls1_2", "-tls1_3"] {
        let server = SServer::start(&issued, &[version, "-Verify", "1"]);
        verify::check(&place(server.address()), &issued.expected()).await.expect(version);
    }
}

#[tokio::test]
async fn the_right_name_is_asked_for() {
    let (issued, other) = (issue(NAME), issue("other.example.com"));
    let sites = [("other.example.com", &other), (NAME, &issued)];
    let nginx = Nginx::start(&sites.map(|(name, issued)| Site::from_folder(name, issued.folder.path())));
    verify::check(&place(nginx.address()), &issued.expected()).await.expect("the second site's certificate");
    let unnamed = Verify { server_name: None, ..place(nginx.address()) };
    verify::check(&unnamed, &other.expected()).await.expect("without a name it is the first site's");
}

#[tokio::test]
async fn a_server_without_the_key_is_found() {
    let (issued, other) = (issue(NAME), issue(NAME));
    let error = look_at_impostor(&issued, &other, &issued).await;
    assert!(matches!(error, AddressError::Tls { .. }), "{error:?}");
    let error = look_at_impostor(&issued, &other, &other).await;
    assert!(matches!(error, AddressError::Different { .. }), "{error:?}");
}

/// What is said of a server that shows the certificate of `shown` and signs with the key of `holder`.
async fn look_at_impostor(shown: &Issued, holder: &Issued, expected: &Issued) -> AddressError {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(holder.key.as_bytes()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("it can sign");
    let chain = shown.expected().ders().iter().map(|der| CertificateDer::from(der.clone())).collect();
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a client");
        let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    };
    tokio::join!(wrong(address, expected), serve).0
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_apart() {
    let issued = issue(NAME);
    let error = wrong(ports::loopback(ports::tcp()), &issued).await;
    assert!(matches!(error, AddressError::Connect(_)), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    };
    let (error, ()) = tokio::join!(wrong(address, &issued), serve);
    assert!(matches!(error, AddressError::Tls { shown: None, .. }), "{error:?}");

    // Nobody takes the connection up: the system alone does.
    let limit = Duration::from_millis(200);
    let looks = verify::served(&place(address), limit).await.expect("an address");
    assert!(matches!(looks.as_slice(), [(_, Err(AddressError::TimedOut { .. }))]), "{looks:?}");
}

#[tokio::test]
async fn a_place_without_address_is_told_of() {
    let issued = issue(NAME);
    let nowhere = Verify { address: "nowhere.invalid:443".to_owned(), server_name: None, starttls: None };
    let error = verify::check(&nowhere, &issued.expected()).await.expect_err("there is no such host");
    assert!(matches!(error, VerifyError::Resolve { .. }), "{error:?}");
}

#[tokio::test]
async fn an_old_certificate_without_extensions_is_told_of() {
    let (issued, old) = (issue(NAME), issue(NAME));
    let openssl = |words: &[&str], option, input: &str| {
        let mut openssl = Command::new(programs::find("openssl"));
        programs::must(openssl.args(words).arg(option).arg(old.key_file()), input)
    };
    let request = openssl(&["req", "-new", "-subj", "/CN=old"], "-key", "");
    let certificate = openssl(&["x509", "-req"], "-signkey", &request);
    old.folder.write("cert.pem", &certificate);
    let server = SServer::start(&old, &[]);
    let error = wrong(server.address(), &issued).await;
    assert!(matches!(&error, AddressError::Different { served, .. } if served.subject == "CN=old"), "{error:?}");
}

/// What is wrong with the one address of a place.
async fn wrong(address: SocketAddr, expected: &Issued) -> AddressError {
    match verify::check(&place(address), &expected.expected()).await {
        Err(VerifyError::Wrong { mut wrong, .. }) if wrong.len() == 1 => wrong.remove(0).1,
        other => panic!("{other:?}"),
    }
}

fn place(address: SocketAddr) -> Verify {
    Verify { address: address.to_string(), server_name: Some(NAME.to_owned()), starttls: None }
}

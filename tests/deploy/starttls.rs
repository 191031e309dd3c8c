//! STARTTLS, spoken with servers that others wrote.

use std::net::SocketAddr;

use renewd::config::{StartTls, Verify};
use renewd::deploy::verify::{self, AddressError, VerifyError};

use super::issued::{Issued, issue};
use crate::peers::imap::Imap;
use crate::peers::ports;
use crate::peers::postgres::Postgres;
use crate::peers::smtp::Smtp;

const NAME: &str = "mail.example.com";

#[tokio::test]
async fn smtp() {
    let issued = issue(NAME);
    let server = Smtp::start(&issued.fullchain_file(), &issued.key_file());
    is_told_right_from_wrong(server.address(), StartTls::Smtp, &issued).await;
}

#[tokio::test]
async fn imap() {
    let issued = issue(NAME);
    let server = Imap::start(&issued.fullchain_file(), &issued.key_file());
    is_told_right_from_wrong(server.address(), StartTls::Imap, &issued).await;
}

#[tokio::test]
async fn postgres() {
    let issued = issue(NAME);
    let server = Postgres::start_with_tls(&issued.fullchain_file(), &issued.key_file());
    is_told_right_from_wrong(ports::loopback(server.port()), StartTls::Postgres, &issued).await;
}

#[tokio::test]
async fn postgres_without_tls_says_so() {
    let server = Postgres::start();
    let error = check(ports::loopback(server.port()), StartTls::Postgres, &issue(NAME)).await.expect_err("no TLS");
    assert!(error.to_string().contains("the server has TLS switched off"), "{error}");
}

#[tokio::test]
async fn another_protocol_says_so() {
    let issued = issue(NAME);
    let server = Imap::start(&issued.fullchain_file(), &issued.key_file());
    let error = check(server.address(), StartTls::Smtp, &issued).await.expect_err("it speaks IMAP");
    assert!(error.to_string().contains("SMTP did not lead to TLS: the server says `* OK [CAPABILITY"), "{error}");
}

async fn is_told_right_from_wrong(address: SocketAddr, protocol: StartTls, issued: &Issued) {
    check(address, protocol, issued).await.expect("the right certificate");
    let error = check(address, protocol, &issue(NAME)).await.expect_err("another certificate");
    let VerifyError::Wrong { wrong, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(wrong.as_slice(), [(_, AddressError::Different { .. })]), "{error}");
}

async fn check(address: SocketAddr, protocol: StartTls, issued: &Issued) -> Result<(), VerifyError> {
    let place = Verify { address: address.to_string(), server_name: Some(NAME.to_owned()), starttls: Some(protocol) };
    verify::check(&place, &issued.expected()).await
}

//! Looking at what a place serves: every address of it must show the new certificate, with its issuer's.
//!
//! Nothing is trusted here. What is served is compared with what was issued, octet by octet, so that an expired, a
//! self-signed and a stranger's certificate are told apart instead of being refused alike.

mod error;
mod handshake;
mod starttls;
mod witness;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::future::join_all;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub use error::{AddressError, VerifyError};

use crate::clock::Timestamp;
use crate::config::Verify;
use crate::pki::chain::Chain;
use crate::pki::leaf;

/// How long [`check`] looks at an address.
pub const LIMIT: Duration = Duration::from_secs(10);
/// As many addresses of one place are looked at.
const MOST_ADDRESSES: usize = 32;

/// What an address showed, and proved to have the key of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The first certificate, DER.
    pub leaf_der: Vec<u8>,
    /// The others that came with it, DER, in the server's order.
    pub chain_ders: Vec<Vec<u8>>,
    /// What the first certificate says.
    pub facts: Facts,
}

/// What people compare certificates by. `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The serial, lower-case hex, at least two digits.
    pub serial: String,
    /// The end.
    pub not_after: Timestamp,
    /// The subject's name, perhaps empty.
    pub subject: String,
    /// The issuer's name.
    pub issuer: String,
    /// SHA-256 of the certificate in DER, lower-case hex.
    pub sha256: String,
}

/// An address and what was found there.
pub type Look = (SocketAddr, Result<Served, AddressError>);

/// Checks that every address of a place serves this chain: its leaf, and where the leaf has an intermediate issuer, that
/// one's certificate, too. Another chain from the leaf to the root is fine.
///
/// An address that this host has no way to, such as IPv6 on a host without, does not count where another was reached;
/// nor does a refusal on loopback, which has two addresses where servers listen on one.
///
/// # Errors
/// Where the place has no address, or one of them serves something else, or nothing.
pub async fn check(place: &Verify, expected: &Chain) -> Result<(), VerifyError> {
    let wrong = wrong(served(place, LIMIT).await?, expected);
    if wrong.is_empty() { Ok(()) } else { Err(VerifyError::Wrong { place: place.address.clone(), wrong }) }
}

fn wrong(looks: Vec<Look>, expected: &Chain) -> Vec<(SocketAddr, AddressError)> {
    let reached = looks.iter().any(|(_, look)| look.as_ref().map_or_else(AddressError::was_reached, |_| true));
    let judge = |(address, look)| match judge(look, expected) {
        Err(error) if !(reached && error.is_excused(&address)) => Some((address, error)),
        _ => None,
    };
    looks.into_iter().filter_map(judge).collect()
}

/// Looks at what every address of a place serves (the first 32 of them), at all of them at once. Each is given up after
/// `limit`, as is the question for them.
///
/// # Errors
/// Where the place has no address. What is wrong with one address is told beside it.
pub async fn served(place: &Verify, limit: Duration) -> Result<Vec<Look>, VerifyError> {
    let name = place.server_name.as_deref().map(server_name).transpose()?;
    let addresses = addresses(&place.address, limit).await?;
    let looks = addresses.into_iter().map(|address| {
        let look = look(address, place, name.clone());
        async move {
            let look = timeout(limit, look).await;
            (address, look.unwrap_or(Err(AddressError::TimedOut { limit })))
        }
    });
    Ok(join_all(looks).await)
}

fn server_name(name: &str) -> Result<ServerName<'static>, VerifyError> {
    ServerName::try_from(name.to_owned()).map_err(|_| VerifyError::ServerName { name: name.to_owned() })
}

async fn addresses(place: &str, limit: Duration) -> Result<Vec<SocketAddr>, VerifyError> {
    let unresolved = |source| VerifyError::Resolve { place: place.to_owned(), source };
    let found = timeout(limit, lookup_host(place)).await;
    let found = found.unwrap_or_else(|_| Err(io::Error::from(ErrorKind::TimedOut))).map_err(unresolved)?;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() { Err(VerifyError::NoAddress { place: place.to_owned() }) } else { Ok(addresses) }
}

async fn look(address: SocketAddr, place: &Verify, name: Option<ServerName<'static>>) -> Result<Served, AddressError> {
    let mut stream = TcpStream::connect(address).await.map_err(AddressError::Connect)?;
    if let Some(protocol) = place.starttls {
        let here = stream.local_addr().map_err(AddressError::Connect)?.ip();
        starttls::begin(&mut stream, protocol, here).await?;
    }
    handshake::certificates(stream, address, name, starttls::farewell(place.starttls)).await
}

fn judge(look: Result<Served, AddressError>, expected: &Chain) -> Result<(), AddressError> {
    let (served, failure) = match look {
        Ok(served) => (served, None),
        Err(AddressError::Tls { source, shown: Some(served) }) => (*served, Some(source)),
        Err(error) => return Err(error),
    };
    let Some(leaf_der) = expected.ders().first().filter(|der| **der != served.leaf_der) else {
        return match failure {
            None => issuer_is_there(&served, expected),
            Some(source) => Err(AddressError::Tls { source, shown: Some(Box::new(served)) }),
        };
    };
    let expected = Box::new(Facts::of(leaf_der)?);
    Err(AddressError::Different { served: Box::new(served.facts), expected })
}

/// Without the intermediate certificate a client that has not met it before finds no way to the root.
fn issuer_is_there(served: &Served, expected: &Chain) -> Result<(), AddressError> {
    let Some(issuer) = expected.ders().get(1).map(|der| leaf::parse(der)).transpose()? else { return Ok(()) };
    let is_root = issuer.subject().as_raw() == issuer.issuer().as_raw();
    let is_it = |der: &Vec<u8>| leaf::parse(der).is_ok_and(|it| it.subject().as_raw() == issuer.subject().as_raw());
    if is_root || served.chain_ders.iter().any(is_it) {
        return Ok(());
    }
    Err(AddressError::ChainMissing { issuer: plain(&issuer.subject().to_string()) })
}

impl Served {
    /// Takes what a server showed, which is at least one certificate.
    fn new(mut ders: Vec<Vec<u8>>) -> Result<Self, AddressError> {
        if ders.is_empty() {
            return Err(AddressError::NoCertificate);
        }
        let leaf_der = ders.remove(0);
        Ok(Self { facts: Facts::of(&leaf_der)?, leaf_der, chain_ders: ders })
    }
}

impl Facts {
    /// Reads a certificate; others' are odd at times, and as little as possible is asked of them.
    fn of(der: &[u8]) -> Result<Self, AddressError> {
        let certificate = leaf::parse(der)?;
        let serial = certificate.raw_serial();
        let first = serial.iter().position(|octet| *octet != 0).unwrap_or(serial.len().saturating_sub(1));
        Ok(Self {
            serial: hex::encode(serial.get(first..).unwrap_or_default()),
            not_after: Timestamp::from_seconds(certificate.validity().not_after.timestamp()),
            subject: plain(&certificate.subject().to_string()),
            issuer: plain(&certificate.issuer().to_string()),
            sha256: hex::encode(digest::digest(&digest::SHA256, der)),
        })
    }
}

/// A stranger's words, fit for an error.
fn plain(name: &str) -> String {
    providers::error::shorten(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Pki, openssl_text};

    fn shown(ders: &[&Vec<u8>]) -> Served {
        Served::new(ders.iter().map(|&der| der.clone()).collect()).unwrap()
    }

    #[test]
    fn facts_are_what_openssl_says() {
        let pki = Pki::new(&["www.test"]);
        let facts = Facts::of(&pki.leaf).unwrap();
        let arguments = ["x509", "-inform", "DER", "-noout", "-serial", "-fingerprint", "-sha256"];
        let said = openssl_text(&arguments, &pki.leaf).to_lowercase().replace(':', "");
        assert!(said.contains(&format!("serial={}\n", facts.serial)), "{said} {facts:?}");
        assert!(said.contains(&facts.sha256), "{said} {facts:?}");
        assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=Test Leaf", "CN=Test Issuing"));
        assert_eq!(facts.not_after, Pki::not_after());
    }

    #[test]
    fn leaf_and_issuer_must_be_there() {
        let pki = Pki::new(&["www.test"]);
        let judged = |ders: &[&Vec<u8>]| judge(Ok(shown(ders)), &pki.chain());
        judged(&[&pki.leaf, &pki.issuing]).expect("as issued");
        judged(&[&pki.leaf, &pki.root, &pki.issuing]).expect("order and company do not matter");
        let error = judged(&[&pki.leaf]).unwrap_err();
        assert!(matches!(&error, AddressError::ChainMissing { issuer } if issuer == "CN=Test Issuing"), "{error}");
        assert!(matches!(judged(&[&pki.leaf, &pki.root]), Err(AddressError::ChainMissing { .. })));
        let other = Pki::new(&["www.test"]);
        let error = judged(&[&other.leaf, &pki.issuing]).unwrap_err();
        assert!(matches!(&error, AddressError::Different { .. }), "{error}");
        assert!(error.to_string().contains(&Facts::of(&other.leaf).unwrap().serial), "{error}");
    }

    #[test]
    fn a_root_need_not_be_served() {
        let pki = Pki::new(&["www.test"]);
        let chain = Chain::from_ders(vec![pki.issuing.clone(), pki.root.clone()]).unwrap();
        judge(Ok(shown(&[&pki.issuing])), &chain).expect("the root is with the client");
        let alone = Chain::from_ders(vec![pki.leaf.clone()]).unwrap();
        judge(Ok(shown(&[&pki.leaf])), &alone).expect("nothing else was issued");
    }

    #[test]
    fn every_address_counts_unless_this_host_has_no_way_to_it() {
        let (pki, other) = (Pki::new(&["www.test"]), Pki::new(&["www.test"]));
        let (near, far) = ("192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap());
        let right = || (near, Ok(shown(&[&pki.leaf, &pki.issuing])));
        let no_way = || (far, Err(AddressError::Connect(ErrorKind::NetworkUnreachable.into())));
        let wrong_at = |looks| wrong(looks, &pki.chain()).into_iter().map(|(address, _)| address).collect::<Vec<_>>();
        assert_eq!(wrong_at(vec![right()]), []);
        assert_eq!(wrong_at(vec![right(), (far, Ok(shown(&[&other.leaf])))]), [far]);
        assert_eq!(wrong_at(vec![right(), (far, Err(AddressError::TimedOut { limit: LIMIT }))]), [far]);
        assert_eq!(wrong_at(vec![right(), no_way()]), []);
        assert_eq!(wrong_at(vec![(near, Ok(shown(&[&other.leaf]))), no_way()]), [near]);
        assert_eq!(wrong_at(vec![no_way()]), [far]);
        let refused = (near, Err(AddressError::Connect(ErrorKind::ConnectionRefused.into())));
        assert_eq!(wrong_at(vec![refused, no_way()]), [near, far]);
    }

    #[test]
    fn a_failed_handshake_counts_where_the_certificate_is_the_right_one() {
        let (pki, other) = (Pki::new(&["www.test"]), Pki::new(&["www.test"]));
        let failed = |der| {
            let source = io::Error::other("bad signature");
            judge(Err(AddressError::Tls { source, shown: Some(Box::new(shown(&[der]))) }), &pki.chain()).unwrap_err()
        };
        assert!(matches!(failed(&pki.leaf), AddressError::Tls { .. }));
        assert!(matches!(failed(&other.leaf), AddressError::Different { .. }));
    }
}

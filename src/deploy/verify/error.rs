//! What can be wrong with a place where a certificate must be served.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use providers::error::chain;

use super::{Facts, Served};
use crate::config::StartTls;
use crate::pki::leaf::LeafError;

/// As many addresses are told of in an error.
const TOLD: usize = 3;

/// Why a place does not serve what it should.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The host has no address that can be found.
    #[error("`{place}` cannot be resolved")]
    Resolve {
        /// `host:port`.
        place: String,
        /// What the system's resolver says.
        #[source]
        source: io::Error,
    },
    /// The host has no address.
    #[error("`{place}` has no address")]
    NoAddress {
        /// `host:port`.
        place: String,
    },
    /// The server cannot be asked for this name.
    #[error("`{name}` is no name that a server can be asked for")]
    ServerName {
        /// The name.
        name: String,
    },
    /// Addresses serve something else, or nothing.
    #[error("`{place}` {}", told(.wrong))]
    Wrong {
        /// `host:port`.
        place: String,
        /// Each address that is not as it should be, and why; never empty.
        wrong: Vec<(SocketAddr, AddressError)>,
    },
}

/// Why an address does not serve what it should.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// No connection.
    #[error("could not connect")]
    Connect(#[source] io::Error),
    /// Not done in time.
    #[error("was not done within {} s", .limit.as_secs_f32())]
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// What is spoken before TLS did not lead there.
    #[error("{} did not lead to TLS: {problem}", protocol_name(*.protocol))]
    Protocol {
        /// What was spoken.
        protocol: StartTls,
        /// The server's answer, or what was missing in it.
        problem: String,
    },
    /// TLS failed.
    #[error("TLS failed")]
    Tls {
        /// How.
        #[source]
        source: io::Error,
        /// What the server had shown by then without proving that the key is its own.
        shown: Option<Box<Served>>,
    },
    /// TLS without a certificate.
    #[error("no certificate is served")]
    NoCertificate,
    /// What is served is no certificate that can be read.
    #[error("an unreadable certificate is served")]
    Unreadable(#[from] LeafError),
    /// Another certificate is served.
    #[error("a different certificate is served: {served}; expected: {expected}")]
    Different {
        /// What is served.
        served: Box<Facts>,
        /// What should be.
        expected: Box<Facts>,
    },
    /// The right certificate is served without that of its issuer: many clients find no way to the root.
    #[error("the right certificate is served, but without the intermediate certificate of `{issuer}`")]
    ChainMissing {
        /// The subject of what is missing.
        issuer: String,
    },
}

impl AddressError {
    /// Somebody answered there, be it with nonsense.
    pub(super) fn was_reached(&self) -> bool {
        !matches!(self, Self::Connect(_) | Self::TimedOut { .. })
    }

    /// It is this host, rather than the place, that is to blame.
    pub(super) fn is_excused(&self, address: &SocketAddr) -> bool {
        let Self::Connect(error) = self else { return false };
        let no_way = [ErrorKind::NetworkUnreachable, ErrorKind::AddrNotAvailable, ErrorKind::Unsupported];
        let no_family = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
        let not_listening = address.ip().is_loopback() && error.kind() == ErrorKind::ConnectionRefused;
        no_way.contains(&error.kind()) || no_family || not_listening
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, not_after, subject, issuer, .. } = self;
        write!(formatter, "serial {serial}, valid until {not_after}, subject `{subject}`, issuer `{issuer}`")
    }
}

/// Each address with its whole story, as none of them is the one source.
fn told(wrong: &[(SocketAddr, AddressError)]) -> String {
    let told = wrong.iter().take(TOLD).map(|(address, error)| format!("at {address}: {}", chain(error)));
    let more = wrong.len().saturating_sub(TOLD);
    let more = (more > 0).then(|| format!("and {more} more addresses"));
    told.chain(more).collect::<Vec<_>>().join("; ")
}

const fn protocol_name(protocol: StartTls) -> &'static str {
    match protocol {
        StartTls::Smtp => "SMTP",
        StartTls::Imap => "IMAP",
        StartTls::Postgres => "PostgreSQL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(kind: ErrorKind) -> AddressError {
        AddressError::Connect(kind.into())
    }

    #[test]
    fn only_this_host_is_excused() {
        let far: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        assert!(connect(ErrorKind::NetworkUnreachable).is_excused(&far));
        assert!(connect(ErrorKind::AddrNotAvailable).is_excused(&far));
        assert!(AddressError::Connect(io::Error::from_raw_os_error(97)).is_excused(&far), "EAFNOSUPPORT");
        assert!(!connect(ErrorKind::HostUnreachable).is_excused(&far));
        assert!(!connect(ErrorKind::ConnectionRefused).is_excused(&far));
        assert!(!AddressError::TimedOut { limit: Duration::ZERO }.is_excused(&far));
        assert!(connect(ErrorKind::ConnectionRefused).is_excused(&"[::1]:443".parse().unwrap()));
        assert!(!connect(ErrorKind::TimedOut).is_excused(&"[::1]:443".parse().unwrap()));
    }

    #[test]
    fn every_address_is_told_of_once() {
        let wrong = |count: u8| VerifyError::Wrong {
            place: "www.test:443".to_owned(),
            wrong: (0..count).map(|n| (SocketAddr::from(([192, 0, 2, n], 443)), AddressError::NoCertificate)).collect(),
        };
        assert_eq!(wrong(1).to_string(), "`www.test:443` at 192.0.2.0:443: no certificate is served");
        assert!(wrong(5).to_string().ends_with("at 192.0.2.2:443: no certificate is served; and 2 more addresses"));
    }
}

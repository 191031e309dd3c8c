//! Certificate chains: leaf first, each certified by the next.

mod check;
mod signature;

pub(crate) use check::same_name;
pub(crate) use signature::verify;

use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::leaf::{self, Leaf, LeafError, common_name};
use super::pem::{self, Label};
use crate::clock::Timestamp;
use crate::identifier::Identifier;

/// As many certificates as a chain may have.
pub const MOST_CERTIFICATES: usize = 10;

/// As long as a chain in PEM may be, in octets.
pub const LONGEST_PEM: usize = 256 * 1024;

/// Why certificates are no chain, or not the chain that was asked for. Positions count from 1, the leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The text is too long.
    #[error("a chain of {octets} octets is too long: at most {LONGEST_PEM} are read")]
    TooLarge {
        /// How long it is.
        octets: usize,
    },
    /// Too many certificates.
    #[error("a chain of {found} certificates is too long: at most {MOST_CERTIFICATES} are read")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// No certificate at all.
    #[error("there is no certificate in it")]
    Empty,
    /// The PEM is broken.
    #[error("certificate {position} is broken PEM")]
    Pem {
        /// Which one.
        position: usize,
    },
    /// Something else than certificates, perhaps a key.
    #[error("section {position} is something else than a certificate")]
    Foreign {
        /// Which one.
        position: usize,
    },
    /// A certificate cannot be read.
    #[error("certificate {position} cannot be read")]
    Unreadable {
        /// Which one.
        position: usize,
        /// What is wrong with it.
        source: LeafError,
    },
    /// The leaf certifies another key.
    #[error("the certificate is for another key: expected SHA-256 `{expected}` of the public key, found `{found}`")]
    Key {
        /// SHA-256 of the SubjectPublicKeyInfo that was asked for.
        expected: String,
        /// SHA-256 of the certificate's.
        found: String,
    },
    /// The leaf's names are not the names that were asked for.
    #[error("the names differ: missing [{}], unexpected [{}]", join(.missing), join(.unexpected))]
    Names {
        /// Asked for, not in the certificate.
        missing: Vec<Identifier>,
        /// In the certificate, not asked for.
        unexpected: Vec<Identifier>,
    },
    /// Not in force yet, even if our clock is an hour slow.
    #[error("certificate {position} is in force from {not_before} only, and now it is {now}")]
    NotYetValid {
        /// Which one.
        position: usize,
        /// Its begin.
        not_before: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// No longer in force.
    #[error("certificate {position} expired at {not_after}, and now it is {now}")]
    Expired {
        /// Which one.
        position: usize,
        /// Its end.
        not_after: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// The leaf is a CA's certificate.
    #[error("the first certificate is a CA's, where an end-entity certificate was expected")]
    LeafIsCa,
    /// The leaf stands alone.
    #[error("the certificate comes without that of its issuer, `{issuer}`")]
    NoIssuer {
        /// The issuer's name.
        issuer: String,
    },
    /// A certificate that signs others is not allowed to.
    #[error("certificate {position}, `{subject}`, signs others and is no CA's")]
    NotCa {
        /// Which one.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// A certificate stands in the chain twice.
    #[error("certificate {position} is a repetition")]
    Duplicate {
        /// The second one's place.
        position: usize,
    },
    /// The next certificate is not the issuer's: another chain, or the wrong order.
    #[error("certificate {position} was issued by `{expected}`, and `{found}` follows")]
    Order {
        /// The certificate whose issuer does not follow.
        position: usize,
        /// Its issuer.
        expected: String,
        /// The subject of the next.
        found: String,
    },
    /// The next certificate's key did not sign it.
    #[error("certificate {position} was not signed by the key of the next, `{issuer}`")]
    Signature {
        /// The certificate whose signature does not verify.
        position: usize,
        /// The subject of the next.
        issuer: String,
    },
    /// A signature of a kind that we cannot verify.
    #[error("certificate {position} is signed with an algorithm that is not supported, `{algorithm}`")]
    Algorithm {
        /// Which one.
        position: usize,
        /// Its object identifier.
        algorithm: String,
    },
}

fn join(names: &[Identifier]) -> String {
    names.iter().map(Identifier::to_string).collect::<Vec<_>>().join(", ")
}

/// A certificate and those of its issuers, each readable; never empty. Whether they belong together, `check` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    ders: Vec<Vec<u8>>,
    leaf: Leaf,
}

impl Chain {
    /// Reads a PEM text of certificates, the leaf first, as an ACME server sends it (RFC 8555, section 9.1). Text
    /// between the sections is skipped.
    ///
    /// # Errors
    /// Where it is too long, broken, empty, or holds something else than certificates.
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        if text.len() > LONGEST_PEM {
            return Err(ChainError::TooLarge { octets: text.len() });
        }
        let mut ders = Vec::new();
        for (index, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).enumerate() {
            let position = index + 1;
            match section.map_err(|_| ChainError::Pem { position })? {
                (SectionKind::Certificate, der) => ders.push(der),
                _ => return Err(ChainError::Foreign { position }),
            }
        }
        Self::from_ders(ders)
    }

    /// Takes certificates in DER, the leaf first.
    ///
    /// # Errors
    /// Where there is none, there are too many, or one cannot be read.
    pub fn from_ders(ders: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        if ders.len() > MOST_CERTIFICATES {
            return Err(ChainError::TooMany { found: ders.len() });
        }
        let (first, issuers) = ders.split_first().ok_or(ChainError::Empty)?;
        let leaf = Leaf::from_der(first).map_err(|source| ChainError::Unreadable { position: 1, source })?;
        for (index, der) in issuers.iter().enumerate() {
            leaf::parse(der).map_err(|source| ChainError::Unreadable { position: index + 2, source })?;
        }
        Ok(Self { ders, leaf })
    }

    /// The first certificate.
    #[must_use]
    pub const fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Every certificate in DER, the leaf first.
    #[must_use]
    pub fn ders(&self) -> &[Vec<u8>] {
        &self.ders
    }

    /// The leaf in PEM: `cert.pem`.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::encode(Label::Certificate, &self.ders[0])
    }

    /// What follows the leaf in PEM, perhaps nothing: `chain.pem`.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.ders[1..].iter().map(|der| pem::encode(Label::Certificate, der)).collect()
    }

    /// Everything in PEM: `fullchain.pem`.
    #[must_use]
    pub fn fullchain_pem(&self) -> String {
        self.certificate_pem() + &self.chain_pem()
    }

    /// The common name of the last certificate's issuer, by which people call a chain; its whole name where it has none.
    #[must_use]
    pub fn end(&self) -> String {
        let last = self.ders.last().and_then(|der| leaf::parse(der).ok());
        last.map(|certificate| common_name(certificate.issuer())).unwrap_or_default()
    }

    /// Whether the last certificate was issued by this common name.
    #[must_use]
    pub fn ends_at(&self, common_name: &str) -> bool {
        self.end() == common_name
    }

    /// Whether one of the issuers' certificates bears this common name.
    #[must_use]
    pub fn leads_through(&self, name: &str) -> bool {
        let issuers = self.ders.iter().skip(1).filter_map(|der| leaf::parse(der).ok());
        issuers.map(|certificate| common_name(certificate.subject())).any(|subject| subject == name)
    }

    /// Whether this is the chain that was asked for: an end-entity certificate for this public key (`spki`, in DER)
    /// and exactly these names, certified link by link, every certificate in force. The last certificate's own issuer
    /// is not ours to judge.
    ///
    /// # Errors
    /// The first thing that is wrong, with what was expected and what was found.
    pub fn check(&self, spki: &[u8], names: &[Identifier], now: Timestamp) -> Result<(), ChainError> {
        check::check(self, spki, names, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::Pki;

    #[test]
    fn a_chain_is_called_by_where_it_ends() {
        let pki = Pki::new(&["example.com"]);
        let chain = pki.chain();
        assert_eq!(chain.end(), "Test Root");
        assert!(chain.ends_at("Test Root") && !chain.ends_at("Test Issuing"));
        assert!(chain.leads_through("Test Issuing") && !chain.leads_through("Test Root"));
        assert!(!chain.leads_through("Test Leaf"), "the leaf leads nowhere");
        assert!(Chain::from_ders(vec![pki.leaf]).unwrap().ends_at("Test Issuing"));
    }

    #[test]
    fn a_chain_is_written_as_it_was_read() {
        let pki = Pki::new(&["example.com"]);
        let chain = pki.chain();
        let text = chain.fullchain_pem();
        let windows = format!("subject=x\r\n{}", text.replace('\n', "\r\n"));
        for text in [&text, &windows] {
            assert_eq!(Chain::from_pem(text).unwrap(), chain);
        }
        assert_eq!(text, chain.certificate_pem() + &chain.chain_pem());
        assert_eq!(chain.ders(), [pki.leaf, pki.issuing]);
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let pki = Pki::new(&["example.com"]);
        let text = pki.chain().fullchain_pem();
        let key = pki.key.to_pkcs8_pem();
        for (text, error) in [
            (String::new(), ChainError::Empty),
            (" ".repeat(LONGEST_PEM + 1), ChainError::TooLarge { octets: LONGEST_PEM + 1 }),
            (text.repeat(6), ChainError::TooMany { found: 12 }),
            (format!("{text}{}", *key), ChainError::Foreign { position: 3 }),
            (text[..text.len() - 30].to_owned(), ChainError::Pem { position: 2 }),
            (
                format!("{text}-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
                ChainError::Unreadable { position: 3, source: LeafError::Der },
            ),
        ] {
            assert_eq!(Chain::from_pem(&text).unwrap_err(), error);
        }
    }
}

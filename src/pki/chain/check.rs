//! Whether a chain is the one that was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::x509::X509Name;

use super::{Chain, ChainError, signature};
use crate::clock::Timestamp;
use crate::identifier::Identifier;
use crate::pki::leaf;

/// How far a CA's clock may be ahead of ours: beyond it, no order is begun anyway.
const SKEW: Duration = Duration::from_secs(3600);

pub(super) fn check(chain: &Chain, spki: &[u8], names: &[Identifier], now: Timestamp) -> Result<(), ChainError> {
    check_key(chain, spki)?;
    check_names(chain, names)?;
    let certificates = parse(chain)?;
    check_links(&certificates)?;
    for (index, certificate) in certificates.iter().enumerate() {
        check_validity(index + 1, certificate, now)?;
    }
    Ok(())
}

fn check_key(chain: &Chain, spki: &[u8]) -> Result<(), ChainError> {
    if chain.leaf.spki_der == spki {
        return Ok(());
    }
    let fingerprint = |spki| hex::encode(digest::digest(&digest::SHA256, spki));
    Err(ChainError::Key { expected: fingerprint(spki), found: fingerprint(&chain.leaf.spki_der) })
}

fn check_names(chain: &Chain, names: &[Identifier]) -> Result<(), ChainError> {
    let expected: BTreeSet<_> = names.iter().collect();
    let found: BTreeSet<_> = chain.leaf.names.iter().collect();
    if expected == found {
        return Ok(());
    }
    let only = |one: &BTreeSet<&Identifier>, other| one.difference(other).map(|name| (*name).clone()).collect();
    Err(ChainError::Names { missing: only(&expected, &found), unexpected: only(&found, &expected) })
}

fn parse(chain: &Chain) -> Result<Vec<X509Certificate<'_>>, ChainError> {
    let read = |(index, der)| leaf::parse(der).map_err(|source| ChainError::Unreadable { position: index + 1, source });
    chain.ders.iter().map(Vec::as_slice).enumerate().map(read).collect()
}

fn check_links(certificates: &[X509Certificate<'_>]) -> Result<(), ChainError> {
    let (leaf, issuers) = certificates.split_first().ok_or(ChainError::Empty)?;
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa);
    }
    if issuers.is_empty() {
        return Err(ChainError::NoIssuer { issuer: leaf.issuer().to_string() });
    }
    for (index, certificate) in certificates.iter().enumerate() {
        if certificates[..index].iter().any(|earlier| earlier.as_raw() == certificate.as_raw()) {
            return Err(ChainError::Duplicate { position: index + 1 });
        }
    }
    for (index, pair) in certificates.windows(2).enumerate() {
        check_link(index + 1, &pair[0], &pair[1])?;
    }
    Ok(())
}

fn check_link(
    position: usize,
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), ChainError> {
    if !same_name(certificate.issuer(), issuer.subject()) {
        let (expected, found) = (certificate.issuer().to_string(), issuer.subject().to_string());
        return Err(ChainError::Order { position, expected, found });
    }
    if !issuer.is_ca() {
        return Err(ChainError::NotCa { position: position + 1, subject: issuer.subject().to_string() });
    }
    signature::verify(certificate, issuer.public_key()).map_err(|error| match error {
        X509Error::SignatureUnsupportedAlgorithm => {
            ChainError::Algorithm { position, algorithm: certificate.signature_algorithm.algorithm.to_string() }
        }
        _ => ChainError::Signature { position, issuer: issuer.subject().to_string() },
    })
}

/// Octet by octet, or at least as text: two CAs' tools may encode one name as two kinds of string.
pub(crate) fn same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || one.to_string() == other.to_string()
}

fn check_validity(position: usize, certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), ChainError> {
    let validity = certificate.validity();
    let not_before = Timestamp::from_seconds(validity.not_before.timestamp());
    let not_after = Timestamp::from_seconds(validity.not_after.timestamp());
    if not_before > now.plus(SKEW) {
        return Err(ChainError::NotYetValid { position, not_before, now });
    }
    if not_after <= now {
        return Err(ChainError::Expired { position, not_after, now });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::{KeyType, PrivateKey};
    use crate::pki::testing::{Pki, names};

    const NAMES: &[&str] = &["example.com", "*.example.com", "192.0.2.1"];

    fn now() -> Timestamp {
        Pki::not_before().plus(SKEW)
    }

    fn verdict(pki: &Pki, ders: &[&Vec<u8>]) -> Result<(), ChainError> {
        let chain = Chain::from_ders(ders.iter().map(|der| (*der).clone()).collect()).unwrap();
        chain.check(&pki.key.spki_der(), &names(NAMES), now())
    }

    #[test]
    fn a_good_chain_is_taken_with_and_without_its_root() {
        let pki = Pki::new(NAMES);
        assert_eq!(verdict(&pki, &[&pki.leaf, &pki.issuing]), Ok(()));
        assert_eq!(verdict(&pki, &[&pki.leaf, &pki.issuing, &pki.root]), Ok(()));
    }

    #[test]
    fn names_are_compared_as_normalised_sets() {
        let pki = Pki::new(&["EXAMPLE.com", "xn--bcher-kva.example"]);
        let check = |wanted: &[&str]| pki.chain().check(&pki.key.spki_der(), &names(wanted), now());
        assert_eq!(check(&["Bücher.example.", "example.COM", "example.com"]), Ok(()));
        assert_eq!(
            check(&["example.com", "a.example"]).unwrap_err().to_string(),
            "the names differ: missing [a.example], unexpected [xn--bcher-kva.example]"
        );
    }

    #[test]
    fn another_key_is_refused() {
        let pki = Pki::new(NAMES);
        let other = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let refused = pki.chain().check(&other.spki_der(), &names(NAMES), now()).unwrap_err();
        assert!(matches!(refused, ChainError::Key { expected, found } if expected != found));
    }

    #[test]
    fn a_bare_leaf_a_wrong_order_and_a_repetition_are_refused() {
        let (pki, other) = (Pki::new(NAMES), Pki::new(NAMES));
        assert!(matches!(verdict(&pki, &[&pki.leaf]), Err(ChainError::NoIssuer { .. })));
        let order = verdict(&pki, &[&pki.leaf, &pki.root, &pki.issuing]).unwrap_err();
        assert_eq!(order.to_string(), "certificate 1 was issued by `CN=Test Issuing`, and `CN=Test Root` follows");
        let twice = verdict(&pki, &[&pki.leaf, &pki.issuing, &pki.issuing]);
        assert_eq!(twice, Err(ChainError::Duplicate { position: 3 }));
        let strangers = verdict(&pki, &[&pki.leaf, &other.issuing]);
        assert!(matches!(strangers, Err(ChainError::Signature { position: 1, .. })), "{strangers:?}");
    }

    #[test]
    fn a_ca_as_leaf_and_a_leaf_as_issuer_are_refused() {
        let pki = Pki::new(NAMES);
        let chain = Chain::from_ders(vec![pki.issuing.clone(), pki.root.clone()]).unwrap();
        assert_eq!(chain.check(&chain.leaf().spki_der, &[], now()), Err(ChainError::LeafIsCa));
        let below = pki.below_leaf();
        let chain = Chain::from_ders(vec![below, pki.leaf]).unwrap();
        let refused = chain.check(&chain.leaf().spki_der, &names(NAMES), now());
        assert!(matches!(refused, Err(ChainError::NotCa { position: 2, .. })), "{refused:?}");
    }

    #[test]
    fn a_chain_is_taken_only_while_it_is_in_force() {
        let pki = Pki::new(NAMES);
        let check = |now| pki.chain().check(&pki.key.spki_der(), &names(NAMES), now);
        assert_eq!(check(Pki::not_before().minus(SKEW)), Ok(()));
        let early = check(Pki::not_before().minus(SKEW).minus(Duration::from_secs(1)));
        assert!(matches!(early, Err(ChainError::NotYetValid { position: 1, .. })));
        assert_eq!(check(Pki::not_after().minus(Duration::from_secs(1))), Ok(()));
        assert!(matches!(check(Pki::not_after()), Err(ChainError::Expired { position: 1, .. })));
    }
}

//! Holding what is found at a list's published URL against the list.

use std::io::Cursor;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::ListSigner;
use super::head::Head;
use super::schedule::KEPT_BY_CACHES;
use crate::ca::extension::public_key_bits;
use crate::ca::key::{Algorithm, Signer};
use crate::clock::Timestamp;
use crate::pki::der;

/// A cache between may be this much slower than it should be, and the clocks of the two differ.
const LEEWAY: Duration = Duration::from_secs(900);

/// Why what is at a list's published URL does not serve those who fetch it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amiss {
    /// Nobody answers there as should be.
    Unreachable {
        /// In words.
        why: String,
    },
    /// Something else is there.
    Different {
        /// In words.
        why: String,
    },
}

impl Amiss {
    /// In words.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Unreachable { why } | Self::Different { why } => why,
        }
    }
}

/// Holds what was fetched at `now` against the list that was in its place just then: whether those who fetch it there
/// can believe it, and learn what they would learn here.
///
/// # Errors
/// Why not.
pub fn inspect(fetched: &[u8], published: &Head, signer: &ListSigner, now: Timestamp) -> Result<(), Amiss> {
    let different = |why: String| Err(Amiss::Different { why });
    let Ok(head) = Head::read(&mut Cursor::new(fetched)) else {
        return different("what is there is no CRL".to_owned());
    };
    if head.issuer != signer.issuer || !is_signed(fetched, &signer.signer) {
        return different("the CRL there is not signed by this CA".to_owned());
    }
    if head.base.is_some() {
        return different("a delta CRL is there".to_owned());
    }
    if head.next_update <= now {
        return different(format!("the CRL there lapsed at {}", head.next_update));
    }
    // A cache may keep an older one for a while; a newer one may have come into its place meanwhile.
    let is_settled = published.this_update.plus(KEPT_BY_CACHES + LEEWAY) < now;
    if head.number < published.number && is_settled {
        let (there, here) = (told(head.number), told(published.number));
        return different(format!("the CRL there has the number {there}, and {here} was published long ago"));
    }
    Ok(())
}

fn told(number: Option<i64>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

/// The key of `signer` has signed this list.
fn is_signed(list: &[u8], signer: &Signer) -> bool {
    let verdict = || {
        let to_be_signed = der::split_first(der::split_first(list)?.content)?;
        let algorithm = der::split_first(to_be_signed.rest)?;
        let signature = der::split_first(algorithm.rest)?.content.get(1..)?;
        let key = UnparsedPublicKey::new(verification(signer.algorithm()), public_key_bits(signer.spki_der())?);
        let same = algorithm.whole == signer.algorithm_identifier_der();
        Some(same && key.verify(to_be_signed.whole, signature).is_ok())
    };
    verdict().unwrap_or(false)
}

fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::EcdsaSha256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaSha384 => &ECDSA_P384_SHA384_ASN1,
        Algorithm::EcdsaSha512 => &ECDSA_P521_SHA512_ASN1,
        Algorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Ed25519 => &ED25519,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::crl::encode::{self, Heading};
    use crate::ca::crl::spool::Spool;
    use crate::pki::key::{KeyType, PrivateKey};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn signer(key_type: KeyType) -> ListSigner {
        ListSigner {
            ca: "own".to_owned(),
            generation: 1,
            issuer: [&[0x30, 14, 0x31, 12, 0x30, 10, 6, 3, 0x55, 4, 3, 0x0c, 3], &b"Own"[..]].concat(),
            key_identifier: vec![7; 20],
            signer: Signer::from_pkcs8_der(&PrivateKey::generate(key_type).unwrap().to_pkcs8_der()).unwrap(),
            shards: 1,
            not_after: Timestamp::NEVER,
        }
    }

    fn list(signer: &ListSigner, number: i64, made: Timestamp, base: Option<i64>) -> Vec<u8> {
        let heading = Heading {
            issuer: &signer.issuer,
            key_identifier: &signer.key_identifier,
            number,
            this_update: made,
            next_update: made.plus(HOUR * 48),
            points: &[],
            base,
            freshest: None,
        };
        let mut out = Vec::new();
        encode::write(&mut out, &heading, &mut Spool::new("none".into()), &signer.signer).unwrap();
        out
    }

    fn head(list: &[u8]) -> Head {
        Head::read(&mut Cursor::new(list)).unwrap()
    }

    #[test]
    fn lists_of_every_kind_of_key_are_believed() {
        for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Ed25519] {
            let signer = signer(key_type);
            let list = list(&signer, 5, NOW, None);
            assert_eq!(inspect(&list, &head(&list), &signer, NOW), Ok(()), "{key_type:?}");
            for place in [list.len() - 1, list.len() / 2] {
                let mut damaged = list.clone();
                damaged[place] ^= 1;
                assert!(inspect(&damaged, &head(&list), &signer, NOW).is_err(), "{key_type:?} {place}");
            }
        }
    }

    #[test]
    fn what_is_not_the_list_is_told_apart() {
        let (ours, other) = (signer(KeyType::EcdsaP256), signer(KeyType::EcdsaP256));
        let published = head(&list(&ours, 5, NOW, None));
        let why = |fetched: &[u8], now| match inspect(fetched, &published, &ours, now) {
            Ok(()) => String::new(),
            Err(amiss) => amiss.why().to_owned(),
        };
        assert_eq!(why(b"<html>", NOW), "what is there is no CRL");
        assert_eq!(why(&list(&other, 5, NOW, None), NOW), "the CRL there is not signed by this CA");
        assert_eq!(why(&list(&ours, 5, NOW, Some(4)), NOW), "a delta CRL is there");
        let lapsed = list(&ours, 4, NOW.minus(HOUR * 48), None);
        assert_eq!(why(&lapsed, NOW), format!("the CRL there lapsed at {NOW}"));
        let older = list(&ours, 4, NOW.minus(HOUR), None);
        assert_eq!(why(&older, NOW.plus(HOUR)), "", "a cache may keep it for an hour");
        let late = why(&older, NOW.plus(HOUR * 2));
        assert_eq!(late, "the CRL there has the number 4, and 5 was published long ago");
        assert_eq!(why(&list(&ours, 6, NOW, None), NOW), "", "a newer one");
    }
}

//! Key and chain in the formats that other programs want.

use p12_keystore::error::Error as Pkcs12Error;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey as Pkcs8Key, PrivateKeyChain};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::chain::Chain;
use super::der::{self, SEQUENCE, SET, context};
use super::key::{KeyError, PrivateKey};

/// Why a PKCS#12 file cannot be made, or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The encoder refused the key or a certificate.
    #[error("the PKCS#12 file could not be made")]
    Pkcs12(#[source] p12_keystore::error::Error),
    /// Another password, or octets that were changed.
    #[error("the PKCS#12 file does not open: the password is another, or the file is damaged")]
    Locked,
    /// No PKCS#12, or encrypted in a way that we do not read.
    #[error(
        "the file is no PKCS#12 of a kind that can be read; of an old one make a new one with `openssl pkcs12 -legacy \
         -in old.p12 -nodes -out all.pem` and `openssl pkcs12 -export -in all.pem -out new.p12`"
    )]
    Unreadable,
    /// Encrypted by an algorithm that we do not read.
    #[error(
        "the PKCS#12 file is encrypted with {algorithm}, which is not read; make a new one of it with `openssl pkcs12 \
         -legacy -in old.p12 -nodes -out all.pem` and `openssl pkcs12 -export -in all.pem -out new.p12`"
    )]
    Algorithm {
        /// Its name.
        algorithm: &'static str,
    },
    /// No key, or several.
    #[error("the PKCS#12 file holds {found} keys, where one is wanted")]
    Keys {
        /// How many.
        found: usize,
    },
    /// The key is of no kind that we know.
    #[error("the key in the PKCS#12 file cannot be used")]
    Key(#[from] KeyError),
}

/// The chain as PKCS#7 (RFC 2315) in DER: a SignedData that signs nothing and carries the certificates, leaf first.
#[must_use]
pub fn p7b(chain: &Chain) -> Vec<u8> {
    const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    const VERSION_1: &[u8] = &[0x02, 0x01, 0x01];
    let certificates: Vec<_> = chain.ders().iter().map(Vec::as_slice).collect();
    let signed_data = der::value(
        SEQUENCE,
        &[
            VERSION_1,
            &der::value(SET, &[]), // no digest algorithms
            &der::value(SEQUENCE, &[DATA]),
            // Not sorted as DER wants a SET OF: readers expect the leaf first, and no writer sorts.
            &der::value(context(0), &certificates),
            &der::value(SET, &[]), // no signers
        ],
    );
    der::value(SEQUENCE, &[SIGNED_DATA, &der::value(context(0), &[&signed_data])])
}

/// Key and chain as PKCS#12 (RFC 7292) under a password: PBES2 with AES-256, SHA-256 in the MAC. `name` is what people
/// are shown in a key store.
///
/// # Errors
/// `BundleError::Pkcs12`.
pub fn pfx(
    key: &PrivateKey,
    chain: &Chain,
    name: &str,
    password: &SecretString,
) -> Result<Zeroizing<Vec<u8>>, BundleError> {
    let private_key = Pkcs8Key::from_der(&key.to_pkcs8_der()).map_err(BundleError::Pkcs12)?;
    let certificates = chain.ders().iter().map(|der| Certificate::from_der(der));
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(BundleError::Pkcs12)?;
    let local_key_id = chain.leaf().sha256.as_bytes();
    let mut store = KeyStore::new();
    let entry = PrivateKeyChain::new(local_key_id, private_key, certificates);
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(entry));
    store.writer(password.expose_secret()).write().map(Zeroizing::new).map_err(BundleError::Pkcs12)
}

/// Algorithms that old files are encrypted with and that are not read, each with its OBJECT IDENTIFIER in DER. 3DES with
/// three keys and RC2 with 40 bits, which `openssl pkcs12 -legacy` writes, are.
const UNREAD: [(&[u8], &str); 6] = [
    (&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x01], "128-bit RC4 (PBE-SHA1-RC4-128)"),
    (&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x02], "40-bit RC4 (PBE-SHA1-RC4-40)"),
    (&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x04], "two-key 3DES (PBE-SHA1-2DES)"),
    (&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x05], "128-bit RC2 (PBE-SHA1-RC2-128)"),
    (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07], "3DES in PBES2 (des-ede3-cbc)"),
    (&[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x07], "single DES (des-cbc)"),
];

/// The first of those algorithms that a file names.
fn unread_algorithm(file: &[u8]) -> Option<BundleError> {
    let names = |oid: &[u8]| file.windows(oid.len()).any(|part| part == oid);
    let (_, algorithm) = UNREAD.into_iter().find(|(oid, _)| names(oid))?;
    Some(BundleError::Algorithm { algorithm })
}

/// The key of a PKCS#12 file, and every certificate in it, in the order in which they stand there.
///
/// # Errors
/// Where the password is another, the file is none, it is encrypted by what is not read, or it does not hold exactly one
/// key.
pub fn open_pfx(file: &[u8], password: &SecretString) -> Result<(PrivateKey, Vec<Vec<u8>>), BundleError> {
    let archive = Pkcs12Archive::from_pkcs12(file, password.expose_secret()).map_err(|error| match error {
        Pkcs12Error::MacError(_) => BundleError::Locked,
        Pkcs12Error::UnpadError | Pkcs12Error::Pkcs5Error(_) => unread_algorithm(file).unwrap_or(BundleError::Locked),
        _ => unread_algorithm(file).unwrap_or(BundleError::Unreadable),
    })?;
    let [bag] = archive.keys.as_slice() else { return Err(BundleError::Keys { found: archive.keys.len() }) };
    let key = PrivateKey::from_pkcs8_der(bag.key.as_der())?;
    Ok((key, archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect()))
}

/// The key and then the full chain in PEM, as haproxy and others want them in one file.
#[must_use]
pub fn combined(key: &PrivateKey, chain: &Chain) -> Zeroizing<String> {
    let (key, chain) = (key.to_pkcs8_pem(), chain.fullchain_pem());
    let mut text = Zeroizing::new(String::with_capacity(key.len() + chain.len()));
    text.push_str(&key);
    text.push_str(&chain);
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::pki::key::KeyType;
    use crate::pki::testing::{Pki, openssl, openssl_output, openssl_text};

    #[test]
    fn openssl_reads_the_pkcs7() {
        let chain = Pki::new(&["example.com"]).chain();
        let text = openssl_text(&["pkcs7", "-inform", "DER", "-print_certs"], &p7b(&chain));
        assert_eq!(Chain::from_pem(&text).unwrap(), chain);
    }

    #[test]
    fn openssl_reads_the_pkcs12() {
        for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048, KeyType::Ed25519] {
            let pki = Pki::with_key(&["example.com"], PrivateKey::generate(key_type).unwrap());
            let file = pfx(&pki.key, &pki.chain(), "example.com", &SecretString::from("gehe1m")).unwrap();
            let read = |what| openssl_text(&["pkcs12", "-passin", "pass:gehe1m", what, "-nodes"], &file);
            assert_eq!(PrivateKey::from_pem(&read("-nocerts")).unwrap().to_pkcs8_der(), pki.key.to_pkcs8_der());
            assert_eq!(Chain::from_pem(&read("-nokeys")).unwrap(), pki.chain());
            assert!(read("-nocerts").contains("friendlyName: example.com"));
        }
    }

    #[test]
    fn a_pkcs12_of_openssl_is_read_with_its_password_alone() {
        let pki = Pki::new(&["example.com"]);
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(combined(&pki.key, &pki.chain()).as_bytes()).unwrap();
        let path = pem.path().to_str().unwrap();
        for more in [&[][..], &["-certpbe", "NONE"], &["-macalg", "sha512", "-iter", "10000"]] {
            let export = [&["pkcs12", "-export", "-in", path, "-passout", "pass:gehe1m"], more].concat();
            let file = openssl(&export, b"");
            let (key, certificates) = open_pfx(&file, &SecretString::from("gehe1m")).unwrap();
            assert_eq!(key.to_pkcs8_der(), pki.key.to_pkcs8_der());
            assert!(pki.chain().ders().iter().all(|der| certificates.contains(der)), "{more:?}");
            assert!(matches!(open_pfx(&file, &SecretString::from("falsch")), Err(BundleError::Locked)));
        }
        let bare = openssl(&["pkcs12", "-export", "-nokeys", "-in", path, "-passout", "pass:x"], b"");
        assert!(matches!(open_pfx(&bare, &SecretString::from("x")), Err(BundleError::Keys { found: 0 })));
        assert!(matches!(open_pfx(b"PKCS#12", &SecretString::from("x")), Err(BundleError::Unreadable)));
    }

    #[test]
    fn of_several_keys_none_is_taken() {
        let mut store = KeyStore::new();
        for name in ["one", "two"] {
            let pki = Pki::new(&["example.com"]);
            let key = Pkcs8Key::from_der(&pki.key.to_pkcs8_der()).unwrap();
            let certificate = Certificate::from_der(&pki.chain().ders()[0]).unwrap();
            let entry = PrivateKeyChain::new(name.as_bytes(), key, vec![certificate]);
            store.add_entry(name, KeyStoreEntry::PrivateKeyChain(entry));
        }
        let file = store.writer("gehe1m").write().unwrap();
        assert!(matches!(open_pfx(&file, &SecretString::from("gehe1m")), Err(BundleError::Keys { found: 2 })));
    }

    #[test]
    fn old_pkcs12_files_are_read_or_refused_with_the_name_of_what_encrypts_them() {
        let pki = Pki::new(&["example.com"]);
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(combined(&pki.key, &pki.chain()).as_bytes()).unwrap();
        let path = pem.path().to_str().unwrap();
        let export = |more: &[&str]| {
            openssl(&[&["pkcs12", "-export", "-in", path, "-passout", "pass:gehe1m"], more].concat(), b"")
        };
        const TRIPLE: &str = "PBE-SHA1-3DES";
        for more in [
            &["-legacy"][..],
            &["-legacy", "-descert"],
            &["-legacy", "-keypbe", TRIPLE, "-certpbe", TRIPLE, "-macalg", "sha1"],
            &["-provider", "legacy", "-provider", "default", "-keypbe", TRIPLE, "-certpbe", "PBE-SHA1-RC2-40"],
        ] {
            let file = export(more);
            let (key, certificates) = open_pfx(&file, &SecretString::from("gehe1m")).unwrap();
            assert_eq!(key.to_pkcs8_der(), pki.key.to_pkcs8_der(), "{more:?}");
            assert_eq!(certificates.len(), pki.chain().ders().len(), "{more:?}");
            assert!(matches!(open_pfx(&file, &SecretString::from("falsch")), Err(BundleError::Locked)), "{more:?}");
        }
        for (named, more) in [
            ("PBE-SHA1-RC4-128", ["-keypbe", "PBE-SHA1-RC4-128", "-certpbe", TRIPLE]),
            ("PBE-SHA1-RC4-40", ["-keypbe", TRIPLE, "-certpbe", "PBE-SHA1-RC4-40"]),
            ("PBE-SHA1-2DES", ["-keypbe", "PBE-SHA1-2DES", "-certpbe", TRIPLE]),
            ("PBE-SHA1-RC2-128", ["-keypbe", TRIPLE, "-certpbe", "PBE-SHA1-RC2-128"]),
            ("des-ede3-cbc", ["-keypbe", "des-ede3-cbc", "-certpbe", "aes-256-cbc"]),
        ] {
            let file = export(&[&["-legacy"], &more[..]].concat());
            let refused = open_pfx(&file, &SecretString::from("gehe1m")).unwrap_err().to_string();
            assert!(refused.contains(named) && refused.contains("openssl pkcs12 -legacy -in old.p12"), "{refused}");
            assert!(matches!(open_pfx(&file, &SecretString::from("falsch")), Err(BundleError::Locked)), "{named}");
        }
    }

    #[test]
    fn the_pkcs12_is_encrypted_with_aes() {
        let pki = Pki::new(&["example.com"]);
        let file = pfx(&pki.key, &pki.chain(), "x", &SecretString::from("gehe1m")).unwrap();
        let arguments = ["pkcs12", "-passin", "pass:gehe1m", "-info", "-noout"];
        let said = String::from_utf8(openssl_output(&arguments, &file).stderr).unwrap();
        assert_eq!(said.matches("PBES2, PBKDF2, AES-256-CBC").count(), 2, "{said}");
        assert!(said.contains("MAC: sha256"), "{said}");
        let secret = pki.key.to_pkcs8_der();
        assert!(!file.windows(32).any(|part| secret.windows(32).any(|other| part == other)));
    }

    #[test]
    fn the_combined_file_holds_key_and_chain() {
        let pki = Pki::new(&["example.com"]);
        let text = combined(&pki.key, &pki.chain());
        assert_eq!(*text, format!("{}{}", *pki.key.to_pkcs8_pem(), pki.chain().fullchain_pem()));
    }
}

//! For tests: openssl as the judge, and a small PKI to judge.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::chain::Chain;
use super::csr::alternative_names;
use super::key::{KeyType, PrivateKey};
use super::serial::Serial;
use crate::clock::Timestamp;
use crate::identifier::Identifier;

/// Runs openssl, which must succeed, and returns what it wrote.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    openssl_output(arguments, input).stdout
}

/// As `openssl`, with what it said beside.
pub(crate) fn openssl_output(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    // It may end without having read everything; its exit code tells.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// As `openssl`, where it writes text.
pub(crate) fn openssl_text(arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8(openssl(arguments, input)).unwrap()
}

/// Names, parsed.
pub(crate) fn names(texts: &[&str]) -> Vec<Identifier> {
    texts.iter().map(|text| Identifier::parse(text).unwrap()).collect()
}

/// A root, an issuing CA and a leaf.
pub(crate) struct Pki {
    pub(crate) key: PrivateKey,
    pub(crate) leaf: Vec<u8>,
    pub(crate) issuing: Vec<u8>,
    pub(crate) root: Vec<u8>,
}

impl Pki {
    /// A leaf for `names` with a key of its own.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with_key(names, PrivateKey::generate(KeyType::EcdsaP256).unwrap())
    }

    /// A leaf for `names` with this key.
    pub(crate) fn with_key(identifiers: &[&str], key: PrivateKey) -> Self {
        let (root_key, issuing_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (root, issuing) = (ca("Test Root"), ca("Test Issuing"));
        let mut leaf = params("Test Leaf");
        leaf.subject_alt_names = alternative_names(&names(identifiers)).unwrap();
        let by_root = Issuer::from_params(&root, &root_key);
        let by_issuing = Issuer::from_params(&issuing, &issuing_key);
        let leaf = leaf.signed_by(key.signing_key(), &by_issuing).unwrap().der().to_vec();
        let issuing = issuing.signed_by(&issuing_key, &by_root).unwrap().der().to_vec();
        let root = root.self_signed(&root_key).unwrap().der().to_vec();
        Self { key, leaf, issuing, root }
    }

    /// Leaf and issuing CA.
    pub(crate) fn chain(&self) -> Chain {
        Chain::from_ders(vec![self.leaf.clone(), self.issuing.clone()]).unwrap()
    }

    /// A certificate for the leaf's names that the leaf, which is no CA, has signed.
    pub(crate) fn below_leaf(&self) -> Vec<u8> {
        let leaf = params("Test Leaf");
        let mut below = params("Below");
        below.subject_alt_names = alternative_names(&self.chain().leaf().names).unwrap();
        let issuer = Issuer::from_params(&leaf, self.key.signing_key());
        below.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
    }

    /// When everything begins.
    pub(crate) fn not_before() -> Timestamp {
        Timestamp::from_seconds(1_790_000_000)
    }

    /// When everything ends.
    pub(crate) fn not_after() -> Timestamp {
        Self::not_before().plus(Duration::from_secs(90 * 86_400))
    }
}

fn ca(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = Pki::not_before().to_datetime();
    params.not_after = Pki::not_after().to_datetime();
    params.serial_number = Some(Serial::random().unwrap().to_be_bytes().into());
    params.use_authority_key_identifier_extension = true;
    params
}

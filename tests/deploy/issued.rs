//! A leaf below an issuing certificate below a root, as a CA would issue it.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use renewd::pki::chain::Chain;

use crate::peers::folder::Folder;

/// Each call makes new keys.
pub fn issue(name: &str) -> Issued {
    let keys = [(); 3].map(|()| KeyPair::generate().expect("a key can be made"));
    let [root_key, issuing_key, leaf_key] = keys;
    let (root, issuing) = (authority("Root"), authority("Issuing"));
    let mut leaf = CertificateParams::new([name.to_owned()]).expect("tests give valid names");
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&issuing, &issuing_key)).expect("a leaf can be signed");
    let issuing = issuing.signed_by(&issuing_key, &Issuer::from_params(&root, &root_key)).expect("it can be signed");
    Issued {
        certificate: leaf.pem(),
        chain: issuing.pem(),
        key: leaf_key.serialize_pem(),
        folder: Folder::new("issued"),
    }
    .written()
}

/// What was issued, and its files.
pub struct Issued {
    pub certificate: String,
    pub chain: String,
    pub key: String,
    pub folder: Folder,
}

impl Issued {
    /// Leaf and issuing certificate.
    pub fn expected(&self) -> Chain {
        Chain::from_pem(&self.fullchain()).expect("a chain was issued")
    }

    pub fn fullchain(&self) -> String {
        self.certificate.clone() + &self.chain
    }

    /// The file with leaf and issuing certificate.
    pub fn fullchain_file(&self) -> PathBuf {
        self.folder.file("fullchain.pem")
    }

    /// The file with the leaf alone.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.file("cert.pem")
    }

    /// The file with the issuing certificate alone.
    pub fn chain_file(&self) -> PathBuf {
        self.folder.file("chain.pem")
    }

    pub fn key_file(&self) -> PathBuf {
        self.folder.file("privkey.pem")
    }

    fn written(self) -> Self {
        self.folder.write("fullchain.pem", &self.fullchain());
        self.folder.write("cert.pem", &self.certificate);
        self.folder.write("chain.pem", &self.chain);
        self.folder.write("privkey.pem", &self.key);
        self
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

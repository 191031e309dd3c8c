//! What a CA's certificate is good for: where it has extended key usages, verifiers let leaves below it be for those
//! alone.

use const_oid::ObjectIdentifier;

use super::CaError;
use crate::config::ca::profile::Purpose;
use crate::pki::leaf::{self, common_name};

/// Any purpose at all (RFC 5280, section 4.2.1.12).
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// What leaves below a certificate may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purposes {
    /// The common name of the certificate that says so.
    by: String,
    allowed: Vec<Purpose>,
}

impl Purposes {
    /// Those of a CA's certificate; `None`: any.
    pub fn read(certificate: &[u8]) -> Result<Option<Self>, CaError> {
        let parsed = leaf::parse(certificate)?;
        let found = parsed.extensions().iter().find(|extension| extension.oid.to_id_string() == EXTENDED_KEY_USAGE);
        let Some(extension) = found else { return Ok(None) };
        // What cannot be read allows nothing.
        let allowed = purposes(extension.value).unwrap_or_default();
        let any = allowed.contains(&Purpose(ANY));
        Ok((!any).then(|| Self { by: common_name(parsed.subject()), allowed }))
    }

    /// Whether a profile's leaves may be for what it says.
    pub fn check(&self, profile: &str, wanted: &[Purpose]) -> Result<(), CaError> {
        let refused = wanted.iter().find(|purpose| !self.allowed.contains(purpose));
        match refused {
            None => Ok(()),
            Some(purpose) => Err(CaError::Purpose {
                profile: profile.to_owned(),
                purpose: purpose.to_string(),
                by: self.by.clone(),
                allowed: self.words(),
            }),
        }
    }

    fn words(&self) -> String {
        let words: Vec<String> = self.allowed.iter().map(|purpose| format!("\"{purpose}\"")).collect();
        format!("[{}]", words.join(", "))
    }
}

fn purposes(extension: &[u8]) -> Option<Vec<Purpose>> {
    use der::Decode as _;
    Vec::<ObjectIdentifier>::from_der(extension).ok().map(|all| all.into_iter().map(Purpose).collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair};

    use super::*;

    fn read(edit: impl FnOnce(&mut CertificateParams)) -> Option<Purposes> {
        let mut params = CertificateParams::default();
        edit(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Purposes::read(certificate.der()).unwrap()
    }

    #[test]
    fn any_purpose_binds_nobody_and_what_cannot_be_read_allows_nothing() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth};
        assert_eq!(read(|_| {}), None);
        assert_eq!(read(|params| params.extended_key_usages = vec![ClientAuth, Any]), None);
        let clients = read(|params| params.extended_key_usages = vec![ClientAuth]).unwrap();
        assert_eq!(clients.allowed, [Purpose::CLIENT]);
        let broken = CustomExtension::from_oid_content(&[2, 5, 29, 37], vec![0x30, 3, 6, 8, 0x2b]);
        let unread = read(|params| params.custom_extensions = vec![broken]).unwrap();
        unread.check("client", &[Purpose::CLIENT]).unwrap_err();
    }

    #[test]
    fn what_a_certificate_is_not_for_its_leaves_are_not() {
        // SEQUENCE of clientAuth and emailProtection
        let read = purposes(&[0x30, 20, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4]).unwrap();
        let purposes = Purposes { by: "Old".to_owned(), allowed: read };
        purposes.check("client", &[Purpose::CLIENT]).unwrap();
        purposes.check("anything", &[]).unwrap();
        let refused = purposes.check("peer", &[Purpose::SERVER, Purpose::CLIENT]).unwrap_err().to_string();
        assert!(
            refused.contains("serverAuth") && refused.contains("[\"clientAuth\", \"emailProtection\"]"),
            "{refused}"
        );
    }
}

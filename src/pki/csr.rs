//! Certificate requests (PKCS#10, RFC 2986).

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, SanType};

use super::key::PrivateKey;
use crate::identifier::Identifier;

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// A request for nothing.
    #[error("a certificate request needs at least one name")]
    NoNames,
    /// The encoder or the key failed.
    #[error("the certificate request could not be signed")]
    Signing(#[source] rcgen::Error),
}

/// A request for `names`, in DER. They stand in the subject alternative name alone: the subject is empty, since a
/// common name holds 64 characters at most, and CAs read the other place anyway (RFC 8555, section 7.4).
///
/// # Errors
/// `NoNames` or `Signing`.
pub fn csr(key: &PrivateKey, names: &[Identifier]) -> Result<Vec<u8>, CsrError> {
    if names.is_empty() {
        return Err(CsrError::NoNames);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = alternative_names(names).map_err(CsrError::Signing)?;
    let request = params.serialize_request(key.signing_key()).map_err(CsrError::Signing)?;
    Ok(request.der().to_vec())
}

/// Names as a subject alternative name carries them.
///
/// # Errors
/// Where a name is not ASCII, which no `Identifier` is.
pub fn alternative_names(names: &[Identifier]) -> Result<Vec<SanType>, rcgen::Error> {
    let alternative = |name: &Identifier| match name {
        Identifier::Dns(name) => Ia5String::try_from(name.as_str()).map(SanType::DnsName),
        Identifier::Ip(address) => Ok(SanType::IpAddress(*address)),
    };
    names.iter().map(alternative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::KeyType;
    use crate::pki::testing::{names, openssl_text};

    #[test]
    fn openssl_verifies_the_request_and_finds_the_names() {
        for key_type in KeyType::ALL {
            let key = PrivateKey::generate(key_type).unwrap();
            let der = csr(&key, &names(&["Bücher.example", "*.example.com", "192.0.2.1", "2001:db8::1"])).unwrap();
            let text = openssl_text(&["req", "-inform", "DER", "-verify", "-noout", "-text"], &der);
            let want =
                "DNS:xn--bcher-kva.example, DNS:*.example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1";
            assert!(text.contains(want), "{text}");
            assert!(text.contains("Subject: \n"), "{text}");
        }
    }

    #[test]
    fn a_request_for_nothing_is_refused() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        assert!(matches!(csr(&key, &[]), Err(CsrError::NoNames)));
    }
}

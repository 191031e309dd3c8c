//! A list as PEM (RFC 7468, section 6: `X509 CRL`), without ever being held whole.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Octets on a line of 64 characters.
const LINE: usize = 48;

/// Characters that they become.
const CHARACTERS: usize = 64;

/// Lines that are read and written at once.
const LINES: usize = 4096;

/// Writes everything that `der` has left as one PEM section.
pub(super) fn write(der: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"-----BEGIN X509 CRL-----\n")?;
    let (mut piece, mut text) = (Vec::with_capacity(LINES * LINE), vec![0; LINES * (CHARACTERS + 1)]);
    while der.by_ref().take((LINES * LINE) as u64).read_to_end(&mut piece)? > 0 {
        let mut end = 0;
        for line in piece.chunks(LINE) {
            end += BASE64.encode_slice(line, &mut text[end..]).map_err(io::Error::other)?;
            text[end] = b'\n';
            end += 1;
        }
        out.write_all(&text[..end])?;
        piece.clear();
    }
    out.write_all(b"-----END X509 CRL-----\n")
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn armour_is_taken_off_again() {
        for length in [0, 1, 48, 49, LINES * LINE, LINES * LINE + 1] {
            let der = vec![7; length];
            let mut text = Vec::new();
            write(&mut der.as_slice(), &mut text).unwrap();
            assert_eq!(CertificateRevocationListDer::from_pem_slice(&text).unwrap().as_ref(), der, "{length}");
            assert!(text.split(|octet| *octet == b'\n').all(|line| line.len() <= 64));
        }
    }
}

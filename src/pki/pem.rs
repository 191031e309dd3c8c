//! Writing PEM (RFC 7468): lines of 64 characters that end with a line feed. Reading is done by `rustls-pki-types`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

/// What stands behind `BEGIN` and `END`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A certificate.
    Certificate,
    /// An unencrypted PKCS#8 key.
    PrivateKey,
    /// A certificate request.
    CertificateRequest,
}

impl Label {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::PrivateKey => "PRIVATE KEY",
            Self::CertificateRequest => "CERTIFICATE REQUEST",
        }
    }
}

/// One PEM section.
#[must_use]
pub fn encode(label: Label, der: &[u8]) -> String {
    std::mem::take(&mut *encode_secret(label, der))
}

/// One PEM section whose text, and every copy made on the way, is wiped when dropped.
#[must_use]
pub fn encode_secret(label: Label, der: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 64;
    let label = label.as_str();
    let base64 = Zeroizing::new(BASE64.encode(der));
    // Room for everything at once: a text that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / LINE + 2 * label.len() + 40));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_64_characters_long() {
        let text = encode(Label::Certificate, &[0; 96]);
        let lines: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lines, [27, 64, 64, 25]);
        assert!(text.ends_with("-----END CERTIFICATE-----\n"));
    }
}

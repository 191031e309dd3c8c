//! A TBSCertificate (RFC 5280, section 4.1), written octet by octet: names go in as they are given, so that an issuer
//! is its issuer's subject whatever stands in it.

use super::extension::Extension;
use crate::clock::Timestamp;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};
use crate::pki::serial::Serial;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What stands in a certificate.
#[derive(Debug)]
pub(in crate::ca) struct Certificate<'a> {
    /// Its serial number.
    pub serial: &'a Serial,
    /// The AlgorithmIdentifier of the signature to come, in DER.
    pub algorithm: &'a [u8],
    /// A Name in DER.
    pub issuer: &'a [u8],
    /// Whole seconds.
    pub not_before: Timestamp,
    /// Whole seconds.
    pub not_after: Timestamp,
    /// A Name in DER.
    pub subject: &'a [u8],
    /// A SubjectPublicKeyInfo in DER.
    pub spki_der: &'a [u8],
    /// In the order in which they stand there.
    pub extensions: &'a [Extension],
}

impl Certificate<'_> {
    /// The TBSCertificate in DER.
    pub fn to_be_signed(&self) -> Vec<u8> {
        const VERSION_3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
        let serial = der::value(INTEGER, &[&self.serial.to_der_bytes()]);
        let validity = der::value(SEQUENCE, &[&time(self.not_before), &time(self.not_after)]);
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(Extension::to_der).collect();
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let extensions = der::value(der::context(3), &[&der::value(SEQUENCE, &extensions)]);
        der::value(
            SEQUENCE,
            &[VERSION_3, &serial, self.algorithm, self.issuer, &validity, self.subject, self.spki_der, &extensions],
        )
    }
}

/// A Time (RFC 5280, section 4.1.2.5): UTCTime through 2049.
pub(in crate::ca) fn time(instant: Timestamp) -> Vec<u8> {
    let at = instant.to_datetime();
    let rest =
        format!("{:02}{:02}{:02}{:02}{:02}Z", u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second());
    match at.year() {
        year @ 1950..=2049 => der::value(UTC_TIME, &[format!("{:02}{rest}", year % 100).as_bytes()]),
        year => der::value(GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()]),
    }
}

/// The parts of something signed, put together.
pub(in crate::ca) fn assemble(to_be_signed: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    const NO_UNUSED_BITS: &[u8] = &[0];
    der::value(SEQUENCE, &[to_be_signed, algorithm, &der::value(BIT_STRING, &[NO_UNUSED_BITS, signature])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_change_their_form_with_2050() {
        let told = |text: &str| {
            let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
            let der = time(Timestamp::from_datetime(at));
            (der[0], String::from_utf8(der[2..].to_vec()).unwrap())
        };
        assert_eq!(told("2049-12-31T23:59:59Z"), (UTC_TIME, "491231235959Z".to_owned()));
        assert_eq!(told("2050-01-01T00:00:00Z"), (GENERALIZED_TIME, "20500101000000Z".to_owned()));
        assert_eq!(told("2000-02-29T01:02:03Z"), (UTC_TIME, "000229010203Z".to_owned()));
    }
}

//! A CertificateList (RFC 5280, section 5.1) in DER, written from its parts without ever being held whole.

use std::io::{self, Write};

use super::spool::Spool;
use crate::ca::CaError;
use crate::ca::key::Signer;
use crate::clock::Timestamp;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};

const BOOLEAN_TRUE: &[u8] = &[0xff];
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[6] IA5String` of a GeneralName: a URI.
const URI: u8 = 0x86;

/// What stands in a list beside its entries.
#[derive(Debug, Clone)]
pub(super) struct Heading<'a> {
    /// The issuer: a Name in DER, octet by octet as in its certificate.
    pub issuer: &'a [u8],
    /// The issuer's key, as certificates name it.
    pub key_identifier: &'a [u8],
    /// The CRL number.
    pub number: i64,
    /// Whole seconds.
    pub this_update: Timestamp,
    /// Whole seconds.
    pub next_update: Timestamp,
    /// It is about the end entities with this distribution point, octet by octet, alone (section 5.2.5); `None`: about
    /// everything that the issuer has certified.
    pub point: Option<&'a str>,
    /// It is a delta CRL to the list with this number.
    pub base: Option<i64>,
    /// Where its delta CRL is.
    pub freshest: Option<&'a str>,
}

/// Why a list is not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// The file cannot be written, or the entries not be read again.
    #[error("the list cannot be written")]
    File(#[from] io::Error),
    /// The key does not sign.
    #[error("the list cannot be signed")]
    Key(#[from] CaError),
}

/// Writes a list with its signature. The entries are read twice: for the signature, and to be written.
pub(super) fn write(
    out: &mut impl Write,
    heading: &Heading<'_>,
    entries: &mut Spool,
    signer: &Signer,
) -> Result<(), EncodeError> {
    let algorithm = signer.algorithm_identifier_der();
    let (before, after) = around(heading, algorithm, entries.len());
    let mut stream = signer.stream();
    stream.update(&before);
    entries.each(|piece| {
        stream.update(piece);
        Ok(())
    })?;
    stream.update(&after);
    const NO_UNUSED_BITS: &[u8] = &[0];
    let signature = der::value(BIT_STRING, &[NO_UNUSED_BITS, &stream.finish()?]);
    let length = before.len() as u64 + entries.len() + after.len() as u64;
    out.write_all(&head(SEQUENCE, length + algorithm.len() as u64 + signature.len() as u64))?;
    out.write_all(&before)?;
    entries.each(|piece| out.write_all(piece))?;
    out.write_all(&after)?;
    out.write_all(algorithm)?;
    out.write_all(&signature)?;
    Ok(())
}

/// What stands before and behind the entries of a TBSCertList, of which there are so many octets.
fn around(heading: &Heading<'_>, algorithm: &[u8], entries: u64) -> (Vec<u8>, Vec<u8>) {
    const VERSION_2: &[u8] = &[0x02, 0x01, 0x01];
    let (this_update, next_update) = (time(heading.this_update), time(heading.next_update));
    let mut start = [VERSION_2, algorithm, heading.issuer, &this_update, &next_update].concat();
    if entries > 0 {
        start.extend(head(SEQUENCE, entries));
    }
    let extensions = der::value(der::context(0), &[&der::value(SEQUENCE, &[&extensions(heading).concat()])]);
    let length = start.len() as u64 + entries + extensions.len() as u64;
    ([head(SEQUENCE, length), start].concat(), extensions)
}

fn extensions(heading: &Heading<'_>) -> Vec<Vec<u8>> {
    let key_identifier = der::value(0x80, &[heading.key_identifier]);
    let mut extensions = vec![
        extension(35, false, &der::value(SEQUENCE, &[&key_identifier])),
        extension(20, false, &integer(heading.number)),
    ];
    extensions.extend(heading.base.map(|base| extension(27, true, &integer(base))));
    extensions.extend(heading.point.map(|url| extension(28, true, &issuing_distribution_point(url))));
    extensions.extend(heading.freshest.map(|url| extension(46, false, &distribution_points(url))));
    extensions
}

/// An extension of id-ce.
fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der::value(0x01, &[BOOLEAN_TRUE]) } else { Vec::new() };
    der::value(SEQUENCE, &[&[0x06, 0x03, 0x55, 0x1d, number], &critical, &der::value(OCTET_STRING, &[value])])
}

fn issuing_distribution_point(url: &str) -> Vec<u8> {
    const USER_CERTS: u8 = 0x81;
    der::value(SEQUENCE, &[&point_name(url), &der::value(USER_CERTS, &[BOOLEAN_TRUE])])
}

fn distribution_points(url: &str) -> Vec<u8> {
    der::value(SEQUENCE, &[&der::value(SEQUENCE, &[&point_name(url)])])
}

/// `[0] DistributionPointName` with one URI as its full name.
fn point_name(url: &str) -> Vec<u8> {
    let full_name = der::value(der::context(0), &[&der::value(URI, &[url.as_bytes()])]);
    der::value(der::context(0), &[&full_name])
}

/// An INTEGER that is not negative.
fn integer(number: i64) -> Vec<u8> {
    let octets = number.max(0).to_be_bytes();
    // The first octet that counts; one more where its top bit would make it negative.
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
    let first = if octets[first] & 0x80 == 0 { first } else { first - 1 };
    der::value(INTEGER, &[&octets[first..]])
}

/// Tag and length.
fn head(tag: u8, length: u64) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![tag, short],
        _ => {
            let octets = length.to_be_bytes();
            let significant = &octets[length.leading_zeros() as usize / 8..];
            [&[tag, 0x80 | significant.len() as u8], significant].concat()
        }
    }
}

/// Appends an entry of revokedCertificates (section 5.1.2.6). The reason `unspecified` (0) is left out (section 5.3.1).
///
/// `serial` is lower-case hex; what is none is no entry.
pub(super) fn push_entry(out: &mut Vec<u8>, serial: &str, at: Timestamp, reason: u8) {
    let mut octets = [0_u8; 64];
    let Some(octets) = decode(serial, &mut octets) else { return };
    let pad = usize::from(octets[0] & 0x80 != 0);
    let at = time(at);
    let reason_octets = if reason == 0 { 0 } else { REASON.len() + 1 };
    // The longest is below 128 octets: 64 of the serial, 17 of the time, 14 of the reason, 5 of tags and lengths.
    out.extend([SEQUENCE, (2 + pad + octets.len() + at.len() + reason_octets) as u8]);
    out.extend([INTEGER, (pad + octets.len()) as u8]);
    out.extend(&[0][..pad]);
    out.extend(octets);
    out.extend(at);
    if reason != 0 {
        out.extend(REASON);
        out.push(reason);
    }
}

/// The extensions of an entry, up to the octet of the reason code.
const REASON: &[u8] = &[0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01];

fn decode<'a>(serial: &str, into: &'a mut [u8; 64]) -> Option<&'a [u8]> {
    let octets = into.get_mut(..serial.len() / 2).filter(|octets| !octets.is_empty())?;
    hex::decode_to_slice(serial, octets).ok()?;
    Some(octets)
}

/// A Time (section 5.1.2.4): UTCTime through 2049.
fn time(instant: Timestamp) -> Vec<u8> {
    let at = instant.to_datetime();
    let year = at.year().clamp(0, 9999);
    let two = |number: u8| [b'0' + number / 10, b'0' + number % 10];
    let century = (!(1950..2050).contains(&year)).then(|| two((year / 100) as u8));
    let parts = [(year % 100) as u8, at.month().into(), at.day(), at.hour(), at.minute(), at.second()];
    let tag = if century.is_some() { GENERALIZED_TIME } else { UTC_TIME };
    let mut der = Vec::with_capacity(17);
    der.extend([tag, if century.is_some() { 15 } else { 13 }]);
    der.extend(century.into_iter().flatten());
    der.extend(parts.into_iter().flat_map(two));
    der.push(b'Z');
    der
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;

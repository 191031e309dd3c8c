//! A CertificateList (RFC 5280, section 5.1) in DER, written from its parts without ever being held whole.

use std::io::{self, Write};

use super::spool::Spool;
use time::OffsetDateTime;

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
pub(super) const URI: u8 = 0x86;

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
    /// It is about the end entities with one of these distribution points, octet by octet, alone (section 5.2.5); none:
    /// about everything that the issuer has certified.
    pub points: &'a [String],
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
    if !heading.points.is_empty() {
        extensions.push(extension(28, true, &issuing_distribution_point(heading.points)));
    }
    extensions.extend(heading.freshest.map(|url| extension(46, false, &distribution_points(url))));
    extensions
}

/// An extension of id-ce.
fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der::value(0x01, &[BOOLEAN_TRUE]) } else { Vec::new() };
    der::value(SEQUENCE, &[&[0x06, 0x03, 0x55, 0x1d, number], &critical, &der::value(OCTET_STRING, &[value])])
}

fn issuing_distribution_point(urls: &[String]) -> Vec<u8> {
    const USER_CERTS: u8 = 0x81;
    der::value(SEQUENCE, &[&point_name(urls), &der::value(USER_CERTS, &[BOOLEAN_TRUE])])
}

fn distribution_points(url: &str) -> Vec<u8> {
    der::value(SEQUENCE, &[&der::value(SEQUENCE, &[&point_name(&[url])])])
}

/// `[0] DistributionPointName` with URIs as its full name.
fn point_name(urls: &[impl AsRef<str>]) -> Vec<u8> {
    let names: Vec<u8> = urls.iter().flat_map(|url| der::value(URI, &[url.as_ref().as_bytes()])).collect();
    der::value(der::context(0), &[&der::value(der::context(0), &[&names])])
}

/// An INTEGER that is not negative.
fn integer(number: i64) -> Vec<u8> {
    let octets = number.max(0).to_be_bytes();
    // The first octet that counts; one more where its top bit would make it negative.
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
    let first = if octets[first] & 0x80 == 0 { first } else { first - 1 };
    der::value(INTEGER, &[&octets[first..]])
}

/// The first instant that a Time can say: the year 1.
const FIRST: i64 = -62_135_596_800;

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
    let mut at_octets = [0; TIME];
    let at = put_time(at, &mut at_octets);
    let reason_octets = if reason == 0 { 0 } else { REASON.len() + 1 };
    let length = 2 + pad + octets.len() + at.len() + reason_octets;
    out.reserve(2 + length);
    // The longest is below 128 octets: 64 of the serial, 17 of the time, 14 of the reason, 5 of tags and lengths.
    out.extend_from_slice(&[SEQUENCE, length as u8, INTEGER, (pad + octets.len()) as u8]);
    out.extend_from_slice(&[0][..pad]);
    out.extend_from_slice(octets);
    out.extend_from_slice(at);
    if reason != 0 {
        out.extend_from_slice(REASON);
        out.push(reason);
    }
}

/// The extensions of an entry, up to the octet of the reason code.
const REASON: &[u8] = &[0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01];

/// The octets of lower-case hex; `None` where it is none, or too long.
fn decode<'a>(serial: &str, into: &'a mut [u8; 64]) -> Option<&'a [u8]> {
    let (pairs, odd) = serial.as_bytes().as_chunks::<2>();
    let octets = into.get_mut(..pairs.len()).filter(|octets| !octets.is_empty() && odd.is_empty())?;
    let mut bad = 0;
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        bad |= high | low;
        *octet = high << 4 | low;
    }
    (bad < 16).then_some(&*octets)
}

/// The value of each hex digit, and what is no value for what is none. By table, since a list has millions of them.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// A Time (section 5.1.2.4): UTCTime through 2049.
fn time(instant: Timestamp) -> Vec<u8> {
    put_time(instant, &mut [0; TIME]).to_vec()
}

/// The longest Time: a GeneralizedTime with its tag and length.
const TIME: usize = 17;

/// Writes a Time to where it is told.
fn put_time(instant: Timestamp, into: &mut [u8; TIME]) -> &[u8] {
    const LAST: i64 = Timestamp::NEVER.seconds();
    // Whole seconds at once: a list has a million of them.
    let at = OffsetDateTime::from_unix_timestamp(instant.seconds().clamp(FIRST, LAST));
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.to_hms());
    let short = (1950..2050).contains(&year);
    let century = if short { 0 } else { 2 };
    (into[0], into[1]) = if short { (UTC_TIME, 13) } else { (GENERALIZED_TIME, 15) };
    let parts = [(year / 100) as u8, (year % 100) as u8, month.into(), day, hour, minute, second];
    let pairs = parts[usize::from(short)..].iter();
    for (place, number) in into[2..].chunks_exact_mut(2).zip(pairs) {
        place.copy_from_slice(&[b'0' + number / 10, b'0' + number % 10]);
    }
    into[14 + century] = b'Z';
    &into[..15 + century]
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;

//! Reading what stands in a published list beside its entries, however many those are: they are passed over.

use std::io::{self, Read, Seek, SeekFrom};

use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::encode::URI;
use crate::clock::Timestamp;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};

/// Nothing but the entries of a list is longer, in octets.
const LONGEST: u64 = 1 << 20;

/// What stands in a list beside its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The issuer: a Name in DER.
    pub issuer: Vec<u8>,
    /// The CRL number; `None` where there is none, or it is above all that we give out.
    pub number: Option<i64>,
    /// A delta CRL's base.
    pub base: Option<i64>,
    /// Its own distribution points (section 5.2.5); none: it is about everything that the issuer has certified.
    pub points: Vec<String>,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// Octets of the whole list.
    pub length: u64,
}

impl Head {
    /// Reads the head of the list that begins here.
    ///
    /// # Errors
    /// `InvalidData` where it is none; and where it cannot be read.
    pub fn read(list: &mut (impl Read + Seek)) -> io::Result<Self> {
        read(list)
    }
}

pub(super) fn read(list: &mut (impl Read + Seek)) -> io::Result<Head> {
    let outer = Value::begin(list, SEQUENCE)?;
    let to_be_signed = Value::begin(list, SEQUENCE)?;
    Value::begin(list, 0x02)?.content(list)?;
    Value::begin(list, SEQUENCE)?.content(list)?;
    let issuer = Value::begin(list, SEQUENCE)?;
    let issuer = der::value(SEQUENCE, &[&issuer.content(list)?]);
    let (this_update, next_update) = (time(list)?, time(list)?);
    let mut extensions = None;
    while list.stream_position()? < to_be_signed.end {
        let value = Value::any(list)?;
        if value.tag == der::context(0) {
            extensions = Some(value.content(list)?);
        }
        list.seek(SeekFrom::Start(value.end))?;
    }
    let Found { number, base, points } = extensions.map_or_else(Found::default, |extensions| found(&extensions));
    signed(list)?;
    Ok(Head { issuer, number, base, points, this_update, next_update, length: outer.end })
}

/// A signature follows: the list is whole.
fn signed(list: &mut (impl Read + Seek)) -> io::Result<()> {
    Value::begin(list, SEQUENCE)?.content(list)?;
    Value::begin(list, BIT_STRING)?.content(list).map(drop)
}

/// A value whose tag and length were read.
#[derive(Debug, Clone, Copy)]
struct Value {
    tag: u8,
    length: u64,
    end: u64,
}

impl Value {
    fn any(list: &mut (impl Read + Seek)) -> io::Result<Self> {
        let mut octets = [0; 2];
        list.read_exact(&mut octets)?;
        let [tag, first] = octets;
        let length = match first {
            ..=0x7f => u64::from(first),
            0x81..=0x88 => {
                let mut octets = [0; 8];
                list.read_exact(&mut octets[8 - usize::from(first & 0x7f)..])?;
                u64::from_be_bytes(octets)
            }
            _ => return Err(damaged()),
        };
        let end = list.stream_position()?.checked_add(length).ok_or_else(damaged)?;
        Ok(Self { tag, length, end })
    }

    fn begin(list: &mut (impl Read + Seek), tag: u8) -> io::Result<Self> {
        let value = Self::any(list)?;
        if value.tag == tag { Ok(value) } else { Err(damaged()) }
    }

    fn content(self, list: &mut impl Read) -> io::Result<Vec<u8>> {
        if self.length > LONGEST {
            return Err(damaged());
        }
        let mut content = vec![0; usize::try_from(self.length).map_err(|_| damaged())?];
        list.read_exact(&mut content)?;
        Ok(content)
    }
}

fn time(list: &mut (impl Read + Seek)) -> io::Result<Timestamp> {
    let value = Value::any(list)?;
    let whole = der::value(value.tag, &[&value.content(list)?]);
    let (_, time) = ASN1Time::from_der(&whole).map_err(|_| damaged())?;
    Ok(Timestamp::from_seconds(time.timestamp()))
}

/// What is told in extensions.
#[derive(Debug, Default)]
struct Found {
    number: Option<i64>,
    base: Option<i64>,
    points: Vec<String>,
}

fn found(extensions: &[u8]) -> Found {
    let mut found = Found::default();
    let mut rest = der::split_first(extensions).map_or(&[][..], |list| list.content);
    while let Some(extension) = der::split_first(rest) {
        rest = extension.rest;
        let Some(oid) = der::split_first(extension.content) else { continue };
        match oid.content {
            [0x55, 0x1d, 20] => found.number = integer(oid.rest),
            [0x55, 0x1d, 27] => found.base = integer(oid.rest),
            [0x55, 0x1d, 28] => found.points = points(oid.rest).unwrap_or_default(),
            _ => {}
        }
    }
    found
}

/// What is in an extension's OCTET STRING, which `critical` may stand before.
fn content(extension: &[u8]) -> Option<&[u8]> {
    let value = der::split_first(extension)?;
    let critical = value.whole.first() == Some(&0x01);
    Some(if critical { der::split_first(value.rest)?.content } else { value.content })
}

/// The URIs in the full name of an issuing distribution point.
fn points(extension: &[u8]) -> Option<Vec<String>> {
    let point = der::split_first(der::split_first(content(extension)?)?.content)?;
    let full_name = der::split_first(point.content).filter(|_| point.whole.first() == Some(&der::context(0)))?;
    let mut rest = full_name.content;
    let mut uris = Vec::new();
    while let Some(name) = der::split_first(rest) {
        rest = name.rest;
        if name.whole.first() == Some(&URI) {
            uris.push(String::from_utf8(name.content.to_vec()).ok()?);
        }
    }
    Some(uris)
}

/// The INTEGER of an extension.
fn integer(extension: &[u8]) -> Option<i64> {
    let octets = der::split_first(content(extension)?)?.content;
    let fits = octets.len() <= 8 && octets.first().is_some_and(|first| first & 0x80 == 0);
    fits.then(|| octets.iter().fold(0, |number, octet| number << 8 | i64::from(*octet)))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is no CRL")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    proptest::proptest! {
        #[test]
        fn garbage_is_no_list(octets: Vec<u8>) {
            proptest::prop_assert!(read(&mut Cursor::new(octets)).is_err());
        }
    }
}

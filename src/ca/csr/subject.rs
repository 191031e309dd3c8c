//! The subject of a request: the attributes that a leaf may have. Others are left out, as no leaf of ours has them.

use der::asn1::Any;
use der::{Tag, Tagged as _};
use x509_cert::name::Name;

use super::CsrError;
use crate::ca::LeafSubject;

/// Reads what a leaf may have: the first of each attribute, but one common name only.
pub(super) fn read(name: &Name) -> Result<LeafSubject, CsrError> {
    let mut subject = LeafSubject::default();
    let mut common_names = 0;
    for found in name.iter() {
        let (attribute, place) = match found.oid.to_string().as_str() {
            "2.5.4.3" => {
                common_names += 1;
                ("common name", &mut subject.common_name)
            }
            "2.5.4.6" => ("country", &mut subject.country),
            "2.5.4.7" => ("locality", &mut subject.locality),
            "2.5.4.8" => ("state", &mut subject.state),
            "2.5.4.10" => ("organization", &mut subject.organization),
            "2.5.4.11" => ("organizational unit", &mut subject.organizational_unit),
            _ => continue,
        };
        let value = text(&found.value).ok_or(CsrError::Subject { attribute })?;
        let value = value.trim();
        if place.is_none() && !value.is_empty() {
            *place = Some(value.to_owned());
        }
    }
    match common_names {
        0 | 1 => Ok(subject),
        _ => Err(CsrError::Twice { what: "the common name".to_owned() }),
    }
}

/// A DirectoryString (RFC 5280, section 4.1.2.4) without control characters.
fn text(value: &Any) -> Option<String> {
    let octets = value.value();
    let text = match value.tag() {
        Tag::Utf8String => String::from_utf8(octets.to_vec()).ok()?,
        Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => {
            std::str::from_utf8(octets).ok().filter(|text| text.is_ascii())?.to_owned()
        }
        Tag::BmpString if octets.len().is_multiple_of(2) => {
            let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).ok()?
        }
        _ => return None,
    };
    (!text.chars().any(char::is_control)).then_some(text)
}

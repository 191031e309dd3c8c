//! OCSPRequest (RFC 6960, section 4.1), read strictly.

use super::cert_id::CertId;
use super::reader::{BOOLEAN, INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, Reader};
use crate::pki::der::{BIT_STRING, SEQUENCE, context, value};

/// As many CertIDs as one request may have: each costs a look, and all of them make one answer larger.
pub const MOST_CERT_IDS: usize = 20;

/// As many octets as a nonce may have (RFC 9654, section 2.1).
pub const LONGEST_NONCE: usize = 128;

/// id-pkix-ocsp-nonce.
pub(super) const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// TRUE.
const TRUE: &[u8] = &[0xff];

/// `INTEGER 0`: version 1, where somebody writes the default out.
const VERSION_1: &[u8] = &[0x02, 0x01, 0x00];

/// Why a request is answered with malformedRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The octets are no OCSPRequest in DER, or something stands behind it.
    #[error("not an OCSPRequest in DER")]
    Der,
    /// A version that nobody has defined.
    #[error("the version is not 1")]
    Version,
    /// Nothing is asked.
    #[error("no CertID")]
    NoCertId,
    /// Too much is asked.
    #[error("more than 20 CertIDs")]
    TooManyCertIds,
    /// Two nonces, or one of no octets or more than 128.
    #[error("the nonce must be there once at most, and have 1 to 128 octets")]
    Nonce,
    /// An extension that is critical, and that we do not know.
    #[error("a critical extension is unknown")]
    CriticalExtension,
}

impl From<NotDer> for Malformed {
    fn from(_: NotDer) -> Self {
        Self::Der
    }
}

/// What is asked. It borrows from the octets that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The certificate that is asked about first: its issuer answers.
    pub first: Asked<'a>,
    /// Further ones.
    pub others: Vec<Asked<'a>>,
    /// To be repeated in the answer (RFC 9654): its octets alone.
    pub nonce: Option<&'a [u8]>,
    version_said: bool,
    requestor: Option<&'a [u8]>,
    extensions: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
}

/// One certificate that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Which.
    pub id: CertId<'a>,
    extensions: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Reads a request. A signature is not checked: we serve everybody.
    ///
    /// # Errors
    /// `Malformed`, which is answered with malformedRequest.
    pub fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut whole = Reader::new(der);
        let mut request = whole.enter(SEQUENCE)?;
        whole.finish()?;
        let mut fields = request.enter(SEQUENCE)?;
        let signature = request.enter_optional(context(0))?;
        request.finish()?;
        let version_said = version(&mut fields)?;
        let requestor = fields.enter_optional(context(1))?.map(|name| name.rest());
        let (first, others) = request_list(fields.enter(SEQUENCE)?)?;
        let extensions = fields.enter_optional(context(2))?;
        fields.finish()?;
        let nonce = extensions.map(request_extensions).transpose()?.flatten();
        let signature = signature.map(well_formed_signature).transpose()?;
        Ok(Self {
            first,
            others,
            nonce,
            version_said,
            requestor,
            extensions: extensions.map(|it| it.rest()),
            signature,
        })
    }

    /// Everything that is asked about, in its order.
    pub fn asked(&self) -> impl Iterator<Item = &Asked<'a>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Exactly one certificate is asked about, without a nonce: the answer may serve others who ask the same.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.others.is_empty() && self.nonce.is_none()
    }

    /// The request in DER: the octets that it was read from.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let asked: Vec<Vec<u8>> = self.asked().map(Asked::encode).collect();
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        let optional = |tag, content: Option<&[u8]>| content.map(|content| value(context(tag), &[content]));
        let fields = [
            optional(0, self.version_said.then_some(VERSION_1)),
            optional(1, self.requestor),
            Some(value(SEQUENCE, &asked)),
            optional(2, self.extensions),
        ];
        let fields: Vec<u8> = fields.into_iter().flatten().flatten().collect();
        let signature = optional(0, self.signature).unwrap_or_default();
        value(SEQUENCE, &[&value(SEQUENCE, &[&fields]), &signature])
    }
}

impl<'a> Asked<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut fields = reader.enter(SEQUENCE)?;
        let id = CertId::read(&mut fields)?;
        let extensions = fields.enter_optional(context(0))?;
        fields.finish()?;
        extensions.map(no_critical_ones).transpose()?;
        Ok(Self { id, extensions: extensions.map(|it| it.rest()) })
    }

    fn encode(&self) -> Vec<u8> {
        let extensions = self.extensions.map(|content| value(context(0), &[content])).unwrap_or_default();
        value(SEQUENCE, &[self.id.der, &extensions])
    }
}

/// Whether version 1 is written out: DER leaves the default away, some clients do not.
fn version(fields: &mut Reader<'_>) -> Result<bool, Malformed> {
    let Some(mut version) = fields.enter_optional(context(0))? else { return Ok(false) };
    let found = version.value(INTEGER)?.0;
    version.finish()?;
    if found == VERSION_1 { Ok(true) } else { Err(Malformed::Version) }
}

fn request_list<'a>(mut list: Reader<'a>) -> Result<(Asked<'a>, Vec<Asked<'a>>), Malformed> {
    if list.is_empty() {
        return Err(Malformed::NoCertId);
    }
    let first = Asked::read(&mut list)?;
    let mut others = Vec::new();
    while !list.is_empty() {
        others.push(Asked::read(&mut list)?);
        if others.len() == MOST_CERT_IDS {
            return Err(Malformed::TooManyCertIds);
        }
    }
    Ok((first, others))
}

/// The nonce among the request's extensions.
fn request_extensions<'a>(mut outer: Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    let (mut list, mut nonce) = (outer.enter(SEQUENCE)?, None);
    outer.finish()?;
    while !list.is_empty() {
        let extension = Extension::read(&mut list)?;
        if extension.oid != NONCE {
            extension.must_not_be_critical()?;
        } else if nonce.replace(read_nonce(extension.content)?).is_some() {
            return Err(Malformed::Nonce);
        }
    }
    Ok(nonce)
}

fn read_nonce(content: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(content);
    let nonce = reader.content(OCTET_STRING)?;
    reader.finish()?;
    if (1..=LONGEST_NONCE).contains(&nonce.len()) { Ok(nonce) } else { Err(Malformed::Nonce) }
}

fn no_critical_ones(mut outer: Reader<'_>) -> Result<(), Malformed> {
    let mut list = outer.enter(SEQUENCE)?;
    outer.finish()?;
    while !list.is_empty() {
        Extension::read(&mut list)?.must_not_be_critical()?;
    }
    Ok(())
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    content: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(list: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut fields = list.enter(SEQUENCE)?;
        let oid = fields.content(OBJECT_IDENTIFIER)?;
        // FALSE is the default, which DER leaves away: refused like every other octet that is not TRUE.
        let critical = fields.enter_optional(BOOLEAN)?.map(|critical| critical.rest());
        if critical.is_some_and(|critical| critical != TRUE) {
            return Err(Malformed::Der);
        }
        let content = fields.content(OCTET_STRING)?;
        fields.finish()?;
        Ok(Self { oid, critical: critical.is_some(), content })
    }

    const fn must_not_be_critical(&self) -> Result<(), Malformed> {
        if self.critical { Err(Malformed::CriticalExtension) } else { Ok(()) }
    }
}

/// A Signature has the right shape; what it holds is its writer's business.
fn well_formed_signature<'a>(outer: Reader<'a>) -> Result<&'a [u8], Malformed> {
    let mut reader = outer;
    let mut fields = reader.enter(SEQUENCE)?;
    reader.finish()?;
    fields.content(SEQUENCE)?;
    fields.content(BIT_STRING)?;
    fields.enter_optional(context(0))?;
    fields.finish()?;
    Ok(outer.rest())
}

#[cfg(test)]
mod tests;

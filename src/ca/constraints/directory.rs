//! Distinguished names as name constraints compare them (RFC 5280, sections 4.2.1.10 and 7.1): attribute by attribute,
//! whatever kind of string, case or blanks they are written with.

use crate::pki::der;

/// A Name, whose attributes can be held against another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryName {
    rdns: Vec<Rdn>,
    /// The RDNs in DER, without the SEQUENCE around them.
    pub content: Vec<u8>,
}

/// The attributes of an RDN, in an order of their own.
type Rdn = Vec<Attribute>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    /// Its object identifier: the content of the DER.
    kind: Vec<u8>,
    value: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    /// A string without needless blanks, in lower case as far as every verifier takes it for the same.
    Words(String),
    /// Something else, in DER.
    Octets(Vec<u8>),
}

/// How much alike two names have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every verifier takes them for the same: but for ASCII, capital letters are other letters.
    Sure,
    /// Some verifier may take them for the same.
    Possible,
}

impl DirectoryName {
    /// From a Name in DER; `None` where it is none.
    pub fn read(name: &[u8]) -> Option<Self> {
        let content = whole(name, der::SEQUENCE)?;
        let rdns = values(content)?.into_iter().map(rdn).collect::<Option<Vec<_>>>()?;
        Some(Self { rdns, content: content.to_vec() })
    }

    /// It says nothing.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// It is `base`, or begins with it.
    pub fn is_below(&self, base: &Self, likeness: Likeness) -> bool {
        let same = |(one, other): (&Rdn, &Rdn)| is_like(one, other, likeness);
        self.rdns.len() >= base.rdns.len() && self.rdns.iter().zip(&base.rdns).all(same)
    }
}

fn is_like(one: &Rdn, other: &Rdn, likeness: Likeness) -> bool {
    match likeness {
        Likeness::Sure => one == other,
        Likeness::Possible => folded(one) == folded(other),
    }
}

fn folded(rdn: &Rdn) -> Rdn {
    let fold = |attribute: &Attribute| match &attribute.value {
        Text::Words(text) => Attribute { value: Text::Words(squeezed(&text.to_lowercase())), ..attribute.clone() },
        Text::Octets(_) => attribute.clone(),
    };
    let mut folded: Rdn = rdn.iter().map(fold).collect();
    folded.sort();
    folded
}

/// Blanks of every kind, one where there are several.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rdn(set: &[u8]) -> Option<Rdn> {
    let mut attributes = values(whole(set, der::SET)?)?.into_iter().map(attribute).collect::<Option<Rdn>>()?;
    attributes.sort();
    (!attributes.is_empty()).then_some(attributes)
}

fn attribute(sequence: &[u8]) -> Option<Attribute> {
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let [kind, value] = values(whole(sequence, der::SEQUENCE)?)?[..] else { return None };
    Some(Attribute { kind: whole(kind, OBJECT_IDENTIFIER)?.to_vec(), value: text(value)? })
}

/// A string of any kind that names are written with.
fn text(value: &[u8]) -> Option<Text> {
    let content = der::split_first(value)?.content;
    let read = match *value.first()? {
        // UTF8String, PrintableString, IA5String, VisibleString
        0x0c | 0x13 | 0x16 | 0x1a => std::str::from_utf8(content).ok().map(str::to_owned),
        // TeletexString, which is Latin-1 wherever it is found
        0x14 => Some(content.iter().map(|octet| char::from(*octet)).collect()),
        // BMPString
        0x1e => {
            let units = content.chunks(2).map(|unit| Some(u16::from_be_bytes(unit.try_into().ok()?)));
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
        // UniversalString
        0x1c => content.chunks(4).map(|unit| char::from_u32(u32::from_be_bytes(unit.try_into().ok()?))).collect(),
        _ => return Some(Text::Octets(value.to_vec())),
    };
    let blanks = |text: String| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    read.map(blanks).map(Text::Words)
}

/// The content of a value with this tag that has nothing behind it.
pub(super) fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    let value = der::split_first(der)?;
    (der.first() == Some(&tag) && value.rest.is_empty()).then_some(value.content)
}

/// The values that stand one behind the other.
pub(super) fn values(mut der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !der.is_empty() {
        let value = der::split_first(der)?;
        values.push(value.whole);
        der = value.rest;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Name of organisation and common name, in these kinds of strings.
    fn name(parts: &[(u8, u8, &[u8])]) -> DirectoryName {
        let rdn = |(id_at, tag, text): &(u8, u8, &[u8])| {
            let attribute = [der::value(0x06, &[&[0x55, 4, *id_at]]), der::value(*tag, &[text])].concat();
            der::value(der::SET, &[&der::value(der::SEQUENCE, &[&attribute])])
        };
        let rdns: Vec<u8> = parts.iter().flat_map(rdn).collect();
        DirectoryName::read(&der::value(der::SEQUENCE, &[&rdns])).unwrap()
    }

    #[test]
    fn names_are_alike_whatever_their_strings() {
        let base = name(&[(10, 0x0c, b"Old Corp")]);
        for (tag, text) in
            [(0x13, &b"OLD  corp "[..]), (0x14, b"old corp"), (0x1e, b"\0O\0l\0d\0 \0C\0o\0r\0p"), (0x16, b" Old Corp")]
        {
            let below = name(&[(10, tag, text), (3, 0x0c, b"ann")]);
            assert!(below.is_below(&base, Likeness::Sure), "{tag} {text:?}");
        }
        for other in [
            name(&[(10, 0x0c, b"Old Corpus")]),
            name(&[(11, 0x0c, b"Old Corp")]),
            name(&[(3, 0x0c, b"ann"), (10, 0x0c, b"Old Corp")]),
            name(&[]),
        ] {
            assert!(!other.is_below(&base, Likeness::Possible), "{other:?}");
        }
        assert!(name(&[]).is_empty() && base.is_below(&name(&[]), Likeness::Sure));
    }

    #[test]
    fn what_verifiers_disagree_on_is_never_sure() {
        let (one, other) = (name(&[(10, 0x0c, "EXÄMPLE".as_bytes())]), name(&[(10, 0x14, b"Ex\xe4mple")]));
        assert!(!one.is_below(&other, Likeness::Sure) && one.is_below(&other, Likeness::Possible));
    }

    proptest::proptest! {
        #[test]
        fn garbage_does_no_harm(octets: Vec<u8>) {
            let _ = DirectoryName::read(&octets);
            let _ = DirectoryName::read(&der::value(der::SEQUENCE, &[&octets]));
        }
    }
}

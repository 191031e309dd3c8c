//! Reading DER (X.690) strictly and without a copy: lengths as short as can be, tags of one octet, nothing behind.

/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;

/// Octets that no DER is, or not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotDer;

/// What is left to read of some octets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these octets from their begin.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value, where there is one.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next value, which has this tag.
    pub fn content(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        Ok(self.value(tag)?.1)
    }

    /// The next value, which has this tag: the whole of it, and its content alone.
    pub fn value(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), NotDer> {
        if self.peek() != Some(tag) {
            return Err(NotDer);
        }
        let (head, length) = length(&self.0[1..])?;
        let end = length.checked_add(1 + head).ok_or(NotDer)?;
        let (whole, rest) = self.0.split_at_checked(end).ok_or(NotDer)?;
        self.0 = rest;
        Ok((whole, &whole[1 + head..]))
    }

    /// What is inside the next value, which has this tag.
    pub fn enter(&mut self, tag: u8) -> Result<Self, NotDer> {
        self.content(tag).map(Self)
    }

    /// What is inside the next value, where that has this tag.
    pub fn enter_optional(&mut self, tag: u8) -> Result<Option<Self>, NotDer> {
        if self.peek() == Some(tag) { self.enter(tag).map(Some) } else { Ok(None) }
    }

    /// All of what is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Refuses what is left.
    pub fn finish(self) -> Result<(), NotDer> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

/// The number of octets of a length and the length itself.
fn length(octets: &[u8]) -> Result<(usize, usize), NotDer> {
    let first = *octets.first().ok_or(NotDer)?;
    if first < 0x80 {
        return Ok((1, usize::from(first)));
    }
    // Nothing that we read is longer than three octets can say.
    let count = usize::from(first & 0x7f);
    let digits = octets.get(1..=count).filter(|_| (1..=3).contains(&count)).ok_or(NotDer)?;
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    let shortest = if count == 1 { length >= 0x80 } else { digits[0] != 0 };
    if shortest { Ok((1 + count, length)) } else { Err(NotDer) }
}

/// The octets of an INTEGER's content, where they are as few as can be.
pub(super) fn integer(content: &[u8]) -> Result<&[u8], NotDer> {
    match content {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(NotDer),
        _ => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::der::{SEQUENCE, value};

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(content: Vec<u8>, rest: Vec<u8>) {
            let whole = value(SEQUENCE, &[&content]);
            let input = [whole.as_slice(), &rest].concat();
            let mut reader = Reader::new(&input);
            proptest::prop_assert_eq!(reader.value(SEQUENCE), Ok((whole.as_slice(), content.as_slice())));
            proptest::prop_assert_eq!(reader.rest(), rest.as_slice());
            proptest::prop_assert_eq!(Reader::new(&whole[..whole.len() - 1]).value(SEQUENCE), Err(NotDer));
        }
    }

    #[test]
    fn lengths_that_could_be_shorter_are_refused() {
        for input in
            [&[0x30, 0x81, 0x01, 0][..], &[0x30, 0x82, 0, 0x80], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0, 0, 0, 0]]
        {
            assert_eq!(Reader::new(input).content(SEQUENCE), Err(NotDer), "{input:?}");
        }
    }

    #[test]
    fn integers_have_no_needless_octets() {
        for (content, good) in [
            (&[][..], false),
            (&[0], true),
            (&[0, 0x7f], false),
            (&[0, 0x80], true),
            (&[0xff, 0x80], false),
            (&[0xff, 0x7f], true),
        ] {
            assert_eq!(integer(content).is_ok(), good, "{content:?}");
        }
    }
}

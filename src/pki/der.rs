//! The little DER (X.690) that we write ourselves.

/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;
/// `[n]`, constructed, for n below 31.
#[must_use]
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One value: tag, length, and the parts as its content.
#[must_use]
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(length + 6);
    der.push(tag);
    push_length(&mut der, length);
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}

fn push_length(der: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let significant = &octets[length.leading_zeros() as usize / 8..];
            der.push(0x80 | significant.len() as u8);
            der.extend_from_slice(significant);
        }
    }
}

/// The first value of `input`: the whole of it, its content alone, and what follows it. `None` where the length is
/// not there or goes beyond the end.
#[must_use]
pub fn split_first(input: &[u8]) -> Option<Value<'_>> {
    let first = usize::from(*input.get(1)?);
    let (head, length) = if first < 0x80 {
        (2, first)
    } else {
        let octets = input.get(2..2 + (first & 0x7f))?;
        let fits = !octets.is_empty() && octets.len() <= 4;
        let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
        (2 + octets.len(), fits.then_some(length)?)
    };
    let (whole, rest) = input.split_at_checked(head.checked_add(length)?)?;
    Some(Value { whole, content: &whole[head..], rest })
}

/// A value, cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Tag, length and content.
    pub whole: &'a [u8],
    /// The content.
    pub content: &'a [u8],
    /// What follows the value.
    pub rest: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_cut_out_again(content: Vec<u8>, rest: Vec<u8>) {
            let whole = value(SEQUENCE, &[&content]);
            let input = [whole.as_slice(), &rest].concat();
            let want = Value { whole: &whole, content: &content, rest: &rest };
            proptest::prop_assert_eq!(split_first(&input), Some(want));
            proptest::prop_assert_eq!(split_first(&whole[..whole.len() - 1]), None);
        }

        #[test]
        fn hostile_lengths_do_no_harm(input: Vec<u8>) {
            if let Some(found) = split_first(&input) {
                proptest::prop_assert_eq!(found.whole.len() + found.rest.len(), input.len());
            }
        }
    }

    #[test]
    fn lengths_are_as_short_as_can_be() {
        for (length, head) in [
            (0, vec![0x30, 0x00]),
            (127, vec![0x30, 0x7f]),
            (128, vec![0x30, 0x81, 0x80]),
            (256, vec![0x30, 0x82, 0x01, 0x00]),
            (65_536, vec![0x30, 0x83, 0x01, 0x00, 0x00]),
        ] {
            let der = value(SEQUENCE, &[&vec![7; length]]);
            assert_eq!(der[..head.len()], head);
            assert_eq!(der.len(), head.len() + length);
        }
    }
}

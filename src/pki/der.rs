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

#[cfg(test)]
mod tests {
    use super::*;

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

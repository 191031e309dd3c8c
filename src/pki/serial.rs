//! Serial numbers of certificates (RFC 5280, section 4.1.2.2).

use std::cmp::Ordering;
use std::fmt;

use aws_lc_rs::rand;

/// The longest serial that is read, in octets. RFC 5280 allows 20; some CAs write more.
const LONGEST: usize = 64;

/// Why there is no serial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Zero, or no octet at all.
    #[error("a serial number is positive, this one is zero")]
    Zero,
    /// Longer than anything a CA writes.
    #[error("a serial number of {octets} octets is too long")]
    TooLong {
        /// How long it is.
        octets: usize,
    },
    /// Something else than hexadecimal digits.
    #[error("a serial number is written in hexadecimal digits")]
    NotHex,
    /// The machine gave no randomness.
    #[error("no randomness")]
    Randomness,
}

/// A serial number: a positive integer. `Display` is lower-case hex of its octets, so always of even length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// 16 random octets, top bit clear, never zero.
    ///
    /// # Errors
    /// `SerialError::Randomness`.
    pub fn random() -> Result<Self, SerialError> {
        let mut octets = [0_u8; 16];
        rand::fill(&mut octets).map_err(|_| SerialError::Randomness)?;
        octets[0] &= 0x7f;
        Self::from_be_bytes(&octets)
    }

    /// From the integer's octets, most significant first; leading zeros are dropped.
    ///
    /// # Errors
    /// Where it is zero, or longer than 64 octets.
    pub fn from_be_bytes(octets: &[u8]) -> Result<Self, SerialError> {
        let first = octets.iter().position(|octet| *octet != 0).ok_or(SerialError::Zero)?;
        match octets.len() - first {
            octets if octets > LONGEST => Err(SerialError::TooLong { octets }),
            _ => Ok(Self(octets[first..].to_vec())),
        }
    }

    /// From hexadecimal digits of either case.
    ///
    /// # Errors
    /// Where something else is found, or no serial.
    pub fn parse_hex(text: &str) -> Result<Self, SerialError> {
        let even = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
        Self::from_be_bytes(&hex::decode(even).map_err(|_| SerialError::NotHex)?)
    }

    /// The integer's octets, most significant first, without leading zeros.
    #[must_use]
    pub fn to_be_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// The content of the DER INTEGER: as `to_be_bytes`, with a leading 00 where the top bit is set. RFC 9773 builds
    /// its certificate identifiers on it.
    #[must_use]
    pub fn to_der_bytes(&self) -> Vec<u8> {
        let pad: &[u8] = if self.0[0] & 0x80 == 0 { &[] } else { &[0] };
        [pad, &self.0].concat()
    }

    /// In decimal digits.
    #[must_use]
    pub fn to_decimal(&self) -> String {
        // Least significant digit first, while each octet is taken in.
        let mut digits = vec![0_u8];
        for octet in &self.0 {
            let mut carry = u32::from(*octet);
            for digit in &mut digits {
                carry += u32::from(*digit) * 256;
                *digit = (carry % 10) as u8;
                carry /= 10;
            }
            while carry > 0 {
                digits.push((carry % 10) as u8);
                carry /= 10;
            }
        }
        digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Serial {
    fn cmp(&self, other: &Self) -> Ordering {
        // No leading zeros: the longer is the greater.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Serial({self})")
    }
}

impl serde::Serialize for Serial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serial(number: u128) -> Serial {
        Serial::from_be_bytes(&number.to_be_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn a_serial_is_the_integer_that_it_was_made_of(a in 1_u128.., b in 1_u128..) {
            prop_assert_eq!(serial(a).to_decimal(), a.to_string());
            prop_assert_eq!(serial(a).cmp(&serial(b)), a.cmp(&b));
            prop_assert_eq!(Serial::parse_hex(&format!("{a:x}")), Ok(serial(a)));
            prop_assert_eq!(Serial::parse_hex(&format!("{a:X}")), Ok(serial(a)));
        }

        #[test]
        fn writing_and_reading_are_inverse(octets in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Ok(serial) = Serial::from_be_bytes(&octets) {
                prop_assert_eq!(Serial::parse_hex(&serial.to_string()), Ok(serial.clone()));
                prop_assert_eq!(Serial::from_be_bytes(&serial.to_der_bytes()), Ok(serial.clone()));
                prop_assert!(serial.to_der_bytes()[0] & 0x80 == 0);
                prop_assert!(serial.to_be_bytes()[0] != 0);
            }
        }

        #[test]
        fn hostile_text_is_no_serial(text in ".{0,20}") {
            let hexadecimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let zero = text.bytes().all(|byte| byte == b'0');
            prop_assert_eq!(Serial::parse_hex(&text).is_ok(), hexadecimal && !zero);
        }
    }

    #[test]
    fn at_least_two_digits_are_shown() {
        assert_eq!(serial(10).to_string(), "0a");
        assert_eq!(serde_json::to_string(&serial(0xabc)).unwrap(), "\"0abc\"");
    }

    #[test]
    fn zero_and_endless_serials_are_refused() {
        assert_eq!(Serial::from_be_bytes(&[]), Err(SerialError::Zero));
        assert_eq!(Serial::from_be_bytes(&[0, 0]), Err(SerialError::Zero));
        assert_eq!(Serial::from_be_bytes(&[1; 65]), Err(SerialError::TooLong { octets: 65 }));
    }

    #[test]
    fn random_serials_fit_16_octets_and_differ() {
        let made: std::collections::HashSet<_> = (0..256).map(|_| Serial::random().unwrap()).collect();
        assert_eq!(made.len(), 256);
        assert!(made.iter().all(|serial| serial.to_der_bytes().len() <= 16));
    }
}

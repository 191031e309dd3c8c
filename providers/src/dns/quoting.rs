//! TXT data in presentation form: quoted character-strings of at most 255 octets each (RFC 1035 section 5.1).

/// The longest character-string (RFC 1035 section 3.3).
const LONGEST: usize = 255;

/// How a host writes an octet that is no printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// `\DDD`, decimal, as RFC 1035 section 5.1 has it.
    Decimal,
    /// `\ooo`, octal, as Route 53 has it.
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "only Route 53 writes octal"))]
    Octal,
}

/// The text in quotes, split into strings of at most 255 octets.
pub(crate) fn quote(text: &str, escapes: Escapes) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let strings: Vec<String> = text.as_bytes().chunks(LONGEST).map(|string| quote_string(string, escapes)).collect();
    strings.join(" ")
}

/// Whether the data, as a host wrote it, is this text. Data without quotes is taken literally.
pub(crate) fn says(data: &str, text: &str, escapes: Escapes) -> bool {
    unquote(data, escapes) == text.as_bytes()
}

fn quote_string(string: &[u8], escapes: Escapes) -> String {
    let mut quoted = String::with_capacity(string.len() + 2);
    quoted.push('"');
    for &octet in string {
        match octet {
            b'"' | b'\\' => quoted.extend(['\\', char::from(octet)]),
            b' '..=b'~' => quoted.push(char::from(octet)),
            _ => quoted.push_str(&escapes.write(octet)),
        }
    }
    quoted.push('"');
    quoted
}

fn unquote(data: &str, escapes: Escapes) -> Vec<u8> {
    let data = data.trim();
    if !data.starts_with('"') {
        return data.as_bytes().to_vec();
    }
    let (mut text, mut rest, mut inside) = (Vec::with_capacity(data.len()), data.as_bytes(), false);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => inside = !inside,
            b'\\' => {
                let (octet, length) = escapes.read(rest);
                text.extend(octet);
                rest = &rest[length..];
            }
            other if inside => text.push(other),
            _ => {}
        }
    }
    text
}

impl Escapes {
    fn write(self, octet: u8) -> String {
        match self {
            Self::Decimal => format!("\\{octet:03}"),
            Self::Octal => format!("\\{octet:03o}"),
        }
    }

    /// The octet that stands after a backslash, and how many octets it took.
    fn read(self, rest: &[u8]) -> (Option<u8>, usize) {
        let radix = match self {
            Self::Decimal => 10,
            Self::Octal => 8,
        };
        let digits = rest.get(..3).filter(|digits| digits.iter().all(|&digit| char::from(digit).is_digit(radix)));
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, radix).ok()) {
            Some(octet) => (Some(octet), 3),
            None => (rest.first().copied(), rest.len().min(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_put_in_quotes() {
        assert_eq!(quote("abc-_123", Escapes::Decimal), r#""abc-_123""#);
        assert_eq!(quote("", Escapes::Decimal), r#""""#);
    }

    #[test]
    fn quotes_backslashes_and_other_octets_are_escaped() {
        assert_eq!(quote(r#"a"b\c"#, Escapes::Decimal), r#""a\"b\\c""#);
        assert_eq!(quote("ö", Escapes::Decimal), r#""\195\182""#);
        assert_eq!(quote("ö", Escapes::Octal), r#""\303\266""#);
    }

    #[test]
    fn long_text_is_split_at_255_octets() {
        let quoted = quote(&"x".repeat(300), Escapes::Octal);
        assert_eq!(quoted, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }

    #[test]
    fn what_is_quoted_says_the_text_again() {
        let long = "ü".repeat(200);
        for text in ["", "plain", r#"a "quoted" word"#, r"back\slash \065 \", "größer", "two  spaces;", &long] {
            for escapes in [Escapes::Decimal, Escapes::Octal] {
                assert!(says(&quote(text, escapes), text, escapes), "{text}");
            }
        }
    }

    #[test]
    fn others_ways_of_writing_the_same_text_are_read() {
        assert!(says("plain", "plain", Escapes::Decimal));
        assert!(says(r#""pl" "ain""#, "plain", Escapes::Decimal));
        assert!(says(r#""pl""ain""#, "plain", Escapes::Decimal));
        assert!(says(r#""pl\097in""#, "plain", Escapes::Decimal));
        assert!(says(r#""pl\141in""#, "plain", Escapes::Octal));
        assert!(says(r#""pl\ain""#, "plain", Escapes::Decimal));
        assert!(!says(r#""plain ""#, "plain", Escapes::Decimal));
        assert!(!says(r#""Plain""#, "plain", Escapes::Decimal));
    }

    #[test]
    fn broken_data_is_read_without_a_panic() {
        for data in ["\"", "\"\\", "\"\\9", "\"\\999\"", "\"a\" b", "\"ö\\"] {
            assert!(!says(data, "plain", Escapes::Decimal), "{data}");
        }
    }
}

//! TXT data as text: the presentation format of RFC 1035 section 5.1, and its strings of at most 255 octets.

const STRING_LIMIT: usize = 255;

/// The value as strings of at most 255 octets (RFC 1035 section 3.3.14); an empty value is one empty string.
#[must_use]
pub fn strings(value: &str) -> Vec<&[u8]> {
    if value.is_empty() { vec![b""] } else { value.as_bytes().chunks(STRING_LIMIT).collect() }
}

/// How the three digits of an escaped octet are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// `\DDD`, as RFC 1035 section 5.1 has it.
    Decimal,
    /// `\OOO`, as Route 53 has it.
    Octal,
}

/// The value as zone files write it: quoted strings, one space between them, everything but plain ASCII as `\DDD`.
#[must_use]
pub fn quote(value: &str) -> String {
    quote_as(value, Escapes::Decimal)
}

/// As [`quote`], with these escapes.
#[must_use]
pub fn quote_as(value: &str, escapes: Escapes) -> String {
    let quoted: Vec<String> = strings(value).into_iter().map(|string| quote_string(string, escapes)).collect();
    quoted.join(" ")
}

fn quote_string(string: &[u8], escapes: Escapes) -> String {
    let escape = |&octet: &u8| match octet {
        b'"' | b'\\' => format!("\\{}", char::from(octet)),
        b' '..=b'~' => char::from(octet).to_string(),
        _ if escapes == Escapes::Octal => format!("\\{octet:03o}"),
        _ => format!("\\{octet:03}"),
    };
    let escaped: String = string.iter().map(escape).collect();
    format!("\"{escaped}\"")
}

/// The octets that a presentation of TXT data stands for, all strings joined: quoted strings and bare words, with `\X`
/// and `\DDD` escapes. Total: what is malformed is taken as it stands.
#[must_use]
pub fn unquote(presentation: &str) -> Vec<u8> {
    unquote_as(presentation, Escapes::Decimal)
}

/// As [`unquote`], with these escapes.
#[must_use]
pub fn unquote_as(presentation: &str, escapes: Escapes) -> Vec<u8> {
    let mut octets = Vec::with_capacity(presentation.len());
    let mut rest = presentation.as_bytes();
    let mut quoted = false;
    while let [octet, tail @ ..] = rest {
        rest = tail;
        match octet {
            b'"' => quoted = !quoted,
            b'\\' => rest = unescape(tail, escapes, &mut octets),
            octet if !quoted && octet.is_ascii_whitespace() => {}
            octet => octets.push(*octet),
        }
    }
    octets
}

/// Reads what follows a backslash and gives back what follows that.
fn unescape<'a>(escaped: &'a [u8], escapes: Escapes, octets: &mut Vec<u8>) -> &'a [u8] {
    if let Some((digits, tail)) = escaped.split_at_checked(3)
        && let Some(octet) = escapes.octet(digits)
    {
        octets.push(octet);
        return tail;
    }
    let Some((octet, tail)) = escaped.split_first() else { return escaped };
    octets.push(*octet);
    tail
}

impl Escapes {
    /// Digits as an octet: `from_str_radix` alone would take a sign, too.
    fn octet(self, digits: &[u8]) -> Option<u8> {
        let radix = if self == Self::Octal { 8 } else { 10 };
        let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        u8::from_str_radix(digits, radix).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_what_is_not_plain() {
        assert_eq!(quote("plain text;"), r#""plain text;""#);
        assert_eq!(quote(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quote("ß\n"), r#""\195\159\010""#);
        assert_eq!(quote(""), r#""""#);
        assert_eq!(quote(&"x".repeat(256)), format!(r#""{}" "x""#, "x".repeat(255)));
    }

    #[test]
    fn unquoting_gives_back_what_was_quoted() {
        for value in ["", "plain", r#"a"b\c"#, "ß\n\t", " two  spaces ", r"\065", &"xß".repeat(300)] {
            assert_eq!(unquote(&quote(value)), value.as_bytes(), "{value:?}");
        }
    }

    #[test]
    fn unquoting_reads_other_writers() {
        assert_eq!(unquote(r"bare\ word"), b"bare word");
        assert_eq!(unquote(r#""one" "two""#), b"onetwo");
        assert_eq!(unquote(r#""\065\999\6""#), b"A9996");
        assert_eq!(unquote("\"open\\"), b"open");
    }

    #[test]
    fn octal_escapes_are_written_and_read() {
        assert_eq!(quote_as("ß\"", Escapes::Octal), r#""\303\237\"""#);
        assert_eq!(unquote_as(r#""\101\400\+10""#, Escapes::Octal), b"A400+10");
        for value in ["", r"\065 \", "größer", &"xß".repeat(300)] {
            assert_eq!(unquote_as(&quote_as(value, Escapes::Octal), Escapes::Octal), value.as_bytes(), "{value:?}");
        }
    }
}

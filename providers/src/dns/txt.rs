//! TXT data as text: the presentation format of RFC 1035 section 5.1, and its strings of at most 255 octets.

const STRING_LIMIT: usize = 255;

/// The value as strings of at most 255 octets (RFC 1035 section 3.3.14); an empty value is one empty string.
#[must_use]
pub fn strings(value: &str) -> Vec<&[u8]> {
    if value.is_empty() { vec![b""] } else { value.as_bytes().chunks(STRING_LIMIT).collect() }
}

/// The value as zone files write it: quoted strings, one space between them, everything but plain ASCII as `\DDD`.
#[must_use]
pub fn quote(value: &str) -> String {
    let quoted: Vec<String> = strings(value).into_iter().map(quote_string).collect();
    quoted.join(" ")
}

fn quote_string(string: &[u8]) -> String {
    let escape = |&octet: &u8| match octet {
        b'"' | b'\\' => format!("\\{}", char::from(octet)),
        b' '..=b'~' => char::from(octet).to_string(),
        _ => format!("\\{octet:03}"),
    };
    let escaped: String = string.iter().map(escape).collect();
    format!("\"{escaped}\"")
}

/// The octets that a presentation of TXT data stands for, all strings joined: quoted strings and bare words, with `\X`
/// and `\DDD` escapes. Total: what is malformed is taken as it stands.
#[must_use]
pub fn unquote(presentation: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(presentation.len());
    let mut rest = presentation.as_bytes();
    let mut quoted = false;
    while let [octet, tail @ ..] = rest {
        rest = tail;
        match octet {
            b'"' => quoted = !quoted,
            b'\\' => rest = unescape(tail, &mut octets),
            octet if !quoted && octet.is_ascii_whitespace() => {}
            octet => octets.push(*octet),
        }
    }
    octets
}

/// Reads what follows a backslash and gives back what follows that.
fn unescape<'a>(escaped: &'a [u8], octets: &mut Vec<u8>) -> &'a [u8] {
    if let Some((digits, tail)) = escaped.split_at_checked(3)
        && let Some(octet) = decimal(digits)
    {
        octets.push(octet);
        return tail;
    }
    let Some((octet, tail)) = escaped.split_first() else { return escaped };
    octets.push(*octet);
    tail
}

/// Digits as an octet: `parse` alone would take a sign, too.
fn decimal(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok()?;
    if digits.starts_with('+') { None } else { digits.parse().ok() }
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
}

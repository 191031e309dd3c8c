//! Names as text (lower case, no trailing dot) and as DNS carries them.

use hickory_resolver::proto::rr::Name;

use super::Dns01Error;

/// The text in lower case without a trailing dot.
pub(crate) fn normal(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

/// A name as text.
pub(super) fn text(name: &Name) -> String {
    normal(&name.to_ascii())
}

/// Text as a name, absolute.
pub(super) fn parse(text: &str) -> Result<Name, Dns01Error> {
    let bad = |_| Dns01Error::BadName { name: text.chars().take(80).collect() };
    let mut name = Name::from_ascii(text).map_err(bad)?;
    name.set_fqdn(true);
    Ok(name)
}

/// `name` is `zone` or below it, by whole labels.
pub(crate) fn is_within(name: &str, zone: &str) -> bool {
    match name.strip_suffix(zone) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_counts_by_whole_labels() {
        assert!(is_within("example.com", "example.com"));
        assert!(is_within("a.example.com", "example.com"));
        assert!(!is_within("badexample.com", "example.com"));
        assert!(!is_within("com", "example.com"));
    }

    #[test]
    fn names_come_back_as_they_were_but_lower_case() {
        assert_eq!(text(&parse("_Acme-Challenge.Example.com.").unwrap()), "_acme-challenge.example.com");
        assert!(parse(&format!("_acme-challenge.{}com", "abcdefgh.".repeat(27))).is_err());
        assert!(parse("a..b").is_err());
    }
}

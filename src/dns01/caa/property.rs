//! The value of an `issue` or `issuewild` property (RFC 8659, section 4.2).

/// Who is permitted, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// The CA's domain in lower case; `None`: nobody.
    pub(super) domain: Option<String>,
    /// Parameters, their tags in lower case, in the record's order.
    pub(super) parameters: Vec<(String, String)>,
}

/// Reads a value; `None` where it does not fit the grammar: it permits nobody then.
pub(super) fn parse(value: &str) -> Option<Grant> {
    let (domain, parameters) = match value.split_once(';') {
        Some((domain, parameters)) => (trim(domain), trim(parameters)),
        None => (trim(value), ""),
    };
    let fits = domain.is_empty() || domain.split('.').all(is_label);
    let parameters = if parameters.is_empty() { Some(Vec::new()) } else { parse_parameters(parameters) };
    let domain = Some(domain.to_ascii_lowercase()).filter(|domain| !domain.is_empty());
    fits.then_some(Grant { domain, parameters: parameters? })
}

impl Grant {
    /// The values of a parameter.
    pub(super) fn values(&self, tag: &str) -> Vec<&str> {
        self.parameters.iter().filter(|(name, _)| name == tag).map(|(_, value)| value.as_str()).collect()
    }
}

/// A semicolon after the last parameter is no error: RFC 6844 allowed it, and CAs bear with it.
fn parse_parameters(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.strip_suffix(';').unwrap_or(text);
    text.split(';').map(parse_parameter).collect()
}

fn parse_parameter(text: &str) -> Option<(String, String)> {
    let (tag, value) = text.split_once('=')?;
    let (tag, value) = (trim(tag), trim(value));
    let graphic = value.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    (is_label(tag) && graphic).then(|| (tag.to_ascii_lowercase(), value.to_owned()))
}

/// `(ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT))`.
fn is_label(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !text.is_empty() && inner && !text.starts_with('-') && !text.ends_with('-')
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(domain: Option<&str>, parameters: &[(&str, &str)]) -> Option<Grant> {
        let parameters = parameters.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()));
        Some(Grant { domain: domain.map(str::to_owned), parameters: parameters.collect() })
    }

    #[test]
    fn values_are_read_as_the_rfc_writes_them() {
        assert_eq!(parse("ca1.example.net"), grant(Some("ca1.example.net"), &[]));
        assert_eq!(parse(" \tCA1.Example.net "), grant(Some("ca1.example.net"), &[]));
        assert_eq!(parse(";"), grant(None, &[]));
        assert_eq!(parse(""), grant(None, &[]));
        assert_eq!(parse("ca1.example.net; account=230123"), grant(Some("ca1.example.net"), &[("account", "230123")]));
        let two = grant(Some("a.test"), &[("accounturi", "https://a.test/1?x=y"), ("validationmethods", "dns-01")]);
        assert_eq!(parse("a.test;AccountURI = https://a.test/1?x=y ;  validationmethods=dns-01"), two);
        assert_eq!(parse("a.test; x=;"), grant(Some("a.test"), &[("x", "")]));
    }

    #[test]
    fn what_does_not_fit_the_grammar_is_no_grant() {
        for value in
            ["%%%%%", "a..b", "-a.test", "a.test; policy", "a.test; a b=c", "a.test; a=b c", "a.test; =x", "a b"]
        {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}

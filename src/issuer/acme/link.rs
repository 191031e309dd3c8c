//! `Link` headers (RFC 8288): where a CA offers other chains for a certificate.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

/// As many links of one answer as are followed.
const MOST: usize = 8;

/// The targets of an answer's links with `rel="alternate"`, resolved against the URL that was asked; each once.
pub(super) fn alternates(headers: &HeaderMap, asked: &str) -> Vec<String> {
    let base = Url::parse(asked).ok();
    let mut found: Vec<String> = Vec::new();
    for value in headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()) {
        for (target, parameters) in links(value) {
            let url = match &base {
                Some(base) => base.join(target).map(String::from),
                None => Url::parse(target).map(String::from),
            };
            match url {
                Ok(url) if is_alternate(parameters) && !found.contains(&url) => found.push(url),
                _ => {}
            }
        }
    }
    found.truncate(MOST);
    found
}

/// Each `<target>` with what stands behind it, up to the next.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(target, rest)| (target.trim(), rest))
}

/// One of the words of `rel` is `alternate`.
fn is_alternate(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let mut words = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && words.any(|word| word.eq_ignore_ascii_case("alternate"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str]) -> Vec<String> {
        let headers = values.iter().map(|value| (LINK, value.parse().unwrap())).collect();
        alternates(&headers, "https://ca.example/cert/1")
    }

    #[test]
    fn alternates_are_found_in_whatever_form() {
        let values = [
            r#"<https://ca.example/dir>;rel="index""#,
            r#"<https://ca.example/cert/1/1>;rel="alternate", </cert/1/2>; title="a"; REL=alternate"#,
            r#"<3>;rel="next alternate", <https://ca.example/cert/1/1>;rel="alternate""#,
        ];
        let wanted = ["https://ca.example/cert/1/1", "https://ca.example/cert/1/2", "https://ca.example/cert/3"];
        assert_eq!(found(&values), wanted);
    }

    #[test]
    fn what_is_no_link_is_left_out() {
        for value in ["", "<", "<>", "<https://x", "https://ca.example/;rel=alternate", r#"<//[>;rel="alternate""#] {
            assert_eq!(found(&[value]), [""; 0], "{value}");
        }
        let many: Vec<_> = (0..50).map(|number| format!("</{number}>;rel=alternate")).collect();
        assert_eq!(found(&[&many.join(",")]).len(), MOST);
    }
}

//! Problem documents (RFC 7807; RFC 8555, section 6.7): the CA's own words, made fit for errors.

use std::fmt;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::Timestamp;

/// What every ACME error type begins with.
const PREFIX: &str = "urn:ietf:params:acme:error:";

/// As much of a CA's words as is shown, in characters.
const LONGEST: usize = 2000;

/// A CA's words. Every text in it is clean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Problem {
    /// The error type without ACME's prefix: `rejectedIdentifier`.
    kind: String,
    detail: String,
    /// Where a person may read on, or has to act.
    instance: String,
    subproblems: Vec<Subproblem>,
}

/// What is wrong with one identifier (RFC 8555, section 6.7.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Subproblem {
    identifier: String,
    kind: String,
    detail: String,
}

impl Problem {
    /// Reads a problem document, taking what is there and fits; `None` where it is no JSON object.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(body).ok()?;
        document.is_object().then(|| Self::read(&document))
    }

    fn read(document: &Value) -> Self {
        let subproblems = document.get("subproblems").and_then(Value::as_array);
        Self {
            kind: kind(&text(document, "type")),
            detail: text(document, "detail"),
            instance: text(document, "instance"),
            subproblems: subproblems.into_iter().flatten().map(Subproblem::read).collect(),
        }
    }

    /// It is of this type, given without ACME's prefix.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// It says that the account or the name is paused until somebody follows a link.
    pub(super) fn tells_of_a_pause(&self) -> bool {
        let detail = self.detail.to_ascii_lowercase();
        ["paused", "temporarily prevented"].into_iter().any(|words| detail.contains(words))
    }

    /// When to come back, as Let's Encrypt writes it: "retry after 2026-11-21 13:30:00 UTC".
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        let (_, rest) = self.detail.split_once("retry after ")?;
        let text = rest.get(..20)?.replacen(' ', "T", 1).replace(' ', "").replace('Z', "");
        let date = OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok()?;
        Some(Timestamp::from_datetime(date))
    }
}

impl Subproblem {
    fn read(document: &Value) -> Self {
        let identifier = document.get("identifier").map(|identifier| text(identifier, "value"));
        Self {
            identifier: identifier.unwrap_or_default(),
            kind: kind(&text(document, "type")),
            detail: text(document, "detail"),
        }
    }
}

impl From<&instant_acme::Problem> for Problem {
    fn from(problem: &instant_acme::Problem) -> Self {
        let words = |text: &Option<String>| clean(text.as_deref().unwrap_or_default());
        let subproblems = problem.subproblems.iter().map(|sub| Subproblem {
            identifier: sub.identifier.as_ref().map(|it| clean(&it.authorized(false).to_string())).unwrap_or_default(),
            kind: kind(&words(&sub.r#type)),
            detail: words(&sub.detail),
        });
        Self {
            kind: kind(&words(&problem.r#type)),
            detail: words(&problem.detail),
            instance: String::new(),
            subproblems: subproblems.collect(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = told(&self.kind, &self.detail);
        for sub in &self.subproblems {
            words.push_str(&format!("; `{}`: {}", sub.identifier, told(&sub.kind, &sub.detail)));
        }
        if !self.instance.is_empty() {
            words.push_str(&format!(" (see {})", self.instance));
        }
        formatter.write_str(&clean(&words))
    }
}

fn told(kind: &str, detail: &str) -> String {
    match (kind, detail) {
        ("" | "about:blank", "") => "no reason was given".to_owned(),
        ("" | "about:blank", detail) => detail.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, detail) => format!("{kind}: {detail}"),
    }
}

fn text(document: &Value, key: &str) -> String {
    clean(document.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn kind(urn: &str) -> String {
    urn.strip_prefix(PREFIX).unwrap_or(urn).to_owned()
}

/// A stranger's text made fit for errors and logs: one line, nothing that moves a terminal's cursor or turns the
/// direction of writing, at most 2000 characters: a link that lifts a pause is long.
pub(super) fn clean(text: &str) -> String {
    let mut words = String::new();
    for (count, character) in text.chars().filter(|character| !is_hidden(*character)).enumerate() {
        if count == LONGEST {
            words.push('…');
            break;
        }
        words.push(if character.is_control() { ' ' } else { character });
    }
    words.trim().to_owned()
}

/// Marks that are not seen but change what is seen.
const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_the_ca_s_own_words() {
        let problem = Problem::parse(
            br#"{"type": "urn:ietf:params:acme:error:compound", "detail": "several", "status": 400,
                "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "forbids",
                "identifier": {"type": "dns", "value": "a.example"}}], "instance": "https://ca.example/help"}"#,
        )
        .unwrap();
        assert!(problem.is("compound"));
        assert_eq!(problem.to_string(), "compound: several; `a.example`: caa: forbids (see https://ca.example/help)");
    }

    #[test]
    fn what_is_missing_null_or_of_another_kind_is_left_out() {
        for (body, words) in [
            (r"{}", "no reason was given"),
            (r#"{"detail": 7, "subproblems": null}"#, "no reason was given"),
            (r#"{"type": "about:blank", "detail": "no"}"#, "no"),
            (
                r#"{"type": "other", "subproblems": [7, null, {"identifier": null}]}"#,
                "other; ``: no reason was given; ``: no reason was given; ``: no reason was given",
            ),
        ] {
            assert_eq!(Problem::parse(body.as_bytes()).unwrap().to_string(), words);
        }
        assert_eq!(Problem::parse(b"<html>"), None);
        assert_eq!(Problem::parse(b"[]"), None);
    }

    #[test]
    fn a_time_to_come_back_is_read_from_the_words() {
        let read = |detail: &str| {
            let problem = Problem { detail: detail.to_owned(), ..Problem::default() };
            problem.retry_at().map(|at| at.to_string())
        };
        assert_eq!(read("x, retry after 2026-11-21 13:30:00 UTC: see y").as_deref(), Some("2026-11-21T13:30:00Z"));
        assert_eq!(read("retry after 2026-11-21T13:30:00Z").as_deref(), Some("2026-11-21T13:30:00Z"));
        for detail in ["", "retry after ", "retry after a while, or two or three", "retry after 2026-11-21 13:3ßßßßßß"]
        {
            assert_eq!(read(detail), None, "{detail}");
        }
    }

    #[test]
    fn hostile_text_is_cleaned() {
        assert_eq!(clean("a\r\nb\u{1b}[31mc\u{202e}d\0"), "a  b [31mcd");
        assert_eq!(clean(&"ß".repeat(5000)).chars().count(), LONGEST + 1);
        let long = format!(r#"{{"type": "{0}", "detail": "{0}"}}"#, "x".repeat(5000));
        assert_eq!(Problem::parse(long.as_bytes()).unwrap().to_string().chars().count(), LONGEST + 1);
    }
}

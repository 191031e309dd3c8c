//! What a CA answered.

use std::time::Duration;

use bytes::Bytes;
use instant_acme::BytesResponse;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::obstacle::{Obstacle, Refusal};
use super::problem::{Problem, clean};
use crate::clock::Timestamp;

/// No CA is left alone for longer because of its words, as because of its headers.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA's answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Kept whole: `Link` (alternate chains, terms of service) is read from here.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// When to come back (RFC 9110, section 10.2.3), or else what a refusal says of it in words.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let in_words = || {
            let problem = if self.status.is_success() { None } else { self.problem() };
            let now = providers::http::date(&self.headers).map(Timestamp::from_datetime);
            Some(problem?.retry_at()?.since(now?).min(LONGEST_WAIT))
        };
        providers::http::retry_after(&self.headers).or_else(in_words)
    }

    /// The next nonce (RFC 8555, section 6.5.1).
    pub(super) fn nonce(&self) -> Option<String> {
        self.header("replay-nonce")
    }

    /// The URL of what was made or found.
    pub(super) fn location(&self) -> Option<String> {
        self.header(LOCATION.as_str())
    }

    /// The CA did not like the nonce.
    pub(super) fn is_bad_nonce(&self) -> bool {
        self.status.is_client_error() && self.problem().is_some_and(|problem| problem.is("badNonce"))
    }

    /// Itself where it is a 2xx.
    pub(super) fn accepted(self) -> Result<Self, Obstacle> {
        if self.status.is_success() {
            return Ok(self);
        }
        if self.status.is_redirection() {
            let target = clean(&self.location().unwrap_or_default());
            let words =
                format!("HTTP {} to `{target}`, which is not followed: give the URL that is meant", self.status);
            return Err(Obstacle::Unfit(words));
        }
        Err(Obstacle::Refused(Refusal {
            status: self.status,
            problem: self.problem(),
            retry_after: self.retry_after(),
        }))
    }

    /// The body as JSON; members that are null count as missing.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Obstacle> {
        let parsed = serde_json::from_slice(&self.body).map(without_nulls).and_then(serde_json::from_value);
        parsed.map_err(|error| Obstacle::Unfit(clean(&format!("the CA answered something that is not ACME: {error}"))))
    }

    /// As instant-acme wants it: refusals as errors, but a bad nonce as the 400 that it tries again.
    pub(super) fn for_instant_acme(self) -> Result<BytesResponse, Obstacle> {
        let mut answer = self;
        if answer.is_bad_nonce() {
            answer.status = StatusCode::BAD_REQUEST;
        } else {
            answer = answer.accepted()?;
            // An answer to newNonce may be 204 (RFC 8555, section 7.2).
            answer.status = if answer.status == StatusCode::NO_CONTENT { StatusCode::OK } else { answer.status };
        }
        // instant-acme adds it to the time unchecked, and panics where it is huge; `Client` has taken note of it.
        answer.headers.remove(RETRY_AFTER);
        let body = answer.plain_json().unwrap_or(answer.body);
        let mut response = http::Response::new(());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(BytesResponse { parts: response.into_parts().0, body: Box::new(body) })
    }

    fn problem(&self) -> Option<Problem> {
        Problem::parse(&self.body)
    }

    /// The body without members that are null, and with plain problems, where it is JSON: instant-acme takes
    /// `"subproblems": null` or a problem about an identifier of an unknown type for an error of its own.
    fn plain_json(&self) -> Option<Bytes> {
        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if !kind.contains("json") {
            return None;
        }
        let document = without_nulls(serde_json::from_slice(&self.body).ok()?);
        serde_json::to_vec(&document).ok().map(Bytes::from)
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

fn without_nulls(document: Value) -> Value {
    match document {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            let plain = |name: &str, value| if name == "error" { plain_problem(&value) } else { without_nulls(value) };
            Value::Object(present.map(|(name, value)| (name.clone(), plain(&name, value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// A problem within an order or a challenge, with what any reader understands of it.
fn plain_problem(problem: &Value) -> Value {
    let mut plain = texts(problem);
    let subproblems = problem.get("subproblems").and_then(Value::as_array).into_iter().flatten();
    let subproblems = subproblems.map(|subproblem| {
        let mut plain = texts(subproblem);
        let dns = subproblem.get("identifier").filter(|identifier| identifier["type"] == "dns");
        if let Some(name) = dns.and_then(|identifier| identifier["value"].as_str()) {
            plain.insert("identifier".to_owned(), json!({ "type": "dns", "value": name }));
        }
        Value::Object(plain)
    });
    plain.insert("subproblems".to_owned(), subproblems.collect());
    Value::Object(plain)
}

fn texts(problem: &Value) -> Map<String, Value> {
    let present = ["type", "detail"].into_iter().filter_map(|key| Some((key, problem.get(key)?.as_str()?)));
    present.map(|(key, text)| (key.to_owned(), Value::from(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: pairs.collect(), body: body.into() }
    }

    #[test]
    fn a_refusal_keeps_its_status_and_when_to_come_back() {
        let html = [("content-type", "text/html"), ("retry-after", "90")];
        let Err(Obstacle::Refused(refusal)) = answer(503, &html, "<html>").for_instant_acme() else { panic!() };
        assert_eq!(refusal.status, 503);
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(90)));
        assert!(refusal.problem.is_none());
    }

    #[tokio::test]
    async fn a_bad_nonce_is_left_to_instant_acme() {
        let body = r#"{"type": "urn:ietf:params:acme:error:badNonce", "subproblems": null}"#;
        let json = [("content-type", "application/problem+json"), ("replay-nonce", "n")];
        let mut response = answer(403, &json, body).for_instant_acme().unwrap();
        assert_eq!(response.parts.status, 400);
        assert_eq!(response.parts.headers["replay-nonce"], "n");
        let passed = response.body.into_bytes().await.unwrap();
        assert_eq!(passed, r#"{"type":"urn:ietf:params:acme:error:badNonce"}"#);
    }

    #[test]
    fn a_date_in_the_ca_s_words_is_when_to_come_back() {
        let date = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");
        let body = r#"{"type": "urn:ietf:params:acme:error:rateLimited",
            "detail": "too many certificates (5) already issued, retry after 2026-11-21 13:30:00 UTC: see https://x/"}"#;
        let wait = |status, headers: &[(&'static str, &'static str)]| {
            answer(status, headers, body).retry_after().map(|wait| wait.as_secs())
        };
        assert_eq!(wait(429, &[date]), Some(5400));
        assert_eq!(wait(503, &[date, ("retry-after", "7")]), Some(7), "the header says it better");
        assert_eq!(wait(429, &[]), None, "by no clock but the CA's own");
        assert_eq!(wait(200, &[date]), None);
    }

    #[tokio::test]
    async fn no_answer_makes_instant_acme_stumble() {
        let json = [("content-type", "application/json"), ("retry-after", "18446744073709551615")];
        let body = r#"{"status": "invalid", "error": {"type": "x", "status": "403", "subproblems": [
            {"detail": "no", "identifier": {"type": "email", "value": "a@b"}}, 7,
            {"identifier": {"type": "dns", "value": "a.example"}}]}}"#;
        let mut response = answer(200, &json, body).for_instant_acme().unwrap();
        assert!(response.parts.headers.get("retry-after").is_none());
        let passed: Value = serde_json::from_slice(&response.body.into_bytes().await.unwrap()).unwrap();
        let dns = json!({ "identifier": { "type": "dns", "value": "a.example" } });
        let error = json!({ "type": "x", "subproblems": [{ "detail": "no" }, {}, dns] });
        assert_eq!(passed, json!({ "status": "invalid", "error": error }));
    }

    #[test]
    fn a_redirect_is_no_answer() {
        let error = answer(302, &[("location", "http://169.254.169.254/")], "").accepted().unwrap_err();
        assert!(matches!(&error, Obstacle::Unfit(words) if words.contains("169.254.169.254")), "{error}");
    }

    #[test]
    fn html_is_no_acme() {
        assert!(matches!(answer(200, &[], "<html>").json::<Value>(), Err(Obstacle::Unfit(_))));
        assert_eq!(
            answer(200, &[], r#"{"a": null, "b": [{"c": null}]}"#).json::<Value>().unwrap().to_string(),
            r#"{"b":[{}]}"#
        );
    }
}

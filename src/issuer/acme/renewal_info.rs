//! Renewal information (RFC 9773): asked by a plain GET, without the account.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use super::Acme;
use super::answer::Answer;
use super::obstacle::Obstacle;
use super::problem::clean;
use crate::clock::Timestamp;
use crate::issuer::{IssuerError, RenewalInfo};
use crate::pki;
use crate::state::VersionRow;

/// RFC 9773, section 4.2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

impl Acme {
    /// Asks for a version's renewal information; `None`: the CA has no such thing, or did not issue the version.
    pub(super) async fn ask_for_renewal_info(&self, version: &VersionRow) -> Result<Option<RenewalInfo>, IssuerError> {
        let (certificate, issuer) = (version.certificate.as_str(), self.name());
        if version.directory_url.as_deref().is_some_and(|url| url != self.directory_url()) {
            tracing::debug!(certificate, issuer, "another directory issued it: not asked about renewal");
            return Ok(None);
        }
        let Some(id) = pki::cert_id(&version.chain) else {
            tracing::debug!(certificate, issuer, "it names no issuer's key: the CA cannot be asked about renewal");
            return Ok(None);
        };
        let site = self.site().await?;
        let Some(base) = &site.directory.renewal_info else { return Ok(None) };
        let url = format!("{}/{id}", base.trim_end_matches('/'));
        let answer = site.client.send(Method::GET, &url, None).await.and_then(Answer::accepted);
        let info = answer.and_then(|answer| read(&answer, self.clock.now()));
        info.map(Some).map_err(|obstacle| obstacle.into_error(self.name()))
    }
}

fn read(answer: &Answer, now: Timestamp) -> Result<RenewalInfo, Obstacle> {
    let body: Body = answer.json()?;
    let (start, end) = (instant(&body.suggested_window.start)?, instant(&body.suggested_window.end)?);
    if start >= end {
        let words = format!("the CA suggests a window for renewal that ends, at {end}, before it begins, at {start}");
        return Err(Obstacle::Unfit(words));
    }
    let explanation = body.explanation_url.as_ref().and_then(serde_json::Value::as_str).and_then(page);
    Ok(RenewalInfo { start, end, explanation, retry_after: retry_after(&answer.headers, now) })
}

fn instant(text: &str) -> Result<Timestamp, Obstacle> {
    let unfit =
        |_| Obstacle::Unfit(format!("the CA suggests a window for renewal at `{}`, which is no time", clean(text)));
    OffsetDateTime::parse(text, &Rfc3339).map(Timestamp::from_datetime).map_err(unfit)
}

/// A page that a person may open.
fn page(text: &str) -> Option<String> {
    let url = Url::parse(&clean(text)).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| clean(url.as_str()))
}

/// Seconds, however many, or a date (RFC 9110, section 10.2.3) by the CA's own clock, else by ours; what is past is now.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = if digits == text { digits.parse().unwrap_or(u64::MAX) } else { 0 };
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok().map(Timestamp::from_datetime);
    let theirs = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date);
    Some(date(text)?.since(theirs.unwrap_or(now)))
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(body: &str, headers: &[(&'static str, &str)]) -> Answer {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer { status: StatusCode::OK, headers: pairs.collect(), body: body.to_owned().into() }
    }

    fn window(start: &str, end: &str, more: &str) -> String {
        format!(r#"{{"suggestedWindow": {{"start": "{start}", "end": "{end}"}}{more}}}"#)
    }

    const NOW: Timestamp = Timestamp::from_seconds(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT

    #[test]
    fn a_window_is_read_with_its_explanation() {
        let more = r#", "explanationURL": "https://ca.example/why\u001b[31m", "later": {"x": null}"#;
        let body = window("2025-01-02T04:00:00.123456789Z", "2025-01-03T05:00:00+01:00", more);
        let info = read(&answer(&body, &[("retry-after", "21600")]), NOW).unwrap();
        assert_eq!((info.start.to_string().as_str(), info.start.millis() % 1000), ("2025-01-02T04:00:00Z", 123));
        assert_eq!(info.end.to_string(), "2025-01-03T04:00:00Z");
        assert_eq!(info.explanation.as_deref(), Some("https://ca.example/why%20[31m"));
        assert_eq!(info.retry_after, Some(Duration::from_secs(21_600)));
    }

    #[test]
    fn an_explanation_that_is_no_page_is_left_out() {
        for url in [r#""javascript:alert(1)""#, r#""file:///etc/passwd""#, r#""../x""#, "7", "null", r#""""#] {
            let body = window("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z", &format!(r#", "explanationURL": {url}"#));
            assert_eq!(read(&answer(&body, &[]), NOW).unwrap().explanation, None, "{url}");
        }
    }

    #[test]
    fn what_is_no_window_is_an_error() {
        let (early, late) = ("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z");
        for body in [
            window(late, early, ""),
            window(early, early, ""),
            window("soon", late, ""),
            window("1735790400", late, ""),
            window("99999-01-02T04:00:00Z", late, ""),
            "{}".to_owned(),
            r#"{"suggestedWindow": null}"#.to_owned(),
            "[]".to_owned(),
            "<html>".to_owned(),
            String::new(),
        ] {
            assert!(matches!(read(&answer(&body, &[]), NOW), Err(Obstacle::Unfit(_))), "{body}");
        }
    }

    #[test]
    fn any_retry_after_is_understood() {
        let (past, later) = ("Sun, 06 Nov 1994 08:48:37 GMT", "Sun, 06 Nov 1994 08:51:37 GMT");
        let asked = |value: &str, more: &[(&'static str, &str)]| {
            let all = [&[("retry-after", value)], more].concat();
            retry_after(&answer("", &all).headers, NOW).map(|wait| wait.as_secs())
        };
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
        assert_eq!(asked("0", &[]), Some(0));
        assert_eq!(asked("-5", &[]), Some(0));
        assert_eq!(asked("31536000", &[]), Some(31_536_000));
        assert_eq!(asked("99999999999999999999999", &[]), Some(u64::MAX));
        assert_eq!(asked(later, &[]), Some(120));
        assert_eq!(asked(later, &[("date", past)]), Some(180));
        assert_eq!(asked(past, &[]), Some(0));
        for nonsense in ["soon", "", "-", "1.5", "+7"] {
            assert_eq!(asked(nonsense, &[]), None, "{nonsense}");
        }
    }
}

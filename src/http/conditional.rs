//! Conditional requests (RFC 9110, section 13): a body that the client has already is not sent again.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::clock::Timestamp;

/// Something to fetch.
#[derive(Debug)]
pub(super) struct Document {
    /// What it is.
    pub content_type: &'static str,
    /// What a browser would save it as; plain ASCII without quotes.
    pub file_name: String,
    /// When it came to be.
    pub modified: Timestamp,
    /// Itself.
    pub body: Vec<u8>,
}

impl Document {
    /// The document, or 304 where the client's conditions say that it has it.
    pub(super) fn answer(self, request: &HeaderMap) -> Response {
        let tag = entity_tag(&self.body);
        let fresh = is_fresh(request, &tag, self.modified);
        let mut response = Response::new(if fresh { Body::empty() } else { Body::from(self.body) });
        let headers = response.headers_mut();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::ETAG, &tag);
        set(header::LAST_MODIFIED, &self.modified.to_http_date());
        set(header::CACHE_CONTROL, "no-cache");
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            set(header::CONTENT_TYPE, self.content_type);
            set(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", self.file_name));
        }
        response
    }
}

/// A strong validator: equal for equal octets only.
fn entity_tag(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    format!("\"{}\"", hex::encode(&digest.as_ref()[..16]))
}

/// `If-None-Match` decides where it is there, else `If-Modified-Since` (RFC 9110, section 13.2.2).
pub(super) fn is_fresh(request: &HeaderMap, tag: &str, modified: Timestamp) -> bool {
    let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let listed = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
        return listed.map(|one| one.strip_prefix("W/").unwrap_or(one)).any(|one| one == "*" || one == tag);
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok()).and_then(read_http_date);
    since.is_some_and(|since| modified.seconds() <= since.seconds())
}

/// The preferred form only: whoever sends another gets the body.
pub(super) fn read_http_date(text: &str) -> Option<Timestamp> {
    text.ends_with(" GMT").then_some(())?;
    OffsetDateTime::parse(text, &Rfc2822).ok().map(Timestamp::from_datetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: Timestamp = Timestamp::from_millis(784_111_777_123);

    fn answer(conditions: &[(header::HeaderName, &str)]) -> Response {
        let mut request = HeaderMap::new();
        for (name, value) in conditions {
            request.append(name, HeaderValue::from_str(value).unwrap());
        }
        let document = Document {
            content_type: "text/plain",
            file_name: "a.txt".into(),
            modified: MODIFIED,
            body: b"body".to_vec(),
        };
        document.answer(&request)
    }

    #[test]
    fn dates_are_written_as_http_wants_them_and_read_back() {
        assert_eq!(MODIFIED.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_seconds(784_111_777)));
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "yesterday", "Sun, 06 Nov 1994 08:49:37 +0100"] {
            assert_eq!(read_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn without_conditions_the_body_comes_with_its_validators() {
        let response = answer(&[]);
        assert_eq!(response.status(), 200);
        let tag = response.headers()[header::ETAG].to_str().unwrap();
        assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
        assert_eq!(response.headers()[header::LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(response.headers()[header::CONTENT_DISPOSITION], "attachment; filename=\"a.txt\"");
    }

    #[test]
    fn conditions_are_weighed_in_their_order() {
        let tag = entity_tag(b"body");
        let (same, before) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        let none_match = header::IF_NONE_MATCH;
        let since = header::IF_MODIFIED_SINCE;
        for (conditions, status) in [
            (vec![(none_match.clone(), tag.as_str())], 304),
            (vec![(none_match.clone(), &format!("\"x\", W/{tag}"))], 304),
            (vec![(none_match.clone(), "*")], 304),
            (vec![(none_match.clone(), "\"x\"")], 200),
            (vec![(none_match.clone(), "\"x\""), (none_match.clone(), tag.as_str())], 304),
            (vec![(none_match, "\"x\""), (since.clone(), same)], 200),
            (vec![(since.clone(), same)], 304),
            (vec![(since.clone(), before)], 200),
            (vec![(since, "nonsense")], 200),
        ] {
            assert_eq!(answer(&conditions).status(), status, "{conditions:?}");
        }
    }
}

//! Answers as HTTP/1.1 writes them, one behind the other.

use http::{HeaderName, header};

use super::super::ocsp;
use crate::ca::ocsp::Answer;
use crate::clock::Timestamp;

/// The octets of answers that are not sent yet.
#[derive(Debug, Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
    date: Date,
}

/// The last `date` header, since a second has many answers.
#[derive(Debug, Default)]
struct Date {
    /// Since 1970.
    second: i64,
    text: String,
}

impl Writer {
    /// Adds an answer, with the headers that the HTTP library would add.
    pub(super) fn add(&mut self, answer: &Answer, now: Timestamp) {
        self.octets.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        ocsp::each_header(answer, now, |name, value| line(&mut self.octets, &name, value));
        line(&mut self.octets, &header::CONTENT_LENGTH, answer.der().len().to_string().as_bytes());
        self.date.follow(now);
        line(&mut self.octets, &header::DATE, self.date.text.as_bytes());
        self.octets.extend_from_slice(b"\r\n");
        self.octets.extend_from_slice(answer.der());
    }

    /// All that was added, in its order.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// What was added is sent.
    pub(super) fn clear(&mut self) {
        self.octets.clear();
    }
}

impl Date {
    fn follow(&mut self, now: Timestamp) {
        if self.text.is_empty() || self.second != now.seconds() {
            *self = Self { second: now.seconds(), text: now.to_http_date() };
        }
    }
}

fn line(octets: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        octets.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ca::index::Status;
    use crate::ca::ocsp::{ErrorStatus, Kept};

    const NOW: Timestamp = Timestamp::from_seconds(784_111_777);

    fn written(answers: &[(Answer, Timestamp)]) -> String {
        let mut writer = Writer::default();
        answers.iter().for_each(|(answer, now)| writer.add(answer, *now));
        String::from_utf8_lossy(writer.octets()).into_owned()
    }

    #[test]
    fn an_answer_that_may_be_kept_says_how_long() {
        let kept = Arc::new(Kept::new(b"der".to_vec(), Status::Good, NOW, NOW.plus(Duration::from_secs(60))));
        let etag = String::from_utf8(kept.etag.to_vec()).unwrap();
        let wanted = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/ocsp-response\r\n\
             cache-control: max-age=60, public, no-transform, must-revalidate\r\netag: {etag}\r\n\
             last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nexpires: Sun, 06 Nov 1994 08:50:37 GMT\r\n\
             x-content-type-options: nosniff\r\ncontent-length: 3\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nder"
        );
        assert_eq!(written(&[(Answer::Kept(kept), NOW)]), wanted);
    }

    #[test]
    fn answers_follow_each_other_and_the_date_goes_on() {
        let error = Answer::error(ErrorStatus::TryLater);
        let both = written(&[(error.clone(), NOW), (error, NOW.plus(Duration::from_secs(1)))]);
        let (first, second) = both.split_at(both.len() / 2);
        assert!(
            first.contains("cache-control: no-store\r\n") && first.ends_with("\n\r\n0\u{3}\n\u{1}\u{3}"),
            "{first:?}"
        );
        assert_eq!(second, first.replace("08:49:37", "08:49:38"));
    }
}

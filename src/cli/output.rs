//! Writing to standard output and standard error. A reader that goes away (`| head`) is no error.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

/// Where and how answers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Programs read.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// People look on while it happens.
    pub(super) fn is_watched(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Text for people, with a line feed at its end.
    pub(super) fn text(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        self.bytes(format!("{text}\n").as_bytes());
    }

    /// An object for programs.
    pub(super) fn object(&self, object: &impl Serialize) {
        match serde_json::to_string_pretty(object) {
            Ok(text) => self.text(&text),
            Err(error) => self.complain(&format!("renewd: the answer cannot be written: {error}")),
        }
    }

    /// The object for programs, or the text for people.
    pub(super) fn answer(&self, object: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json { self.object(object) } else { self.text(&text()) }
    }

    /// As it is.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        // Whoever reads has seen enough; what was asked for is done all the same.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    /// To standard error.
    pub(super) fn complain(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

//! The log: one line a decision and one a failure, to journald or standard error.

use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The environment variable that says what is logged: `info`, or `renewd=debug,warn`.
pub const LOG: &str = "RENEWD_LOG";

/// How a line of the log looks on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

/// What is logged, in the words of `tracing-subscriber`: `info`, or `renewd=debug,warn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level(String);

/// The text says nothing about what is to be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` says nothing about what to log: write error, warn, info, debug or trace, or for instance `renewd=debug,warn`"
)]
pub struct LevelError(String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        match EnvFilter::try_new(text) {
            Ok(_) if !text.trim().is_empty() => Ok(Self(text.to_owned())),
            _ => Err(LevelError(text.to_owned())),
        }
    }
}

impl Level {
    /// What is to be known of a daemon that does well.
    #[must_use]
    pub fn info() -> Self {
        Self("info".to_owned())
    }

    /// Failures only.
    #[must_use]
    pub fn warn() -> Self {
        Self("warn".to_owned())
    }

    fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

/// Begins to log. With `Format::Text` and standard error connected to journald, the log goes there with its fields.
/// A second call changes nothing.
pub fn start(level: &Level, format: Format) {
    let journal = (format == Format::Text && stderr_is_journal()).then(tracing_journald::layer).and_then(Result::ok);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match (journal, format) {
        (Some(journal), _) => journal.with_syslog_identifier("renewd".to_owned()).with_field_prefix(None).boxed(),
        (None, Format::Text) => fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false).boxed(),
        (None, Format::Json) => fmt::layer().with_writer(std::io::stderr).json().flatten_event(true).boxed(),
    };
    // An error says that somebody logs already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(level.filter())).try_init();
}

/// Whether standard error is the stream that systemd connected to its journal: `JOURNAL_STREAM` is its device and
/// inode, and is inherited by programs whose output goes elsewhere.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2").map(|found| (found.dev(), found.ino()));
    stderr.is_ok_and(|stderr| device_and_inode(&stream) == Some(stderr))
}

fn device_and_inode(stream: &str) -> Option<(u64, u64)> {
    let (device, inode) = stream.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_or_filters() {
        for text in ["info", "renewd=debug,warn", "off"] {
            assert!(text.parse::<Level>().is_ok(), "{text}");
        }
        for text in ["", "renewd=loud", "a=b=c"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_journal_is_told_by_device_and_inode() {
        assert_eq!(device_and_inode("9:31415"), Some((9, 31415)));
        assert_eq!(device_and_inode("9"), None);
    }
}

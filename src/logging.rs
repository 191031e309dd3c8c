//! The log: one line a decision and one a failure, to journald or standard error.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr;

use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::debug_fn;
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

    /// Failures only, and not how fast a database is.
    #[must_use]
    pub fn warn() -> Self {
        Self("warn,sqlx=error".to_owned())
    }

    /// The verifier of TLS certificates tells of every refusal, and not of whose certificate: whoever asked tells both.
    fn filter(&self) -> EnvFilter {
        EnvFilter::new(format!("rustls_platform_verifier=off,{}", self.0))
    }
}

/// Begins to log. With `Format::Text` and standard error connected to journald, the log goes there with its fields.
/// A second call changes nothing.
pub fn start(level: &Level, format: Format) {
    let journal = (format == Format::Text && stderr_is_journal()).then(tracing_journald::layer).and_then(Result::ok);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match (journal, format) {
        (Some(journal), _) => journal.with_syslog_identifier("renewd".to_owned()).with_field_prefix(None).boxed(),
        (None, Format::Text) => {
            let fields = debug_fn(|writer, field, value| write_field(writer, field.name(), &format!("{value:?}")));
            let layer = fmt::layer().fmt_fields(fields.delimited(" ")).with_writer(std::io::stderr);
            layer.with_ansi(false).with_target(false).boxed()
        }
        (None, Format::Json) => fmt::layer().with_writer(std::io::stderr).json().flatten_event(true).boxed(),
    };
    // An error says that somebody logs already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(level.filter())).try_init();
}

/// The message as it is, then `name=value`: in quotes where there is a space or a quote in it, and only there. Characters
/// that could steer a terminal are escaped.
fn write_field(writer: &mut impl Write, name: &str, value: &str) -> std::fmt::Result {
    let steers = |character: char| character.is_control() && character != '\n';
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    match name {
        "message" => value.chars().try_for_each(|character| {
            if steers(character) {
                write!(writer, "{}", character.escape_default())
            } else {
                writer.write_char(character)
            }
        }),
        name if name.starts_with("log.") => Ok(()),
        name if !bare.is_empty()
            && !bare.contains(|it: char| it.is_whitespace() || it.is_control() || "\"\\=".contains(it)) =>
        {
            write!(writer, "{name}={bare}")
        }
        name if bare.len() < value.len() => write!(writer, "{name}={value}"),
        name => write!(writer, "{name}={value:?}"),
    }
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
    fn values_are_quoted_where_that_tells_where_they_end_and_only_there() {
        let written = |name: &str, value: &str| {
            let mut line = String::new();
            write_field(&mut line, name, value).unwrap();
            line
        };
        assert_eq!(written("certificate", "\"a.test\""), "certificate=a.test");
        assert_eq!(written("certificate", "a.test"), "certificate=a.test");
        assert_eq!(written("reason", "there is none"), "reason=\"there is none\"");
        assert_eq!(written("reason", "\"there is none\""), "reason=\"there is none\"");
        assert_eq!(written("url", "https://ca.test/a?b=c"), "url=\"https://ca.test/a?b=c\"");
        assert_eq!(written("name", "\"\""), "name=\"\"");
        assert_eq!(written("name", "a\u{1b}[2J\nb"), "name=\"a\\u{1b}[2J\\nb\"");
        assert_eq!(written("message", "two\nlines \u{1b}[2J"), "two\nlines \\u{1b}[2J");
    }

    #[test]
    fn the_journal_is_told_by_device_and_inode() {
        assert_eq!(device_and_inode("9:31415"), Some((9, 31415)));
        assert_eq!(device_and_inode("9"), None);
    }
}

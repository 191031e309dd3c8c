//! Why a command did not do what it was asked for, and what the process exits with.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::Output;
use crate::config::Report;
use crate::report::SCHEMA;
use crate::state::StateError;

/// What every command answers.
pub(super) type Outcome = Result<ExitCode, Failure>;

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was tried.
    NotDone(anyhow::Error),
    /// The daemon says no.
    Refused {
        /// Its problem document.
        problem: Value,
    },
    /// No daemon answers.
    NoDaemon {
        /// Where it was looked for.
        socket: std::path::PathBuf,
        /// Why it cannot be asked.
        error: anyhow::Error,
    },
    /// The config is refused.
    Config(Report),
}

impl Failure {
    /// 1 not done, 3 no daemon answers, 78 config refused.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::NotDone(_) | Self::Refused { .. } => 1,
            Self::NoDaemon { .. } => 3,
            Self::Config(_) => 78,
        }
    }

    /// Tells people on standard error, and programs on standard output.
    pub(super) fn tell(&self, output: &Output) -> ExitCode {
        if output.is_json() {
            output.object(&self.to_json());
        } else {
            output.complain(&self.to_string());
        }
        ExitCode::from(self.code())
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Config(report) => json!(report),
            Self::Refused { problem } => {
                let mut told = problem.clone();
                told["schema"] = json!(SCHEMA);
                told["error"] = json!(self.to_string());
                told
            }
            Self::NotDone(_) | Self::NoDaemon { .. } => json!({ "schema": SCHEMA, "error": self.to_string() }),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotDone(error) => write!(formatter, "renewd: {error:#}"),
            Self::Refused { problem } => {
                let errors = problem["errors"].as_array().into_iter().flatten();
                for error in errors {
                    writeln!(formatter, "{}", config_error(error))?;
                }
                let detail = problem["detail"].as_str().or_else(|| problem["title"].as_str());
                write!(formatter, "renewd: {}", detail.unwrap_or("the daemon refuses"))
            }
            Self::NoDaemon { socket, error } => {
                write!(formatter, "renewd: no daemon answers at {}: {error:#}", socket.display())?;
                formatter.write_str("\nStart it with `systemctl start renewd`, or `renewd run --config FILE`.")
            }
            Self::Config(report) => {
                let count = report.errors.len();
                let errors = if count == 1 { "error" } else { "errors" };
                write!(formatter, "{report}\nrenewd: the config is refused: {count} {errors}")
            }
        }
    }
}

/// An error of a config as the daemon tells it, in one line.
fn config_error(error: &Value) -> String {
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let key = match text("key") {
        key if key.is_empty() => key,
        key => format!("{key}: "),
    };
    let help = error["help"].as_str().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}:{}:{}: {key}{}{help}", text("file"), error["line"], error["column"], text("message"))
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::NotDone(error.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn exit_codes_tell_what_happened() {
        let error = || anyhow::anyhow!("no");
        assert_eq!(Failure::NotDone(error()).code(), 1);
        assert_eq!(Failure::Refused { problem: json!({}) }.code(), 1);
        assert_eq!(Failure::NoDaemon { socket: PathBuf::from("/s"), error: error() }.code(), 3);
        assert_eq!(Failure::Config(Report::default()).code(), 78);
    }

    #[test]
    fn what_the_daemon_says_of_a_config_reads_as_what_check_says() {
        let error = json!({
            "file": "c.toml", "line": 3, "column": 7, "key": "defaults.dns", "message": "no dns instance `mian`",
            "help": "did you mean `main`?",
        });
        assert_eq!(config_error(&error), "c.toml:3:7: defaults.dns: no dns instance `mian`; did you mean `main`?");
    }
}

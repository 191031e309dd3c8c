//! A program of the operator's own that publishes and withdraws values: for every host that has no provider here.
//!
//! The program is run without a shell, with `present` or `withdraw` as its last argument and the record as one line of
//! JSON on its standard input: `{"schema":1,"zone":…,"name":…,"value":…,"ttl":…}`. It exits with 0 when done, 75
//! (`EX_TEMPFAIL`) when it is worth another try, 77 (`EX_NOPERM`) when the host refused its credentials, anything else
//! when the host refused the record. What it does must be idempotent and touch this one value only.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::{Capabilities, DnsProvider, Registration, TxtRecord};
use crate::Error;
use crate::error::shorten_start;
use crate::program::{Ending, Program, Run, lines};

/// How many last lines go into an error.
const LINES: usize = 5;

/// What to run.
#[derive(Clone)]
pub struct ExecSettings {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long one run may take; then it is killed with all that it has started.
    pub timeout: Duration,
    /// Variables beside `PATH` and `LANG=C.UTF-8`, which may be given here, too. There are no others.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for ExecSettings {
    /// Arguments and values are left out: they may hold what is nobody's business.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExecSettings")
            .field("program", &self.command.first())
            .field("timeout", &self.timeout)
            .field("environment", &self.environment.keys())
            .finish()
    }
}

/// One program.
#[derive(Debug)]
pub struct Exec {
    program: Program,
}

impl Exec {
    /// A provider that runs the program; nothing is run yet.
    ///
    /// # Errors
    /// `Rejected` where `command` is empty.
    pub fn new(settings: ExecSettings) -> Result<Self, Error> {
        let ExecSettings { command, timeout, environment } = settings;
        let mut words = command.into_iter();
        let path = words.next().filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Error::rejected("`command` names no program"))?;
        let program = with_own_path(Program::new(&path, timeout).arguments(words));
        let set = |program: Program, (name, value): (String, String)| program.variable(name, value);
        Ok(Self { program: environment.into_iter().fold(program, set) })
    }

    async fn run(&self, verb: &str, record: &TxtRecord) -> Result<(), Error> {
        let line = Line { schema: 1, zone: &record.zone, name: &record.name, value: &record.value, ttl: record.ttl };
        let mut input = serde_json::to_vec(&line).map_err(|error| Error::rejected(error.to_string()))?;
        input.push(b'\n');
        let program = self.program.clone().arguments([verb]);
        let run = program.run(&input).await.map_err(|error| self.not_started(&error))?;
        self.judge(&run)
    }

    fn not_started(&self, error: &std::io::Error) -> Error {
        let detail = format!("`{}` cannot be run: {error}", self.program.path());
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput => Error::Rejected { detail },
            _ => Error::Unavailable { detail },
        }
    }

    fn judge(&self, run: &Run) -> Result<(), Error> {
        let (ending, words) = (run.ending, last_words(run));
        let words = if words.is_empty() { words } else { format!(": {words}") };
        let detail = format!("`{}` {ending}{words}", self.program.path());
        match ending {
            Ending::Exited(0) => Ok(()),
            Ending::Exited(75) | Ending::Killed(_) | Ending::TimedOut(_) => Err(Error::Unavailable { detail }),
            Ending::Exited(77) => Err(Error::Unauthorized { detail }),
            Ending::Exited(_) => Err(Error::Rejected { detail }),
        }
    }
}

/// With the `PATH` of this process, where it has one.
fn with_own_path(program: Program) -> Program {
    match std::env::var_os("PATH") {
        Some(path) => program.variable("PATH", path),
        None => program,
    }
}

/// The last lines that say something: of its complaints, or else of what it said.
fn last_words(run: &Run) -> String {
    let mut words = lines(&run.stderr);
    if words.is_empty() {
        words = lines(&run.stdout);
    }
    let last = words.get(words.len().saturating_sub(LINES)..).unwrap_or_default();
    shorten_start(&last.join("; "))
}

#[async_trait]
impl DnsProvider for Exec {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.run("present", record).await
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.run("withdraw", record).await
    }
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    zone: &'a str,
    name: &'a str,
    value: &'a str,
    ttl: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(command: &[&str]) -> Exec {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let environment = BTreeMap::from([("TOKEN".to_owned(), "canary".to_owned())]);
        Exec::new(ExecSettings { command, timeout: Duration::from_secs(10), environment }).unwrap()
    }

    /// Runs a script whose `$1` is the verb.
    async fn present(script: &str) -> Result<(), Error> {
        let (zone, name) = ("zone.test".to_owned(), "_acme-challenge.zone.test".to_owned());
        let record = TxtRecord { zone, name, value: r#"a "b""#.to_owned(), ttl: 60 };
        exec(&["sh", "-c", script, "sh"]).append_txt(&record, None).await
    }

    #[tokio::test]
    async fn the_program_gets_verb_record_and_a_clean_environment() {
        let line = r#"{"schema":1,"zone":"zone.test","name":"_acme-challenge.zone.test","value":"a \"b\"","ttl":60}"#;
        present(&format!(r#"read -r line && test "$line" = '{line}' && test "$1" = present"#))
            .await
            .expect("the record comes as one line");
        let names = r"test $(env | cut -d= -f1 | grep -vxE 'PWD|OLDPWD|SHLVL|_' | sort | tr '\n' ,) = LANG,PATH,TOKEN,";
        present(names).await.expect("PATH, LANG and what is given");
    }

    #[tokio::test]
    async fn exit_codes_are_sorted_by_what_to_do_next() {
        assert_eq!(present("exit 0").await, Ok(()));
        assert!(matches!(present("exit 75").await, Err(Error::Unavailable { .. })));
        assert!(matches!(present("exit 77").await, Err(Error::Unauthorized { .. })));
        assert!(matches!(present("kill -9 $$").await, Err(Error::Unavailable { .. })));
        let error = present("echo noise; echo first >&2; printf '\\033[1mlast' >&2; exit 3").await;
        assert_eq!(error, Err(Error::rejected("`sh` exited with 3: first; [1mlast")));
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_rejected() {
        assert!(
            Exec::new(ExecSettings { command: vec![], timeout: Duration::ZERO, environment: BTreeMap::new() }).is_err()
        );
        let record = TxtRecord { zone: "z".to_owned(), name: "z".to_owned(), value: String::new(), ttl: 1 };
        let answer = exec(&["/nowhere/at-all"]).append_txt(&record, None).await;
        assert!(matches!(answer, Err(Error::Rejected { .. })), "{answer:?}");
    }

    #[test]
    fn debug_shows_neither_arguments_nor_values() {
        let exec = exec(&["sh", "--token=canary"]);
        assert!(!format!("{exec:?}").contains("canary"), "{exec:?}");
    }
}

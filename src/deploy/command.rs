//! Deploy commands: the operator's own programs, run after a new version is stored.
//!
//! There is no shell. The environment is `PATH`, `LANG=C.UTF-8` and what is told of the certificates; more of it stands
//! in JSON on standard input: `{"schema":1,"event":…,"certificates":[{"name":…,"directory":…,…}]}`. Key material is
//! given to no program: paths only. A program may leave others running, such as a server that it started; but when its
//! time is over, or nobody waits for it any more, its whole process group is killed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use providers::program::{self, Ending, Leftovers, Program, Run};
use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::config::DeployCommand;

/// How much of a program's output goes into an error, in octets: its end.
const OUTPUT: usize = 4 << 10;
/// How long `RENEWD_CERTIFICATES` may be, in octets. Linux refuses to start a program with a variable of 128 KiB.
const LONGEST_NAMES: usize = 96 << 10;

/// What happened, and to which certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployEvent<'a> {
    /// `RENEWD_EVENT`: why the command is run, such as `issued` or `requested`.
    pub event: &'a str,
    /// The certificates that came together.
    pub bundles: Vec<Deployed>,
}

/// A certificate's version that is stored, as commands are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The certificate's name in the config.
    #[serde(rename = "name")]
    pub certificate: String,
    /// Where a directory store keeps it, if one does.
    #[serde(serialize_with = "lossy")]
    pub directory: Option<PathBuf>,
    /// The PEM file of leaf and chain in that directory.
    #[serde(serialize_with = "lossy")]
    pub fullchain: Option<PathBuf>,
    /// The PEM file of the private key in that directory.
    #[serde(serialize_with = "lossy")]
    pub privkey: Option<PathBuf>,
    /// The leaf's serial, lower-case hex.
    pub serial: String,
    /// The leaf's end.
    pub not_after: Timestamp,
    /// The leaf's names.
    pub names: Vec<String>,
    /// The number of the version.
    pub version: u64,
}

/// Why a deploy command has not done its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command is empty.
    #[error("the deploy command names no program")]
    Empty,
    /// There is no such program.
    #[error("`{program}` was not found{}", why_not_found(.program))]
    NotFound {
        /// The program, as the config names it.
        program: String,
    },
    /// The system does not start it.
    #[error("`{program}` cannot be started")]
    NotStarted {
        /// The program, as the config names it.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ran, and failed.
    #[error("`{program}` {ending}{}{}", whose(.certificate.as_deref()), words(.output))]
    Failed {
        /// The program, as the config names it.
        program: String,
        /// The certificate that it was run for, where it is run once for each.
        certificate: Option<String>,
        /// Its exit code, the signal that killed it, or the time after which it was killed.
        ending: Ending,
        /// The end of what it said on standard output and, after that, standard error: one line, without control
        /// characters, at most 4 KiB.
        output: String,
    },
}

/// Runs a command for the certificates of an event: once for all, or once for each where the config says so. More names
/// than fit into an environment variable take several runs.
///
/// # Errors
/// The first failure. With `each`, the other certificates have had their run, too; whoever needs to know of each calls
/// with one at a time.
pub async fn run(command: &DeployCommand, event: &DeployEvent<'_>) -> Result<(), CommandError> {
    let mut outcome = Ok(());
    for bundles in rounds(command.each, &event.bundles) {
        let round = Round { command, event: event.event, bundles };
        outcome = outcome.and(round.run().await);
    }
    outcome
}

fn rounds(each: bool, bundles: &[Deployed]) -> Vec<&[Deployed]> {
    if each {
        return bundles.chunks(1).collect();
    }
    let mut length = 0;
    let fits = |last: &Deployed, next: &Deployed| {
        length += last.certificate.len() + 1;
        let fits = length + next.certificate.len() <= LONGEST_NAMES;
        length = if fits { length } else { 0 };
        fits
    };
    bundles.chunk_by(fits).collect()
}

/// One run of a program.
struct Round<'a> {
    command: &'a DeployCommand,
    event: &'a str,
    bundles: &'a [Deployed],
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    event: &'a str,
    certificates: &'a [Deployed],
}

impl Round<'_> {
    async fn run(&self) -> Result<(), CommandError> {
        let (path, arguments) = self.command.command.split_first().ok_or(CommandError::Empty)?;
        if path.is_empty() {
            return Err(CommandError::Empty);
        }
        let not_started = |source| not_started(path, source);
        let program = self.program(path).arguments(arguments);
        let run = program.run(&self.document().map_err(not_started)?).await.map_err(not_started)?;
        match run.ending {
            Ending::Exited(0) => Ok(()),
            ending => Err(CommandError::Failed {
                program: path.clone(),
                certificate: self.single().map(|bundle| bundle.certificate.clone()),
                ending,
                output: last_words(&run),
            }),
        }
    }

    fn program(&self, path: &str) -> Program {
        let program = Program::new(path, self.command.timeout).leftovers(Leftovers::Left);
        let program = program.variable("RENEWD_EVENT", self.event);
        match self.single() {
            Some(bundle) => described(program, bundle),
            None => program.variable("RENEWD_CERTIFICATES", self.names()),
        }
    }

    /// The certificate, where the command is run for each.
    fn single(&self) -> Option<&Deployed> {
        self.bundles.first().filter(|_| self.command.each)
    }

    fn names(&self) -> String {
        self.bundles.iter().map(|bundle| bundle.certificate.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn document(&self) -> io::Result<Vec<u8>> {
        let document = Document { schema: 1, event: self.event, certificates: self.bundles };
        let mut line = serde_json::to_vec(&document)?;
        line.push(b'\n');
        Ok(line)
    }
}

fn described(program: Program, bundle: &Deployed) -> Program {
    let paths = [
        ("RENEWD_DIRECTORY", &bundle.directory),
        ("RENEWD_FULLCHAIN", &bundle.fullchain),
        ("RENEWD_PRIVKEY", &bundle.privkey),
    ];
    let known = paths.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
    let program = program.variable("RENEWD_CERTIFICATE", bundle.certificate.as_str());
    known.fold(program, |program, (name, path)| program.variable(name, path))
}

fn not_started(program: &str, source: io::Error) -> CommandError {
    let program = program.to_owned();
    match source.kind() {
        ErrorKind::NotFound => CommandError::NotFound { program },
        _ => CommandError::NotStarted { program, source },
    }
}

/// The system says the same of a script whose `#!` line leads nowhere.
fn why_not_found(program: &str) -> &'static str {
    let there = program.contains('/') && Path::new(program).exists();
    if there { ": it is there, but not the interpreter that its first line names" } else { "" }
}

fn whose(certificate: Option<&str>) -> String {
    certificate.map_or_else(String::new, |name| format!(" for `{name}`"))
}

fn words(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

fn last_words(run: &Run) -> String {
    let lines = [program::lines(&run.stdout), program::lines(&run.stderr)].concat();
    let said = lines.join("; ");
    let start = (said.len().saturating_sub(OUTPUT)..).find(|index| said.is_char_boundary(*index));
    said.get(start.unwrap_or_default()..).unwrap_or_default().to_owned()
}

/// A path as text: JSON knows no other.
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployed(name: &str) -> Deployed {
        Deployed {
            certificate: name.to_owned(),
            directory: Some("/certificates/a".into()),
            fullchain: None,
            privkey: None,
            serial: "0a".to_owned(),
            not_after: Timestamp::from_seconds(1_709_210_096),
            names: vec!["a.test".to_owned()],
            version: 7,
        }
    }

    #[test]
    fn the_document_is_as_promised() {
        let command = DeployCommand { command: vec![], each: false, timeout: std::time::Duration::ZERO };
        let round = Round { command: &command, event: "issued", bundles: &[deployed("a")] };
        let expected = concat!(
            r#"{"schema":1,"event":"issued","certificates":[{"name":"a","directory":"/certificates/a","#,
            r#""fullchain":null,"privkey":null,"serial":"0a","not_after":"2024-02-29T12:34:56Z","#,
            r#""names":["a.test"],"version":7}]}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(round.document().unwrap()).unwrap(), expected);
    }

    #[test]
    fn more_names_than_fit_take_several_rounds() {
        let bundles: Vec<_> = (0..10_000).map(|number| deployed(&format!("{number:050}"))).collect();
        let rounds = rounds(false, &bundles);
        assert_eq!(rounds.concat(), bundles);
        assert_eq!(rounds.len(), 6, "500 kB of names in rounds of 96 KiB");
        assert!(rounds.iter().all(|round| round.len() * 51 - 1 <= LONGEST_NAMES));
        assert_eq!(super::rounds(false, &bundles[..50]).len(), 1);
        assert_eq!(super::rounds(true, &bundles[..50]).len(), 50);
        assert_eq!(super::rounds(false, &[]).len(), 0);
    }

    #[test]
    fn last_words_are_one_short_line_of_whole_characters() {
        let long = "ß".repeat(OUTPUT);
        let run =
            Run { ending: Ending::Exited(1), stdout: long.into_bytes(), stderr: b"\x1b]0;x\x07a\nend\n".to_vec() };
        let said = last_words(&run);
        assert!(said.ends_with("ß; ]0;xa; end"), "{said}");
        assert!((OUTPUT - 3..=OUTPUT).contains(&said.len()), "{}", said.len());
    }
}

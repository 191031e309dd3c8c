//! The command line's grammar and its help.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::ca::CaCommand;
use super::clients::ClientCommand;
use crate::issuer::RevocationReason;
use crate::logging::{self, Level};

/// Obtains certificates, keeps them fresh, stores them, tells their consumers and checks that they are served.
///
/// renewd reads one TOML file. `renewd run` is the daemon; the other commands look at its state, or ask it over a Unix
/// socket to do something. Commands that only look work without a daemon, too.
#[derive(Debug, Parser)]
#[command(
    name = "renewd",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes:
  0   done
  1   not done: the reason is told
  2   wrong usage
  3   no daemon answers
  78  the config is refused: every error is told

Examples:
  renewd check                       is the config file good?
  renewd list                        how do my certificates stand?
  renewd why example.com             why is this one not renewed?
  renewd renew example.com --wait    renew it, and wait until it is stored and served"
)]
pub(super) struct Arguments {
    /// The config file [default: /etc/renewd/config.toml, else ./config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "RENEWD_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,

    /// Answer with JSON: each object carries `"schema": 1`
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// What to do
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    ///
    /// Runs in the foreground until SIGTERM or Ctrl-C. SIGHUP, or saving the config file, reloads it.
    #[command(after_help = "\
Examples:
  renewd run
  renewd run --config config.toml --log-level debug
  renewd run --log-format json")]
    Run(RunArguments),

    /// Read the config file and report every error at once
    ///
    /// Each error comes with file, line and column, what is wrong, and what to write instead. A secret that cannot be
    /// read from here is a note, since the daemon may see it. Nothing is changed, and no daemon is needed.
    #[command(after_help = "\
Examples:
  renewd check
  renewd check --config new.toml --json")]
    Check,

    /// Have the daemon apply the edited config file
    ///
    /// Answers when the new config is in force. A bad file is refused whole: its errors are told, the exit code is 1,
    /// and the old config stays in force.
    #[command(after_help = "\
Example:
  renewd reload")]
    Reload,

    /// Show what is due and why, what comes, and what a config change would cause
    ///
    /// A running daemon tells its own plan. Without one, or with --config, the file is read and held against the
    /// state: names that it adds, changes or takes out are told with what would become of them.
    ///
    /// With --simulate that time is played through, from the certificates that there are now: with outages of the CAs
    /// and of DNS, crashes, and a day on which a CA has half of its certificates renewed at once. Nothing is asked of
    /// anybody, and nothing is changed.
    #[command(after_help = "\
Examples:
  renewd plan
  renewd plan --days 7
  renewd plan --simulate --days 365
  renewd plan --config /etc/renewd/config.toml    what would the edited file cause?")]
    Plan {
        /// How far to look ahead
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=3650))]
        days: u32,
        /// Play that time through, with whatever can go wrong in it
        #[arg(long)]
        simulate: bool,
        /// What goes wrong, and when: the same number, the same troubles
        #[arg(long, value_name = "N", default_value_t = 1, requires = "simulate")]
        seed: u64,
    },

    /// Explain one certificate: last decision, last error, next attempt, what it waits for
    ///
    /// Errors are told in the CA's own words.
    #[command(after_help = "\
Examples:
  renewd why example.com
  renewd why example.com --refresh")]
    Why {
        /// The certificate's name in the config
        name: String,
        /// Have the CA asked now when it suggests to renew (RFC 9773); needs the daemon
        #[arg(long)]
        refresh: bool,
    },

    /// Look at everything live: accounts, DNS credentials, delegation, CAA, DNSSEC, stores, clock
    ///
    /// Tells for each thing whether it is well, what was found and what to do. A TXT value is published where challenges
    /// are, and withdrawn; a bundle of no certificate is put into each store, and taken away. Accounts that certificates
    /// name are registered where they are not; nothing is ordered. A running daemon looks; without one this program does.
    #[command(after_help = "\
Exit codes: 0 where nothing is an error, else 1.

Examples:
  renewd doctor
  renewd doctor example.com
  renewd doctor --json")]
    Doctor {
        /// Only what concerns this certificate, by its name in the config
        name: Option<String>,
    },

    /// List all certificates and how they stand
    #[command(after_help = "\
Examples:
  renewd list
  renewd list --json")]
    List,

    /// Show one certificate: validity, stores, consumers, versions
    #[command(after_help = "\
Example:
  renewd show example.com")]
    Show {
        /// The certificate's name in the config
        name: String,
    },

    /// Ask the daemon to renew a certificate
    ///
    /// Without --force a certificate that is not due yet is left as it is, and that is said. Asking forgets the wait
    /// after a failure.
    #[command(after_help = "\
Examples:
  renewd renew example.com --wait
  renewd renew example.com --force")]
    Renew {
        /// The certificate's name in the config
        name: String,
        /// Renew it even if it is not due
        #[arg(long)]
        force: bool,
        /// Wait until it is over, and exit with 1 if it fails
        #[arg(long)]
        wait: bool,
    },

    /// Ask the daemon to revoke a certificate
    ///
    /// The current version is revoked, or another one by its serial, and a replacement with a new key is ordered at
    /// once. After `keyCompromise` that key is never used again. A revocation is final.
    #[command(after_help = "\
Examples:
  renewd revoke example.com --reason keyCompromise
  renewd revoke example.com --reason cessationOfOperation --no-replace
  renewd revoke example.com --reason superseded --serial 04a1b2")]
    Revoke(Revocation),

    /// Ask the daemon to store a certificate and tell its consumers again
    #[command(after_help = "\
Example:
  renewd deploy example.com")]
    Deploy {
        /// The certificate's name in the config
        name: String,
        /// Do not wait until it is over
        #[arg(long)]
        no_wait: bool,
    },

    /// Show ACME accounts, or give one a new key
    #[command(after_help = "\
Examples:
  renewd account show
  renewd account rotate-key letsencrypt")]
    Account {
        /// What to do
        #[command(subcommand)]
        command: AccountCommand,
    },

    /// Client certificates of the private CAs: issue, sign, list, download, renew, revoke
    #[command(after_help = "\
Examples:
  renewd client issue --ca internal --cn Ann --out certs
  renewd client list --status expiring
  renewd client batch people.csv --ca internal --out certs")]
    Client {
        /// What to do
        #[command(subcommand)]
        command: Box<ClientCommand>,
    },

    /// Private CAs: show, export, rotate, import, sign requests, and take their roots offline
    #[command(after_help = "\
Examples:
  renewd ca show internal
  renewd ca sign internal --csr server.csr --profile server
  renewd ca rotate internal")]
    Ca {
        /// What to do
        #[command(subcommand)]
        command: CaCommand,
    },

    /// Show where people are told what happens, or try it
    #[command(after_help = "\
Examples:
  renewd notify list
  renewd notify test ops")]
    Notify {
        /// What to do
        #[command(subcommand)]
        command: NotifyCommand,
    },

    /// Print shell completions
    #[command(after_help = "\
Examples:
  renewd completions bash
  renewd completions zsh")]
    Completions {
        /// For which shell
        shell: Shell,
    },

    /// Print the manual, or write one page for each command
    #[command(after_help = "\
Examples:
  renewd man
  renewd man --directory man1")]
    Man {
        /// Write `renewd.1`, `renewd-run.1` and so on into this directory
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Show one account, or all
    #[command(after_help = "\
Examples:
  renewd account show
  renewd account show letsencrypt --json")]
    Show {
        /// The account's name in the config
        name: Option<String>,
    },

    /// Ask the daemon to give an account a new key (RFC 8555, section 7.3.5)
    #[command(after_help = "\
Example:
  renewd account rotate-key letsencrypt")]
    RotateKey {
        /// The account's name in the config
        name: String,
        /// Do not wait until it is over
        #[arg(long)]
        no_wait: bool,
    },
}

/// What to do with notifications.
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// List where people are told: what is still to be sent, and the last error
    #[command(after_help = "\
Example:
  renewd notify list --json")]
    List,

    /// Send a test at once, and tell what the receiver answers
    ///
    /// A running daemon sends it; without one it is sent from here, with the config file's settings.
    #[command(after_help = "\
Example:
  renewd notify test ops")]
    Test {
        /// The sink's name in the config
        name: String,
    },
}

/// How the daemon logs.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// What to log: error, warn, info, debug, trace, or a filter as `renewd=debug,warn`
    #[arg(long, value_name = "LEVEL", env = logging::LOG, default_value = "info")]
    pub(super) log_level: Level,

    /// How lines look on standard error; under systemd text goes to the journal with its fields
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// For programs: an object a line
    Json,
}

impl From<LogFormat> for logging::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// What is revoked, and why.
#[derive(Debug, Args)]
pub(super) struct Revocation {
    /// The certificate's name in the config
    pub(super) name: String,

    /// Why
    #[arg(long, value_name = "REASON", ignore_case = true, value_parser = reasons())]
    pub(super) reason: String,

    /// Order no replacement
    #[arg(long)]
    pub(super) no_replace: bool,

    /// Another version than the current one, by its serial in hex
    #[arg(long, value_name = "SERIAL")]
    pub(super) serial: Option<String>,

    /// Do not wait until it is over
    #[arg(long)]
    pub(super) no_wait: bool,
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(RevocationReason::ALL.map(RevocationReason::as_str))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        let mut command = Arguments::command();
        command.build();
        check_examples(&command);
    }

    fn check_examples(command: &clap::Command) {
        let examples = examples(command);
        assert!(!examples.is_empty() || command.get_name() == "help", "`{}` has no example", command.get_name());
        for example in examples {
            let parsed = Arguments::try_parse_from(example.split_whitespace());
            assert!(parsed.is_ok(), "`{example}`: {}", parsed.unwrap_err());
        }
        command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check_examples);
    }

    /// Lines that begin with the program's name; a remark stands behind four blanks.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.lines().map(str::trim).filter(|line| line.starts_with("renewd "));
        lines.map(|line| line.split("    ").next().unwrap_or(line).to_owned()).collect()
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for line in ["renewd", "renewd nonsense", "renewd show", "renewd revoke a --reason because"] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}

//! The command line: one small function a command.

mod acting;
mod arguments;
mod ca;
mod check;
mod client;
mod clients;
mod doctor;
mod failure;
mod forecast;
mod hierarchy;
mod looking;
mod notify;
mod output;
mod pages;
mod plan;
mod progress;
mod table;
mod times;
mod wording;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{AccountCommand, Arguments, Command, NotifyCommand, RunArguments};
use failure::{Failure, Outcome};
use output::Output;
use world::World;

use crate::logging::{self, Level};

/// Runs one command line and says what the process exits with: 0 done, 1 not done, 2 wrong usage, 3 no daemon answers,
/// 78 config refused.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return told_by_clap(&error),
    };
    let output = Output::new(arguments.json);
    let runtime = if matches!(arguments.command, Command::Run(_)) {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    };
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(arguments, &output)),
        Err(error) => Err(anyhow::Error::new(error).context("cannot start").into()),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.tell(&output),
    }
}

/// Help and versions go to standard output, mistakes to standard error with 2.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told where writing fails.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

async fn dispatch(arguments: Arguments, output: &Output) -> Outcome {
    let Arguments { config, command, .. } = arguments;
    let path = world::config_path(config.clone());
    match command {
        Command::Run(run) => return daemon(run, path).await,
        Command::Completions { shell } => return pages::completions(output, shell),
        Command::Man { directory } => return pages::man(output, directory.as_deref()),
        // What fails there fails in play.
        Command::Plan { simulate: true, .. } => {}
        _ => logging::start(&Level::warn(), logging::Format::Text),
    }
    match command {
        Command::Check => return check::check(output, &path).await,
        Command::Reload => return acting::reload(output, &path).await,
        _ => {}
    }
    let world = World::open(&path, config.is_some())?;
    match command {
        Command::Plan { days, simulate: true, seed } => forecast::forecast(output, &world, days, seed).await,
        Command::Plan { days, .. } => plan::plan(output, &world, days).await,
        Command::Doctor { name } => doctor::doctor(output, &world, &path, name.as_deref()).await,
        Command::Why { name, refresh: true } => looking::refreshed(output, &world, &name).await,
        Command::Why { name, refresh: false } => looking::why(output, &world, &name).await,
        Command::List => looking::list(output, &world).await,
        Command::Show { name } => looking::show(output, &world, &name).await,
        Command::Renew { name, force, wait } => acting::renew(output, &world, &name, force, wait).await,
        Command::Revoke(revocation) => acting::revoke(output, &world, &revocation).await,
        Command::Deploy { name, no_wait } => acting::deploy(output, &world, &name, !no_wait).await,
        Command::Account { command: AccountCommand::Show { name } } => {
            looking::accounts(output, &world, name.as_deref()).await
        }
        Command::Account { command: AccountCommand::RotateKey { name, no_wait } } => {
            acting::rotate_key(output, &world, &name, !no_wait).await
        }
        Command::Ca { command } => ca::run(output, &world, &command).await,
        Command::Notify { command: NotifyCommand::List } => notify::list(output, &world).await,
        Command::Notify { command: NotifyCommand::Test { name } } => notify::test(output, &world, &name).await,
        Command::Client { command } => clients::run(output, &world, *command).await,
        Command::Run(_) | Command::Completions { .. } | Command::Man { .. } | Command::Check | Command::Reload => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn daemon(run: RunArguments, path: std::path::PathBuf) -> Outcome {
    logging::start(&run.log_level, run.log_format.into());
    Ok(crate::daemon::run(path).await?)
}

/// The whole command line, for those who describe it.
fn description() -> clap::Command {
    Arguments::command()
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::NotDone(error)
    }
}

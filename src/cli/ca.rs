//! `renewd ca …`: our own CAs.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::segment;
use super::failure::Outcome;
use super::output::Output;
use super::world::World;

/// What to do with CAs.
#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Show a private CA and its generations
    #[command(after_help = "\
Example:
  renewd ca show internal")]
    Show {
        /// The CA's name in the config
        name: String,
    },

    /// Print a CA's certificates in PEM: the newest issuing certificate first, the root, which verifiers trust, last
    #[command(after_help = "\
Example:
  renewd ca export internal")]
    Export {
        /// The CA's name in the config
        name: String,
    },

    /// Give a CA a new issuing certificate with a new key
    ///
    /// Subject, key, lifetimes and name constraints are as the config says now. Leaves are signed by the new
    /// certificate from then on; the old one goes on signing CRLs and OCSP answers until its last leaf has expired.
    #[command(after_help = "\
Example:
  renewd ca rotate internal")]
    Rotate {
        /// The CA's name in the config
        name: String,
    },
}

pub(super) async fn run(output: &Output, world: &World, command: &CaCommand) -> Outcome {
    let answer: Value = match command {
        CaCommand::Show { name } | CaCommand::Export { name } => world.client.get(&path(name, "")).await,
        CaCommand::Rotate { name } => world.client.post(&path(name, "/rotate"), &json!({})).await,
    }
    .map_err(|unanswered| world.explain(unanswered))?;
    match command {
        CaCommand::Export { .. } => output.answer(&answer, || answer["chain"].as_str().unwrap_or_default().to_owned()),
        CaCommand::Show { .. } | CaCommand::Rotate { .. } => output.answer(&answer, || told(&answer)),
    }
    Ok(ExitCode::SUCCESS)
}

fn path(name: &str, action: &str) -> String {
    format!("/cas/{}{action}", segment(name))
}

fn told(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let generations = answer["generations"].as_array().cloned().unwrap_or_default();
    let line = |generation: &Value| {
        let (number, algorithm) = (generation["number"].as_u64().unwrap_or(0), text(&generation["algorithm"]));
        format!("  {number}  {algorithm}  {} to {}", text(&generation["not_before"]), text(&generation["not_after"]))
    };
    let lines: Vec<String> = generations.iter().map(line).collect();
    let standing = if answer["issues"] == true { "" } else { " (not in the config: issues nothing)" };
    format!("{}{standing}\n{}", text(&answer["name"]), lines.join("\n"))
}

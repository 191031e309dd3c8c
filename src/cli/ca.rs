//! `renewd ca …`: our own CAs.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::segment;
use super::failure::Outcome;
use super::hierarchy::{self, HierarchyCommand};
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

    /// What comes from outside, and what is taken there
    #[command(flatten)]
    Hierarchy(HierarchyCommand),

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
        CaCommand::Hierarchy(command) => return hierarchy::run(output, world, command).await,
        CaCommand::Show { name } | CaCommand::Export { name } => world.client.get(&path(name, "")).await,
        CaCommand::Rotate { name } => world.client.post(&path(name, "/rotate"), &json!({})).await,
    }
    .map_err(|unanswered| world.explain(unanswered))?;
    match command {
        CaCommand::Export { .. } => output.answer(&answer, || answer["chain"].as_str().unwrap_or_default().to_owned()),
        CaCommand::Show { .. } | CaCommand::Rotate { .. } => output.answer(&answer, || told(&answer)),
        CaCommand::Hierarchy(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn path(name: &str, action: &str) -> String {
    format!("/cas/{}{action}", segment(name))
}

/// How a CA stands, in words.
pub(super) fn told(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let standing = if answer["issues"] == true { "" } else { " (not in the config: issues nothing)" };
    let root = &answer["root"];
    let root = root.is_object().then(|| {
        let key = match root["key"].as_str() {
            Some("here") => "its key is here",
            Some("token") => "its key is in a token",
            _ => "its key is elsewhere",
        };
        format!("  root  {}  until {}  {key}", text(&root["subject"]), text(&root["not_after"]))
    });
    let generations = answer["generations"].as_array().cloned().unwrap_or_default();
    let line = |generation: &Value| {
        let (number, algorithm) = (generation["number"].as_u64().unwrap_or(0), text(&generation["algorithm"]));
        let (subject, issuer) = (text(&generation["subject"]), text(&generation["issuer"]));
        let by = if subject == issuer { "a root itself".to_owned() } else { format!("by {issuer}") };
        let (begin, end) = (text(&generation["not_before"]), text(&generation["not_after"]));
        format!("  {number}  {algorithm}  {begin} to {end}  {subject}, {by}")
    };
    let remarks = answer["remarks"].as_array().cloned().unwrap_or_default();
    let remarks = remarks.iter().map(|remark| format!("note: {}", text(remark)));
    let lines = root.into_iter().chain(generations.iter().map(line)).chain(remarks);
    format!("{}{standing}\n{}", text(&answer["name"]), lines.collect::<Vec<_>>().join("\n"))
}

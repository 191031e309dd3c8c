//! `renewd ca …`: our own CAs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::client::segment;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::world::World;
use crate::pki::pem::{self, Label};

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

    /// Sign somebody's certificate request, and print the certificate and its issuer in PEM
    ///
    /// The request's signature is checked, and whatever it asks for is held against the profile: what that has no room
    /// for is refused. The same request within an hour is answered with the same certificate.
    #[command(after_help = "\
Examples:
  renewd ca sign internal --csr server.csr --profile server
  renewd ca sign internal --csr sensor.csr --profile client --lifetime 12h")]
    Sign {
        /// The CA's name in the config
        name: String,
        /// The request, in PEM or DER
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// The CA's profile
        #[arg(long, value_name = "PROFILE")]
        profile: String,
        /// How long the certificate lives, up to what the profile allows; the profile's lifetime unless said
        #[arg(long, value_name = "DURATION")]
        lifetime: Option<String>,
    },
}

pub(super) async fn run(output: &Output, world: &World, command: &CaCommand) -> Outcome {
    let answer: Value = match command {
        CaCommand::Show { name } | CaCommand::Export { name } => world.client.get(&path(name, "")).await,
        CaCommand::Rotate { name } => world.client.post(&path(name, "/rotate"), &json!({})).await,
        CaCommand::Sign { name, csr, profile, lifetime } => {
            let wanted = json!({ "csr": request(csr)?, "profile": profile, "lifetime": lifetime });
            world.client.post(&path(name, "/sign"), &wanted).await
        }
    }
    .map_err(|unanswered| world.explain(unanswered))?;
    match command {
        CaCommand::Export { .. } | CaCommand::Sign { .. } => {
            output.answer(&answer, || answer["chain"].as_str().unwrap_or_default().to_owned())
        }
        CaCommand::Show { .. } | CaCommand::Rotate { .. } => output.answer(&answer, || told(&answer)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A request in PEM, whatever form its file has.
fn request(file: &Path) -> Result<String, Failure> {
    let octets = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(String::from_utf8(octets).unwrap_or_else(|der| pem::encode(Label::CertificateRequest, der.as_bytes())))
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

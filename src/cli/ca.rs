//! `renewd ca …`: our own CAs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::client::segment;
use super::failure::{Failure, Outcome};
use super::hierarchy::{self, HierarchyCommand};
use super::output::Output;
use super::table::Table;
use super::wording::listed;
use super::world::World;
use crate::ca::csr;
use crate::ca::revoke::Reason;
use crate::pki::pem::{self, Label};
use crate::report;

/// What to do with CAs.
#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Show a private CA and its generations
    #[command(after_help = "\
Example:
  renewd ca show internal")]
    Show {
        /// The CA's name in the config; where there is only one it need not be named
        name: Option<String>,
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

    /// Revoke any certificate that a CA has issued, by its serial
    ///
    /// OCSP says so at once, the next CRL within a minute. `certificateHold` suspends it until `renewd ca release`; every
    /// other revocation is final. Nothing is ordered in its place: `renewd revoke` and `renewd client` do that.
    #[command(after_help = "\
Example:
  renewd ca revoke internal 04a1b2 --reason keyCompromise")]
    Revoke {
        /// The CA's name in the config
        name: String,
        /// The certificate's serial number in hex
        serial: String,
        /// Why (RFC 5280, section 5.3.1)
        #[arg(long, value_parser = reasons())]
        reason: String,
    },

    /// Release a certificate that is on hold
    #[command(after_help = "\
Example:
  renewd ca release internal 04a1b2")]
    Release {
        /// The CA's name in the config
        name: String,
        /// The certificate's serial number in hex
        serial: String,
    },
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str))
}

pub(super) async fn run(output: &Output, world: &World, command: &CaCommand) -> Outcome {
    let answer: Value = match command {
        CaCommand::Hierarchy(command) => return hierarchy::run(output, world, command).await,
        CaCommand::Show { name: None } => Ok(look(output, world, only_one(world)?).await?),
        CaCommand::Show { name: Some(name) } | CaCommand::Export { name } => Ok(look(output, world, name).await?),
        CaCommand::Rotate { name } => world.client.post(&path(name, "/rotate"), &json!({})).await,
        CaCommand::Sign { name, csr: file, profile, lifetime } => {
            let wanted = json!({ "csr": request(file)?, "profile": profile, "lifetime": lifetime });
            world.client.post(&path(name, "/sign"), &wanted).await
        }
        CaCommand::Revoke { name, serial, reason } => {
            world.client.post(&path(name, "/revoke"), &json!({ "serial": digits(serial), "reason": reason })).await
        }
        CaCommand::Release { name, serial } => {
            world.client.post(&path(name, "/release"), &json!({ "serial": digits(serial) })).await
        }
    }
    .map_err(|unanswered| world.explain(unanswered))?;
    match command {
        CaCommand::Export { .. } | CaCommand::Sign { .. } => {
            output.answer(&answer, || answer["chain"].as_str().unwrap_or_default().to_owned());
        }
        CaCommand::Show { .. } | CaCommand::Rotate { .. } => output.answer(&answer, || told(&answer)),
        CaCommand::Revoke { .. } | CaCommand::Release { .. } => output.answer(&answer, || changed(&answer)),
        CaCommand::Hierarchy(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// How a CA stands: the daemon is asked, and where none runs, the state.
async fn look(output: &Output, world: &World, name: &str) -> Result<Value, Failure> {
    if let Some(view) = world.ask(&path(name, "")).await? {
        return Ok(view);
    }
    let view = report::authority(&world.state(output).await?, world.config()?, name).await?;
    Ok(json!(view.with_context(|| format!("there is no CA `{name}` on record"))?))
}

/// The CA that need not be named.
fn only_one(world: &World) -> Result<&str, Failure> {
    let names: Vec<&str> = world.config()?.cas.keys().map(String::as_str).collect();
    match names.as_slice() {
        [one] => Ok(one),
        [] => Err(anyhow::anyhow!("the config has no CA").into()),
        several => Err(anyhow::anyhow!("which CA? There are {}", listed(several)).into()),
    }
}

/// A request in PEM, whatever form its file has.
pub(super) fn request(file: &Path) -> Result<String, Failure> {
    let octets = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let wrong = match octets.len() {
        0 => "empty",
        1..=csr::LONGEST => "",
        _ => "longer than any request is",
    };
    if !wrong.is_empty() {
        return Err(anyhow::anyhow!("`{}` is {wrong}", file.display()).into());
    }
    Ok(String::from_utf8(octets).unwrap_or_else(|der| pem::encode(Label::CertificateRequest, der.as_bytes())))
}

/// A serial without the colons that openssl prints in it.
fn digits(serial: &str) -> String {
    serial.replace(':', "")
}

pub(super) fn path(name: &str, action: &str) -> String {
    format!("/cas/{}{action}", segment(name))
}

/// How a CA stands, in words.
pub(super) fn told(answer: &Value) -> String {
    let standing = if answer["issues"] == true { "" } else { " (not in the config: issues nothing)" };
    let remarks = answer["remarks"].as_array().into_iter().flatten();
    let remarks: String = remarks.map(|remark| format!("\nnote: {}", text(remark))).collect();
    let lists = match answer.get("crls") {
        Some(_) => format!("\n{}", lists(answer).render()),
        None => "\nno daemon runs, which would tell of CRLs and OCSP".to_owned(),
    };
    let generations = generations(answer).render();
    format!("{}{standing}{}\n\n{generations}{lists}{remarks}", text(&answer["name"]), root(&answer["root"]))
}

/// A line on the root, where it is ours.
fn root(root: &Value) -> String {
    let key = match root["key"].as_str() {
        None => return String::new(),
        Some("here") => "its key is here",
        Some("token") => "its key is in a token",
        Some(_) => "its key is elsewhere",
    };
    let ocsp = match root.get("ocsp_until").map(Value::as_str) {
        Some(Some(until)) => format!("\nOCSP answers for issuing certificates: until {until}, without the root's key"),
        Some(None) => "\nOCSP answers for issuing certificates: none".to_owned(),
        None => String::new(),
    };
    format!("\nroot: {}, until {}, {key}{ocsp}", text(&root["subject"]), text(&root["not_after"]))
}

fn generations(answer: &Value) -> Table {
    let mut table = Table::new(&[
        "GENERATION",
        "SERIAL",
        "STATUS",
        "KEY",
        "FROM",
        "UNTIL",
        "CERTIFICATES",
        "REVOKED",
        "SUBJECT",
        "SIGNED BY",
    ]);
    for one in answer["generations"].as_array().into_iter().flatten() {
        let columns = [
            "number",
            "serial",
            "status",
            "algorithm",
            "not_before",
            "not_after",
            "certificates",
            "revoked",
            "subject",
        ];
        let signer = if one["issuer"] == one["subject"] { "itself".to_owned() } else { text(&one["issuer"]) };
        table.row(columns.map(|column| text(&one[column])).into_iter().chain([signer]));
    }
    table
}

fn lists(answer: &Value) -> Table {
    let mut table = Table::new(&["CRL", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "PUBLISHED AT"]);
    for one in answer["crls"].as_array().into_iter().flatten() {
        let shard = if one["shard"].is_null() { "all".to_owned() } else { text(&one["shard"]) };
        let name = format!("{}/{shard}", text(&one["generation"]));
        let [number, from, until] = ["number", "this_update", "next_update"].map(|column| text(&one[column]));
        let amiss = if one["amiss"].is_null() { String::new() } else { format!(" ({})", text(&one["amiss"])) };
        table.row([name, number, from, until, text(&one["url"]) + &amiss]);
    }
    table
}

fn changed(answer: &Value) -> String {
    let [ca, serial, status] = ["ca", "serial", "status"].map(|field| text(&answer[field]));
    let [at, reason] = ["revoked_at", "reason"].map(|field| text(&answer[field]));
    match status.as_str() {
        "valid" => format!("{serial} of `{ca}` is in force"),
        _ => format!("{serial} of `{ca}` is {status} since {at} ({reason})"),
    }
}

/// A word or a number; nothing where there is none.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

//! `renewd ca import|csr|install|root`: what comes from outside, and what is taken there. The daemon does it; files are
//! read and written here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::ca::{path, told};
use super::clients::files;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::world::World;
use crate::pki::pem::{self, Label};
use crate::secret::SecretRef;

/// What comes from outside, and what is taken there.
#[derive(Debug, Subcommand)]
pub(super) enum HierarchyCommand {
    /// Take over an existing CA: its certificate, its key, and what is above it
    ///
    /// It becomes the newest generation and issues from then on; what it signed before stays good. A root issues leaves
    /// itself. Everything between the certificate and its root must be given. Keys are kept sealed.
    #[command(after_help = "\
Examples:
  renewd ca import internal --certificate issuing.pem --key issuing.key --chain root.pem
  renewd ca import internal --pkcs12 ca.p12 --password-file password
  renewd ca import internal --pkcs12 ca.p12 --password-env CA_PASSWORD")]
    Import {
        /// The CA's name in the config
        name: String,
        /// The CA's certificate, PEM or DER
        #[arg(long, value_name = "FILE", requires = "key", required_unless_present = "pkcs12")]
        certificate: Option<PathBuf>,
        /// Its private key, PEM or DER, not encrypted
        #[arg(long, value_name = "FILE", requires = "certificate")]
        key: Option<PathBuf>,
        /// The certificates above it, PEM or DER
        #[arg(long, value_name = "FILE")]
        chain: Option<PathBuf>,
        /// Certificate, key and chain in one file
        #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate", "key"])]
        pkcs12: Option<PathBuf>,
        /// The password of the PKCS#12 file
        #[command(flatten)]
        password: Password,
    },

    /// Print a request (PKCS#10) for the next issuing certificate, whose key is made and kept here
    ///
    /// For a root whose key is elsewhere. The same request is printed until its certificate is installed.
    #[command(after_help = "\
Examples:
  renewd ca csr internal
  renewd ca csr internal --new")]
    Csr {
        /// The CA's name in the config
        name: String,
        /// Make another key and another request
        #[arg(long)]
        new: bool,
    },

    /// Install the certificate that was signed for the request
    ///
    /// It becomes the newest generation. Everything up to the root must be given, unless that is the CA's own root.
    #[command(after_help = "\
Examples:
  renewd ca install internal --certificate signed.pem
  renewd ca install internal --certificate signed.pem --chain corporate.pem")]
    Install {
        /// The CA's name in the config
        name: String,
        /// The certificate, PEM or DER
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// The certificates above it, PEM or DER
        #[arg(long, value_name = "FILE")]
        chain: Option<PathBuf>,
    },

    /// Take the root's key offline, or bring it back
    #[command(after_help = "\
Examples:
  renewd ca root export internal --to root.p12 --password-file password
  renewd ca root forget internal --yes")]
    Root {
        /// What to do
        #[command(subcommand)]
        command: RootCommand,
    },
}

/// What to do with a root's key.
#[derive(Debug, Subcommand)]
pub(super) enum RootCommand {
    /// Write the root and its key to a PKCS#12 file, for its owner only (0600)
    #[command(after_help = "\
Example:
  renewd ca root export internal --to root.p12 --password-file password")]
    Export {
        /// The CA's name in the config
        name: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The password of the file
        #[command(flatten)]
        password: Password,
    },

    /// Forget the root's key, after it was exported
    ///
    /// The CA goes on issuing. Its next issuing certificate has to be signed where the root's key is. The root's last
    /// CRL is made, for a year: within it the key comes back for a moment (`restore`), and goes again.
    #[command(after_help = "\
Example:
  renewd ca root forget internal --yes")]
    Forget {
        /// The CA's name in the config
        name: String,
        /// The exported file was seen to open, and is in a safe place
        #[arg(long)]
        yes: bool,
    },

    /// Take the root's key back
    #[command(after_help = "\
Examples:
  renewd ca root restore internal --pkcs12 root.p12 --password-file password
  renewd ca root restore internal --key root.key")]
    Restore {
        /// The CA's name in the config
        name: String,
        /// The file that was exported
        #[arg(long, value_name = "FILE", required_unless_present = "key", conflicts_with = "key")]
        pkcs12: Option<PathBuf>,
        /// The key alone, PEM or DER, not encrypted
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// The password of the PKCS#12 file
        #[command(flatten)]
        password: Password,
    },
}

/// Where a password stands. It is never an argument: others see those.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(super) struct Password {
    /// The file that holds the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
}

pub(super) async fn run(output: &Output, world: &World, command: &HierarchyCommand) -> Outcome {
    match command {
        HierarchyCommand::Import { name, certificate, key, chain, pkcs12, password } => {
            let files: Vec<&Path> = certificate.iter().chain(chain).map(PathBuf::as_path).collect();
            let mut body = given(key.as_deref(), pkcs12.as_deref(), password)?;
            body["certificates"] = json!(certificates(&files)?);
            ask(output, world, &path(name, "/import"), &body).await
        }
        HierarchyCommand::Csr { name, new } => {
            let answer = post(world, &path(name, "/csr"), &json!({ "anew": new })).await?;
            output.answer(&answer, || answer["request"].as_str().unwrap_or_default().to_owned());
            Ok(ExitCode::SUCCESS)
        }
        HierarchyCommand::Install { name, certificate, chain } => {
            let files: Vec<&Path> = std::iter::once(certificate).chain(chain).map(PathBuf::as_path).collect();
            let body = json!({ "certificates": certificates(&files)? });
            ask(output, world, &path(name, "/install"), &body).await
        }
        HierarchyCommand::Root { command } => root(output, world, command).await,
    }
}

async fn root(output: &Output, world: &World, command: &RootCommand) -> Outcome {
    match command {
        RootCommand::Export { name, to, password } => export(output, world, name, to, password).await,
        RootCommand::Forget { name, yes } => {
            if !yes {
                let what = "the root's key would be forgotten here: see that the exported file opens (`openssl pkcs12 \
                            -in FILE -info`), put it into a safe place, and say `--yes`";
                return Err(anyhow::anyhow!(what).into());
            }
            ask(output, world, &path(name, "/root/forget"), &json!({})).await
        }
        RootCommand::Restore { name, pkcs12, key, password } => {
            let body = given(key.as_deref(), pkcs12.as_deref(), password)?;
            ask(output, world, &path(name, "/root/restore"), &body).await
        }
    }
}

async fn export(output: &Output, world: &World, name: &str, to: &Path, password: &Password) -> Outcome {
    let password = password.read()?.context("the file wants a password: --password-file or --password-env")?;
    let body = json!({ "password": password.as_str() });
    let answer = post(world, &path(name, "/root/export"), &body).await?;
    let file = answer["content"].as_str().and_then(|text| BASE64.decode(text).ok()).map(Zeroizing::new);
    files::write(to, &file.context("the daemon's answer is no file")?)?;
    let told = json!({ "schema": crate::report::SCHEMA, "name": name, "file": to });
    output.answer(&told, || format!("written: {}", to.display()));
    Ok(ExitCode::SUCCESS)
}

async fn ask(output: &Output, world: &World, path: &str, body: &Value) -> Outcome {
    let answer = post(world, path, body).await?;
    output.answer(&answer, || told(&answer));
    Ok(ExitCode::SUCCESS)
}

async fn post(world: &World, path: &str, body: &Value) -> Result<Value, Failure> {
    world.client.post(path, body).await.map_err(|unanswered| world.explain(unanswered))
}

/// A key in one of its two forms, as the daemon takes it.
fn given(key: Option<&Path>, pkcs12: Option<&Path>, password: &Password) -> Result<Value, Failure> {
    let mut body = json!({});
    if let Some(key) = key {
        let octets = read(key)?;
        let text = if is_der(&octets) { pem::encode_secret(Label::PrivateKey, &octets) } else { text(key, &octets)? };
        body["key"] = json!(text.as_str());
    }
    if let Some(file) = pkcs12 {
        let password =
            password.read()?.context("the PKCS#12 file wants a password: --password-file or --password-env")?;
        body["pkcs12"] = json!(BASE64.encode(read(file)?.as_slice()));
        body["password"] = json!(password.as_str());
    }
    Ok(body)
}

/// The certificates of some files, in PEM.
fn certificates(files: &[&Path]) -> Result<String, Failure> {
    let mut all = String::new();
    for file in files {
        let octets = read(file)?;
        match is_der(&octets) {
            true => all.push_str(&pem::encode(Label::Certificate, &octets)),
            false => all.push_str(&text(file, &octets)?),
        }
        all.push('\n');
    }
    Ok(all)
}

/// A SEQUENCE begins so, and no PEM.
fn is_der(octets: &[u8]) -> bool {
    octets.first() == Some(&0x30)
}

fn text(path: &Path, octets: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(octets).with_context(|| format!("`{}` is neither PEM nor DER", path.display()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let octets = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Zeroizing::new(octets))
}

impl Password {
    /// The password, where one is named.
    fn read(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let file = self.password_file.clone().map(SecretRef::File);
        let named = file.or_else(|| self.password_env.clone().map(SecretRef::Env));
        let secret = named.map(|place| place.read()).transpose().context("the password cannot be read")?;
        Ok(secret.map(|secret| Zeroizing::new(secret.expose_secret().to_owned())))
    }
}

//! `renewd client …`: client certificates of the private CAs. The daemon does it; files are written here. Who only looks
//! needs no daemon.

mod arguments;
mod batch;
pub(super) mod files;
mod looking;
mod table;
mod wording;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub(super) use arguments::ClientCommand;
use arguments::{Asked, Named};

use super::ca::request;
use super::client::segment;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::world::World;
use crate::ca::client::Part;
use crate::report::ClientView;
use crate::secret::SecretRef;

/// The files that `--out` writes of a certificate whose key was made here.
const OWN: [Part; 3] = [Part::Key, Part::Crt, Part::Fullchain];

/// The same of one whose key is elsewhere.
const FOREIGN: [Part; 2] = [Part::Crt, Part::Fullchain];

pub(super) async fn run(output: &Output, world: &World, command: ClientCommand) -> Outcome {
    match command {
        ClientCommand::Issue { common_name, key, asked, pfx_password_file } => {
            let request = asked.request(Some(&common_name), key.as_deref(), None);
            issue(output, world, &request, &asked, pfx_password_file.as_deref()).await
        }
        ClientCommand::Sign { csr, common_name, asked } => {
            let wanted = asked.request(common_name.as_deref(), None, Some(&request(&csr)?));
            issue(output, world, &wanted, &asked, None).await
        }
        ClientCommand::List(listing) => looking::list(output, world, &listing).await,
        ClientCommand::Show(named) => told(output, world, &looking::show(output, world, &named).await?),
        ClientCommand::Download { named, part, password_file, out } => {
            download(output, world, &named, part, password_file.as_deref(), &out).await
        }
        ClientCommand::Renew { named, csr, revoke_old } => {
            let csr = csr.as_deref().map(request).transpose()?;
            post(output, world, &path(&named, "/renew"), &json!({ "csr": csr, "revoke_old": revoke_old })).await
        }
        ClientCommand::AutoRenew { named, off } => {
            post(output, world, &path(&named, "/auto-renew"), &json!({ "enabled": !off })).await
        }
        ClientCommand::Revoke { named, reason, serial } => {
            post(output, world, &path(&named, "/revoke"), &json!({ "reason": reason, "serial": serial })).await
        }
        ClientCommand::Hold { named, serial } => {
            post(output, world, &path(&named, "/hold"), &json!({ "serial": serial })).await
        }
        ClientCommand::Release { named, serial } => {
            post(output, world, &path(&named, "/release"), &json!({ "serial": serial })).await
        }
        ClientCommand::Stats { tenant } => looking::statistics(output, world, tenant.as_deref()).await,
        ClientCommand::Batch(command) => batch::run(output, world, &command).await,
    }
}

async fn issue(
    output: &Output,
    world: &World,
    request: &Value,
    asked: &Asked,
    password_file: Option<&Path>,
) -> Outcome {
    let password = password_file.map(password).transpose()?;
    let view: ClientView = world.client.post("/clients", request).await.map_err(|error| world.explain(error))?;
    let mut written = String::new();
    if let Some(folder) = &asked.out {
        let parts: &[Part] = if view.key_type.is_some() { &OWN } else { &FOREIGN };
        let pfx = password.is_some().then_some(Part::Pfx);
        for part in parts.iter().copied().chain(pfx) {
            let password = password.as_ref().map(|word| word.as_str()).filter(|_| part == Part::Pfx);
            let file = fetch(world, &format!("/clients/{}/download", segment(&view.id)), part, password).await?;
            let path = folder.join(&file.file_name);
            files::write(&path, &file.bytes)?;
            written += &format!("\nwritten: {}", path.display());
        }
    }
    output.answer(&view, || format!("{}{written}", wording::client(&view, world.clock.now())));
    Ok(ExitCode::SUCCESS)
}

async fn post(output: &Output, world: &World, path: &str, body: &Value) -> Outcome {
    let view: ClientView = world.client.post(path, body).await.map_err(|error| world.explain(error))?;
    told(output, world, &view)
}

fn told(output: &Output, world: &World, view: &ClientView) -> Outcome {
    output.answer(view, || wording::client(view, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

async fn download(
    output: &Output,
    world: &World,
    named: &Named,
    part: Part,
    password_file: Option<&Path>,
    out: &Path,
) -> Outcome {
    let password = password_file.map(password).transpose()?;
    let file = fetch(world, &path(named, "/download"), part, password.as_ref().map(|word| word.as_str())).await?;
    files::write(out, &file.bytes)?;
    let answer = json!({ "schema": crate::report::SCHEMA, "part": part.as_str(), "file": out });
    output.answer(&answer, || format!("written: {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

async fn fetch(world: &World, path: &str, part: Part, password: Option<&str>) -> Result<files::File, Failure> {
    let wish = json!({ "part": part.as_str(), "password": password });
    let answer: Value = world.client.post(path, &wish).await.map_err(|error| world.explain(error))?;
    Ok(files::File::read(&answer)?)
}

fn path(named: &Named, what: &str) -> String {
    let bound = named.tenant.as_deref().map(|tenant| format!("?tenant={}", segment(tenant))).unwrap_or_default();
    format!("/clients/{}{what}{bound}", segment(&named.name))
}

/// A password is never an argument: others see those.
fn password(path: &Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    let secret = SecretRef::File(path.to_owned()).read().context("the password cannot be read")?;
    Ok(zeroize::Zeroizing::new(secret.expose_secret().to_owned()))
}

//! Commands that only look: `list`, `show`, `why`, `account show`.

use std::process::ExitCode;

use serde_json::json;

use super::client::segment;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::wording;
use super::world::World;
use crate::identifier::CertificateName;
use crate::report::certificate::LARGEST_PAGE;
use crate::report::{self, SCHEMA, Why};

pub(super) async fn list(output: &Output, world: &World) -> Outcome {
    let (state, now) = (world.state().await?, world.clock.now());
    let mut certificates = Vec::new();
    let mut after = Some(String::new());
    while let Some(name) = after {
        let page = report::list(&state, &world.config, now, &name, LARGEST_PAGE).await?;
        certificates.extend(page.certificates);
        after = page.next;
    }
    let answer = json!({ "schema": SCHEMA, "certificates": certificates });
    output.answer(&answer, || wording::certificates(&certificates, now));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(output: &Output, world: &World, name: &str) -> Outcome {
    let (state, now, name) = (world.state().await?, world.clock.now(), normalised(name)?);
    let found = report::show(&state, &world.config, now, &name).await?;
    let view = found.ok_or_else(|| unknown_certificate(&name, world))?;
    output.answer(&view, || wording::certificate(&view, now));
    Ok(ExitCode::SUCCESS)
}

/// A daemon that runs knows best; its state tells the same.
pub(super) async fn why(output: &Output, world: &World, name: &str) -> Outcome {
    let (now, name) = (world.clock.now(), normalised(name)?);
    let path = format!("/certificates/{}/why", segment(&name));
    let why: Why = match world.ask(&path).await {
        Ok(Some(why)) => why,
        Ok(None) => {
            let state = world.state().await?;
            let found = report::why(&state, &world.config, now, true, &name).await?;
            found.ok_or_else(|| unknown_certificate(&name, world))?
        }
        Err(failure) => return Err(failure),
    };
    output.answer(&why, || wording::why(&why, now));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn accounts(output: &Output, world: &World, name: Option<&str>) -> Outcome {
    let state = world.state().await?;
    if let Some(name) = name {
        let found = report::account(&state, &world.config, name).await?;
        let account = found.ok_or_else(|| unknown_account(name, world))?;
        output.answer(&account, || wording::account(&account, world.clock.now()));
        return Ok(ExitCode::SUCCESS);
    }
    let mut accounts = Vec::new();
    for name in world.config.accounts.keys() {
        accounts.extend(report::account(&state, &world.config, name).await?);
    }
    output.answer(&json!({ "schema": SCHEMA, "accounts": accounts }), || wording::accounts(&accounts));
    Ok(ExitCode::SUCCESS)
}

/// A certificate's name as the config writes it.
pub(super) fn normalised(name: &str) -> Result<String, Failure> {
    let name = CertificateName::parse(name).map_err(anyhow::Error::from)?;
    Ok(name.to_string())
}

fn unknown_certificate(name: &str, world: &World) -> Failure {
    if world.config.certificates.contains_key(name) {
        return anyhow::anyhow!("the daemon has not taken up `{name}` yet: `renewd reload`, or `renewd run`").into();
    }
    anyhow::anyhow!("there is no certificate `{name}`: `renewd list` shows which there are").into()
}

pub(super) fn unknown_account(name: &str, world: &World) -> Failure {
    let names: Vec<&str> = world.config.accounts.keys().map(String::as_str).collect();
    anyhow::anyhow!("there is no account `{name}` in the config: there is {}", wording::listed(&names)).into()
}

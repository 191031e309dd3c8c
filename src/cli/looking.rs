//! Commands that only look: `list`, `show`, `why`, `account show`. A daemon that runs is asked; without one the state
//! tells the same.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::client::segment;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::wording;
use super::world::World;
use crate::identifier::CertificateName;
use crate::report::certificate::LARGEST_PAGE;
use crate::report::{self, AccountView, CertificateList, CertificateView, SCHEMA, Why};
use crate::state::State;

pub(super) async fn list(output: &Output, world: &World) -> Outcome {
    let (state, mut certificates) = (OnceCell::new(), Vec::new());
    let mut after = Some(String::new());
    while let Some(name) = after {
        let page = page(output, world, &state, &name).await?;
        certificates.extend(page.certificates);
        after = page.next;
    }
    let answer = json!({ "schema": SCHEMA, "certificates": certificates });
    output.answer(&answer, || wording::certificates(&certificates, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

async fn page(
    output: &Output,
    world: &World,
    state: &OnceCell<State>,
    after: &str,
) -> Result<CertificateList, Failure> {
    let path = format!("/certificates?limit={LARGEST_PAGE}&after={}", segment(after));
    if let Some(page) = world.ask(&path).await? {
        return Ok(page);
    }
    let state = state.get_or_try_init(|| world.state(output)).await?;
    Ok(report::list(state, world.config()?, world.clock.now(), after, LARGEST_PAGE).await?)
}

pub(super) async fn show(output: &Output, world: &World, name: &str) -> Outcome {
    let (now, name) = (world.clock.now(), normalised(name)?);
    let view: CertificateView = match world.ask(&format!("/certificates/{}", segment(&name))).await? {
        Some(view) => view,
        None => {
            let found = report::show(&world.state(output).await?, world.config()?, now, &name).await?;
            found.ok_or_else(|| unknown_certificate(&name))?
        }
    };
    output.answer(&view, || wording::certificate(&view, now));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn why(output: &Output, world: &World, name: &str) -> Outcome {
    let (now, name) = (world.clock.now(), normalised(name)?);
    let why: Why = match world.ask(&format!("/certificates/{}/why", segment(&name))).await? {
        Some(why) => why,
        None => {
            let found = report::why(&world.state(output).await?, world.config()?, now, true, &name).await?;
            found.ok_or_else(|| unknown_certificate(&name))?
        }
    };
    output.answer(&why, || wording::why(&why, now));
    Ok(ExitCode::SUCCESS)
}

/// `renewd why NAME --refresh`: only the daemon asks a CA.
pub(super) async fn refreshed(output: &Output, world: &World, name: &str) -> Outcome {
    let (now, name) = (world.clock.now(), normalised(name)?);
    let path = format!("/certificates/{}/why", segment(&name));
    let why: Why = world.client.post(&path, &json!({})).await.map_err(|unanswered| world.explain(unanswered))?;
    output.answer(&why, || wording::why(&why, now));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn accounts(output: &Output, world: &World, name: Option<&str>) -> Outcome {
    let AccountList { accounts } = match world.ask("/accounts").await? {
        Some(accounts) => accounts,
        None => own_accounts(output, world).await?,
    };
    let Some(name) = name else {
        output.answer(&json!({ "schema": SCHEMA, "accounts": accounts }), || wording::accounts(&accounts));
        return Ok(ExitCode::SUCCESS);
    };
    let account = accounts.iter().find(|account| account.name == name);
    let account = account.ok_or_else(|| {
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        anyhow::anyhow!("there is no account `{name}` in the config: there is {}", wording::listed(&names))
    })?;
    output.answer(account, || wording::account(account, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Deserialize)]
struct AccountList {
    accounts: Vec<AccountView>,
}

async fn own_accounts(output: &Output, world: &World) -> Result<AccountList, Failure> {
    let (state, config) = (world.state(output).await?, world.config()?);
    let mut accounts = Vec::new();
    for name in config.accounts.keys() {
        accounts.extend(report::account(&state, config, name).await?);
    }
    Ok(AccountList { accounts })
}

/// A certificate's name as the config writes it.
pub(super) fn normalised(name: &str) -> Result<String, Failure> {
    let name = CertificateName::parse(name).map_err(anyhow::Error::from)?;
    Ok(name.to_string())
}

fn unknown_certificate(name: &str) -> Failure {
    anyhow::anyhow!("there is no certificate `{name}`: `renewd list` shows which there are").into()
}

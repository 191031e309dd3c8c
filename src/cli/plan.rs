//! `renewd plan`.

use std::process::ExitCode;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::wording;
use super::world::World;
use crate::ca;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::report::{self, AuthorityChange, Plan};
use crate::state::State;

pub(super) async fn plan(output: &Output, world: &World, days: u32) -> Outcome {
    let asked = if world.named { None } else { world.ask(&format!("/plan?days={days}")).await? };
    let plan = match asked {
        Some(plan) => plan,
        None => own(output, world, days).await?,
    };
    output.answer(&plan, || wording::plan(&plan, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

/// Private CAs whose certificates are not as a config has them, and those that somebody has to see to.
pub(super) async fn authorities(
    state: &State,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<Vec<AuthorityChange>> {
    let pending = ca::pending(state, config, now).await?;
    let told = |pending: ca::Pending| AuthorityChange {
        ca: pending.ca,
        keys: pending.keys.into_iter().map(str::to_owned).collect(),
        consequence: pending.consequence,
    };
    Ok(pending.into_iter().map(told).collect())
}

/// The file held against the state.
async fn own(output: &Output, world: &World, days: u32) -> Result<Plan, Failure> {
    let (state, now) = (world.state(output).await?, world.clock.now());
    let mut plan = report::plan(&state, world.config()?, now, true, days).await?;
    plan.changes = report::changes(&state, world.config()?, now).await?;
    plan.authorities = authorities(&state, world.config()?, now).await?;
    Ok(plan)
}

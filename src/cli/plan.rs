//! `renewd plan`.

use std::process::ExitCode;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::wording;
use super::world::World;
use crate::report::{self, Plan};

pub(super) async fn plan(output: &Output, world: &World, days: u32) -> Outcome {
    let asked = if world.named { None } else { world.ask(&format!("/plan?days={days}")).await? };
    let plan = match asked {
        Some(plan) => plan,
        None => own(world, days).await?,
    };
    output.answer(&plan, || wording::plan(&plan, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

/// The file held against the state.
async fn own(world: &World, days: u32) -> Result<Plan, Failure> {
    let (state, now) = (world.state().await?, world.clock.now());
    let mut plan = report::plan(&state, world.config()?, now, true, days).await?;
    plan.changes = report::changes(&state, world.config()?, now).await?;
    Ok(plan)
}

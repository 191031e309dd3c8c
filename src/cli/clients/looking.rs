//! Who only looks at clients: the daemon is asked, and where none runs, the state.

use std::process::ExitCode;

use tokio::sync::OnceCell;

use super::arguments::{Listing, Named};
use super::{path, wording};
use crate::ca::client;
use crate::cli::client::segment;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::world::World;
use crate::report::{self, ClientList, ClientStatistics, ClientView};
use crate::state::State;

pub(super) async fn show(output: &Output, world: &World, named: &Named) -> Result<ClientView, Failure> {
    if let Some(view) = world.ask(&path(named, "")).await? {
        return Ok(view);
    }
    let state = world.state(output).await?;
    let row = client::find(&state, &named.name, named.tenant.as_deref()).await.map_err(anyhow::Error::from)?;
    Ok(report::client(&state, &row, world.clock.now()).await?)
}

/// Pages that were looked at in vain are passed over: what is told is a page with something on it, or the end.
pub(super) async fn list(output: &Output, world: &World, listing: &Listing) -> Outcome {
    let state = OnceCell::new();
    let mut after = listing.after.clone().unwrap_or_default();
    let page = loop {
        let page = page(output, world, &state, listing, &after).await?;
        match &page.next {
            Some(next) if page.clients.is_empty() => after.clone_from(next),
            _ => break page,
        }
    };
    output.answer(&page, || wording::list(&page, world.clock.now()));
    Ok(ExitCode::SUCCESS)
}

async fn page(
    output: &Output,
    world: &World,
    state: &OnceCell<State>,
    listing: &Listing,
    after: &str,
) -> Result<ClientList, Failure> {
    let path = format!("/clients?{}&after={}", listing.query(), segment(after));
    if let Some(page) = world.ask(&path).await? {
        return Ok(page);
    }
    let state = state.get_or_try_init(|| world.state(output)).await?;
    Ok(report::clients(state, &listing.filter(), after, listing.limit, world.clock.now()).await?)
}

pub(super) async fn statistics(output: &Output, world: &World, tenant: Option<&str>) -> Outcome {
    let query = tenant.map(|tenant| format!("?tenant={}", segment(tenant))).unwrap_or_default();
    let told: ClientStatistics = match world.ask(&format!("/clients/stats{query}")).await? {
        Some(told) => told,
        None => report::client_statistics(&world.state(output).await?, tenant, world.clock.now()).await?,
    };
    output.answer(&told, || wording::statistics(&told));
    Ok(ExitCode::SUCCESS)
}

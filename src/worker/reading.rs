//! Reading all that is known about one certificate.

use super::{Parts, WorkError, Worker};
use crate::clock::Timestamp;
use crate::config;
use crate::planner;
use crate::planner::decide::command_target;
use crate::state::{
    CertificateRow, DeliveryRow, DeploymentKind, DeploymentRow, JobRow, Look, ObstacleRow, OrderRow, RenewalRow, State,
    TxtRow, VersionRow,
};

/// The rows of one certificate, read at one moment.
pub(super) struct Reading {
    pub(super) row: CertificateRow,
    pub(super) wanted: Option<config::Certificate>,
    pub(super) version: Option<VersionRow>,
    pub(super) order: Option<OrderRow>,
    txts: Vec<TxtRow>,
    pub(super) deliveries: Vec<DeliveryRow>,
    pub(super) deployments: Vec<DeploymentRow>,
    pub(super) obstacles: Vec<ObstacleRow>,
    jobs: Vec<JobRow>,
    pub(super) stores: Vec<(String, String)>,
    company_comes: bool,
}

impl Reading {
    /// Reads what the look at a certificate has left out.
    pub(super) async fn of(look: Look, worker: &Worker, parts: &Parts) -> Result<Self, WorkError> {
        let (state, row) = (&worker.state, look.certificate);
        let name = row.name.as_str();
        let wanted = parts.config.certificates.get(name).cloned();
        let deployments = match &look.version {
            Some(version) if look.has_deployments => state.deployments(&version.id).await?,
            _ => Vec::new(),
        };
        let stores = wanted.as_ref().map(|wanted| places(wanted, &parts.config, state)).unwrap_or_default();
        let company_comes = company_comes(name, wanted.as_ref(), &deployments, state, parts).await?;
        Ok(Self {
            order: if look.has_order { state.open_order(name).await? } else { None },
            txts: if look.has_txts { state.owed_txts(name).await? } else { Vec::new() },
            obstacles: if look.has_obstacles { state.obstacles(name).await? } else { Vec::new() },
            jobs: if look.has_jobs { state.open_jobs(name).await? } else { Vec::new() },
            row,
            wanted,
            version: look.version,
            deliveries: look.deliveries,
            deployments,
            stores,
            company_comes,
        })
    }

    /// The CA has just said this of the current version's renewal, and it is written down.
    pub(super) fn is_told(&mut self, renewal: RenewalRow) {
        if let Some(version) = &mut self.version {
            version.renewal = renewal;
        }
    }

    /// When the current version is to be renewed by its lifetime; now where there is none.
    pub(super) fn due_at(&self, now: Timestamp) -> Timestamp {
        let life = self.certificate(true).life();
        life.zip(self.wanted.as_ref()).map_or(now, |(life, wanted)| life.due_at(&wanted.renew, now))
    }

    /// As the planner looks at it.
    pub(super) fn certificate(&self, clock_trusted: bool) -> planner::Certificate<'_> {
        planner::Certificate {
            row: &self.row,
            wanted: self.wanted.as_ref(),
            version: self.version.as_ref(),
            order: self.order.as_ref(),
            txts: &self.txts,
            deliveries: &self.deliveries,
            deployments: &self.deployments,
            obstacles: &self.obstacles,
            jobs: &self.jobs,
            stores: &self.stores,
            clock_trusted,
            company_comes: self.company_comes,
        }
    }
}

/// The stores that are to have it, each with the node whose it is (empty: shared).
pub(super) fn places(wanted: &config::Certificate, config: &config::Config, state: &State) -> Vec<(String, String)> {
    let node = |store: &String| {
        let per_node = config.stores.get(store).is_some_and(|store| store.kind.is_per_node());
        if per_node { state.node().to_owned() } else { String::new() }
    };
    wanted.stores.iter().map(|store| (store.clone(), node(store))).collect()
}

/// Whether certificates with a command that this one waits for are on their way, so that one run serves all.
async fn company_comes(
    name: &str,
    wanted: Option<&config::Certificate>,
    deployments: &[DeploymentRow],
    state: &State,
    parts: &Parts,
) -> Result<bool, WorkError> {
    let waiting = |command: &&config::DeployCommand| {
        let target = command_target(command);
        let row = deployments.iter().find(|row| row.kind == DeploymentKind::Command && row.target == target);
        !command.each && row.is_some_and(|row| !row.done && row.failures == 0)
    };
    let Some(wanted) = wanted else { return Ok(false) };
    let commands: Vec<_> = wanted.deploy.iter().filter(waiting).collect();
    if commands.is_empty() {
        return Ok(false);
    }
    let others = state.on_their_way(name).await?;
    let shares = |other: &String| {
        let certificate = parts.config.certificates.get(other.as_str());
        certificate.is_some_and(|other| other.deploy.iter().any(|command| commands.contains(&command)))
    };
    Ok(others.iter().any(shares))
}

//! All that is known about one certificate, read from the state.

use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::planner;
use crate::state::{
    CertificateRow, DeliveryRow, DeploymentRow, JobRow, ObstacleRow, OrderRow, Result, State, TxtRow, VersionRow,
};

/// One certificate's rows, and what the config wants.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub row: CertificateRow,
    pub wanted: Option<&'a config::Certificate>,
    pub version: Option<VersionRow>,
    pub deliveries: Vec<DeliveryRow>,
    pub deployments: Vec<DeploymentRow>,
    /// The stores that are to have it, and the node whose they are (empty: shared).
    pub stores: Vec<(String, String)>,
}

/// What is on its way.
#[derive(Debug)]
pub(super) struct Work {
    pub order: Option<OrderRow>,
    pub txts: Vec<TxtRow>,
    pub obstacles: Vec<ObstacleRow>,
    pub jobs: Vec<JobRow>,
}

impl<'a> Facts<'a> {
    /// Reads the rest of what belongs to a row.
    pub(super) async fn read(state: &State, config: &'a Config, row: CertificateRow) -> Result<Self> {
        let wanted = config.certificates.get(row.name.as_str());
        let (mut version, mut deliveries, mut deployments) = (None, Vec::new(), Vec::new());
        if let Some(id) = &row.version_id {
            version = state.version(id).await?;
            deliveries = state.deliveries(id).await?;
            deployments = state.deployments(id).await?;
        }
        let stores = wanted.map(|wanted| stores(wanted, config, state.node())).unwrap_or_default();
        Ok(Self { row, wanted, version, deliveries, deployments, stores })
    }

    /// As the planner takes it.
    pub(super) fn for_planner<'b>(&'b self, work: &'b Work, clock_trusted: bool) -> planner::Certificate<'b> {
        planner::Certificate {
            row: &self.row,
            wanted: self.wanted,
            version: self.version.as_ref(),
            order: work.order.as_ref(),
            txts: &work.txts,
            deliveries: &self.deliveries,
            deployments: &self.deployments,
            obstacles: &work.obstacles,
            jobs: &work.jobs,
            stores: &self.stores,
            clock_trusted,
            company_comes: false,
        }
    }

    /// When the current version's time to be renewed comes.
    pub(super) fn renew_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (version, wanted) = (self.version.as_ref()?, self.wanted?);
        if version.revoked_at.is_some() && version.not_replaced {
            return None;
        }
        let life = planner::renewal::Life {
            not_before: version.not_before,
            not_after: version.not_after,
            jitter: version.jitter,
        };
        Some(life.due_at(&wanted.renew, now))
    }
}

impl Work {
    /// Reads what is on its way for a certificate.
    pub(super) async fn read(state: &State, name: &str) -> Result<Self> {
        Ok(Self {
            order: state.open_order(name).await?,
            txts: state.owed_txts(name).await?,
            obstacles: state.obstacles(name).await?,
            jobs: state.open_jobs(name).await?,
        })
    }
}

fn stores(wanted: &config::Certificate, config: &Config, node: &str) -> Vec<(String, String)> {
    let place = |name: &String| {
        let store = config.stores.get(name)?;
        let node = if store.kind.is_per_node() { node } else { "" };
        Some((name.clone(), node.to_owned()))
    };
    wanted.stores.iter().filter_map(place).collect()
}

//! The parts that a start makes, and what a crash does to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use providers::stores::CertificateStore;

use super::SimulationError;
use super::ca::{Ca, INSTANCE};
use super::host::{Access, NoRegistrations};
use super::shelf::Shelf;
use super::world::World;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Propagation, Resolver};
use crate::dns01::{Dns01, Instance};
use crate::state::{ObstacleRow, State};
use crate::worker::reconcile::{give_up_unseen, reconcile};
use crate::worker::{Dice, Parts, Seats, Worker, timekeeper};

/// What outlives a crash: the disk, the world, the dice.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) world: World,
    pub(super) shelf: Arc<Shelf>,
    pub(super) dice: Dice,
}

/// What does not.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) worker: Worker,
    pub(super) parts: Arc<ArcSwap<Parts>>,
    pub(super) trusted: Arc<AtomicBool>,
}

impl Machine {
    /// Starts as the daemon does.
    pub(super) async fn start(&self, config: &Arc<Config>) -> Result<Process, SimulationError> {
        let trusted = Arc::new(AtomicBool::new(true));
        timekeeper::look(&self.state, &self.clock, &trusted).await?;
        reconcile(config, &self.state, self.clock.now()).await?;
        give_up_unseen(config, &self.state, self.clock.now()).await?;
        let parts = Arc::new(ArcSwap::new(self.parts(config)?));
        let worker = Worker::new(self.state.clone(), self.clock.clone(), Arc::clone(&parts), Arc::clone(&trusted))
            .with_dice(self.dice.clone());
        Ok(Process { worker, parts, trusted })
    }

    /// The parts of a config.
    pub(super) fn parts(&self, config: &Arc<Config>) -> Result<Arc<Parts>, SimulationError> {
        let dns01 = Arc::new(self.dns01(config)?);
        let seats = |name: &String, directory_url: Option<String>| {
            let (name, world, dns01) = (name.clone(), self.world.clone(), Arc::clone(&dns01));
            let (state, clock) = (self.state.clone(), self.clock.clone());
            Seats::of(Arc::new(Ca { name, directory_url, world, state, clock, dns01 }))
        };
        let directory = |name: &String| {
            self.world.with(|book, _| book.authorities.get(name).and_then(|one| one.directory_url().map(str::to_owned)))
        };
        let names = config.accounts.keys().chain(config.cas.keys());
        let issuers = names.map(|name| (name.clone(), seats(name, directory(name)))).collect();
        let store = || Arc::clone(&self.shelf) as Arc<dyn CertificateStore>;
        let stores: BTreeMap<_, _> = config.stores.keys().map(|name| (name.clone(), store())).collect();
        Ok(Arc::new(Parts { config: Arc::clone(config), issuers, stores, dns01, secrets: [0; 32] }))
    }

    fn dns01(&self, config: &Config) -> Result<Dns01, SimulationError> {
        let names =
            config.dns.keys().cloned().chain([INSTANCE.to_owned()].into_iter().filter(|_| config.dns.is_empty()));
        let instance = |name| Instance {
            name,
            zones: Vec::new(),
            propagation: Propagation { timeout: Duration::from_secs(120), servers: Vec::new(), recursive: false },
            provider: Arc::new(Access { world: self.world.clone(), state: self.state.clone() }),
        };
        let made = Dns01::new(names.map(instance).collect(), &Resolver::default(), Arc::new(NoRegistrations));
        made.map_err(|error| SimulationError::Script { what: error.to_string() })
    }

    /// When each issuer may be asked again for each of these certificates.
    pub(super) async fn on_record(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<(String, String), Timestamp>, SimulationError> {
        let mut times = BTreeMap::new();
        for name in names {
            for obstacle in self.state.obstacles(name).await? {
                times.insert((name.clone(), obstacle.issuer), obstacle.retry_at);
            }
        }
        Ok(times)
    }

    /// What stands in the state of a certificate by half: what is written together must be there together, or not at all.
    pub(super) async fn torn(&self, name: &str, config: &Config) -> Result<Option<&'static str>, SimulationError> {
        let Some(look) = self.state.look(name).await? else { return Ok(None) };
        let versions = self.state.versions(name).await?;
        let Some(newest) = versions.first() else { return Ok(None) };
        if look.certificate.version_id.as_ref() != Some(&newest.id) {
            return Ok(Some("a version is written that its certificate does not name"));
        }
        let stores = config.certificates.get(name).map(|wanted| wanted.stores.len()).unwrap_or_default();
        if look.deliveries.len() < stores {
            return Ok(Some("a version is written, and not that its stores are owed it"));
        }
        let order = self.state.open_order(name).await?;
        if order.is_some_and(|order| newest.order_id.as_ref() == Some(&order.id)) {
            return Ok(Some("a version is written, and its order is still open"));
        }
        let obstacles = self.state.obstacles(name).await?;
        let overcome = |at: &ObstacleRow| {
            at.issuer == newest.issuer && at.last_at.plus(Duration::from_secs(20)) < newest.created_at
        };
        Ok(obstacles.iter().any(overcome).then_some("a version is written, and its issuer still stands in the way"))
    }
}

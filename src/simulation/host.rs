//! The DNS host of a simulation.

use std::collections::BTreeMap;

use async_trait::async_trait;
use providers::Error;
use providers::dns::{Capabilities, DnsProvider, Registration, TxtRecord};
use rand::Rng as _;

use super::plug::Milestone;
use super::trouble::Span;
use super::world::World;
use crate::clock::Timestamp;
use crate::dns01::{Registrations, RegistrationsError};
use crate::state::State;

/// What the host shows: (name, value), and since when.
#[derive(Debug, Default)]
pub(super) struct Host {
    values: BTreeMap<(String, String), Timestamp>,
    down: Vec<Span>,
    /// One write in so many fails; 0: none.
    fails: u32,
}

impl Host {
    pub(super) fn new(down: Vec<Span>, fails: u32) -> Self {
        Self { values: BTreeMap::new(), down, fails }
    }

    pub(super) fn is_down(&self, at: Timestamp) -> bool {
        self.down.iter().any(|span| span.holds(at))
    }

    pub(super) fn shows(&self, name: &str, value: &str) -> bool {
        self.values.contains_key(&(name.to_owned(), value.to_owned()))
    }

    /// Every name that shows a value, and since when.
    pub(super) fn left(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.values.iter().map(|((name, _), since)| (name.as_str(), *since))
    }
}

/// Access to the host.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) world: World,
    pub(super) state: State,
}

impl Access {
    fn write(&self, work: impl FnOnce(&mut Host, Timestamp)) -> Result<(), Error> {
        self.world.with(|book, now| {
            if book.host.is_down(now) {
                return Err(Error::Unavailable { detail: "the DNS host does not answer".to_owned() });
            }
            if book.host.fails > 0 && book.random.random_ratio(1, book.host.fails) {
                return Err(Error::Unavailable { detail: "500, try again".to_owned() });
            }
            work(&mut book.host, now);
            Ok(())
        })
    }
}

#[async_trait]
impl DnsProvider for Access {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let written = self.write(|host, now| {
            host.values.entry((record.name.clone(), record.value.clone())).or_insert(now);
        });
        written.inspect_err(|_| self.world.comes(Milestone::Failed, &self.state))
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let written = self.write(|host, _| {
            host.values.remove(&(record.name.clone(), record.value.clone()));
        });
        self.world.comes(Milestone::Withdrawn, &self.state);
        written
    }
}

/// This host hands out no registrations, so there are none to keep.
#[derive(Debug)]
pub(super) struct NoRegistrations;

#[async_trait]
impl Registrations for NoRegistrations {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Registration>, RegistrationsError> {
        Ok(None)
    }

    async fn keep(&self, _: &str, _: &str, _: &Registration) -> Result<(), RegistrationsError> {
        Ok(())
    }
}

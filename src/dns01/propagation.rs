//! Looking whether the values have reached every server that a CA may ask.

mod servers;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};
use hickory_resolver::proto::rr::{Name, RecordType};

use super::exchange::{Question, Security, ask};
use super::recursive::Recursive;
use super::{Challenge, Dns01Error, name};
use crate::config::Propagation;

use servers::Server;
use verdict::{Look, Sight, Wanted};

/// An authoritative server knows its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions under way at a time, over all servers of a zone.
const AT_A_TIME: usize = 32;

/// Where the servers of a zone listen.
pub(super) async fn addresses_of_servers(
    recursive: &Recursive,
    zone: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Dns01Error> {
    let servers = servers::of_zone(recursive, zone, port).await?;
    Ok(servers.into_iter().flat_map(|server| server.addresses).collect())
}

/// Whether every server shows every value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Every server does.
    Everywhere,
    /// Some do not, or not all values.
    Missing {
        /// What each of these said, one line a server and name.
        servers: Vec<String>,
    },
}

/// The values sought, by instance and zone, then by name.
pub(super) type Sought = BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>>;

/// Brings together what is asked of the same servers.
pub(super) fn group(challenges: &[Challenge]) -> Sought {
    let mut sought = Sought::new();
    for challenge in challenges {
        let place = (challenge.location.instance.clone(), challenge.location.zone.clone());
        let values = sought.entry(place).or_default().entry(challenge.location.name.clone()).or_default();
        values.insert(challenge.value.clone());
    }
    sought
}

/// Whom to ask for servers, and the port that those listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookout<'a> {
    pub(super) recursive: &'a Recursive,
    pub(super) port: u16,
}

impl Lookout<'_> {
    /// Looks for everything sought at once.
    pub(super) async fn look<'s>(
        &self,
        sought: &Sought,
        settings: impl Fn(&str) -> Result<&'s Propagation, Dns01Error>,
    ) -> Result<Seen, Dns01Error> {
        let mut looks = Vec::new();
        for ((instance, zone), names) in sought {
            looks.push(self.look_in_zone(zone, names, settings(instance)?));
        }
        let servers: Vec<String> = try_join_all(looks).await?.into_iter().flatten().collect();
        Ok(if servers.is_empty() { Seen::Everywhere } else { Seen::Missing { servers } })
    }

    /// Which servers of the zone show a value, by label and address.
    pub(super) async fn still_shown(
        &self,
        zone: &str,
        name: &str,
        value: &str,
        settings: &Propagation,
    ) -> Result<Vec<String>, Dns01Error> {
        let servers = self.servers(zone, settings).await?;
        let by_order = !settings.servers.is_empty();
        let values = BTreeSet::from([value.to_owned()]);
        let wanted = Arc::new(Wanted { name: name::parse(name)?, values, answer_may_be_cached: by_order });
        let sights = look_at_all(&servers, &[wanted], by_order && settings.recursive).await;
        Ok(sights.iter().flat_map(|sights| verdict::shown(&servers, sights)).collect())
    }

    async fn servers(&self, zone: &str, settings: &Propagation) -> Result<Vec<Server>, Dns01Error> {
        match settings.servers.as_slice() {
            [] => servers::of_zone(self.recursive, zone, self.port).await,
            given => Ok(given.iter().copied().map(Server::given).collect()),
        }
    }

    /// What is amiss in one zone, in words.
    async fn look_in_zone(
        &self,
        zone: &str,
        names: &BTreeMap<String, BTreeSet<String>>,
        settings: &Propagation,
    ) -> Result<Vec<String>, Dns01Error> {
        let servers = self.servers(zone, settings).await?;
        let by_order = !settings.servers.is_empty();
        let mut wanted = Vec::new();
        for (name, values) in names {
            let values = values.clone();
            wanted.push(Arc::new(Wanted { name: name::parse(name)?, values, answer_may_be_cached: by_order }));
        }
        let sights = look_at_all(&servers, &wanted, by_order && settings.recursive).await;
        Ok(wanted.iter().zip(sights).flat_map(|(wanted, sights)| verdict::amiss(wanted, &servers, &sights)).collect())
    }
}

/// What each server shows of each name: a list a name, in the order of the servers, one sight an address.
async fn look_at_all(servers: &[Server], wanted: &[Arc<Wanted>], recursion: bool) -> Vec<Vec<Vec<Sight>>> {
    let mut questions = Vec::new();
    for (row, wanted) in wanted.iter().enumerate() {
        for (column, server) in servers.iter().enumerate() {
            questions.extend(server.addresses.iter().map(|address| (row, column, *address, Arc::clone(wanted))));
        }
    }
    let look = |(row, column, address, wanted): (usize, usize, _, Arc<Wanted>)| async move {
        let answer = ask(address, &question(&wanted.name, recursion)).await;
        (row, column, Sight { address, look: Look::at(&wanted, answer) })
    };
    let mut sights = vec![vec![Vec::new(); servers.len()]; wanted.len()];
    let mut answers = stream::iter(questions).map(look).buffer_unordered(AT_A_TIME);
    while let Some((row, column, sight)) = answers.next().await {
        sights[row][column].push(sight);
    }
    sights
}

fn question(name: &Name, recursion: bool) -> Question {
    Question { name: name.clone(), kind: RecordType::TXT, recursion, security: Security::Unasked, patience: PATIENCE }
}

//! The servers of a zone and their addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::dns01::recursive::Recursive;
use crate::dns01::{Dns01Error, name};

/// No zone has more servers than this with good reason.
const MOST: usize = 32;

/// One server and where it listens.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Its name, or the address that the config gives.
    pub(super) label: String,
    /// Each is asked.
    pub(super) addresses: Vec<SocketAddr>,
    /// Why its addresses are not known, where a resolver failed.
    pub(super) unknown: Option<String>,
}

impl Server {
    /// One that the config gives.
    pub(super) fn given(address: SocketAddr) -> Self {
        Self { label: address.to_string(), addresses: vec![address], unknown: None }
    }
}

/// The servers that the zone itself names, at this port.
pub(super) async fn of_zone(recursive: &Recursive, zone: &str, port: u16) -> Result<Vec<Server>, Dns01Error> {
    let apex = name::parse(zone)?;
    let answer = recursive.ask(&apex, RecordType::NS).await?;
    let names: BTreeSet<Name> = names(&answer, &apex).take(MOST).collect();
    if names.is_empty() {
        let detail = "the answer names no server of the zone".to_owned();
        return Err(Dns01Error::Resolver { name: zone.to_owned(), kind: RecordType::NS.to_string(), detail });
    }
    Ok(join_all(names.iter().map(|name| server(recursive, name, port))).await)
}

fn names(answer: &Message, apex: &Name) -> impl Iterator<Item = Name> {
    answer.answers.iter().filter(|record| record.name == *apex).filter_map(|record| match &record.data {
        RData::NS(ns) => Some(ns.0.clone()),
        _ => None,
    })
}

async fn server(recursive: &Recursive, name: &Name, port: u16) -> Server {
    let (four, six) = tokio::join!(recursive.ask(name, RecordType::A), recursive.ask(name, RecordType::AAAA));
    let answers = [&four, &six];
    let found: BTreeSet<IpAddr> =
        answers.iter().filter_map(|answer| answer.as_ref().ok()).flat_map(addresses).collect();
    let failure = answers.iter().find_map(|answer| answer.as_ref().err()).map(ToString::to_string);
    Server {
        label: name::text(name),
        unknown: failure.filter(|_| found.is_empty()),
        addresses: found.into_iter().map(|address| SocketAddr::new(address, port)).collect(),
    }
}

fn addresses(answer: &Message) -> impl Iterator<Item = IpAddr> {
    answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(four) => Some(IpAddr::V4(four.0)),
        RData::AAAA(six) => Some(IpAddr::V6(six.0)),
        _ => None,
    })
}

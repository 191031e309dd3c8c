//! How much each CA is asked for in the time to come, as things are and with shorter lifetimes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Config;
use crate::planner::renewal::Life;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Lifetimes that public CAs have announced: what they would do is told.
const ANNOUNCED: [(&str, Duration); 4] = [
    ("64d", Duration::from_secs(64 * 24 * 3600)),
    ("47d", Duration::from_secs(47 * 24 * 3600)),
    ("45d", Duration::from_secs(45 * 24 * 3600)),
    ("160h", Duration::from_secs(160 * 3600)),
];

/// What one issuer is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The account or CA that is asked first.
    pub issuer: String,
    /// The lifetime; `None`: as each certificate has it now.
    pub lifetime: Option<String>,
    /// Certificates.
    pub certificates: u32,
    /// Orders in the whole time.
    pub orders: u32,
    /// Orders within the busiest 24 hours, counted by days.
    pub busiest_day: u32,
    /// How many new orders the issuer takes; `None`: no limit is kept.
    pub limit: Option<String>,
}

/// One certificate at rest, or the order that is due for it.
#[derive(Debug, Clone)]
pub(super) struct Burden {
    /// Who is asked first.
    pub(super) issuer: String,
    /// When it is ordered next.
    pub(super) at: Timestamp,
    /// Its lifetime now; `None`: there is no certificate yet.
    pub(super) lifetime: Option<Duration>,
}

/// The load of each issuer from `now` to `now + days`, first as things are and then with each lifetime announced that is
/// shorter than one that is in use.
pub(super) fn load(burdens: &[Burden], config: &Config, now: Timestamp, days: u32) -> Vec<Load> {
    let mut by_issuer: BTreeMap<&str, Vec<&Burden>> = BTreeMap::new();
    for burden in burdens {
        by_issuer.entry(&burden.issuer).or_default().push(burden);
    }
    let mut loads = Vec::new();
    for (issuer, burdens) in by_issuer {
        let limit = config.accounts.get(issuer).and_then(|account| account.limits.orders);
        let mut add = |lifetime: Option<(&str, Duration)>| {
            let counts = orders(&burdens, lifetime.map(|(_, length)| length), now, days);
            loads.push(Load {
                issuer: issuer.to_owned(),
                lifetime: lifetime.map(|(name, _)| name.to_owned()),
                certificates: u32::try_from(burdens.len()).unwrap_or(u32::MAX),
                orders: counts.iter().sum(),
                busiest_day: counts.iter().copied().max().unwrap_or(0),
                limit: limit.map(|limit| limit.to_string()),
            });
        };
        add(None);
        let longest = burdens.iter().filter_map(|burden| burden.lifetime).max().unwrap_or_default();
        let public = config.accounts.contains_key(issuer);
        ANNOUNCED.into_iter().filter(|(_, length)| public && *length < longest).for_each(|shorter| add(Some(shorter)));
    }
    loads
}

/// Orders on each day. A certificate keeps its lifetime, or has the one given, from its next order on.
fn orders(burdens: &[&Burden], lifetime: Option<Duration>, now: Timestamp, days: u32) -> Vec<u32> {
    let horizon = now.plus(DAY * days);
    let mut counts = vec![0; days as usize + 1];
    for burden in burdens {
        let lifetime = lifetime.or(burden.lifetime).unwrap_or(90 * DAY);
        let life = Life { not_before: Timestamp::EPOCH, not_after: Timestamp::EPOCH.plus(lifetime), jitter: 0 };
        let cycle = life.renew_at(&Default::default()).since(Timestamp::EPOCH).max(HOUR);
        let mut at = burden.at.max(now);
        while at < horizon {
            let day = at.since(now).as_secs() / DAY.as_secs();
            counts[usize::try_from(day).unwrap_or(0)] += 1;
            at = at.plus(cycle);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn shorter_lives_are_renewed_more_often() {
        let burden = |day: u32| Burden { issuer: "ca".into(), at: NOW.plus(DAY * day), lifetime: Some(90 * DAY) };
        let burdens = [burden(1), burden(1), burden(50), burden(70)];
        let burdens: Vec<_> = burdens.iter().collect();
        let total = |lifetime| orders(&burdens, lifetime, NOW, 60).iter().sum::<u32>();
        assert_eq!(total(None), 3);
        assert_eq!(orders(&burdens, None, NOW, 60)[1], 2);
        // 47 days: every 31 1/3 days; 160 hours: every 80.
        assert_eq!(total(Some(47 * DAY)), 5);
        assert_eq!(total(Some(160 * HOUR)), 18 + 18 + 3);
    }
}

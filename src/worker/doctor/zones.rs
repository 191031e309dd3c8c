//! Zones: whether values can be published in them, and whether their signatures hold.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;

use super::{Doctor, Located, Standing, bounded, in_time};
use crate::dns01::dnssec::Standing as Signed;
use crate::dns01::{Location, challenge_name};
use crate::report::{Finding, Group};

impl Doctor<'_> {
    /// Every zone in which challenges are published, once for each instance, and every zone that names lie in.
    pub(super) async fn zones(&self, located: &BTreeMap<(String, String), Located>) -> Vec<Group> {
        let mut places: BTreeMap<(&str, &str), (&Location, String)> = BTreeMap::new();
        for ((_, base), location) in located {
            let Ok(location) = location else { continue };
            let place = (location.zone.as_str(), location.instance.as_str());
            places.entry(place).or_insert((location, challenge_name(base)));
        }
        let published: BTreeSet<&str> = places.keys().map(|(zone, _)| *zone).collect();
        let others = self.zones_of_names(located).await;
        let mut looks: Vec<BoxFuture<'_, Group>> = Vec::new();
        for ((zone, _), (location, name)) in &places {
            looks.push(Box::pin(self.zone(zone, Some((*location, name.as_str())))));
        }
        for zone in others.iter().filter(|zone| !published.contains(zone.as_str())) {
            looks.push(Box::pin(self.zone(zone, None)));
        }
        let mut groups = in_time(looks).await;
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        groups
    }

    /// The zones of the names themselves, where their challenges lie elsewhere.
    async fn zones_of_names(&self, located: &BTreeMap<(String, String), Located>) -> BTreeSet<String> {
        let mut searches = Vec::new();
        let elsewhere = |base: &str, location: &Location| !location.name.ends_with(base);
        for ((_, base), location) in located {
            if location.as_ref().is_ok_and(|location| elsewhere(base, location)) {
                searches.push(self.parts.dns01.zone(base));
            }
        }
        in_time(searches).await.into_iter().flatten().collect()
    }

    async fn zone(&self, zone: &str, place: Option<(&Location, &str)>) -> Group {
        let probe = async {
            match place {
                Some((location, name)) if self.standing == Standing::Own => self.probe(location, name).await,
                Some(_) => vec![Finding::ok("write", "not tried: nobody would remember to withdraw it")],
                None => Vec::new(),
            }
        };
        let (signed, written) = tokio::join!(bounded("DNSSEC", self.signatures(zone)), probe);
        let title = place.map_or_else(|| zone.to_owned(), |(location, _)| format!("{zone} at {}", location.instance));
        Group::new("zone", Some(&title), signed.into_iter().chain(written).collect())
    }

    async fn signatures(&self, zone: &str) -> Vec<Finding> {
        const ADVICE: &str =
            "sign the zone anew, or have its parent's DS record replaced: CAs that validate see nothing of it";
        vec![match self.parts.dns01.dnssec(zone, self.worker.clock.machine()).await {
            Ok(Signed::Secure) => Finding::ok("DNSSEC", "signed, and validated by the resolver"),
            Ok(Signed::Signed) => Finding::ok("DNSSEC", "signed, and its keys fit its parent's DS records"),
            Ok(Signed::Unsigned { has_keys: false }) => Finding::ok("DNSSEC", "not signed"),
            Ok(Signed::Unsigned { has_keys: true }) => {
                let advice = "give the parent zone the DS record, or leave it: nobody validates without";
                Finding::warning("DNSSEC", "it has keys, and its parent has no DS record for them", advice)
            }
            Ok(Signed::Bogus { why }) => Finding::error("DNSSEC", format!("its signatures do not hold: {why}"), ADVICE),
            Err(error) => Finding::warning("DNSSEC", providers::error::chain(&error), "look at the resolvers"),
        }]
    }
}

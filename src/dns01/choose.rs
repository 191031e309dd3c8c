//! Which instance serves a name.

use std::cmp::Reverse;

use super::Instance;
use super::name::is_within;
use crate::identifier::DnsName;

/// The instance with the longest zone that holds `name`, the end of the CNAMEs from `start`; of equal ones the one that
/// the certificate names first. A host that hands out names of its own (acme-dns) serves, by its zones, names that lead
/// to it: where none holds `name`, it is chosen by `start`.
pub(super) fn by_zone<'a>(
    instances: &'a [Instance],
    start: &str,
    name: &str,
    preferred: &[String],
) -> Option<&'a Instance> {
    let leads_away = |instance: &&Instance| instance.provider.capabilities().registers;
    longest(instances.iter(), name, preferred)
        .or_else(|| longest(instances.iter().filter(leads_away), start, preferred))
}

fn longest<'a>(
    instances: impl DoubleEndedIterator<Item = &'a Instance>,
    name: &str,
    preferred: &[String],
) -> Option<&'a Instance> {
    let place = |instance: &Instance| preferred.iter().position(|other| *other == instance.name);
    let rank = |instance: &'a Instance| {
        let labels = longest_zone(&instance.zones, name)?;
        Some((labels, Reverse(place(instance).unwrap_or(usize::MAX)), instance))
    };
    // Of equal ones `max_by_key` takes the last: reversed, that is the config's first.
    let ranked = instances.rev().filter_map(rank);
    ranked.max_by_key(|(labels, place, _)| (*labels, *place)).map(|(_, _, instance)| instance)
}

/// The number of labels of the longest zone that holds the name.
fn longest_zone(zones: &[DnsName], name: &str) -> Option<usize> {
    let holding = zones.iter().map(DnsName::base).filter(|zone| is_within(name, zone));
    holding.map(|zone| zone.split('.').count()).max()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use providers::dns::{Capabilities, DnsProvider, Registration, TxtRecord};

    use super::*;
    use crate::config::Propagation;

    #[derive(Debug)]
    struct Host {
        registers: bool,
    }

    #[async_trait]
    impl DnsProvider for Host {
        fn capabilities(&self) -> Capabilities {
            Capabilities { registers: self.registers, ..Capabilities::FULL }
        }

        async fn append_txt(&self, _: &TxtRecord, _: Option<&Registration>) -> Result<(), providers::Error> {
            Ok(())
        }

        async fn delete_txt(&self, _: &TxtRecord, _: Option<&Registration>) -> Result<(), providers::Error> {
            Ok(())
        }
    }

    fn instance(name: &str, zones: &[&str], registers: bool) -> Instance {
        Instance {
            name: name.to_owned(),
            zones: zones.iter().map(|zone| DnsName::parse(zone).unwrap()).collect(),
            propagation: Propagation { timeout: Duration::from_secs(1), servers: Vec::new(), recursive: false },
            provider: Arc::new(Host { registers }),
        }
    }

    fn chosen(instances: &[Instance], start: &str, name: &str, preferred: &[&str]) -> Option<String> {
        let preferred: Vec<String> = preferred.iter().map(ToString::to_string).collect();
        by_zone(instances, start, name, &preferred).map(|instance| instance.name.clone())
    }

    #[test]
    fn the_longest_zone_serves_whatever_the_certificate_prefers() {
        let all = [
            instance("none", &[], false),
            instance("short", &["example.com"], false),
            instance("long", &["other.test", "sub.example.com"], false),
        ];
        let name = "_acme-challenge.sub.example.com";
        assert_eq!(chosen(&all, name, name, &["short"]).as_deref(), Some("long"));
        let name = "_acme-challenge.notsub.example.com";
        assert_eq!(chosen(&all, name, name, &["long"]).as_deref(), Some("short"));
        assert_eq!(chosen(&all, "x.example.com", "x.elsewhere.net", &["short"]), None);
    }

    #[test]
    fn of_equal_zones_the_certificate_chooses_else_the_config_s_order() {
        let all = ["a", "b", "c"].map(|name| instance(name, &["example.com"], false));
        let name = "_acme-challenge.example.com";
        assert_eq!(chosen(&all, name, name, &["c", "b"]).as_deref(), Some("c"));
        assert_eq!(chosen(&all, name, name, &[]).as_deref(), Some("a"));
    }

    #[test]
    fn a_host_of_handed_out_names_is_chosen_by_where_the_cnames_begin() {
        let all = [instance("plain", &["example.com"], false), instance("handing", &["example.com"], true)];
        let start = "_acme-challenge.example.com";
        assert_eq!(chosen(&all, start, "uuid.auth.test", &["plain"]).as_deref(), Some("handing"));
    }
}

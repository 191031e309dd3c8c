//! One certificate: where its challenges go, who is permitted to issue it, and who is told of it.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::{Doctor, Located, Source, bounded, consumers, some};
use crate::config::{Certificate, Profile};
use crate::dns01::{Dns01Error, challenge_name};
use crate::identifier::CertificateName;
use crate::issuer::Offers;
use crate::report::{Finding, Group};
use crate::worker::permission::{Permission, permission};

impl Doctor<'_> {
    /// Everything about one certificate.
    pub(super) async fn certificate(
        &self,
        name: &CertificateName,
        wanted: &Certificate,
        sources: &BTreeMap<String, Source>,
        located: &BTreeMap<(String, String), Located>,
    ) -> Group {
        let mut findings = self.challenges(name, wanted, located);
        for issuer in &wanted.issuers {
            if let Some((Ok(offers), url)) = sources.get(issuer) {
                findings.extend(profile(issuer, wanted, offers));
                let look = async { vec![self.caa(issuer, wanted, offers, url.as_deref()).await] };
                findings.extend(bounded("CAA", look).await);
            }
        }
        findings.extend(consumers::commands(wanted));
        findings.extend(join_all(wanted.verify.iter().map(consumers::address)).await);
        if findings.is_empty() {
            findings.push(Finding::ok("certificate", "there is nothing about it that could fail by itself"));
        }
        Group::new("certificate", Some(name.as_str()), findings)
    }

    fn challenges(
        &self,
        certificate: &CertificateName,
        wanted: &Certificate,
        located: &BTreeMap<(String, String), Located>,
    ) -> Vec<Finding> {
        let (mut found, mut findings) = (Vec::new(), Vec::new());
        for base in self.challenged(wanted) {
            match located.get(&(certificate.to_string(), base.clone())) {
                Some(Ok(place)) => {
                    let start = challenge_name(&base);
                    let way = if start == place.name { start } else { format!("{start} → {}", place.name) };
                    found.push(format!("{way}, in zone {} at `{}`", place.zone, place.instance));
                }
                Some(Err(error)) => {
                    let words = format!("`{}`: {}", challenge_name(&base), providers::error::chain(error));
                    findings.push(Finding::error("challenge", words, advice(error)));
                }
                None => findings.push(Finding::warning("challenge", format!("`{base}`: not looked at in time"), "")),
            }
        }
        if !found.is_empty() {
            findings.insert(0, Finding::ok("challenge", some(&found)));
        }
        findings
    }

    async fn caa(&self, issuer: &str, wanted: &Certificate, offers: &Offers, url: Option<&str>) -> Finding {
        // The account may have been registered since the CA was asked.
        let own = match (url, self.parts.issuers.get(issuer)) {
            (None, Some(seats)) => seats.issuer.account_url().await.ok().flatten(),
            (url, _) => url.map(str::to_owned),
        };
        let found = permission(&self.parts.dns01, &self.memory, wanted, offers, own.as_deref()).await;
        judged(issuer, found)
    }
}

/// What to do where a challenge leads nowhere, and the error itself does not say it.
const fn advice(error: &Dns01Error) -> &'static str {
    match error {
        Dns01Error::NoZone { .. } => {
            "delegate the name, mend its CNAME, or give `[resolver] servers` that know its zone"
        }
        Dns01Error::CnameLoop { .. } => "break the circle of CNAMEs",
        Dns01Error::Resolver { .. } => "mend the resolvers, or set `[resolver] servers`",
        _ => "",
    }
}

fn judged(issuer: &str, found: Permission) -> Finding {
    if !found.forbidden.is_empty() {
        let advice = format!("permit the CA of `{issuer}` in the CAA records, or mend the name server that fails");
        return Finding::error("CAA", format!("`{issuer}` must not issue: {}", some(&found.forbidden)), advice);
    }
    if !found.unknown.is_empty() {
        let advice = "compare the records with the CA's documentation";
        return Finding::warning("CAA", format!("`{issuer}`: {}", some(&found.unknown)), advice);
    }
    let places: Vec<String> = found.permitted_at.into_iter().collect();
    if places.is_empty() {
        return Finding::ok("CAA", format!("`{issuer}` may issue: there are no records that say otherwise"));
    }
    Finding::ok("CAA", format!("`{issuer}` may issue, by the records at {}", some(&places)))
}

fn profile(issuer: &str, wanted: &Certificate, offers: &Offers) -> Option<Finding> {
    let profile = wanted.profile.as_ref()?;
    let name = profile.name();
    if offers.profiles.contains_key(name) {
        return Some(Finding::ok("profile", format!("`{issuer}` offers `{name}`")));
    }
    let offered: Vec<&str> = offers.profiles.keys().map(String::as_str).collect();
    let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    let found = format!("`{issuer}` does not offer `{name}`; it offers {offered}");
    Some(match profile {
        Profile::Preferred(_) => Finding::warning("profile", found, "certificates from there come without a profile"),
        Profile::Required(_) => {
            Finding::error("profile", found, "name one that it offers, or prefer instead of require")
        }
    })
}

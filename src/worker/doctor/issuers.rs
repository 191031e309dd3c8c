//! Accounts and private CAs.

use std::collections::BTreeMap;

use super::{Doctor, PATIENCE, Source, Standing, bounded};
use crate::issuer::{Issuer, Offers};
use crate::report::{Finding, Group};

impl Doctor<'_> {
    /// Every issuer that is to be looked at.
    pub(super) async fn issuers(&self, sources: &BTreeMap<String, Source>) -> Vec<Group> {
        let mut groups = Vec::new();
        for (name, seats) in self.parts.issuers.iter().filter(|(name, _)| self.concerns(name)) {
            let issuer = seats.issuer.as_ref();
            groups.push(async move {
                let findings = match sources.get(name) {
                    Some((Ok(offers), url)) => self.account(name, issuer, offers, url.as_deref()).await,
                    Some((Err(why), _)) => vec![unreachable(issuer, why)],
                    None => self.private_ca(issuer).await,
                };
                Group::new("issuer", Some(name), findings)
            });
        }
        futures_util::future::join_all(groups).await
    }

    async fn account(&self, name: &str, issuer: &dyn Issuer, offers: &Offers, url: Option<&str>) -> Vec<Finding> {
        let mut findings = vec![Finding::ok("directory", told(issuer, offers))];
        if offers.caa_identities.is_empty() {
            let found = "it does not say under which names it looks for itself in CAA records";
            findings.push(Finding::warning("identities", found, "compare CAA records with the CA's documentation"));
        }
        let bound = self.parts.config.accounts.get(name).is_some_and(|account| account.eab.is_some());
        if offers.external_account_required && !bound && url.is_none() {
            let advice = format!("set `eab` in `[account.{name}]` to what the CA gave you");
            findings.push(Finding::error("binding", "the CA registers its customers only", advice));
            return findings;
        }
        findings.extend(self.registration(name, issuer, url).await);
        findings
    }

    /// Registers the account where some certificate is going to need it.
    async fn registration(&self, name: &str, issuer: &dyn Issuer, url: Option<&str>) -> Vec<Finding> {
        let needed = self.wanted.iter().find(|(_, wanted)| wanted.issuers.iter().any(|it| it == name));
        let stands =
            |url: Option<&str>| url.map_or_else(|| "not registered".to_owned(), |url| format!("registered as {url}"));
        let Some((_, wanted)) = needed else {
            return vec![Finding::ok("account", format!("{}; no certificate names it", stands(url)))];
        };
        if self.standing == Standing::Makeshift {
            return vec![Finding::ok("account", "registered when renewd first needs it")];
        }
        let look = async {
            vec![match issuer.ready_for(wanted).await {
                Ok(()) => Finding::ok("account", stands(issuer.account_url().await.ok().flatten().as_deref())),
                Err(error) => Finding::error("account", providers::error::chain(&error), ""),
            }]
        };
        bounded("account", look).await
    }

    async fn private_ca(&self, issuer: &dyn Issuer) -> Vec<Finding> {
        if self.standing == Standing::Makeshift {
            return vec![Finding::ok("CA", "made when renewd first runs")];
        }
        match tokio::time::timeout(PATIENCE, issuer.try_out()).await {
            Ok(Ok(remarks)) => {
                let remarks = remarks.into_iter().map(|remark| Finding::warning("token", remark, ""));
                [Finding::ok("CA", "it has its issuing certificate and key")].into_iter().chain(remarks).collect()
            }
            Ok(Err(error)) => vec![Finding::error("CA", providers::error::chain(&error), "")],
            Err(_) => vec![Finding::error("CA", super::too_long(), "")],
        }
    }
}

fn unreachable(issuer: &dyn Issuer, why: &str) -> Finding {
    let found = format!("{}: {why}", issuer.directory_url().unwrap_or_default());
    Finding::error(
        "directory",
        found,
        "look at network, proxy and `trusted_roots`; other issuers take its place meanwhile",
    )
}

fn told(issuer: &dyn Issuer, offers: &Offers) -> String {
    let mut words = vec![format!("{} answers", issuer.directory_url().unwrap_or_default())];
    let profiles: Vec<&str> = offers.profiles.keys().map(String::as_str).collect();
    if profiles.is_empty() {
        words.push("no profiles".to_owned());
    } else {
        words.push(format!("profiles {}", profiles.join(", ")));
    }
    words.push(if offers.renewal_info { "renewal information (ARI)" } else { "no renewal information" }.to_owned());
    words.extend(offers.terms_of_service.as_ref().map(|terms| format!("terms {terms}, agreed to")));
    words.join("; ")
}

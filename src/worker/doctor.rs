//! `renewd doctor`: everything that an order needs, looked at live, before an order needs it.

mod certificate;
mod consumers;
mod house;
mod issuers;
mod probe;
mod stores;
mod zones;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Parts, Worker};
use crate::config::Certificate;
use crate::dns01::caa::Memory;
use crate::dns01::{Dns01Error, Location};
use crate::identifier::{CertificateName, Identifier};
use crate::issuer::Offers;
use crate::report::{Examination, Finding, Group};

/// One check may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// All checks of certificates together may take this long.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(80);

/// Certificates, zones or stores looked at side by side.
const AT_A_TIME: usize = 8;

/// The state that an examination works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// renewd's own.
    Own,
    /// An empty one, since there is none yet or it cannot be opened: no account is registered and nothing is published,
    /// since nobody would remember it.
    Makeshift,
}

impl Worker {
    /// Looks at everything, or at what concerns one certificate; `None` where the config has no such certificate.
    pub async fn examine(&self, name: Option<&str>, standing: Standing) -> Option<Examination> {
        let parts = self.parts.load_full();
        let wanted: Vec<_> =
            parts.config.certificates.iter().filter(|(it, _)| name.is_none_or(|n| n == it.as_str())).collect();
        if name.is_some() && wanted.is_empty() {
            return None;
        }
        let doctor = Doctor {
            worker: self,
            parts: &parts,
            standing,
            whole: name.is_none(),
            wanted: &wanted,
            memory: Memory::default(),
        };
        Some(Examination::new(self.clock.now(), name, doctor.examine().await))
    }
}

/// One examination.
struct Doctor<'a> {
    worker: &'a Worker,
    parts: &'a Parts,
    standing: Standing,
    /// It is about everything, rather than one certificate.
    whole: bool,
    wanted: &'a [(&'a CertificateName, &'a Certificate)],
    memory: Memory,
}

/// What a public CA said about itself, and our account there.
type Source = (Result<Offers, String>, Option<String>);

/// Where the challenge of a name belongs.
type Located = Result<Location, Dns01Error>;

impl Doctor<'_> {
    async fn examine(&self) -> Vec<Group> {
        let (sources, located) = tokio::join!(self.sources(), self.locate());
        // Accounts first: CAA records may name those that are registered in doing so.
        let authorities = async {
            let issuers = self.issuers(&sources).await;
            (issuers, self.certificates(&sources, &located).await)
        };
        let (state, (issuers, certificates), zones, stores) =
            tokio::join!(self.state(), authorities, self.zones(&located), self.stores());
        let house = [self.clock(&sources), state];
        house.into_iter().chain(issuers).chain(zones).chain(stores).chain(certificates).collect()
    }

    /// Public CAs that are to be looked at, asked side by side.
    async fn sources(&self) -> BTreeMap<String, Source> {
        let mut asked = Vec::new();
        for (name, seats) in &self.parts.issuers {
            if self.parts.config.accounts.contains_key(name) && self.concerns(name) {
                asked.push(async move {
                    let offers = match timeout(PATIENCE, seats.issuer.offers()).await {
                        Ok(Ok(offers)) => Ok(offers.unwrap_or_default()),
                        Ok(Err(error)) => Err(providers::error::chain(&error)),
                        Err(_) => Err(too_long()),
                    };
                    (name.clone(), (offers, seats.issuer.account_url().await.ok().flatten()))
                });
            }
        }
        join_all(asked).await.into_iter().collect()
    }

    /// The issuer is named by what is looked at, or everything is.
    fn concerns(&self, issuer: &str) -> bool {
        self.whole || self.wanted.iter().any(|(_, wanted)| wanted.issuers.iter().any(|it| it == issuer))
    }

    /// Where the challenges of every certificate of a public CA belong, by certificate and name.
    async fn locate(&self) -> BTreeMap<(String, String), Located> {
        let mut searches = Vec::new();
        for (certificate, wanted) in self.wanted {
            for base in self.challenged(wanted) {
                searches.push(async move {
                    let found = timeout(PATIENCE, self.parts.dns01.locate(wanted, &base)).await;
                    let late = |_| {
                        Err(Dns01Error::Resolver { name: base.clone(), kind: "CNAME".to_owned(), detail: too_long() })
                    };
                    ((certificate.to_string(), base.clone()), found.unwrap_or_else(late))
                });
            }
        }
        in_time(searches).await.into_iter().collect()
    }

    /// The names whose challenges are published for a certificate: none for private CAs.
    fn challenged(&self, wanted: &Certificate) -> Vec<String> {
        let public = wanted.issuers.iter().any(|issuer| self.parts.config.accounts.contains_key(issuer));
        if !public || (self.standing == Standing::Makeshift && self.hands_out_names()) {
            return Vec::new();
        }
        let names = wanted.names.iter().filter_map(Identifier::dns);
        let mut bases: Vec<String> = names.map(|name| name.base().to_owned()).collect();
        bases.sort();
        bases.dedup();
        bases
    }

    /// Locating a challenge may register a name at its host, which nobody would remember.
    fn hands_out_names(&self) -> bool {
        let instances = self.parts.config.dns.keys();
        instances.filter_map(|name| self.parts.dns01.capabilities(name)).any(|it| it.registers)
    }

    async fn certificates(
        &self,
        sources: &BTreeMap<String, Source>,
        located: &BTreeMap<(String, String), Located>,
    ) -> Vec<Group> {
        let mut looks: Vec<BoxFuture<'_, Group>> = Vec::new();
        for (name, wanted) in self.wanted {
            looks.push(Box::pin(self.certificate(name, wanted, sources, located)));
        }
        let all = looks.len();
        let mut groups = in_time(looks).await;
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        if groups.len() < all {
            let found = format!("{} certificates were not looked at: the time was over", all - groups.len());
            let finding = Finding::warning("time", found, "look at them one by one: `renewd doctor NAME`");
            groups.push(Group::new("certificate", None, vec![finding]));
        }
        groups
    }
}

/// What of this is done within the time for all, side by side.
async fn in_time<T>(work: Vec<impl Future<Output = T>>) -> Vec<T> {
    let deadline = Instant::now() + PATIENCE_FOR_ALL;
    let mut work = stream::iter(work).buffer_unordered(AT_A_TIME);
    let mut done = Vec::new();
    while let Ok(Some(one)) = timeout_at(deadline, work.next()).await {
        done.push(one);
    }
    done
}

/// The findings, or that they took too long.
async fn bounded(check: &str, work: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    match timeout(PATIENCE, work).await {
        Ok(findings) => findings,
        Err(_) => vec![Finding::error(check, too_long(), "")],
    }
}

fn too_long() -> String {
    format!("it took longer than {} s", PATIENCE.as_secs())
}

/// Some of many, in a line.
fn some(texts: &[String]) -> String {
    const SHOWN: usize = 5;
    match texts.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{}, and {more} more", texts[..SHOWN].join("; ")),
        _ => texts.join("; "),
    }
}

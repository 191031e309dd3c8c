//! The TXT values of an order: on record before they are presented, all together, and seen by every server before the
//! CA is told.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::authorization::Seen;
use super::order::{Course, Step};
use super::waits::{Stage, pause};
use crate::crash::{self, Point};
use crate::dns01::{self, Challenge, Dns01Error, Location, Seen as Visible};
use crate::issuer::IssuerError;
use crate::state::txt::NewTxt;

/// The shortest time between two looks at the servers.
const FIRST_LOOK: Duration = Duration::from_millis(100);

impl Course<'_> {
    /// Presents the values of these authorizations where that is not done, and looks whether every server shows them.
    /// `None`: every one does.
    pub(super) async fn present(&self, pending: &[&Seen]) -> Result<Option<Step>, IssuerError> {
        let (known, missing) = self.on_record(pending).await?;
        let waited = self.acme.waits.waited(&self.order.id, Stage::Propagating, self.acme.clock.now());
        let complete = missing.is_empty();
        let challenges = self.write_down(known, missing).await?;
        if !complete || waited.is_none() {
            self.publish(&challenges).await?;
        }
        self.look(&challenges).await
    }

    /// The challenges that are on record as owed, and the authorizations whose are not.
    async fn on_record<'s>(&self, pending: &[&'s Seen]) -> Result<(Vec<Challenge>, Vec<&'s Seen>), IssuerError> {
        let rows = self.acme.state.owed_txts(&self.order.certificate).await?;
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for seen in pending {
            let challenge_name = dns01::challenge_name(&seen.base);
            let own = rows.iter().filter(|row| row.order_id == self.order.id && row.challenge_name == challenge_name);
            // An instance that left the config can show nothing: the value is located anew.
            let own = own.filter(|row| self.acme.dns01.propagation(&row.instance).is_some());
            match own.into_iter().find(|row| Some(&row.value) == seen.value.as_ref()) {
                None => missing.push(*seen),
                Some(row) => known.push(Challenge {
                    location: Location {
                        instance: row.instance.clone(),
                        zone: row.zone.clone(),
                        name: row.name.clone(),
                    },
                    value: row.value.clone(),
                    challenge_name,
                }),
            }
        }
        Ok((known, missing))
    }

    /// Locates what is missing and writes all of it down at once.
    async fn write_down(&self, mut known: Vec<Challenge>, missing: Vec<&Seen>) -> Result<Vec<Challenge>, IssuerError> {
        if missing.is_empty() {
            return Ok(known);
        }
        let mut searches = Vec::new();
        for seen in missing {
            searches.push(self.locate(seen));
        }
        let located = try_join_all(searches).await.map_err(dns_error)?;
        let rows: Vec<_> = located.iter().map(|challenge| self.row(challenge)).collect();
        self.acme.state.add_txts(&rows, self.acme.clock.now()).await?;
        crash::point(Point::TxtWritten);
        known.extend(located);
        Ok(known)
    }

    async fn locate(&self, seen: &Seen) -> Result<Challenge, Dns01Error> {
        let location = self.acme.dns01.locate(self.wanted, &seen.base).await?;
        let value = seen.value.clone().unwrap_or_default();
        Ok(Challenge { location, value, challenge_name: dns01::challenge_name(&seen.base) })
    }

    fn row<'c>(&'c self, challenge: &'c Challenge) -> NewTxt<'c> {
        NewTxt {
            order_id: &self.order.id,
            certificate: &self.order.certificate,
            instance: &challenge.location.instance,
            zone: &challenge.location.zone,
            name: &challenge.location.name,
            value: &challenge.value,
            challenge_name: &challenge.challenge_name,
        }
    }

    /// Presents all: names side by side, the values of one name in turn.
    async fn publish(&self, challenges: &[Challenge]) -> Result<(), IssuerError> {
        let mut names: BTreeMap<&Location, Vec<&Challenge>> = BTreeMap::new();
        for challenge in challenges {
            names.entry(&challenge.location).or_default().push(challenge);
        }
        let mut works = Vec::new();
        for values in names.into_values() {
            works.push(self.publish_at_one_name(values));
        }
        // None is broken off because another fails.
        for done in join_all(works).await {
            done.map_err(dns_error)?;
        }
        crash::point(Point::TxtPresented);
        let now = self.acme.clock.now();
        self.acme.state.order_presented(&self.order.id, now).await?;
        self.acme.waits.begin(&self.order.id, Stage::Propagating, now);
        Ok(())
    }

    async fn publish_at_one_name(&self, values: Vec<&Challenge>) -> Result<(), Dns01Error> {
        for challenge in values {
            self.acme.dns01.present(challenge).await?;
        }
        Ok(())
    }

    async fn look(&self, challenges: &[Challenge]) -> Result<Option<Step>, IssuerError> {
        let servers = match self.acme.dns01.propagated(challenges).await.map_err(dns_error)? {
            Visible::Everywhere => {
                crash::point(Point::Propagated);
                return Ok(None);
            }
            Visible::Missing { servers } => servers,
        };
        let now = self.acme.clock.now();
        let waited = self.acme.waits.waited(&self.order.id, Stage::Propagating, now).unwrap_or_default();
        if waited < self.patience(challenges) {
            return Ok(Some(Step::Pause(pause(waited, FIRST_LOOK), format!("DNS: {}", servers.join("; ")))));
        }
        // The next attempt presents anew and has its time again.
        self.acme.waits.end(&self.order.id);
        let detail =
            format!("after {} s not every server shows the TXT values: {}", waited.as_secs(), servers.join("; "));
        Err(IssuerError::Dns { detail, temporary: true, retry_after: None })
    }

    /// The longest `propagation.timeout` of the instances in question.
    fn patience(&self, challenges: &[Challenge]) -> Duration {
        let settings = challenges.iter().filter_map(|it| self.acme.dns01.propagation(&it.location.instance));
        settings.map(|propagation| propagation.timeout).max().unwrap_or_default()
    }
}

fn dns_error(error: Dns01Error) -> IssuerError {
    let detail = providers::error::chain(&error);
    match error {
        Dns01Error::CnameMissing { .. } | Dns01Error::NoInstance { .. } | Dns01Error::UnknownInstance { .. } => {
            IssuerError::Operator { what: detail }
        }
        other => IssuerError::Dns { detail, temporary: other.is_temporary(), retry_after: other.retry_after() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::backoff::Failure;

    fn failure(source: providers::Error) -> Failure {
        dns_error(Dns01Error::Provider { instance: "main".to_owned(), source }).failure()
    }

    #[test]
    fn when_a_host_says_to_come_back_is_heeded() {
        let (retry_after, detail) = (Some(Duration::from_secs(900)), "slow down".to_owned());
        assert_eq!(
            failure(providers::Error::RateLimited { retry_after, detail: detail.clone() }),
            Failure::RateLimited { retry_after }
        );
        assert_eq!(failure(providers::Error::Unavailable { detail: detail.clone() }), Failure::Temporary);
        assert_eq!(failure(providers::Error::Rejected { detail }), Failure::Refused);
    }
}

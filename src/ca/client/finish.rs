//! Finishing: what was written down is signed, noted, and what else is owed is paid. Requests do it, and after a crash
//! whoever comes next.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClientError, Clients};
use crate::ca::{CaError, LeafRequest};
use crate::clock::Timestamp;
use crate::config::RenewPolicy;
use crate::crash;
use crate::pki::chain::Chain;
use crate::planner::renewal::Life;
use crate::state::client::ClientRow;
use crate::state::client::certificate::{ClientCertificateRow, ClientOwed, IssuedClient};

/// A client is not renewed sooner than this after it got a certificate.
const SOONEST: Duration = Duration::from_secs(60);

impl Clients {
    /// Has the CAs sign what was written down, notes it, and pays what else is owed. Answers each identity as it stands
    /// then, in the order of the rows. What a CA refuses is forgotten again, unless the CA has written something down
    /// for it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn finish(
        &self,
        rows: Vec<ClientCertificateRow>,
        now: Timestamp,
    ) -> Result<Vec<Result<ClientRow, ClientError>>, ClientError> {
        let mut outcomes: Vec<Result<(), ClientError>> = rows.iter().map(|_| Ok(())).collect();
        let mut unsigned: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.serial.is_none()) {
            unsigned.entry(&row.ca).or_default().push(place);
        }
        for (ca, places) in unsigned {
            let group: Vec<_> = places.iter().map(|place| &rows[*place]).collect();
            for (place, outcome) in places.into_iter().zip(self.sign(ca, &group, now).await?) {
                outcomes[place] = outcome;
            }
        }
        let mut answers = Vec::with_capacity(rows.len());
        for (row, outcome) in rows.iter().zip(outcomes) {
            answers.push(self.settle(row, outcome, now).await?);
        }
        Ok(answers)
    }

    /// Signs certificates of one CA and notes them, all together.
    async fn sign(
        &self,
        ca: &str,
        rows: &[&ClientCertificateRow],
        now: Timestamp,
    ) -> Result<Vec<Result<(), ClientError>>, ClientError> {
        let authority = match self.authority(ca).await {
            Ok((authority, _)) => authority,
            Err(ClientError::NoCa { ca }) => {
                return Ok(rows.iter().map(|_| Err(ClientError::NoCa { ca: ca.clone() })).collect());
            }
            Err(other) => return Err(other),
        };
        let mut leaves = Vec::with_capacity(rows.len());
        for row in rows {
            leaves.push(self.leaf(row).await);
        }
        let wanted: Vec<LeafRequest> = leaves.iter().filter_map(|leaf| leaf.as_ref().ok().cloned()).collect();
        let mut chains =
            authority.issue_many(&wanted, now).await.map_err(|source| ClientError::of(ca, source))?.into_iter();
        let (mut issued, mut outcomes) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (row, leaf) in rows.iter().zip(leaves) {
            let chain = leaf.and_then(|_| match chains.next() {
                Some(chain) => chain.map_err(|source| ClientError::of(ca, source)),
                None => Err(ClientError::Interrupted),
            });
            outcomes.push(chain.map(|chain| issued.push(noted(row, &chain, now))));
        }
        crash::named("client_signed");
        self.state.client_certificates_issued(&issued, now).await?;
        crash::named("client_noted");
        Ok(outcomes)
    }

    /// What follows a signature, or a refusal.
    async fn settle(
        &self,
        row: &ClientCertificateRow,
        outcome: Result<(), ClientError>,
        now: Timestamp,
    ) -> Result<Result<ClientRow, ClientError>, ClientError> {
        if let Err(refused) = outcome {
            if !matches!(refused, ClientError::State(_)) {
                self.state.withdraw_client_certificate(row).await?;
            }
            return Ok(Err(refused));
        }
        if matches!(row.owed, Some(ClientOwed::Revoke | ClientOwed::IssueAndRevoke))
            && let Err(failed) = self.revoke_older(row, now).await
        {
            return Ok(Err(failed));
        }
        let client = self.state.client(&row.client).await?;
        Ok(client.ok_or_else(|| ClientError::gone(&row.client)))
    }

    /// Finishes what was begun before `before` and left, some of it at a time: behind the id `after`. Answers the id to go
    /// on behind; `None`: that was all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn finish_some(
        &self,
        after: &str,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Option<String>, ClientError> {
        const SOME: u32 = 200;
        let rows = self.state.owed_client_certificates(after, before, SOME).await?;
        let (last, ids) = (rows.last().map(|row| row.id.clone()), rows.iter().map(|row| row.id.clone()));
        for (id, outcome) in ids.collect::<Vec<_>>().into_iter().zip(self.finish(rows, now).await?) {
            match outcome {
                Ok(client) => tracing::info!(client = client.identifier, "a client certificate was finished"),
                Err(failed) => {
                    tracing::warn!(
                        certificate = id,
                        "a client certificate is not finished: {}",
                        providers::error::chain(&failed)
                    );
                }
            }
        }
        Ok(last)
    }
}

impl ClientError {
    /// What the CA said.
    pub(super) fn of(ca: &str, source: CaError) -> Self {
        match source {
            CaError::State(error) => Self::State(error),
            source => Self::Ca { ca: ca.to_owned(), source },
        }
    }

    pub(super) fn gone(client: &str) -> Self {
        Self::NoClient { word: client.to_owned() }
    }
}

fn noted(row: &ClientCertificateRow, chain: &Chain, now: Timestamp) -> IssuedClient {
    let leaf = chain.leaf();
    let life = Life { not_before: leaf.not_before, not_after: leaf.not_after, jitter: 0 };
    IssuedClient {
        id: row.id.clone(),
        client: row.client.clone(),
        ca: row.ca.clone(),
        number: row.number,
        serial: leaf.serial.to_string(),
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        renew_at: renew_at(life, now),
    }
}

/// By the lifetime, and never at once: a leaf that its issuer's end has cut short may have been due before it was made.
fn renew_at(life: Life, now: Timestamp) -> Timestamp {
    let left = life.not_after.since(now);
    life.renew_at(&RenewPolicy::default()).max(now.plus((left / 2).max(SOONEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_renewed_at_once() {
        let now = Timestamp::from_seconds(10_000_000);
        let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
        for (left, wait) in [(day * 90, day * 60), (day, day / 2), (minute * 10, minute * 5), (minute / 2, minute)] {
            let life = Life { not_before: now.minus(minute * 15), not_after: now.plus(left), jitter: 0 };
            let found = renew_at(life, now).since(now);
            assert!(found.abs_diff(wait) <= minute * 15 && found >= minute, "{left:?}: {found:?}");
        }
    }
}

//! What taking a config would cause.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{Facts, Work};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::planner::{self, Action};
use crate::state::{Result, State};

/// What would become of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The certificate.
    pub certificate: String,
    /// `added`, `restored`, `changed` or `retired`.
    pub change: String,
    /// In words.
    pub consequence: String,
}

/// Holds a config against the state: one entry for each certificate that is not as the config has it, by name.
///
/// # Errors
/// Where the database fails.
pub async fn changes(state: &State, config: &Config, now: Timestamp) -> Result<Vec<Change>> {
    let known: BTreeMap<_, _> = state
        .definitions()
        .await?
        .into_iter()
        .map(|(name, definition, retired)| (name, (definition, retired)))
        .collect();
    let mut changes = Vec::new();
    for (name, wanted) in &config.certificates {
        let (change, consequence) = match known.get(name.as_str()) {
            None => ("added", format!("ordered from `{}`", wanted.issuers.join("`, `"))),
            Some((_, true)) => ("restored", consequence(state, config, name.as_str(), now).await?),
            Some((definition, false)) if *definition != wanted.definition() => {
                ("changed", consequence(state, config, name.as_str(), now).await?)
            }
            Some(_) => continue,
        };
        changes.push(Change { certificate: name.to_string(), change: change.to_owned(), consequence });
    }
    let gone = known.iter().filter(|(name, (_, retired))| !retired && !config.certificates.contains_key(name.as_str()));
    changes.extend(gone.map(|(name, _)| Change {
        certificate: name.clone(),
        change: "retired".to_owned(),
        consequence: "no longer renewed; its files and its history stay".to_owned(),
    }));
    changes.sort_by(|one, other| one.certificate.cmp(&other.certificate));
    Ok(changes)
}

/// What the planner would do with a certificate that is there already.
async fn consequence(state: &State, config: &Config, name: &str, now: Timestamp) -> Result<String> {
    let Some(mut row) = state.certificate(name).await? else { return Ok(String::new()) };
    // Taking a changed config forgets the backoff and has the certificate looked at at once.
    (row.retired_at, row.retry_at) = (None, Timestamp::EPOCH);
    let facts = Facts::read(state, config, row).await?;
    let work = Work::read(state, name).await?;
    let decision = planner::decide(&facts.for_planner(&work, true), now);
    Ok(match decision.action {
        Action::Rest => "nothing is ordered: the certificate that there is will do".to_owned(),
        Action::Order { issuer, reason } => format!("ordered anew from `{issuer}`: {reason}"),
        action => super::plan::in_words(&action).1,
    })
}

//! Holding a config against the state: certificates that are new, changed, back, or gone.

use std::collections::HashMap;

use tracing::info;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::state::{Result, State};

/// Why an order ends whose making nobody saw the end of.
const UNSEEN: &str = "renewd was stopped while the CA was asked to make it";

/// At a start: an order that an ACME CA was asked for, without anybody having seen the answer, is given up. The CA may
/// have counted it, and would count it once more: the next one takes its place within the limits anew.
///
/// # Errors
/// Where the database fails.
pub async fn give_up_unseen(config: &Config, state: &State, now: Timestamp) -> Result<()> {
    for issuer in config.accounts.keys() {
        for (order, certificate) in state.orders_unmade(issuer).await? {
            state.order_abandoned(&order, UNSEEN, now).await?;
            state.look_now(&certificate, now).await?;
        }
    }
    Ok(())
}

/// Writes down, in one transaction, what the config changes. What changed is due at once.
///
/// # Errors
/// Where the database fails; nothing is written then.
pub async fn reconcile(config: &Config, state: &State, now: Timestamp) -> Result<()> {
    let known: HashMap<String, (String, bool)> = state
        .definitions()
        .await?
        .into_iter()
        .map(|(name, definition, retired)| (name, (definition, retired)))
        .collect();
    let mut write = state.begin().await?;
    let mut changed = 0_usize;
    for (name, certificate) in &config.certificates {
        let definition = certificate.definition();
        if known.get(name.as_str()).is_none_or(|(found, retired)| *retired || *found != definition) {
            state.enlist(&mut write, name.as_str(), &definition, now).await?;
            state.watch_end(&mut write, name.as_str()).await?;
            changed += 1;
        }
    }
    let gone = known.iter().filter(|(name, (_, retired))| !retired && !config.certificates.contains_key(name.as_str()));
    let gone: Vec<&String> = gone.map(|(name, _)| name).collect();
    for name in &gone {
        state.retire(&mut write, name, now).await?;
        state.watch_end_no_more(&mut write, name).await?;
    }
    write.commit().await?;
    if changed + gone.len() > 0 {
        info!(
            certificates = config.certificates.len(),
            new_or_changed = changed,
            retired = gone.len(),
            "config applied"
        );
        state.wake();
    }
    Ok(())
}

//! Sinks as people are told of them.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use crate::config::Config;
use crate::state::outbox::SinkRow;
use crate::state::{Result, State};

/// All sinks of the config.
#[derive(Debug, Serialize, Deserialize)]
pub struct SinkList {
    /// 1.
    pub schema: u32,
    /// By name.
    pub sinks: Vec<SinkView>,
}

/// One sink.
#[derive(Debug, Serialize, Deserialize)]
pub struct SinkView {
    /// Its name in the config.
    pub name: String,
    /// `webhook` or `smtp`.
    pub kind: String,
    /// The kinds of events that it hears of.
    pub events: Vec<String>,
    /// The certificates that it hears of; empty: all.
    pub certificates: Vec<String>,
    /// Events that are still to be sent.
    pub due: u32,
    /// When the last event arrived.
    pub sent_at: Option<String>,
    /// Since when nothing arrives.
    pub failing_since: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When the next attempt is made, where the receiver is left alone.
    pub retry_at: Option<String>,
}

/// All sinks of the config; `state` where there is one.
///
/// # Errors
/// Where the database fails.
pub async fn sinks(state: Option<&State>, config: &Config) -> Result<SinkList> {
    let rows = match state {
        Some(state) => state.sinks().await?,
        None => Vec::new(),
    };
    let view = |(name, notify): (&String, &crate::config::Notify)| {
        let row: Option<&SinkRow> = rows.iter().find(|row| row.name == *name);
        SinkView {
            name: name.clone(),
            kind: notify.kind.name().to_owned(),
            events: notify.events.iter().map(ToString::to_string).collect(),
            certificates: notify.certificates.clone(),
            due: row.map_or(0, |row| row.due),
            sent_at: row.and_then(|row| row.sent_at).map(|time| time.to_string()),
            failing_since: row.and_then(|row| row.failing_since).map(|time| time.to_string()),
            error: row.and_then(|row| row.error.clone()),
            retry_at: row.filter(|row| row.failures > 0).map(|row| row.retry_at.to_string()),
        }
    };
    Ok(SinkList { schema: SCHEMA, sinks: config.notify.iter().map(view).collect() })
}

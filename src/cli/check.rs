//! `renewd check`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::plan;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::report::{AuthorityChange, SCHEMA};
use crate::state::State;

/// A database that does not answer is not waited for: the file is what is checked.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn check(output: &Output, path: &Path) -> Outcome {
    let loaded = config::load(path).map_err(Failure::Config)?;
    let mut report = loaded.check_secrets();
    report.notes.splice(0..0, loaded.notes.iter().cloned());
    if !report.errors.is_empty() {
        return Err(Failure::Config(report));
    }
    let certificates = loaded.config.certificates.len();
    let authorities = authorities(&loaded.config).await;
    let answer = json!({
        "schema": SCHEMA,
        "errors": [],
        "notes": report.notes,
        "authorities": authorities,
        "certificates": certificates,
    });
    output.answer(&answer, || {
        let notes = report.notes.iter().map(|note| format!("{note}\n"));
        let authorities = authorities.iter().map(|change| format!("note: {change}\n"));
        let count = if certificates == 1 { "1 certificate".to_owned() } else { format!("{certificates} certificates") };
        notes.chain(authorities).chain([format!("{} is good: {count}", path.display())]).collect()
    });
    Ok(ExitCode::SUCCESS)
}

/// What the config says and the CAs on record do not; nothing where there is no state to look at from here.
async fn authorities(config: &Config) -> Vec<AuthorityChange> {
    let look = async {
        let state = State::open_to_look(&config.state).await.ok()?;
        plan::authorities(&state, config, Clock::system().now()).await.ok()
    };
    match config.cas.is_empty() {
        true => Vec::new(),
        false => tokio::time::timeout(PATIENCE, look).await.ok().flatten().unwrap_or_default(),
    }
}

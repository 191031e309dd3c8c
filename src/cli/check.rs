//! `renewd check`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::failure::{Failure, Outcome};
use super::output::Output;
use crate::config;
use crate::report::SCHEMA;

pub(super) fn check(output: &Output, path: &Path) -> Outcome {
    let loaded = config::load(path).map_err(Failure::Config)?;
    let mut report = loaded.check_secrets();
    report.notes.splice(0..0, loaded.notes.iter().cloned());
    if !report.errors.is_empty() {
        return Err(Failure::Config(report));
    }
    let certificates = loaded.config.certificates.len();
    let answer = json!({ "schema": SCHEMA, "errors": [], "notes": report.notes, "certificates": certificates });
    output.answer(&answer, || {
        let notes = report.notes.iter().map(|note| format!("{note}\n"));
        let count = if certificates == 1 { "1 certificate".to_owned() } else { format!("{certificates} certificates") };
        notes.chain([format!("{} is good: {count}", path.display())]).collect()
    });
    Ok(ExitCode::SUCCESS)
}

//! `renewd client batch`: a table of clients, some rows at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::failure::{Failure, Outcome};
use super::super::output::Output;
use super::super::world::World;
use super::arguments::Batch;
use super::table::Table;
use super::{files, wording};

/// What came of a table.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// Certificates that were issued, or would be.
    pub(super) issued: usize,
    /// Those that had been issued before.
    pub(super) repeated: usize,
    /// Bad rows.
    pub(super) refused: usize,
    /// What came of each row, as the daemon tells it, without files.
    pub(super) results: Vec<Value>,
}

pub(super) async fn run(output: &Output, world: &World, batch: &Batch) -> Outcome {
    let table = Table::read(&batch.file)?;
    let mut sum = Sum::default();
    let outcome = hand_over(world, batch, &table, &mut sum).await;
    // What was issued until then is told in any case.
    if !batch.dry_run {
        files::write(&batch.out.join("results.csv"), &results(&sum)?)?;
    }
    outcome?;
    let told = json!({
        "schema": crate::report::SCHEMA,
        "total": table.rows.len(),
        "successful": sum.issued + sum.repeated,
        "repeated": sum.repeated,
        "failed": sum.refused,
        "results": sum.results,
    });
    output.answer(&told, || wording::batch(&sum, batch.dry_run));
    Ok(if sum.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn hand_over(world: &World, batch: &Batch, table: &Table, sum: &mut Sum) -> Result<(), Failure> {
    let usual = json!({ "ca": batch.ca.as_deref().unwrap_or_default(), "key": batch.key, "tenant": batch.tenant });
    let parts: &[&str] = if batch.dry_run { &[] } else { &["key", "crt", "fullchain"] };
    let (mut first, mut head_is_read) = (0, false);
    // A head without rows is looked at, too.
    while first < table.rows.len() || !head_is_read {
        if let Some(Err(fault)) = table.rows.get(first).map(|row| &row.cells) {
            sum.take(&unreadable(first + 1, fault), table);
            first += 1;
            continue;
        }
        let rows = table.some(first, batch);
        let body = json!({
            "usual": usual,
            "headers": table.headers,
            "rows": rows,
            "first": first + 1,
            "dry_run": batch.dry_run,
            "parts": parts,
        });
        let answer: Value = world.client.post("/clients/batch", &body).await.map_err(|error| world.explain(error))?;
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        for result in results {
            sum.take(result, table);
        }
        files::write_all(&files_of(results, batch)?)?;
        first += rows.len();
        head_is_read = true;
    }
    Ok(())
}

/// What the daemon would tell of a row that it could not be given.
fn unreadable(row: usize, column: &str) -> Value {
    let fault = json!({ "column": column, "problem": "it is no UTF-8", "hint": "save the table as UTF-8" });
    json!({ "outcome": "refused", "row": row, "errors": [fault] })
}

impl Sum {
    fn take(&mut self, result: &Value, table: &Table) {
        match result["outcome"].as_str() {
            Some("refused") => self.refused += 1,
            Some("repeated") => self.repeated += 1,
            _ => self.issued += 1,
        }
        let mut told = result.clone();
        if let Some(members) = told.as_object_mut() {
            members.remove("files");
            members.insert("line".to_owned(), json!(table.line(&result["row"])));
        }
        self.results.push(told);
    }
}

/// The files that the daemon's answer holds, each with its place.
fn files_of(results: &[Value], batch: &Batch) -> anyhow::Result<BTreeMap<PathBuf, Zeroizing<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    for result in results {
        for file in result["files"].as_array().into_iter().flatten() {
            let file = files::File::read(file)?;
            found.insert(folder(result, batch).join(&file.file_name), file.bytes);
        }
    }
    Ok(found)
}

/// Where the files of a row go: those of another tenant than the one on the command line have a directory of their own,
/// since two tenants may call their clients alike.
fn folder(result: &Value, batch: &Batch) -> PathBuf {
    let tenant = result["client"]["tenant"].as_str().unwrap_or_default();
    match tenant.is_empty() || batch.tenant.as_deref() == Some(tenant) || tenant.contains(['/', '.']) {
        true => batch.out.clone(),
        false => batch.out.join(tenant),
    }
}

/// `line,row,outcome,id,identifier,common_name,serial,not_after,errors`.
fn results(sum: &Sum) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "line",
        "row",
        "outcome",
        "id",
        "identifier",
        "common_name",
        "serial",
        "not_after",
        "errors",
    ])?;
    for result in &sum.results {
        let client = &result["client"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writer.write_record([
            result["line"].to_string(),
            result["row"].to_string(),
            text(&result["outcome"]),
            text(&client["id"]),
            text(&client["identifier"]),
            text(&client["common_name"]),
            text(&client["serial"]),
            text(&client["not_after"]),
            wording::faults(result).join("; "),
        ])?;
    }
    writer.into_inner().context("the results cannot be put together")
}

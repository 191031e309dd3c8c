//! `renewd client batch`: a table of clients, some rows at a time.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::super::failure::{Failure, Outcome};
use super::super::output::Output;
use super::super::world::World;
use super::{arguments::Batch, files, wording};

/// As many rows as are handed over in one go.
const ROWS: usize = 50;

/// The same where RSA keys are made: each takes seconds.
const SLOW_ROWS: usize = 2;

/// As long as the rows of one go may be, in octets; a single row may be longer.
const OCTETS: usize = 24 * 1024;

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
    let table = Table::read(batch)?;
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
    let usual = json!({ "ca": batch.ca, "key": batch.key, "tenant": batch.tenant });
    let parts: &[&str] = if batch.dry_run { &[] } else { &["key", "crt", "fullchain"] };
    let mut first = 0;
    while first < table.rows.len() {
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
        for result in answer["results"].as_array().into_iter().flatten() {
            sum.take(result, batch)?;
        }
        first += rows.len();
    }
    Ok(())
}

/// The file, read.
struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(batch: &Batch) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read `{}`", batch.file.display());
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(&batch.file).with_context(cannot)?;
        let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let headers = cells(reader.headers().with_context(cannot)?);
        let rows = reader.records().map(|record| record.map(|record| cells(&record)));
        Ok(Self { headers, rows: rows.collect::<Result<_, _>>().with_context(cannot)? })
    }

    /// Rows from `first` on: one at least.
    fn some(&self, first: usize, batch: &Batch) -> &[Vec<String>] {
        let rows = &self.rows[first..];
        let slow = |row: &Vec<String>| row.iter().any(|cell| cell.trim().starts_with("rsa-"));
        let most =
            match batch.key.as_deref().is_some_and(|key| key.starts_with("rsa-")) || rows.iter().take(ROWS).any(slow) {
                true => SLOW_ROWS,
                false => ROWS,
            };
        let mut octets = 0;
        let fits = |row: &&Vec<String>| {
            octets += row.iter().map(|cell| cell.len() + 3).sum::<usize>();
            octets <= OCTETS
        };
        let count = rows.iter().take(most).take_while(fits).count().max(1);
        &rows[..count]
    }
}

impl Sum {
    fn take(&mut self, result: &Value, batch: &Batch) -> anyhow::Result<()> {
        match result["outcome"].as_str() {
            Some("refused") => self.refused += 1,
            Some("repeated") => self.repeated += 1,
            _ => self.issued += 1,
        }
        for file in result["files"].as_array().into_iter().flatten() {
            let file = files::File::read(file)?;
            files::write(&batch.out.join(&file.file_name), &file.bytes)?;
        }
        let mut told = result.clone();
        if let Some(members) = told.as_object_mut() {
            members.remove("files");
        }
        self.results.push(told);
        Ok(())
    }
}

/// `row,outcome,id,identifier,common_name,serial,not_after,errors`.
fn results(sum: &Sum) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["row", "outcome", "id", "identifier", "common_name", "serial", "not_after", "errors"])?;
    for result in &sum.results {
        let client = &result["client"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writer.write_record([
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

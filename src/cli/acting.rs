//! Commands that have the daemon do something: `reload`, `renew`, `revoke`, `deploy`, `account rotate-key`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::arguments::Revocation;
use super::client::{Client, Unanswered, segment};
use super::failure::{Failure, Outcome};
use super::looking::normalised;
use super::output::Output;
use super::world::{World, likely_socket};
use super::{progress, wording};
use crate::config;

/// The daemon judges the file; where none runs, its errors are told all the same.
pub(super) async fn reload(output: &Output, path: &Path) -> Outcome {
    let loaded = config::load(path);
    let socket = match &loaded {
        Ok(loaded) => loaded.config.state.socket.clone(),
        Err(_) => likely_socket(path),
    };
    let answer: Result<Value, Unanswered> = Client::new(&socket)?.post("/reload", &json!({})).await;
    match (answer, loaded) {
        (Ok(answer), _) => {
            output.answer(&answer, || wording::reloaded(&answer));
            Ok(ExitCode::SUCCESS)
        }
        (Err(unanswered @ Unanswered::NoDaemon { .. }), Err(report)) => {
            output.complain(&report.to_string());
            Err(unanswered.into())
        }
        (Err(unanswered), _) => Err(unanswered.into()),
    }
}

pub(super) async fn renew(output: &Output, world: &World, name: &str, force: bool, wait: bool) -> Outcome {
    let path = format!("/certificates/{}/renew", segment(&normalised(name)?));
    submit(output, world, &path, &json!({ "force": force }), wait).await
}

pub(super) async fn revoke(output: &Output, world: &World, revocation: &Revocation) -> Outcome {
    let path = format!("/certificates/{}/revoke", segment(&normalised(&revocation.name)?));
    let body = json!({
        "reason": revocation.reason,
        "serial": revocation.serial,
        "replace": !revocation.no_replace,
    });
    submit(output, world, &path, &body, !revocation.no_wait).await
}

pub(super) async fn deploy(output: &Output, world: &World, name: &str, wait: bool) -> Outcome {
    let path = format!("/certificates/{}/deploy", segment(&normalised(name)?));
    submit(output, world, &path, &json!({}), wait).await
}

pub(super) async fn rotate_key(output: &Output, world: &World, name: &str, wait: bool) -> Outcome {
    let path = format!("/accounts/{}/rotate-key", segment(name));
    submit(output, world, &path, &json!({}), wait).await
}

/// Hands a job in, and waits for it where that is wanted.
async fn submit(output: &Output, world: &World, path: &str, body: &Value, wait: bool) -> Outcome {
    let answer: Value = world.client.post(path, body).await.map_err(|unanswered| world.explain(unanswered))?;
    let job = answer["job"].as_str().ok_or_else(|| anyhow::anyhow!("the daemon's answer names no job"))?;
    if !wait {
        output.answer(&answer, || format!("asked for: job {job}. `renewd list` shows what comes of it."));
        return Ok(ExitCode::SUCCESS);
    }
    let job = progress::follow(output, world, job).await?;
    output.answer(&job, || wording::job(&job));
    if job.has_succeeded() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(Failure::NotDone(anyhow::anyhow!("the job failed")).code()))
}

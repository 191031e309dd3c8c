//! The steps that a certificate may need, in the order in which they are looked at.

use std::time::Duration;

use super::decide::{Action, Certificate, Rest};
use super::{Reason, decide, issuers};
use crate::clock::Timestamp;
use crate::config::{DeployCommand, Verify};
use crate::state::{DeploymentKind, DeploymentRow, JobKind, JobRow, JobState};

/// A step has something to do, or notes in `Rest` when it may have.
type Step = fn(&Certificate<'_>, &mut Rest) -> Option<Action>;

/// Every step. What harms nobody and is quick comes before what waits for others.
pub(super) const STEPS: [Step; 10] =
    [revoke, redeploy, inspect, deliver, advance, withdraw, jobs, order, consumers, ask];

/// Consumers are told this long after the last store has it, so that certificates that come together are told of
/// together.
const SETTLE: Duration = Duration::from_millis(700);

/// Longer than this nobody is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is served is looked at again this often.
const VERIFY_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// While the clock is wrong, certificates are looked at this often; when it is right again, at once.
const CLOCK_AGAIN: Duration = Duration::from_secs(3600);

fn revoke(certificate: &Certificate<'_>, _: &mut Rest) -> Option<Action> {
    let job = certificate.jobs.iter().find(|job| job.kind == JobKind::Revoke)?;
    Some(Action::Revoke(job.clone()))
}

fn redeploy(certificate: &Certificate<'_>, _: &mut Rest) -> Option<Action> {
    let job = certificate.jobs.iter().find(|job| job.kind == JobKind::Deploy && job.state == JobState::Queued)?;
    Some(match certificate.version {
        Some(_) => Action::Redeploy(job.clone()),
        None => Action::Finish(job.clone(), Err("there is no certificate yet".to_owned())),
    })
}

fn inspect(certificate: &Certificate<'_>, _: &mut Rest) -> Option<Action> {
    let wanted = certificate.wanted?;
    let fresh = certificate.version.is_none() && !certificate.row.inspected && certificate.order.is_none();
    (fresh && !wanted.stores.is_empty()).then_some(Action::Inspect)
}

/// Stores are independent: the first whose time has come.
fn deliver(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    certificate.wanted?;
    certificate.version?;
    certificate.stores.iter().find_map(|(store, node)| {
        let row = certificate.deliveries.iter().find(|row| row.store == *store && row.node == *node);
        let due = row.is_none_or(|row| !row.stored && rest.has_come(row.retry_at));
        due.then(|| Action::Deliver { store: store.clone(), node: node.clone() })
    })
}

fn advance(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    let order = certificate.order?;
    if let Some(why) = outdated(certificate).or_else(|| better_elsewhere(certificate, rest.now)) {
        return Some(Action::Abandon { why });
    }
    (clock_is_right(certificate, rest) && rest.has_come(order.next_step_at)).then_some(Action::Advance)
}

/// The issuer of the open order cannot go on now, and another can be tried.
fn better_elsewhere(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    let order = certificate.order.filter(|order| order.chain.is_none())?;
    let obstacle = issuers::in_the_way(&order.issuer, certificate.obstacles, now)?;
    let choice = certificate.choice(now).filter(|choice| choice.at <= now && choice.issuer != order.issuer)?;
    let why = || format!("`{}` is tried, since `{}` cannot issue: {}", choice.issuer, order.issuer, obstacle.error);
    obstacle.kind.lets_others().then(why)
}

/// By a clock that cannot be trusted nothing is ordered; it may be right again soon.
fn clock_is_right(certificate: &Certificate<'_>, rest: &mut Rest) -> bool {
    certificate.clock_trusted || {
        rest.has_come(rest.now.plus(CLOCK_AGAIN));
        false
    }
}

/// Why the open order is not what the config wants.
fn outdated(certificate: &Certificate<'_>) -> Option<String> {
    let order = certificate.order?;
    let Some(wanted) = certificate.wanted else {
        return Some("the certificate was taken out of the config".to_owned());
    };
    let mut names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
    let mut ordered = order.names.clone();
    names.sort_unstable();
    ordered.sort_unstable();
    if names != ordered {
        return Some("the names changed".to_owned());
    }
    if order.key_type != wanted.key.as_str() {
        return Some("the kind of key changed".to_owned());
    }
    (!wanted.issuers.contains(&order.issuer)).then(|| "the issuer changed".to_owned())
}

/// The values of an order that is over, or that has its chain.
fn withdraw(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    let in_use = |id: &str| certificate.order.is_some_and(|order| order.id == id && order.chain.is_none());
    let owed = certificate.txts.iter().filter(|txt| !in_use(&txt.order_id));
    let due: Vec<_> = owed.filter(|txt| rest.has_come(txt.retry_at)).cloned().collect();
    (!due.is_empty()).then_some(Action::Withdraw(due))
}

/// Jobs that wait for an outcome: renewals and deployments.
fn jobs(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    certificate.jobs.iter().find_map(|job| match job.kind {
        JobKind::Renew => renewal_job(certificate, job, rest),
        JobKind::Deploy => settled(certificate).map(|outcome| Action::Finish(job.clone(), outcome)),
        JobKind::Revoke | JobKind::RotateKey => None,
    })
}

fn renewal_job(certificate: &Certificate<'_>, job: &JobRow, rest: &mut Rest) -> Option<Action> {
    let finish = |outcome| Some(Action::Finish(job.clone(), outcome));
    let Some(wanted) = certificate.wanted else { return finish(Err("it is not in the config".to_owned())) };
    match job.state {
        JobState::Queued if !certificate.clock_trusted => finish(Err(decide::WRONG_CLOCK.to_owned())),
        JobState::Queued if certificate.order.is_some() => Some(Action::Begin(job.clone())),
        JobState::Queued if is_forced(job) => Some(Action::Begin(job.clone())),
        JobState::Queued => match certificate.reason(wanted, rest.now) {
            Some((_, due_at)) if due_at <= rest.now => Some(Action::Begin(job.clone())),
            Some((_, due_at)) => finish(Ok(format!("not due before {due_at}: `--force` renews it now"))),
            None => finish(Err("it is revoked and is not replaced: `--force` orders a new one".to_owned())),
        },
        JobState::Running => outcome(certificate, job, rest.now).and_then(finish),
        JobState::Succeeded | JobState::Failed => None,
    }
}

fn is_forced(job: &JobRow) -> bool {
    let arguments: serde_json::Value = serde_json::from_str(&job.arguments).unwrap_or_default();
    arguments["force"].as_bool().unwrap_or(false)
}

/// What came of a renewal that somebody asked for; `None`: it is not over.
fn outcome(certificate: &Certificate<'_>, job: &JobRow, now: Timestamp) -> Option<Result<String, String>> {
    let started = job.started_at.unwrap_or(job.submitted_at);
    if let Some(version) = certificate.version.filter(|version| version.created_at >= started) {
        let said = format!("version {} is issued, serial {}", version.number, version.serial);
        return settled(certificate).map(|outcome| outcome.map(|_| said));
    }
    let next = certificate.choice(now)?;
    let held = certificate
        .obstacles
        .iter()
        .find(|obstacle| obstacle.issuer == next.issuer && obstacle.last_at >= started && obstacle.retry_at > now)?;
    Some(Err(format!("{}; the next attempt is made at {}", held.error, next.at)))
}

/// Whether the stores have the current version and the consumers were told; `None`: not yet.
fn settled(certificate: &Certificate<'_>) -> Option<Result<String, String>> {
    let wanted = certificate.wanted?;
    let deliveries = certificate.deliveries.iter().filter(|row| !row.stored);
    let deployments = certificate.deployments.iter().filter(|row| !row.done);
    let errors = deliveries.map(|row| &row.error).chain(deployments.map(|row| &row.error));
    if let Some(error) = errors.flatten().next() {
        return Some(Err(error.clone()));
    }
    let stored = certificate.stores.iter().all(|store| is_stored(certificate, store));
    let told = wanted.deploy.iter().all(|command| command_done(certificate, command));
    let served = wanted.verify.iter().all(|place| verify_done(certificate, place));
    (stored && told && served).then(|| Ok("stored, and its consumers were told".to_owned()))
}

fn order(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    let wanted = certificate.wanted?;
    if certificate.order.is_some() || !clock_is_right(certificate, rest) {
        return None;
    }
    let (reason, due_at) = asked_for(certificate, rest.now)
        .map(|by| (Reason::Requested { by }, rest.now))
        .or_else(|| certificate.reason(wanted, rest.now))?;
    let choice = certificate.choice(rest.now)?;
    rest.has_come(due_at.max(choice.at)).then(|| Action::Order { issuer: choice.issuer.to_owned(), reason })
}

/// Only of what is in force, and only where nothing else is to be done: renewal by lifetime waits for no answer.
fn ask(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    certificate.wanted?;
    let version = certificate.version.filter(|version| version.directory_url.is_some())?;
    let over = version.revoked_at.is_some() || version.not_after <= rest.now;
    if over || certificate.order.is_some() || !certificate.clock_trusted {
        return None;
    }
    rest.has_come(version.renewal.ask_at).then_some(Action::Ask)
}

/// Who asked for a renewal that has not been tried since.
fn asked_for(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    let running = |job: &&JobRow| job.kind == JobKind::Renew && job.state == JobState::Running;
    let job = certificate.jobs.iter().filter(running).find(|job| outcome(certificate, job, now).is_none())?;
    let started = job.started_at.unwrap_or(job.submitted_at);
    let answered = certificate.version.is_some_and(|version| version.created_at >= started);
    (!answered).then(|| job.requested_by.clone())
}

/// Commands when every store has it, then looks at what is served when every command is done.
fn consumers(certificate: &Certificate<'_>, rest: &mut Rest) -> Option<Action> {
    let wanted = certificate.wanted?;
    certificate.version?;
    if !certificate.stores.iter().all(|store| is_stored(certificate, store)) {
        return None;
    }
    let command = wanted.deploy.iter().find(|command| command_due(certificate, command, rest));
    if let Some(command) = command {
        return Some(Action::Command(command.clone()));
    }
    if !wanted.deploy.iter().all(|command| command_done(certificate, command)) {
        return None;
    }
    wanted.verify.iter().find(|place| verify_due(certificate, place, rest)).cloned().map(Action::Verify)
}

fn command_due(certificate: &Certificate<'_>, command: &DeployCommand, rest: &mut Rest) -> bool {
    let row = deployment(certificate, DeploymentKind::Command, &decide::command_target(command));
    let Some(row) = row else { return true };
    if row.done || !rest.has_come(row.retry_at) {
        return false;
    }
    let waits = if certificate.company_comes { PATIENCE } else { SETTLE };
    let ready_at = if row.failures > 0 || command.each { row.retry_at } else { row.due_since.plus(waits) };
    ready_at <= rest.now || {
        // Company may arrive or not: look again soon.
        rest.has_come(ready_at.min(rest.now.plus(SETTLE)));
        false
    }
}

fn verify_due(certificate: &Certificate<'_>, place: &Verify, rest: &mut Rest) -> bool {
    match deployment(certificate, DeploymentKind::Verify, &decide::verify_target(place)) {
        None => true,
        Some(row) if row.done => rest.has_come(row.done_at.unwrap_or(Timestamp::EPOCH).plus(VERIFY_AGAIN)),
        Some(row) => rest.has_come(row.retry_at),
    }
}

pub(super) fn is_stored(certificate: &Certificate<'_>, (store, node): &(String, String)) -> bool {
    certificate.deliveries.iter().any(|row| row.store == *store && row.node == *node && row.stored)
}

pub(super) fn command_done(certificate: &Certificate<'_>, command: &DeployCommand) -> bool {
    let target = decide::command_target(command);
    deployment(certificate, DeploymentKind::Command, &target).is_some_and(|row| row.done)
}

pub(super) fn verify_done(certificate: &Certificate<'_>, place: &Verify) -> bool {
    let target = decide::verify_target(place);
    deployment(certificate, DeploymentKind::Verify, &target).is_some_and(|row| row.done)
}

fn deployment<'a>(certificate: &Certificate<'a>, kind: DeploymentKind, target: &str) -> Option<&'a DeploymentRow> {
    certificate.deployments.iter().find(|row| row.kind == kind && row.target == target)
}

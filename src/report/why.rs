//! One certificate: what was decided last and why, what it waits for, and when it goes on.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::certificate::{reason_kind, retry_at, told};
use super::facts::{Facts, Work};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::planner::{self, Reason};
use crate::state::{ObstacleRow, OrderRow, OrderState, Result, State, TxtRow, VersionRow};

/// As many orders are told of.
const LAST_ORDERS: u32 = 5;

/// Why a certificate stands as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// 1.
    pub schema: u32,
    /// Its name in the config.
    pub name: String,
    /// How far it has come.
    pub state: String,
    /// What is wrong, in words.
    pub problem: Option<String>,
    /// Why the last action was taken, in words.
    pub reason: Option<String>,
    /// The same in one word.
    pub reason_kind: Option<String>,
    /// When that was decided.
    pub decided_at: Option<String>,
    /// What is done next, in words.
    pub next: String,
    /// When that is; `None`: there is nothing to do for as long as nothing changes.
    pub next_at: Option<String>,
    /// When its time to be renewed comes.
    pub renew_at: Option<String>,
    /// What the operator must do before it can go on.
    pub waits_for: Option<String>,
    /// What the last failed order said, in the CA's own words where it was the CA.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// Failed orders in a row.
    pub failures: u32,
    /// No new order before this.
    pub retry_at: Option<String>,
    /// How many attempts can be made before it expires.
    pub attempts_left: Option<u32>,
    /// What its CA says of its renewal (RFC 9773).
    pub renewal_info: Option<RenewalInfoView>,
    /// What stands in the way at its issuers, or stood there last.
    pub obstacles: Vec<ObstacleView>,
    /// The order on its way.
    pub order: Option<OrderView>,
    /// TXT values that are still to be withdrawn.
    pub owed_txts: Vec<TxtView>,
    /// The last orders, newest first, the one on its way included.
    pub last_orders: Vec<OrderView>,
    /// Its issuers, in the order in which they are tried, as the daemon found them; empty where it has not looked yet.
    #[serde(default)]
    pub issuers: Vec<IssuerView>,
}

/// One issuer, as far as one certificate is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerView {
    /// Its name in the config.
    pub issuer: String,
    /// It could issue the certificate, as far as is known.
    pub ready: bool,
    /// Why it could not.
    pub problem: Option<String>,
}

/// What a CA says of a renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalInfoView {
    /// The suggested window's start.
    pub start: Option<String>,
    /// Its end.
    pub end: Option<String>,
    /// The instant that was chosen in it.
    pub instant: Option<String>,
    /// A page that tells why.
    pub explanation: Option<String>,
    /// When the CA last answered.
    pub asked_at: Option<String>,
    /// When it is asked again.
    pub ask_at: Option<String>,
    /// Why the last question got no answer.
    pub error: Option<String>,
}

/// How one issuer treats the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleView {
    /// The account or CA.
    pub issuer: String,
    /// `unavailable` and `held` let the next issuer be tried, `refused` and `operator` do not.
    pub kind: String,
    /// In the CA's own words, where it was the CA.
    pub error: String,
    /// Failures in a row.
    pub failures: u32,
    /// When it began.
    pub since: String,
    /// When it was last met.
    pub last_at: String,
    /// The issuer is not asked before this.
    pub retry_at: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// UUIDv7.
    pub id: String,
    /// Whom it was given to.
    pub issuer: String,
    /// Why it was made, in words.
    pub reason: Option<String>,
    /// `open`, `done` or `failed`.
    pub state: String,
    /// At the CA.
    pub url: Option<String>,
    /// Since when.
    pub created_at: String,
    /// When it was done or failed.
    pub finished_at: Option<String>,
    /// No step before this, while it is open.
    pub next_step_at: Option<String>,
    /// What the operator must do before it can go on.
    pub waits_for: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A TXT value that we owe a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxtView {
    /// The DNS instance.
    pub dns: String,
    /// The zone.
    pub zone: String,
    /// The whole name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Failed withdrawals in a row.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// Why the certificate stands as it does; `None` where there is none of that name.
///
/// # Errors
/// Where the database fails.
pub async fn why(
    state: &State,
    config: &Config,
    now: Timestamp,
    clock_trusted: bool,
    name: &str,
) -> Result<Option<Why>> {
    let Some(row) = state.certificate(name).await? else { return Ok(None) };
    let facts = Facts::read(state, config, row).await?;
    let work = Work::read(state, name).await?;
    let orders = state.orders(name, LAST_ORDERS).await?;
    let decision = planner::decide(&facts.for_planner(&work, clock_trusted), now);
    let (row, reason) = (&facts.row, facts.row.reason.as_deref().and_then(Reason::from_json));
    let next_at = Some(decision.standing.look_again_at).filter(|at| *at < Timestamp::NEVER);
    Ok(Some(Why {
        schema: SCHEMA,
        name: row.name.clone(),
        state: decision.standing.state.to_string(),
        problem: decision.standing.problem.clone(),
        reason: reason.as_ref().map(ToString::to_string),
        reason_kind: reason.as_ref().map(reason_kind),
        decided_at: told(row.decided_at),
        next: match &decision.action {
            planner::Action::Rest => super::plan::at_rest(&facts, &work, decision.standing.look_again_at, now),
            action => super::plan::in_words(action).1,
        },
        next_at: told(if decision.action == planner::Action::Rest { next_at } else { Some(now) }),
        renew_at: told(facts.renew_at(now)),
        waits_for: work.order.as_ref().and_then(|order| order.waits_for.clone()),
        last_error: row.last_error.clone(),
        last_error_at: told(row.last_error_at),
        failures: row.failures,
        retry_at: told(retry_at(row)),
        attempts_left: decision.standing.attempts_left,
        renewal_info: facts.version.as_ref().and_then(renewal_info),
        obstacles: work.obstacles.iter().filter(asked(&facts)).map(obstacle_view).collect(),
        order: work.order.as_ref().map(order_view),
        owed_txts: work.txts.iter().map(txt_view).collect(),
        last_orders: orders.iter().map(order_view).collect(),
        issuers: Vec::new(),
    }))
}

/// Who is no longer named for the certificate stands in nobody's way.
fn asked(facts: &Facts<'_>) -> impl Fn(&&ObstacleRow) -> bool {
    let issuers = facts.wanted.map(|wanted| wanted.issuers.as_slice()).unwrap_or_default();
    move |obstacle| issuers.contains(&obstacle.issuer)
}

fn renewal_info(version: &VersionRow) -> Option<RenewalInfoView> {
    version.directory_url.as_ref()?;
    let renewal = &version.renewal;
    let window = renewal.window.as_ref();
    Some(RenewalInfoView {
        start: told(window.map(|window| window.start)),
        end: told(window.map(|window| window.end)),
        instant: told(window.map(|window| window.instant)),
        explanation: window.and_then(|window| window.explanation.clone()),
        asked_at: told(renewal.asked_at),
        ask_at: told(Some(renewal.ask_at).filter(|at| *at > Timestamp::EPOCH)),
        error: renewal.error.clone(),
    })
}

fn obstacle_view(obstacle: &ObstacleRow) -> ObstacleView {
    ObstacleView {
        issuer: obstacle.issuer.clone(),
        kind: obstacle.kind.to_string(),
        error: obstacle.error.clone(),
        failures: obstacle.failures,
        since: obstacle.since.to_string(),
        last_at: obstacle.last_at.to_string(),
        retry_at: obstacle.retry_at.to_string(),
    }
}

fn order_view(order: &OrderRow) -> OrderView {
    let open = order.state == OrderState::Open;
    OrderView {
        id: order.id.clone(),
        issuer: order.issuer.clone(),
        reason: Reason::from_json(&order.reason).map(|reason| reason.to_string()),
        state: order.state.to_string(),
        url: order.url.clone(),
        created_at: order.created_at.to_string(),
        finished_at: told(order.finished_at),
        next_step_at: told(Some(order.next_step_at).filter(|_| open)),
        waits_for: order.waits_for.clone(),
        error: order.error.clone(),
    }
}

fn txt_view(txt: &TxtRow) -> TxtView {
    TxtView {
        dns: txt.instance.clone(),
        zone: txt.zone.clone(),
        name: txt.name.clone(),
        value: txt.value.clone(),
        failures: txt.failures,
        error: txt.error.clone(),
    }
}

//! Rows in, decisions out.

use std::time::Duration;

use super::*;
use crate::config::{DeployCommand, KeyType, RenewPolicy, Verify};
use crate::identifier::Identifier;
use crate::state::{DeploymentKind, JobKind, JobState};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that a certificate can have, to be changed one thing a test.
struct World {
    row: CertificateRow,
    wanted: Option<config::Certificate>,
    version: Option<VersionRow>,
    order: Option<OrderRow>,
    txts: Vec<TxtRow>,
    deliveries: Vec<DeliveryRow>,
    deployments: Vec<DeploymentRow>,
    obstacles: Vec<ObstacleRow>,
    jobs: Vec<JobRow>,
    clock_trusted: bool,
    company_comes: bool,
}

impl World {
    /// In the config, and nothing was done yet.
    fn fresh() -> Self {
        Self {
            row: row(),
            wanted: Some(wanted()),
            version: None,
            order: None,
            txts: Vec::new(),
            deliveries: Vec::new(),
            deployments: Vec::new(),
            obstacles: Vec::new(),
            jobs: Vec::new(),
            clock_trusted: true,
            company_comes: false,
        }
    }

    /// Issued ten days ago for ninety, and in its store.
    fn stored() -> Self {
        let version = VersionRow::sample(&["a.test"], NOW.minus(10 * DAY), NOW.plus(80 * DAY));
        Self { version: Some(version), deliveries: vec![delivery(true)], ..Self::fresh() }
    }

    fn decide(&self) -> Decision {
        let stores = [("disk".to_owned(), "here".to_owned())];
        let certificate = Certificate {
            row: &self.row,
            wanted: self.wanted.as_ref(),
            version: self.version.as_ref(),
            order: self.order.as_ref(),
            txts: &self.txts,
            deliveries: &self.deliveries,
            deployments: &self.deployments,
            obstacles: &self.obstacles,
            jobs: &self.jobs,
            stores: &stores,
            clock_trusted: self.clock_trusted,
            company_comes: self.company_comes,
        };
        decide(&certificate, NOW)
    }

    fn action(&self) -> Action {
        self.decide().action
    }
}

fn row() -> CertificateRow {
    CertificateRow {
        name: "a".into(),
        definition: String::new(),
        state: CertificateState::Pending,
        problem: None,
        reason: None,
        decided_at: None,
        look_again_at: NOW,
        inspected: true,
        failures: 0,
        retry_at: Timestamp::EPOCH,
        last_error: None,
        last_error_at: None,
        version_id: None,
        not_after: None,
        attempts_left: None,
        created_at: NOW,
        retired_at: None,
    }
}

fn wanted() -> config::Certificate {
    config::Certificate {
        names: vec![Identifier::parse("a.test").unwrap()],
        issuers: vec!["ca".into()],
        dns: Vec::new(),
        stores: vec!["disk".into()],
        key: KeyType::EcdsaP256,
        profile: None,
        renew: RenewPolicy::default(),
        chain: None,
        attempts_left: 5,
        alias: Default::default(),
        deploy: Vec::new(),
        verify: Vec::new(),
    }
}

fn delivery(stored: bool) -> DeliveryRow {
    DeliveryRow {
        version_id: "version".into(),
        store: "disk".into(),
        node: "here".into(),
        certificate: "a".into(),
        stored,
        failures: 0,
        retry_at: Timestamp::EPOCH,
        stored_at: None,
        error: None,
    }
}

fn txt(order_id: &str, retry_at: Timestamp) -> TxtRow {
    TxtRow {
        id: "txt".into(),
        order_id: order_id.into(),
        certificate: "a".into(),
        instance: "main".into(),
        zone: "test".into(),
        name: "_acme-challenge.a.test".into(),
        value: "v".into(),
        challenge_name: "_acme-challenge.a.test".into(),
        failures: 0,
        retry_at,
        error: None,
    }
}

fn obstacle(issuer: &str, kind: ObstacleKind, retry_at: Timestamp) -> ObstacleRow {
    ObstacleRow { issuer: issuer.into(), kind, failures: 1, retry_at, error: "no".into(), since: NOW, last_at: NOW }
}

fn job(kind: JobKind, arguments: &str, state: JobState) -> JobRow {
    JobRow {
        id: "job".into(),
        kind,
        subject: "a".into(),
        arguments: arguments.into(),
        requested_by: "ann".into(),
        state,
        submitted_at: NOW,
        started_at: (state == JobState::Running).then_some(NOW),
        finished_at: None,
        result: None,
        error: None,
    }
}

fn command() -> DeployCommand {
    DeployCommand { command: vec!["reload".into()], each: false, timeout: DAY }
}

fn told(target: String, kind: DeploymentKind, done: bool, due_since: Timestamp) -> DeploymentRow {
    DeploymentRow {
        version_id: "version".into(),
        kind,
        target,
        certificate: "a".into(),
        done,
        due_since,
        failures: 0,
        retry_at: Timestamp::EPOCH,
        done_at: done.then_some(NOW),
        error: None,
    }
}

fn reason(action: Action) -> Reason {
    match action {
        Action::Order { reason, .. } => reason,
        other => panic!("{other:?} is no order"),
    }
}

#[test]
fn a_new_certificate_is_looked_for_in_the_stores_and_then_ordered() {
    let mut world = World::fresh();
    world.row.inspected = false;
    assert_eq!(world.action(), Action::Inspect);
    world.row.inspected = true;
    assert_eq!(reason(world.action()), Reason::Missing);
}

#[test]
fn backoff_is_kept() {
    let mut world = World::fresh();
    world.obstacles = vec![obstacle("ca", ObstacleKind::Refused, NOW.plus(DAY))];
    let decision = world.decide();
    assert_eq!(decision.action, Action::Rest);
    assert_eq!(decision.standing.look_again_at, NOW.plus(DAY));
    assert_eq!(decision.standing.state, CertificateState::Waiting);
}

#[test]
fn a_stored_certificate_rests_until_a_third_is_left() {
    let decision = World::stored().decide();
    assert_eq!(decision.action, Action::Rest);
    assert_eq!(decision.standing.look_again_at, NOW.plus(50 * DAY));
    assert_eq!(decision.standing.state, CertificateState::Stored);
    assert_eq!(decision.standing.problem, None);
}

#[test]
fn it_is_renewed_when_its_time_has_come() {
    let mut world = World::stored();
    let not_after = NOW.plus(30 * DAY);
    world.version = Some(VersionRow::sample(&["a.test"], NOW.minus(60 * DAY), not_after));
    assert_eq!(reason(world.action()), Reason::Expiring { not_after, outside: false });
}

#[test]
fn what_the_config_wants_otherwise_is_ordered_at_once() {
    let mut world = World::stored();
    let wanted = world.wanted.as_mut().unwrap();
    wanted.names.push(Identifier::parse("b.test").unwrap());
    assert_eq!(reason(world.action()), Reason::NamesChanged { added: vec!["b.test".into()], removed: vec![] });
    let wanted = world.wanted.as_mut().unwrap();
    wanted.names.pop();
    wanted.key = KeyType::Rsa2048;
    assert_eq!(reason(world.action()), Reason::KeyChanged { from: "ecdsa-p256".into(), to: "rsa-2048".into() });
    let wanted = world.wanted.as_mut().unwrap();
    wanted.key = KeyType::EcdsaP256;
    wanted.issuers = vec!["other".into()];
    assert_eq!(reason(world.action()), Reason::IssuerChanged { from: "ca".into(), to: "other".into() });
}

#[test]
fn the_order_of_names_means_nothing() {
    let mut world = World::stored();
    world.version.as_mut().unwrap().names = vec!["b.test".into(), "a.test".into()];
    world.wanted.as_mut().unwrap().names.push(Identifier::parse("b.test").unwrap());
    assert_eq!(world.action(), Action::Rest);
}

#[test]
fn a_revoked_version_is_replaced_unless_nobody_wants_that() {
    let mut world = World::stored();
    let version = world.version.as_mut().unwrap();
    version.revoked_at = Some(NOW);
    version.revocation_reason = Some("superseded".into());
    assert_eq!(reason(world.action()), Reason::Revoked { reason: "superseded".into() });
    world.version.as_mut().unwrap().not_replaced = true;
    let decision = world.decide();
    assert_eq!((decision.action, decision.standing.state), (Action::Rest, CertificateState::Revoked));
}

#[test]
fn an_order_goes_on_waits_or_is_given_up() {
    let mut world = World::fresh();
    world.order = Some(OrderRow::sample(&["a.test"], NOW));
    assert_eq!(world.action(), Action::Advance);
    world.order.as_mut().unwrap().next_step_at = NOW.plus(DAY);
    assert_eq!(world.decide().standing.look_again_at, NOW.plus(DAY));
    world.order = Some(OrderRow::sample(&["b.test"], NOW));
    assert!(matches!(world.action(), Action::Abandon { .. }));
    world.order = Some(OrderRow::sample(&["a.test"], NOW));
    world.wanted = None;
    assert!(matches!(world.action(), Action::Abandon { .. }));
}

#[test]
fn what_waits_for_the_operator_says_so() {
    let mut world = World::fresh();
    let mut order = OrderRow::sample(&["a.test"], NOW.plus(DAY));
    order.waits_for = Some("publish a CNAME".into());
    world.order = Some(order);
    let standing = world.decide().standing;
    assert_eq!((standing.state, standing.problem.as_deref()), (CertificateState::Waiting, Some("publish a CNAME")));
}

#[test]
fn a_store_that_fails_holds_up_nothing() {
    let mut world = World::stored();
    world.deliveries[0].stored = false;
    assert_eq!(world.action(), Action::Deliver { store: "disk".into(), node: "here".into() });
    world.deliveries[0].retry_at = NOW.plus(DAY);
    world.deliveries[0].error = Some("full".into());
    world.order = Some(OrderRow::sample(&["a.test"], NOW));
    let decision = world.decide();
    assert_eq!(decision.action, Action::Advance);
    assert_eq!(decision.standing.problem.as_deref(), Some("store `disk`: full"));
}

#[test]
fn values_of_an_order_that_is_over_are_withdrawn() {
    let mut world = World::fresh();
    world.txts = vec![txt("order", Timestamp::EPOCH)];
    world.order = Some(OrderRow::sample(&["a.test"], NOW.plus(DAY)));
    assert_eq!(world.action(), Action::Rest, "the order still needs its value");
    world.order.as_mut().unwrap().chain = Some("chain".into());
    assert!(matches!(world.action(), Action::Withdraw(_)));
    world.order = None;
    world.wanted = None;
    assert!(matches!(world.action(), Action::Withdraw(_)), "a retired certificate owes it, too");
    world.txts[0].retry_at = NOW.plus(DAY);
    assert_eq!(world.decide().standing.look_again_at, NOW.plus(DAY));
}

#[test]
fn by_a_wrong_clock_nothing_is_ordered() {
    let mut world = World::fresh();
    world.clock_trusted = false;
    let decision = world.decide();
    assert_eq!(decision.action, Action::Rest);
    assert!(decision.standing.look_again_at <= NOW.plus(DAY), "it is looked at again when the clock may be right");
    assert!(decision.standing.problem.is_some());
}

#[test]
fn consumers_are_told_together_and_then_looked_at() {
    let mut world = World::stored();
    let place = Verify { address: "a.test:443".into(), server_name: None, starttls: None };
    let wanted = world.wanted.as_mut().unwrap();
    wanted.deploy = vec![command()];
    wanted.verify = vec![place.clone()];
    assert_eq!(world.action(), Action::Command(command()), "the row is written first");
    let target = command_target(&command());
    world.deployments = vec![told(target.clone(), DeploymentKind::Command, false, NOW)];
    assert_eq!(world.action(), Action::Rest, "others may come along");
    world.deployments[0].due_since = NOW.minus(Duration::from_secs(2));
    assert_eq!(world.action(), Action::Command(command()));
    world.company_comes = true;
    assert_eq!(world.action(), Action::Rest, "somebody is on the way");
    world.deployments[0].due_since = NOW.minus(Duration::from_secs(60));
    assert_eq!(world.action(), Action::Command(command()), "nobody is waited for without end");
    world.deployments = vec![told(target, DeploymentKind::Command, true, NOW)];
    assert_eq!(world.action(), Action::Verify(place.clone()));
    world.deployments.push(told(verify_target(&place), DeploymentKind::Verify, true, NOW));
    let decision = world.decide();
    assert_eq!((decision.action, decision.standing.state), (Action::Rest, CertificateState::Served));
}

#[test]
fn a_renewal_that_is_not_due_is_refused_unless_forced() {
    let mut world = World::stored();
    world.jobs = vec![job(JobKind::Renew, "{}", JobState::Queued)];
    assert!(matches!(world.action(), Action::Finish(_, Ok(_))));
    world.jobs = vec![job(JobKind::Renew, "{\"force\":true}", JobState::Queued)];
    assert!(matches!(world.action(), Action::Begin(_)));
    world.jobs = vec![job(JobKind::Renew, "{\"force\":true}", JobState::Running)];
    assert_eq!(reason(world.action()), Reason::Requested { by: "ann".into() });
}

#[test]
fn a_renewal_ends_with_its_version_or_its_error() {
    let mut world = World::stored();
    world.jobs = vec![job(JobKind::Renew, "{}", JobState::Running)];
    world.version.as_mut().unwrap().created_at = NOW;
    assert!(matches!(world.action(), Action::Finish(_, Ok(_))));
    world.version.as_mut().unwrap().created_at = NOW.minus(DAY);
    world.obstacles = vec![obstacle("ca", ObstacleKind::Refused, NOW.plus(DAY))];
    assert!(matches!(world.action(), Action::Finish(_, Err(words)) if words.starts_with("no; the next attempt")));
}

#[test]
fn jobs_on_a_certificate_that_is_gone_end() {
    let mut world = World::fresh();
    world.wanted = None;
    world.jobs = vec![job(JobKind::Renew, "{}", JobState::Queued)];
    assert!(matches!(world.action(), Action::Finish(_, Err(_))));
    world.jobs = vec![job(JobKind::Deploy, "{}", JobState::Queued)];
    assert!(matches!(world.action(), Action::Finish(_, Err(_))));
}

#[test]
fn an_order_whose_issuer_cannot_go_on_is_given_to_the_next() {
    let mut world = World::fresh();
    world.wanted.as_mut().unwrap().issuers = vec!["ca".into(), "other".into()];
    let mut order = OrderRow::sample(&["a.test"], NOW);
    order.next_step_at = NOW.plus(DAY);
    world.order = Some(order);
    world.obstacles = vec![obstacle("ca", ObstacleKind::Refused, NOW.plus(DAY))];
    assert_eq!(world.action(), Action::Rest, "another would do no better");
    world.obstacles = vec![obstacle("ca", ObstacleKind::Unavailable, NOW.plus(DAY))];
    assert!(matches!(world.action(), Action::Abandon { why } if why.contains("`other` is tried, since `ca`")));
    world.order = None;
    assert!(matches!(world.action(), Action::Order { issuer, .. } if issuer == "other"));
    world.obstacles.push(obstacle("other", ObstacleKind::Unavailable, NOW.plus(DAY)));
    assert_eq!(world.action(), Action::Rest);
    world.obstacles[0].retry_at = NOW;
    assert!(matches!(world.action(), Action::Order { issuer, .. } if issuer == "ca"), "the first is tried again");
}

#[test]
fn a_ca_is_asked_and_its_advice_is_taken() {
    let mut world = World::stored();
    let version = world.version.as_mut().unwrap();
    version.directory_url = Some("https://ca.test/".into());
    assert_eq!(world.action(), Action::Ask);
    let version = world.version.as_mut().unwrap();
    version.renewal.ask_at = NOW.plus(DAY);
    let window = |instant| RenewalWindow { start: NOW.minus(DAY), end: NOW, instant, explanation: None };
    version.renewal.window = Some(window(NOW.plus(DAY * 2)));
    let decision = world.decide();
    assert_eq!((decision.action, decision.standing.look_again_at), (Action::Rest, NOW.plus(DAY)));
    world.version.as_mut().unwrap().renewal.window = Some(window(NOW));
    assert!(matches!(reason(world.action()), Reason::RenewalInfo { .. }));
    let expired = world.version.as_mut().unwrap();
    (expired.not_after, expired.renewal.ask_at) = (NOW, NOW);
    world.obstacles = vec![obstacle("ca", ObstacleKind::Unavailable, NOW.plus(DAY))];
    assert_eq!(world.action(), Action::Rest, "nobody asks about what has expired");
}

#[test]
fn a_suggestion_after_the_deadline_is_not_waited_for() {
    let mut world = World::stored();
    let version = world.version.as_mut().unwrap();
    (version.not_before, version.not_after) = (NOW.minus(DAY * 80), NOW.plus(DAY * 10));
    let late = NOW.plus(DAY * 20);
    version.renewal.window = Some(RenewalWindow { start: late, end: late, instant: late, explanation: None });
    assert!(matches!(reason(world.action()), Reason::Expiring { .. }));
}

#[test]
fn few_attempts_are_told_of() {
    let mut world = World::stored();
    let standing = world.decide().standing;
    assert_eq!((standing.attempts_left, standing.too_few), (Some(100), false));
    world.version.as_mut().unwrap().not_after = NOW.plus(DAY);
    world.obstacles = vec![obstacle("ca", ObstacleKind::Unavailable, NOW.plus(DAY * 2))];
    let standing = world.decide().standing;
    assert_eq!((standing.attempts_left, standing.too_few), (Some(0), true));
}

#[test]
fn windows_that_never_meet_end_in_renewal_before_the_deadline_and_that_is_said() {
    let mut world = World::stored();
    let closed = |text: &str| vec![config::window::parse(text).unwrap()];
    let hour = Duration::from_secs(3600);
    // It is 08:00 on a Friday.
    world.wanted.as_mut().unwrap().renew.windows = closed("daily 02:00-03:00");
    let (start, end, instant) = (NOW.minus(hour), NOW.plus(hour), NOW);
    world.version.as_mut().unwrap().renewal.window = Some(RenewalWindow { start, end, instant, explanation: None });
    let told = reason(world.action());
    assert_eq!(told, Reason::RenewalInfo { start, end, explanation: None, outside: true });
    assert!(told.to_string().contains("`renew.window` has no time"), "{told}");
    world.wanted.as_mut().unwrap().renew.windows = closed("Fri 07:00-09:00");
    assert_eq!(reason(world.action()), Reason::RenewalInfo { start, end, explanation: None, outside: false });

    let not_after = NOW.plus(DAY);
    world.version = Some(VersionRow::sample(&["a.test"], NOW.minus(5 * DAY), not_after));
    world.wanted.as_mut().unwrap().renew.windows = closed("Mon 02:00-03:00");
    let told = reason(world.action());
    assert_eq!(told, Reason::Expiring { not_after, outside: true });
    assert!(told.to_string().contains("`renew.window` has no time"), "{told}");
}

//! Answers in words, for people.

use serde_json::Value;

use super::table::{Table, facts};
use super::times::{beside, beside_if};
use crate::clock::Timestamp;
use crate::report::plan::Planned;
use crate::report::why::RenewalInfoView;
use crate::report::{AccountView, CertificateView, JobView, Load, Plan, Why};

/// `renewd list`.
pub(super) fn certificates(views: &[CertificateView], now: Timestamp) -> String {
    if views.is_empty() {
        return "There is no certificate yet.".to_owned();
    }
    let mut table = Table::new(&["NAME", "STATE", "EXPIRES", "RENEWED", "ISSUER", "PROBLEM"]);
    for view in views {
        let when = |time: &Option<String>| time.as_ref().map(|time| day(time, now)).unwrap_or_default();
        let issuer = view.issuer.clone().unwrap_or_default();
        let problem = view.problem.clone().unwrap_or_default();
        let (expires, renewed) = (when(&view.not_after), when(&view.renew_at));
        table.row([view.name.clone(), view.state.clone(), expires, renewed, issuer, problem]);
    }
    table.render()
}

/// `2026-11-03 (in 12 days)`.
fn day(time: &str, now: Timestamp) -> String {
    let told = beside(time, now);
    match (told.get(..10), told.split_once(' ')) {
        (Some(date), Some((_, distance))) => format!("{date} {distance}"),
        _ => told,
    }
}

/// `renewd show`.
pub(super) fn certificate(view: &CertificateView, now: Timestamp) -> String {
    let when = |time: &Option<String>| beside_if(time.as_ref(), now);
    let head = facts(&[
        ("Certificate", Some(view.name.clone())),
        ("Names", Some(view.names.join(", "))),
        ("State", Some(view.state.clone())),
        ("Problem", view.problem.clone()),
        ("Last decision", view.reason.clone()),
        ("Issuer", view.issuer.clone()),
        ("Version", view.version.map(|version| version.to_string())),
        ("Serial", view.serial.clone()),
        ("Key", view.key_type.clone()),
        ("Profile", view.profile.clone()),
        ("Valid from", when(&view.not_before)),
        ("Expires", when(&view.not_after)),
        ("Renewed", when(&view.renew_at)),
        ("Looked at again", when(&view.next_action_at)),
        ("Last error", view.last_error.clone()),
        ("It came", when(&view.last_error_at)),
        ("Failures in a row", (view.failures > 0).then(|| view.failures.to_string())),
        ("Tried again", when(&view.retry_at)),
    ]);
    [head, places(view, now), versions(view)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Stores and consumers.
fn places(view: &CertificateView, now: Timestamp) -> String {
    let mut table = Table::new(&["WHERE", "STATE", "SINCE", "ERROR", "TRIED AGAIN"]);
    let mut row =
        |place: String, state: &str, since: &Option<String>, error: &Option<String>, again: &Option<String>| {
            let when = |time: &Option<String>| beside_if(time.as_ref(), now).unwrap_or_default();
            table.row([place, state.to_owned(), when(since), error.clone().unwrap_or_default(), when(again)]);
        };
    for store in &view.stores {
        row(format!("store {}", store.store), &store.state, &store.stored_at, &store.error, &store.retry_at);
    }
    for deploy in &view.deploy {
        row(deploy.command.join(" "), &deploy.state, &deploy.done_at, &deploy.error, &deploy.retry_at);
    }
    for verify in &view.verify {
        row(verify.address.clone(), &verify.state, &verify.done_at, &verify.error, &verify.retry_at);
    }
    let any = !(view.stores.is_empty() && view.deploy.is_empty() && view.verify.is_empty());
    if any { table.render() } else { String::new() }
}

fn versions(view: &CertificateView) -> String {
    let versions = view.versions.as_deref().unwrap_or_default();
    let mut table = Table::new(&["VERSION", "SERIAL", "ISSUER", "EXPIRES", "REVOKED"]);
    for version in versions {
        let number = format!("{}{}", version.version, if version.current { " *" } else { "" });
        let revoked = version
            .revoked_at
            .as_ref()
            .map(|at| format!("{at} ({})", version.revocation_reason.as_deref().unwrap_or("unspecified")));
        let (serial, issuer, not_after) = (version.serial.clone(), version.issuer.clone(), version.not_after.clone());
        table.row([number, serial, issuer, not_after, revoked.unwrap_or_default()]);
    }
    if versions.is_empty() { String::new() } else { table.render() }
}

/// `renewd why`.
pub(super) fn why(why: &Why, now: Timestamp) -> String {
    let when = |time: &Option<String>| beside_if(time.as_ref(), now);
    let order = why.order.as_ref();
    let head = facts(&[
        ("Certificate", Some(why.name.clone())),
        ("State", Some(why.state.clone())),
        ("Problem", why.problem.clone()),
        ("Waits for", why.waits_for.clone().filter(|_| why.waits_for != why.problem)),
        ("Last decision", why.reason.clone()),
        ("Decided", when(&why.decided_at)),
        ("Next", Some(why.next.clone())),
        ("Next time", when(&why.next_at)),
        ("Renewed", when(&why.renew_at)),
        ("Last error", why.last_error.clone().map(|error| beside_the_problem(error, why.problem.as_ref()))),
        ("It came", when(&why.last_error_at)),
        ("Failures in a row", (why.failures > 0).then(|| why.failures.to_string())),
        ("Tried again", when(&why.retry_at)),
        (
            "Attempts left",
            why.attempts_left.map(|left| if left < 100 { left.to_string() } else { "100 or more".into() }),
        ),
        ("Its CA suggests", why.renewal_info.as_ref().and_then(suggestion)),
        ("That is why", why.renewal_info.as_ref().and_then(|info| info.explanation.clone())),
        ("The CA is asked", why.renewal_info.as_ref().and_then(|info| when(&info.ask_at))),
        ("No answer", why.renewal_info.as_ref().and_then(|info| info.error.clone())),
        ("Order", order.map(|order| order.url.clone().unwrap_or_else(|| "not made at the CA yet".to_owned()))),
        ("Ordered", order.map(|order| beside(&order.created_at, now))),
    ]);
    [head, issuers(why), obstacles(why, now), owed(why), orders(why)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// What has been said already is not said again.
fn beside_the_problem(error: String, problem: Option<&String>) -> String {
    if problem == Some(&error) { "the problem above".to_owned() } else { error }
}

/// Issuers that could not issue; nothing where all could.
fn issuers(why: &Why) -> String {
    let mut table = Table::new(&["ISSUER", "COULD ISSUE", "WHY NOT"]);
    for view in &why.issuers {
        let could = if view.ready { "yes" } else { "no" };
        table.row([view.issuer.clone(), could.to_owned(), view.problem.clone().unwrap_or_default()]);
    }
    if why.issuers.iter().all(|view| view.ready) { String::new() } else { table.render() }
}

fn suggestion(info: &RenewalInfoView) -> Option<String> {
    let (start, end, instant) = (info.start.as_ref()?, info.end.as_ref()?, info.instant.as_ref()?);
    Some(format!("to renew it between {start} and {end}: {instant} was chosen"))
}

fn obstacles(why: &Why, now: Timestamp) -> String {
    let mut table = Table::new(&["ISSUER", "OBSTACLE", "SINCE", "NOT ASKED BEFORE", "ERROR"]);
    for obstacle in &why.obstacles {
        let (since, again) = (beside(&obstacle.since, now), beside(&obstacle.retry_at, now));
        table.row([obstacle.issuer.clone(), obstacle.kind.clone(), since, again, obstacle.error.clone()]);
    }
    if why.obstacles.is_empty() { String::new() } else { table.render() }
}

fn owed(why: &Why) -> String {
    let mut table = Table::new(&["TXT TO WITHDRAW", "VALUE", "DNS", "ERROR"]);
    for txt in &why.owed_txts {
        table.row([txt.name.clone(), txt.value.clone(), txt.dns.clone(), txt.error.clone().unwrap_or_default()]);
    }
    if why.owed_txts.is_empty() { String::new() } else { table.render() }
}

fn orders(why: &Why) -> String {
    let mut table = Table::new(&["ORDERED", "ISSUER", "STATE", "REASON", "ERROR"]);
    for order in &why.last_orders {
        let (reason, error) = (order.reason.clone().unwrap_or_default(), order.error.clone().unwrap_or_default());
        table.row([order.created_at.clone(), order.issuer.clone(), order.state.clone(), reason, error]);
    }
    if why.last_orders.is_empty() { String::new() } else { table.render() }
}

/// `renewd plan`.
pub(super) fn plan(plan: &Plan, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if !plan.changes.is_empty() {
        let mut table = Table::new(&["CERTIFICATE", "CHANGE", "CONSEQUENCE"]);
        for change in &plan.changes {
            table.row([change.certificate.clone(), change.change.clone(), change.consequence.clone()]);
        }
        parts.push(format!("What the config would change:\n{}", table.render()));
    }
    if !plan.authorities.is_empty() {
        let lines: Vec<String> = plan.authorities.iter().map(ToString::to_string).collect();
        parts.push(format!("Of private CAs is to be known:\n{}\n", lines.join("\n")));
    }
    parts.push(match plan.due.as_slice() {
        [] => "Nothing is due now.\n".to_owned(),
        due => format!("Due now:\n{}", planned(due, now)),
    });
    parts.push(match plan.coming.as_slice() {
        [] => format!("Nothing comes in the next {} days.\n", plan.days),
        coming => format!("In the next {} days:\n{}", plan.days, planned(coming, now)),
    });
    if !plan.load.is_empty() {
        parts.push(format!("What each CA is asked for in {} days:\n{}", plan.days, load(&plan.load)));
    }
    parts.join("\n")
}

fn load(loads: &[Load]) -> String {
    let mut table = Table::new(&["CA", "LIFETIME", "CERTIFICATES", "ORDERS", "BUSIEST DAY", "LIMIT"]);
    for load in loads {
        let lifetime = load.lifetime.clone().map_or_else(|| "as now".to_owned(), |lifetime| format!("if {lifetime}"));
        let limit = load.limit.clone().unwrap_or_else(|| "none".to_owned());
        let numbers = [load.certificates, load.orders, load.busiest_day].map(|number| number.to_string());
        let [certificates, orders, busiest] = numbers;
        table.row([load.issuer.clone(), lifetime, certificates, orders, busiest, limit]);
    }
    table.render()
}

fn planned(entries: &[Planned], now: Timestamp) -> String {
    let mut table = Table::new(&["CERTIFICATE", "WHEN", "WHAT", "WHY"]);
    for entry in entries {
        let reason = entry.reason.clone().unwrap_or_default();
        table.row([entry.certificate.clone(), beside(&entry.at, now), entry.what.clone(), reason]);
    }
    table.render()
}

/// `renewd account show NAME`.
pub(super) fn account(account: &AccountView, now: Timestamp) -> String {
    facts(&[
        ("Account", Some(account.name.clone())),
        ("Directory", Some(account.directory_url.clone())),
        ("Contact", Some(account.contact.join(", ")).filter(|contact| !contact.is_empty())),
        ("State", Some(account.state.clone())),
        ("URL", account.url.clone()),
        ("Registered", beside_if(account.registered_at.as_ref(), now)),
        ("New key", account.key_change_pending.then(|| "made, and not taken by the CA yet".to_owned())),
    ])
}

/// `renewd account show`.
pub(super) fn accounts(accounts: &[AccountView]) -> String {
    if accounts.is_empty() {
        return "The config has no account.".to_owned();
    }
    let mut table = Table::new(&["NAME", "STATE", "DIRECTORY", "URL"]);
    for account in accounts {
        let url = account.url.clone().unwrap_or_default();
        table.row([account.name.clone(), account.state.clone(), account.directory_url.clone(), url]);
    }
    table.render()
}

/// What came of a reload.
pub(super) fn reloaded(answer: &Value) -> String {
    let notes = answer["notes"].as_array().into_iter().flatten().map(|note| {
        let text = |name: &str| note[name].as_str().unwrap_or_default();
        format!("{}:{}:{}: {}: note: {}\n", text("file"), note["line"], note["column"], text("key"), text("message"))
    });
    let count = answer["certificates"].as_u64().unwrap_or(0);
    let count = if count == 1 { "1 certificate".to_owned() } else { format!("{count} certificates") };
    notes.chain([format!("in force: {count}")]).collect()
}

/// What came of a job.
pub(super) fn job(job: &JobView) -> String {
    let words = job.result.as_ref().or(job.error.as_ref()).map(|words| format!(": {words}")).unwrap_or_default();
    format!("{}: {} {}{words}", job.subject, job.kind, job.state)
}

/// `` `a`, `b` and `c` ``, or `none`.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [others @ .., last] => format!("`{}` and `{last}`", others.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }

    #[test]
    fn days_are_told_without_the_hour() {
        let now = Timestamp::from_seconds(1_000_000_000);
        assert_eq!(day("2001-09-19T01:46:40Z", now), "2001-09-19 (in 10 days)");
    }

    #[test]
    fn a_reload_tells_its_notes() {
        let note = serde_json::json!({ "file": "c.toml", "line": 1, "column": 2, "key": "k", "message": "m" });
        let answer = serde_json::json!({ "certificates": 2, "notes": [note] });
        assert_eq!(reloaded(&answer), "c.toml:1:2: k: note: m\nin force: 2 certificates");
    }
}

//! Clients in words, for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::table::{Table, facts};
use super::super::times::{beside, beside_if};
use super::batch::Sum;
use crate::clock::Timestamp;
use crate::report::{ClientList, ClientStatistics, ClientView};

/// `renewd client list`.
pub(super) fn list(page: &ClientList, now: Timestamp) -> String {
    if page.clients.is_empty() {
        return "There is no client, or none of that kind.".to_owned();
    }
    let mut table = Table::new(&["CLIENT", "NAME", "EMAIL", "CA", "USAGE", "STATUS", "EXPIRES", "SERIAL"]);
    for view in &page.clients {
        let expires = view.not_after.as_ref().map(|end| beside(end, now)).unwrap_or_default();
        let (email, serial) = (view.email.clone().unwrap_or_default(), view.serial.clone().unwrap_or_default());
        let (name, ca, usage) = (view.common_name.clone(), view.ca.clone(), view.usage.clone());
        table.row([view.identifier.clone(), name, email, ca, usage, view.status.clone(), expires, serial]);
    }
    let more = page.next.as_ref().map(|next| format!("\nThere are more: --after {next}\n")).unwrap_or_default();
    table.render() + &more
}

/// `renewd client show`.
pub(super) fn client(view: &ClientView, now: Timestamp) -> String {
    let when = |time: &Option<String>| beside_if(time.as_ref(), now);
    let head = facts(&[
        ("Client", Some(view.identifier.clone())),
        ("Id", Some(view.id.clone())),
        ("Tenant", Some(view.tenant.clone()).filter(|tenant| !tenant.is_empty())),
        ("Name", Some(view.common_name.clone())),
        ("Email", view.email.clone()),
        ("Organization", view.organization.clone()),
        ("Unit", view.organizational_unit.clone()),
        ("Country", view.country.clone()),
        ("Further names", Some(view.names.join(", ")).filter(|names| !names.is_empty())),
        ("CA", Some(view.ca.clone())),
        ("Usage", Some(view.usage.clone())),
        ("Profile", Some(view.profile.clone())),
        ("Key", Some(view.key_type.clone().unwrap_or_else(|| "made elsewhere".to_owned()))),
        ("Status", Some(view.status.clone())),
        ("Version", view.version.map(|version| version.to_string())),
        ("Serial", view.serial.clone()),
        ("Valid from", when(&view.not_before)),
        ("Expires", when(&view.not_after)),
        ("Renewed by itself", Some(if view.auto_renew && view.status != "revoked" { "yes" } else { "no" }.to_owned())),
        ("Next renewal", when(&view.renewal_at)),
        ("Last renewal failed", view.renewal_error.clone()),
        ("Made", Some(format!("{} by {}", beside(&view.created_at, now), view.created_by))),
        ("Notes", view.notes.clone()),
    ]);
    [head, certificates(view)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn certificates(view: &ClientView) -> String {
    let certificates = view.certificates.as_deref().unwrap_or_default();
    let mut table = Table::new(&["VERSION", "SERIAL", "EXPIRES", "KEY", "REVOKED", "ASKED BY"]);
    for one in certificates {
        let number = format!("{}{}", one.version, if one.serial == view.serial { " *" } else { "" });
        let reason = one.revocation_reason.clone().unwrap_or_default();
        let revoked = one.revoked_at.as_ref().map(|at| format!("{at} ({reason})"));
        let serial = one.serial.clone().unwrap_or_else(|| "not issued yet".to_owned());
        let key = if one.has_key { "here" } else { "elsewhere" };
        let end = one.not_after.clone().unwrap_or_default();
        table.row([number, serial, end, key.to_owned(), revoked.unwrap_or_default(), one.requested_by.clone()]);
    }
    if certificates.is_empty() { String::new() } else { table.render() }
}

/// `renewd client stats`.
pub(super) fn statistics(told: &ClientStatistics) -> String {
    if told.total == 0 {
        return "There is no client.".to_owned();
    }
    let mut parts = vec![counts("STATUS", &told.by_status), counts("USAGE", &told.by_usage)];
    let mut table = Table::new(&["CA", "STATUS", "CLIENTS"]);
    for (ca, statuses) in &told.by_ca {
        for (status, count) in statuses {
            table.row([ca.clone(), status.clone(), count.to_string()]);
        }
    }
    parts.push(table.render());
    format!("{} clients\n\n{}", told.total, parts.join("\n"))
}

fn counts(what: &str, counts: &BTreeMap<String, u64>) -> String {
    let mut table = Table::new(&[what, "CLIENTS"]);
    for (name, count) in counts {
        table.row([name.clone(), count.to_string()]);
    }
    table.render()
}

/// `renewd client batch`.
pub(super) fn batch(sum: &Sum, dry_run: bool) -> String {
    let issued = if dry_run { "would be issued" } else { "issued" };
    let head = format!("{} {issued}, {} issued before, {} refused\n", sum.issued, sum.repeated, sum.refused);
    let lines = sum.results.iter().flat_map(|result| {
        let line = result["line"].to_string();
        faults(result).into_iter().map(move |fault| format!("line {line}: {fault}\n"))
    });
    lines.chain([head]).collect()
}

/// What is wrong with a row, a line each.
pub(super) fn faults(result: &Value) -> Vec<String> {
    let faults = result["errors"].as_array().into_iter().flatten();
    let told = faults.map(|fault| {
        let text = |name: &str| fault[name].as_str().unwrap_or_default();
        format!("{}: {}: {}", text("column"), text("problem"), text("hint"))
    });
    told.collect()
}

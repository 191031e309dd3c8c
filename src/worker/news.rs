//! What people are told of the worker's doings.

use providers::sinks::EventKind;

use super::Turn;
use crate::issuer::IssuerError;
use crate::planner::Reason;
use crate::state::version::NewVersion;
use crate::state::{
    Alert, DeliveryRow, DeploymentKind, DeploymentRow, JobRow, NewEvent, News, OrderRow, StateError, VersionRow,
};

/// A new version: issued or renewed, on the CA's advice where it was; what had failed before is well again.
pub(super) fn of_version(version: &NewVersion<'_>, order: &OrderRow, first: bool) -> News {
    let (name, issuer) = (version.certificate, version.issuer);
    let reason = Reason::from_json(&order.reason);
    let why = reason.as_ref().map_or_else(String::new, |reason| format!(" Reason: {reason}."));
    let (kind, word) = if first { (EventKind::Issued, "issued") } else { (EventKind::Renewed, "renewed") };
    let event = |kind, title: String, text: String| NewEvent {
        names: version.names.clone(),
        serial: Some(version.serial.clone()),
        not_after: Some(version.not_after),
        ..NewEvent::new(kind, title, text).about(name).by(issuer)
    };
    let text = format!("`{name}` was {word} by `{issuer}` and is valid until {}.{why}", version.not_after);
    let mut events = vec![event(kind, format!("`{name}` was {word}"), text)];
    if let Some(Reason::RenewalInfo { explanation, .. }) = &reason {
        let text = format!("`{name}` was replaced because its CA suggests it.{why}");
        let title = format!("`{name}` was replaced on its CA's advice");
        events.push(NewEvent { url: explanation.clone(), ..event(EventKind::AriReplaced, title, text) });
    }
    let well = |kind, subject: &str| {
        let text = format!("`{name}` was {word} by `{issuer}` and is valid until {}.", version.not_after);
        Alert::new(subject, NewEvent { kind, ..event(kind, format!("`{subject}` is well again"), text) })
    };
    let recovered = vec![well(EventKind::Failed, name), well(EventKind::Expiring, name), issuer_well(issuer)];
    News { events, alerts: Vec::new(), recovered }
}

/// An issuer has issued. Like its trouble it is no certificate's: whoever hears of some certificates only hears of neither.
fn issuer_well(issuer: &str) -> Alert {
    let text = format!("`{issuer}` issues again.");
    let event = NewEvent::new(EventKind::IssuerTrouble, format!("`{issuer}` is well again"), text);
    Alert::new(issuer, event.by(issuer))
}

/// A store has not taken a version.
pub(super) fn not_stored(row: &DeliveryRow, error: &str) -> News {
    let (name, store) = (&row.certificate, &row.store);
    let text = format!("The store `{store}` did not take the new version of `{name}`. It is tried again.");
    let event = NewEvent::new(EventKind::StoreFailed, format!("`{name}` was not stored in `{store}`"), text);
    News { alerts: vec![Alert::new(format!("{store} {name}"), event.about(name).saying(error))], ..News::default() }
}

/// A store has taken a version.
pub(super) fn stored(version: &VersionRow, store: &str) -> News {
    let name = &version.certificate;
    let text = format!("The store `{store}` has version {} of `{name}`.", version.number);
    let event = NewEvent::new(EventKind::StoreFailed, format!("`{name}` is stored in `{store}` again"), text);
    News { recovered: vec![Alert::new(format!("{store} {name}"), event.about(name))], ..News::default() }
}

/// A command failed, or what is served was not what should be.
pub(super) fn not_deployed(rows: &[DeploymentRow], words: &str) -> News {
    let alert = of_consumers(rows, |served, names| match served {
        true => (
            format!("{names} is not served"),
            format!("The new version of {names} was stored and deployed, but is not what is served."),
        ),
        false => (
            format!("The deploy command failed for {names}"),
            format!(
                "The new version of {names} is stored, but the command that tells its consumer failed. It is run again."
            ),
        ),
    });
    let alerts = alert.map(|alert| Alert { event: alert.event.saying(words), ..alert }).into_iter().collect();
    News { alerts, ..News::default() }
}

/// A command did its work, or what is served is right.
pub(super) fn deployed(rows: &[DeploymentRow]) -> News {
    let alert = of_consumers(rows, |served, names| match served {
        true => (format!("{names} is served again"), format!("The current version of {names} is served.")),
        false => (format!("{names} was deployed again"), format!("The deploy command of {names} has succeeded.")),
    });
    News { recovered: alert.into_iter().collect(), ..News::default() }
}

/// One run serves many certificates: it is told of once. What is done for one certificate is its own.
fn of_consumers(rows: &[DeploymentRow], words: impl Fn(bool, &str) -> (String, String)) -> Option<Alert> {
    let first = rows.first()?;
    let served = first.kind == DeploymentKind::Verify;
    let kind = if served { EventKind::NotServed } else { EventKind::DeployFailed };
    let certificates: Vec<String> = rows.iter().map(|row| row.certificate.clone()).collect();
    let names = certificates.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (title, text) = words(served, &names);
    let subject =
        if is_shared(first) { first.target.clone() } else { format!("{} {}", first.certificate, first.target) };
    Some(Alert::new(subject, NewEvent { certificates, ..NewEvent::new(kind, title, text) }))
}

/// The command of several certificates, rather than of each.
fn is_shared(row: &DeploymentRow) -> bool {
    let target: serde_json::Value = serde_json::from_str(&row.target).unwrap_or_default();
    row.kind == DeploymentKind::Command && target["each"] == false
}

impl Turn<'_> {
    /// The issuer orders nothing for anybody until somebody does something.
    pub(super) async fn tell_of_issuer(&self, order: &OrderRow, error: &IssuerError) -> Result<(), StateError> {
        let IssuerError::Account { what } = error else { return Ok(()) };
        let issuer = order.issuer.as_str();
        let text = format!("`{issuer}` orders nothing until somebody does something about it: {what}.");
        let event = NewEvent::new(EventKind::IssuerTrouble, format!("`{issuer}` needs attention"), text);
        self.state().alert(&Alert::new(issuer, event.by(issuer).saying(what)), self.clock().now()).await
    }

    /// A version was revoked.
    pub(super) async fn tell_of_revocation(
        &self,
        version: &VersionRow,
        reason: &str,
        job: &JobRow,
    ) -> Result<(), StateError> {
        let (name, serial) = (&version.certificate, &version.serial);
        let text =
            format!("The certificate {serial} of `{name}` was revoked ({reason}): {} asked for it.", job.requested_by);
        let event = NewEvent {
            names: version.names.clone(),
            serial: Some(serial.clone()),
            not_after: Some(version.not_after),
            ..NewEvent::new(EventKind::Revoked, format!("`{name}` was revoked"), text).about(name).by(&version.issuer)
        };
        self.state().tell(&event, self.clock().now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::config::DeployCommand;
    use crate::planner::decide::command_target;
    use std::time::Duration;

    fn row(certificate: &str, kind: DeploymentKind, target: &str) -> DeploymentRow {
        DeploymentRow {
            version_id: "v".into(),
            kind,
            target: target.into(),
            certificate: certificate.into(),
            done: false,
            due_since: Timestamp::EPOCH,
            failures: 0,
            retry_at: Timestamp::EPOCH,
            done_at: None,
            error: None,
        }
    }

    fn command(each: bool) -> String {
        command_target(&DeployCommand { command: vec!["x".into()], each, timeout: Duration::from_secs(1) })
    }

    #[test]
    fn one_run_for_many_is_told_of_once() {
        let rows = ["a.test", "b.test"].map(|name| row(name, DeploymentKind::Command, &command(false)));
        let (many, one) = (not_deployed(&rows, "exit 1"), deployed(&rows[..1]));
        assert_eq!(many.alerts[0].event.certificates, ["a.test", "b.test"]);
        assert_eq!(many.alerts[0].subject, one.recovered[0].subject);
        assert_eq!(many.alerts[0].event.detail.as_deref(), Some("exit 1"));
    }

    #[test]
    fn what_is_one_certificate_s_own_is_not_mended_by_another() {
        for (kind, target) in [(DeploymentKind::Command, command(true)), (DeploymentKind::Verify, "{}".to_owned())] {
            let failed = not_deployed(&[row("a.test", kind, &target)], "no");
            let done = deployed(&[row("b.test", kind, &target)]);
            assert_ne!(failed.alerts[0].subject, done.recovered[0].subject);
        }
    }
}

//! What is told of by looking again and again: certificates near their end, a config that stays refused, a wrong clock.

use std::time::Duration;

use providers::sinks::EventKind;
use tracing::error;

use crate::clock::Timestamp;
use crate::config::Report;
use crate::http::App;
use crate::http::status::ConfigStatus;
use crate::state::client::trouble::ClientTrouble;
use crate::state::outbox::alarm::NearingEnd;
use crate::state::{Alert, NewEvent, Result};

/// Looked at this often.
const STRIDE: Duration = Duration::from_secs(300);

/// With a clock that a test moves, as often as this.
const TEST_STRIDE: Duration = Duration::from_secs(1);

/// Certificates that are told of in one look, those that expire first.
const MOST: u32 = 1_000;

/// Alerts about client certificates have the CA's name behind this as their subject.
const CLIENTS_OF: &str = "clients of ";

/// Errors of a refused config that are told, the first ones.
const MOST_ERRORS: usize = 10;

/// Looks again and again.
pub(super) async fn run(app: &App) {
    let moved = std::env::var_os(crate::clock::TEST_CLOCK).is_some();
    loop {
        if let Err(failure) = look(app).await {
            error!("what needs attention was not told: {}", providers::error::chain(&failure));
        }
        tokio::time::sleep(if moved { TEST_STRIDE } else { STRIDE }).await;
    }
}

async fn look(app: &App) -> Result<()> {
    let now = app.clock.now();
    if let ConfigStatus::Refused { report, .. } = &*app.status.config() {
        app.state.alert_stands(&config(Some(report)), now).await?;
    }
    clients(app, now).await?;
    if !app.status.clock_trusted() {
        // By such a clock no certificate's end can be told.
        return app.state.alert_stands(&clock(now), now).await;
    }
    for certificate in app.state.nearing_end(now, MOST).await? {
        app.state.alert_stands(&nearing_end(&certificate, now), now).await?;
    }
    Ok(())
}

/// One alert a CA, however many of its clients it concerns.
async fn clients(app: &App, now: Timestamp) -> Result<()> {
    let troubles = app.state.client_troubles().await?;
    for trouble in &troubles {
        app.state.alert_stands(&clients_failing(trouble), now).await?;
    }
    for subject in app.state.alerts_standing(EventKind::Failed, CLIENTS_OF).await? {
        let ca = &subject[CLIENTS_OF.len()..];
        if !troubles.iter().any(|trouble| trouble.ca == ca) {
            app.state.recovered(&clients_well(ca), now).await?;
        }
    }
    Ok(())
}

fn clients_failing(trouble: &ClientTrouble) -> Alert {
    let ClientTrouble { ca, count, first } = trouble;
    let (title, who) = match count {
        1 => (format!("1 client certificate of `{ca}` was not renewed"), "It is".to_owned()),
        _ => (format!("{count} client certificates of `{ca}` were not renewed"), "The first of them is".to_owned()),
    };
    let end = first.current.as_ref().map(|current| current.not_after);
    let until = end.map(|end| format!(", whose certificate ends at {end}")).unwrap_or_default();
    let text = format!("{who} `{}`{until}. It is tried again. `renewd client show` tells why.", first.identifier);
    let event = NewEvent::new(EventKind::Failed, title, text).by(ca);
    let serial = first.current.as_ref().map(|current| current.serial.clone());
    let event = NewEvent { serial, not_after: end, detail: first.renew_error.clone(), ..event };
    Alert::new(format!("{CLIENTS_OF}{ca}"), event)
}

fn clients_well(ca: &str) -> Alert {
    let text = format!("No client certificate of `{ca}` waits for a renewal that failed.");
    let event = NewEvent::new(EventKind::Failed, format!("Client certificates of `{ca}` are well again"), text);
    Alert::new(format!("{CLIENTS_OF}{ca}"), event.by(ca))
}

/// The edited config is refused, or (`None`) no longer.
pub(super) fn config(report: Option<&Report>) -> Alert {
    let Some(report) = report else {
        let text = "The config file is in force.";
        return Alert::new("config", NewEvent::new(EventKind::ConfigRefused, "The config is in force again", text));
    };
    let count = report.errors.len();
    let errors = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
    let text = format!("The edited config file is refused ({errors}). The one before it stays in force.");
    let lines: Vec<String> = report.errors.iter().take(MOST_ERRORS).map(ToString::to_string).collect();
    let event = NewEvent::new(EventKind::ConfigRefused, format!("The config is refused: {errors}"), text);
    Alert::new("config", event.saying(lines.join("\n")))
}

/// The clock is wrong, or right again.
pub(super) fn clock(now: Timestamp) -> Alert {
    let text = format!(
        "The clock says {now}, more than an hour before a time that renewd has seen. Nothing is ordered until it is right."
    );
    Alert::new("clock", NewEvent::new(EventKind::ClockWrong, "The clock is wrong", text))
}

/// The clock is right again.
pub(super) fn clock_right(now: Timestamp) -> Alert {
    let text = format!("The clock says {now}, which can be true.");
    Alert::new("clock", NewEvent::new(EventKind::ClockWrong, "The clock is right again", text))
}

fn nearing_end(found: &NearingEnd, now: Timestamp) -> Alert {
    let name = &found.certificate;
    let (title, text) = if found.not_after <= now {
        (format!("`{name}` has expired"), format!("`{name}` expired at {} and was not renewed.", found.not_after))
    } else {
        let text = format!("`{name}` expires at {} and should have been renewed long ago.", found.not_after);
        (format!("`{name}` expires soon"), text)
    };
    let event = NewEvent::new(EventKind::Expiring, title, text).about(name).by(&found.issuer);
    Alert::new(
        name.clone(),
        NewEvent {
            names: found.names.clone(),
            serial: Some(found.serial.clone()),
            not_after: Some(found.not_after),
            detail: found.last_error.clone(),
            ..event
        },
    )
}

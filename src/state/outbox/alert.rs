//! Alerts: what goes on failing is told at widening intervals, and that it is well again is told once.

use std::time::Duration;

use providers::sinks::EventKind;

use super::super::row::{count, time};
use super::super::{OrderRow, Result, State, Write};
use super::{NewEvent, Run};
use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// How long after it was told the nth time (counted from 1) it is told again.
fn interval(told: u32) -> Duration {
    match told {
        0 | 1 => HOUR,
        2 => 4 * HOUR,
        3 => 12 * HOUR,
        _ => 24 * HOUR,
    }
}

/// Something that fails: the event's kind and the subject are what tells it from others.
#[derive(Debug, Clone)]
pub struct Alert {
    /// What fails: a certificate's name, a store and a certificate, an issuer.
    pub subject: String,
    /// What is told of it.
    pub event: NewEvent,
}

impl Alert {
    /// It fails, and this is told of it.
    #[must_use]
    pub fn new(subject: impl Into<String>, event: NewEvent) -> Self {
        Self { subject: subject.into(), event }
    }

    fn kind(&self) -> EventKind {
        self.event.kind
    }
}

/// An order failed, and the next attempt is made at `retry_at`.
pub(in super::super) fn of_order(order: &OrderRow, error: &str, retry_at: Timestamp) -> Alert {
    let (name, issuer) = (order.certificate.as_str(), order.issuer.as_str());
    let title = format!("`{name}` was not issued by `{issuer}`");
    let text = format!("The order of `{name}` at `{issuer}` failed. The next attempt follows at {retry_at} or before.");
    let event = NewEvent::new(EventKind::Failed, title, text).about(name).by(issuer).saying(error);
    Alert::new(name, NewEvent { names: order.names.clone(), ..event })
}

/// An order's issuer cannot issue now, and `next` is asked at once: the issuer's trouble, whosever order it was.
pub(in super::super) fn of_failover(order: &OrderRow, next: &str, error: &str) -> Alert {
    let issuer = order.issuer.as_str();
    let text = format!("`{issuer}` cannot issue now. `{next}` is asked in its place, and `{issuer}` again later.");
    let event = NewEvent::new(EventKind::IssuerTrouble, format!("`{issuer}` cannot issue now"), text);
    Alert::new(issuer, event.by(issuer).saying(error))
}

/// Whether an alert was met once more, or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meeting {
    Again,
    Still,
}

impl State {
    /// It has failed once more: told where it is time to.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn alert(&self, alert: &Alert, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.add_alert(&mut write, alert, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    /// The same in an open transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_alert(&self, write: &mut Write, alert: &Alert, now: Timestamp) -> Result<()> {
        self.meet_alert(write, alert, Meeting::Again, now).await
    }

    /// It has not failed anew, but is not well either: told where it is time to. Costs a read where it is not.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn alert_stands(&self, alert: &Alert, now: Timestamp) -> Result<()> {
        let next: Option<i64> = sqlx::query_scalar("SELECT next_tell_at FROM alert WHERE kind = $1 AND subject = $2")
            .bind(alert.kind().as_str())
            .bind(&alert.subject)
            .fetch_optional(self.reader())
            .await?;
        if next.is_some_and(|next| Timestamp::from_millis(next) > now) {
            return Ok(());
        }
        let mut write = self.begin().await?;
        self.meet_alert(&mut write, alert, Meeting::Still, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    async fn meet_alert(&self, write: &mut Write, alert: &Alert, meeting: Meeting, now: Timestamp) -> Result<()> {
        let known = sqlx::query("SELECT since, times, told, next_tell_at FROM alert WHERE kind = $1 AND subject = $2")
            .bind(alert.kind().as_str())
            .bind(&alert.subject)
            .fetch_optional(&mut **write)
            .await?;
        let Some(row) = known else {
            begin(write, alert, now).await?;
            return self.add_event(write, &alert.event, Run { times: 1, since: Some(now) }, now).await;
        };
        let times = count(&row, "times")?.saturating_add(u32::from(meeting == Meeting::Again));
        let tell = time(&row, "next_tell_at")? <= now;
        let told = count(&row, "told")?.saturating_add(u32::from(tell));
        go_on(write, alert, (times, told, tell), now).await?;
        if tell {
            let run = Run { times, since: Some(time(&row, "since")?) };
            self.add_event(write, &alert.event, run, now).await?;
        }
        Ok(())
    }

    /// It is well: where it was told of, that is told, too. `event` says so; its kind is that of the alert.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn recovered(&self, alert: &Alert, now: Timestamp) -> Result<()> {
        let known: Option<i64> = sqlx::query_scalar("SELECT since FROM alert WHERE kind = $1 AND subject = $2")
            .bind(alert.kind().as_str())
            .bind(&alert.subject)
            .fetch_optional(self.reader())
            .await?;
        if known.is_none() {
            return Ok(());
        }
        let mut write = self.begin().await?;
        self.end_alert(&mut write, alert, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    /// The same in an open transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn end_alert(&self, write: &mut Write, alert: &Alert, now: Timestamp) -> Result<()> {
        let ended = sqlx::query("DELETE FROM alert WHERE kind = $1 AND subject = $2 RETURNING since, times")
            .bind(alert.kind().as_str())
            .bind(&alert.subject)
            .fetch_optional(&mut **write)
            .await?;
        let Some(row) = ended else { return Ok(()) };
        let run = Run { times: count(&row, "times")?, since: Some(time(&row, "since")?) };
        let event = NewEvent { kind: EventKind::Recovered, ..alert.event.clone() };
        self.add_event(write, &event, run, now).await
    }

    /// The subjects of alerts of this kind that stand, of those that begin so.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn alerts_standing(&self, kind: EventKind, start: &str) -> Result<Vec<String>> {
        let subjects: Vec<String> = sqlx::query_scalar("SELECT subject FROM alert WHERE kind = $1 ORDER BY subject")
            .bind(kind.as_str())
            .fetch_all(self.reader())
            .await?;
        Ok(subjects.into_iter().filter(|subject| subject.starts_with(start)).collect())
    }

    /// Forgets what was told of a certificate that is no longer wanted: it will not become well.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_alerts(&self, write: &mut Write, certificate: &str) -> Result<()> {
        sqlx::query("DELETE FROM alert WHERE certificate = $1").bind(certificate).execute(&mut **write).await?;
        Ok(())
    }
}

async fn begin(write: &mut Write, alert: &Alert, now: Timestamp) -> Result<()> {
    let only = if let [only] = &alert.event.certificates[..] { Some(only.as_str()) } else { None };
    sqlx::query(
        "INSERT INTO alert (kind, subject, certificate, since, last_at, times, told, told_at, next_tell_at) \
         VALUES ($1, $2, $3, $4, $4, 1, 1, $4, $5)",
    )
    .bind(alert.kind().as_str())
    .bind(&alert.subject)
    .bind(only)
    .bind(now.millis())
    .bind(now.plus(interval(1)).millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn go_on(write: &mut Write, alert: &Alert, (times, told, tell): (u32, u32, bool), now: Timestamp) -> Result<()> {
    sqlx::query(
        "UPDATE alert SET times = $3, last_at = $4, told = $5, \
         told_at = CASE WHEN $6 = 1 THEN $4 ELSE told_at END, \
         next_tell_at = CASE WHEN $6 = 1 THEN $7 ELSE next_tell_at END WHERE kind = $1 AND subject = $2",
    )
    .bind(alert.kind().as_str())
    .bind(&alert.subject)
    .bind(i64::from(times))
    .bind(now.millis())
    .bind(i64::from(told))
    .bind(i64::from(tell))
    .bind(now.plus(interval(told)).millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_widen_to_a_day() {
        let hours: Vec<u64> = (1..=6).map(|told| interval(told).as_secs() / 3600).collect();
        assert_eq!(hours, [1, 4, 12, 24, 24, 24]);
    }
}

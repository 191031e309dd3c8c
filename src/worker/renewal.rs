//! Asking a CA when it suggests to renew (RFC 9773).

use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, info};

use super::reading::Reading;
use super::{Seats, Turn, Turning, WorkError};
use crate::clock::Timestamp;
use crate::issuer::{IssuerError, RenewalInfo};
use crate::state::{RenewalRow, RenewalWindow, VersionRow};

/// A CA that says nothing is asked again after this.
const USUAL: Duration = Duration::from_secs(6 * 3600);

/// A CA is asked no more often than this …
const SHORTEST: Duration = Duration::from_secs(600);

/// … and no more seldom (RFC 9773, section 4.3.2, leaves both to us).
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// How long a turn waits for others' questions to be answered before the certificate is put down.
const PATIENCE: Duration = Duration::from_secs(2);

/// It comes again within this.
const ABSENCE: Duration = Duration::from_secs(4);

impl Turn<'_> {
    /// Asks the CA that issued the current version, even where the config now names another, and writes down what it
    /// says.
    pub(super) async fn ask(&mut self, reading: &Reading) -> Result<Turning, WorkError> {
        let Some(version) = &reading.version else { return Ok(Turning::GoesOn) };
        let Some(seats) = self.who_issued(version) else {
            let nobody = IssuerError::Unreachable { detail: "the config has no account at its CA any more".to_owned() };
            return self.told(version, Err(nobody)).await;
        };
        let Ok(Ok(_question)) = timeout(PATIENCE, seats.questions.clone().acquire_owned()).await else {
            return self.leave(reading, self.worker.dice.part_of(ABSENCE)).await;
        };
        let answer = seats.issuer.renewal_info(version).await;
        self.told(version, answer).await
    }

    fn who_issued(&self, version: &VersionRow) -> Option<Seats> {
        let at_its_ca = |seats: &&Seats| seats.issuer.directory_url() == version.directory_url.as_deref();
        let by_name = self.parts.issuers.get(&version.issuer).filter(at_its_ca);
        by_name.or_else(|| self.parts.issuers.values().find(at_its_ca)).cloned()
    }

    async fn told(
        &self,
        version: &VersionRow,
        answer: Result<Option<RenewalInfo>, IssuerError>,
    ) -> Result<Turning, WorkError> {
        let now = self.clock().now();
        let renewal = after(&version.renewal, answer, now, self.worker.dice.throw());
        if renewal.window != version.renewal.window
            && let Some(window) = &renewal.window
        {
            info!(
                certificate = %version.certificate, serial = %version.serial, start = %window.start, end = %window.end,
                instant = %window.instant, explanation = window.explanation.as_deref(), "the CA suggests when to renew",
            );
        }
        if let Some(error) = &renewal.error {
            debug!(certificate = %version.certificate, ask_at = %renewal.ask_at, "no renewal information: {error}");
        }
        self.state().renewal_told(&version.id, &renewal).await?;
        Ok(Turning::IsTold(renewal))
    }
}

/// What is known after an answer. `dice` (0 to 999,999) chooses the instant, and spreads the next question.
fn after(
    before: &RenewalRow,
    answer: Result<Option<RenewalInfo>, IssuerError>,
    now: Timestamp,
    dice: u32,
) -> RenewalRow {
    match answer {
        Ok(Some(info)) => RenewalRow {
            window: Some(window(before.window.as_ref(), &info, dice)),
            ask_at: now.plus(next_question(info.retry_after, dice)),
            asked_at: Some(now),
            error: None,
            failures: 0,
        },
        Ok(None) => {
            RenewalRow { ask_at: now.plus(next_question(None, dice)), asked_at: Some(now), ..Default::default() }
        }
        Err(error) => {
            let wait = SHORTEST.saturating_mul(2_u32.saturating_pow(before.failures.min(10))).min(USUAL);
            RenewalRow {
                ask_at: now.plus(next_question(Some(wait), dice)),
                error: Some(providers::error::chain(&error)),
                failures: before.failures.saturating_add(1),
                ..before.clone()
            }
        }
    }
}

/// The instant is chosen once, and again only where the window has moved away from it.
fn window(before: Option<&RenewalWindow>, info: &RenewalInfo, dice: u32) -> RenewalWindow {
    let kept = before.map(|window| window.instant).filter(|instant| (info.start..=info.end).contains(instant));
    let length = info.end.since(info.start);
    let chosen = || info.start.plus(length.mul_f64(f64::from(dice) / 1_000_000.0));
    let instant = kept.unwrap_or_else(chosen);
    RenewalWindow { start: info.start, end: info.end, instant, explanation: info.explanation.clone() }
}

/// As the CA says, within bounds, and up to a twentieth later, so that what came together does not ask together.
fn next_question(asked_for: Option<Duration>, dice: u32) -> Duration {
    let wait = asked_for.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    (wait + wait.mul_f64(0.05 * f64::from(dice) / 1_000_000.0)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn info(start: u32, end: u32, retry_after: Option<Duration>) -> Result<Option<RenewalInfo>, IssuerError> {
        let (start, end) = (NOW.plus(HOUR * start), NOW.plus(HOUR * end));
        Ok(Some(RenewalInfo { start, end, explanation: None, retry_after }))
    }

    #[test]
    fn the_instant_is_chosen_once_and_moves_with_its_window() {
        let first = after(&RenewalRow::default(), info(10, 20, None), NOW, 500_000);
        let instant = |row: &RenewalRow| row.window.as_ref().unwrap().instant;
        assert_eq!(instant(&first), NOW.plus(HOUR * 15));
        let again = after(&first, info(10, 20, None), NOW, 999_999);
        assert_eq!(instant(&again), instant(&first));
        let moved = after(&first, info(1, 2, None), NOW, 0);
        assert_eq!(instant(&moved), NOW.plus(HOUR));
    }

    #[test]
    fn the_next_question_is_kept_within_bounds() {
        let next = |retry_after| after(&RenewalRow::default(), info(1, 2, retry_after), NOW, 0).ask_at.since(NOW);
        assert_eq!(next(None), 6 * HOUR);
        assert_eq!(next(Some(Duration::ZERO)), Duration::from_secs(600));
        assert_eq!(next(Some(8760 * HOUR)), 12 * HOUR);
        assert_eq!(next(Some(HOUR)), HOUR);
    }

    #[test]
    fn a_question_without_an_answer_keeps_what_is_known() {
        let known = after(&RenewalRow::default(), info(10, 20, None), NOW, 0);
        let failed = || Err(IssuerError::Unreachable { detail: "no route".into() });
        let mut row = after(&known, failed(), NOW, 0);
        assert_eq!((row.window.clone(), row.ask_at, row.failures), (known.window, NOW.plus(HOUR / 6), 1));
        for _ in 0..20 {
            row = after(&row, failed(), NOW, 0);
        }
        assert_eq!(row.ask_at, NOW.plus(6 * HOUR));
        assert!(row.error.unwrap().contains("no route"));
    }
}

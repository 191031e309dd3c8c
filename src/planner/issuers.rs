//! Which issuer is asked next, and when.
//!
//! The issuers of a certificate are tried in the config's order. One that cannot issue now, whoever asks, lets the next
//! be tried at once; one that refused the names lets nobody: another would do no better, and would only be hammered.

use crate::clock::Timestamp;
use crate::state::ObstacleRow;

/// The issuer that is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The account or CA.
    pub issuer: &'a str,
    /// Not before this; in the past: now.
    pub at: Timestamp,
}

/// Chooses. `None`: there are no issuers.
#[must_use]
pub fn choose<'a>(issuers: &'a [String], obstacles: &[ObstacleRow], now: Timestamp) -> Option<Choice<'a>> {
    let mut soonest: Option<Choice<'a>> = None;
    for issuer in issuers {
        let obstacle = in_the_way(issuer, obstacles, now);
        let at = obstacle.map_or(Timestamp::EPOCH, |obstacle| obstacle.retry_at);
        if soonest.is_none_or(|other| at < other.at) {
            soonest = Some(Choice { issuer, at });
        }
        if obstacle.is_none_or(|obstacle| !obstacle.kind.lets_others()) {
            break;
        }
    }
    soonest
}

/// What keeps an issuer from being asked now.
#[must_use]
pub fn in_the_way<'a>(issuer: &str, obstacles: &'a [ObstacleRow], now: Timestamp) -> Option<&'a ObstacleRow> {
    obstacles.iter().find(|obstacle| obstacle.issuer == issuer && obstacle.retry_at > now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::ObstacleKind;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn obstacle(issuer: &str, kind: ObstacleKind, wait: u64) -> ObstacleRow {
        let retry_at = NOW.plus(Duration::from_secs(wait));
        ObstacleRow { issuer: issuer.into(), kind, failures: 1, retry_at, error: "no".into(), since: NOW, last_at: NOW }
    }

    fn chosen(obstacles: &[ObstacleRow]) -> (String, u64) {
        let issuers = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let choice = choose(&issuers, obstacles, NOW).unwrap();
        (choice.issuer.to_owned(), choice.at.since(NOW).as_secs())
    }

    #[test]
    fn the_first_is_asked_where_nothing_is_in_its_way() {
        assert_eq!(chosen(&[]), ("a".into(), 0));
        assert_eq!(chosen(&[obstacle("a", ObstacleKind::Unavailable, 0)]), ("a".into(), 0));
    }

    #[test]
    fn whoever_cannot_issue_lets_the_next_be_tried() {
        let down = obstacle("a", ObstacleKind::Unavailable, 60);
        let held = obstacle("b", ObstacleKind::Held, 30);
        assert_eq!(chosen(std::slice::from_ref(&down)), ("b".into(), 0));
        assert_eq!(chosen(&[down.clone(), held.clone()]), ("c".into(), 0));
        assert_eq!(chosen(&[down, held, obstacle("c", ObstacleKind::Unavailable, 90)]), ("b".into(), 30));
    }

    #[test]
    fn a_refusal_lets_nobody_be_tried() {
        let refused = obstacle("a", ObstacleKind::Refused, 60);
        assert_eq!(chosen(std::slice::from_ref(&refused)), ("a".into(), 60));
        let down = obstacle("a", ObstacleKind::Unavailable, 20);
        assert_eq!(chosen(&[down, obstacle("b", ObstacleKind::Refused, 60)]), ("a".into(), 20));
    }
}

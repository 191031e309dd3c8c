//! When a certificate is to be renewed by its lifetime.

use std::time::Duration;

use super::window;
use crate::clock::Timestamp;
use crate::config::RenewPolicy;
use crate::state::RenewalWindow;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Below this lifetime half of it is left at renewal, else a third.
const SHORT: Duration = Duration::from_secs(10 * 24 * 3600);

/// A certificate's life and the dice thrown for it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
    /// 0 to 999,999.
    pub jitter: u32,
}

impl Life {
    /// From the first instant to the last.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.not_after.since(self.not_before)
    }

    /// When its time to be renewed comes: a third of the lifetime before expiry (half of it below ten days), or
    /// `before`, which counts up to two thirds of the lifetime. The jitter moves it to earlier, by a thirtieth of the
    /// lifetime and a day at the most, and never to before a third has passed.
    #[must_use]
    pub fn renew_at(&self, policy: &RenewPolicy) -> Timestamp {
        let lifetime = self.lifetime();
        let usual = if lifetime < SHORT { lifetime / 2 } else { lifetime / 3 };
        let most = lifetime.mul_f64(2.0 / 3.0);
        let spread = (lifetime / 30).min(DAY).mul_f64(f64::from(self.jitter.min(999_999)) / 1_000_000.0);
        let before = (policy.before.unwrap_or(usual) + spread).min(most);
        self.not_after.minus(before)
    }

    /// The first instant from `now` on at which it may be renewed: `renew_at`, moved into the policy's next window where
    /// that comes before half of the remaining time is gone.
    #[must_use]
    pub fn due_at(&self, policy: &RenewPolicy, now: Timestamp) -> Timestamp {
        let renew_at = self.renew_at(policy);
        if policy.windows.is_empty() {
            return renew_at;
        }
        let from = renew_at.max(now);
        let latest = renew_at.plus(self.not_after.since(renew_at) / 2);
        match window::next(&policy.windows, from) {
            Some(opens) if opens <= latest => opens,
            _ => from,
        }
    }
}

/// When a certificate is renewed because its CA suggests it (RFC 9773, section 4.2): at the instant that was chosen in
/// the suggested window. Where the policy has windows of its own, at a time that lies in both; where no time does, the
/// CA's window wins.
#[must_use]
pub fn suggested_at(window: &RenewalWindow, policy: &RenewPolicy, now: Timestamp) -> Timestamp {
    let open = |from: Timestamp| window::next(&policy.windows, from).filter(|opens| *opens <= window.end);
    open(window.instant.max(now.min(window.end)))
        .or_else(|| open(window.start.max(now.min(window.end))))
        .unwrap_or(window.instant)
}

/// The policy has windows, and none of them is open at this instant.
#[must_use]
pub fn is_closed(policy: &RenewPolicy, at: Timestamp) -> bool {
    !policy.windows.is_empty() && window::next(&policy.windows, at) != Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn life(lifetime: Duration, jitter: u32) -> Life {
        Life { not_before: START, not_after: START.plus(lifetime), jitter }
    }

    #[test]
    fn a_third_or_half_is_left() {
        let policy = RenewPolicy::default();
        for (days, left) in [(200, 66.7), (90, 30.0), (45, 15.0), (10, 3.34), (6, 3.0)] {
            let life = life(days * DAY, 0);
            let found = life.not_after.since(life.renew_at(&policy)).as_secs_f64() / DAY.as_secs_f64();
            assert!((found - left).abs() < 0.1, "{days} days: {found}");
        }
    }

    #[test]
    fn nothing_renews_before_a_third_has_passed() {
        let day_after = RenewPolicy { before: Some(400 * DAY), windows: Vec::new() };
        for lifetime in [Duration::from_secs(60), DAY, 6 * DAY, 90 * DAY, 200 * DAY] {
            for policy in [&RenewPolicy::default(), &day_after] {
                let life = life(lifetime, 999_999);
                assert!(life.renew_at(policy).since(START).as_secs_f64() >= lifetime.as_secs_f64() / 3.0 - 1.0);
            }
        }
    }

    #[test]
    fn the_instant_that_was_chosen_is_kept_and_moved_into_a_window_that_meets_it() {
        let hour = Duration::from_secs(3600);
        let midnight = Timestamp::from_seconds(1_800_057_600);
        let suggested = |from: u32, to: u32| RenewalWindow {
            start: midnight.plus(hour * from),
            end: midnight.plus(hour * to),
            instant: midnight.plus(hour * (from + to) / 2),
            explanation: None,
        };
        let nightly = crate::config::window::parse("daily 02:00-03:00").unwrap();
        let policy = RenewPolicy { before: None, windows: vec![nightly] };
        let none = RenewPolicy::default();
        assert_eq!(suggested_at(&suggested(10, 20), &none, START), midnight.plus(hour * 15));
        assert_eq!(suggested_at(&suggested(10, 30), &policy, START), midnight.plus(hour * 26));
        assert_eq!(suggested_at(&suggested(1, 20), &policy, START), midnight.plus(hour * 2));
        assert_eq!(suggested_at(&suggested(10, 20), &policy, START), midnight.plus(hour * 15));
        let past = suggested(10, 12);
        assert!(suggested_at(&past, &policy, midnight.plus(hour * 40)) <= past.end);
    }

    #[test]
    fn a_window_delays_and_never_too_long() {
        let nightly = crate::config::window::parse("daily 02:00-03:00").unwrap();
        let policy = RenewPolicy { before: None, windows: vec![nightly] };
        let long = life(90 * DAY, 0);
        let due = long.due_at(&policy, START);
        assert!(due >= long.renew_at(&policy));
        assert_eq!(due.to_datetime().hour(), 2);
        let short = life(Duration::from_secs(6 * 3600), 0);
        assert_eq!(short.due_at(&policy, START), short.renew_at(&policy));
    }

    #[test]
    fn broken_seconds_neither_bring_a_renewal_forward_nor_put_it_off() {
        let millis = |time: Timestamp, more: i64| Timestamp::from_millis(time.millis() + more);
        let policy = RenewPolicy::default();
        for (from, length) in [(0, 0), (0, 1), (999, 1000), (1, 576_000_000 - 1), (500, 7_777_777)] {
            for jitter in [0, 1, 333_333, 999_999] {
                let not_before = millis(START, from);
                let life = Life { not_before, not_after: millis(not_before, length), jitter };
                let due = life.renew_at(&policy);
                assert!(due.millis() - not_before.millis() >= length / 3, "{life:?}: {due}");
                assert!(due <= life.not_after, "{life:?}: {due}");
                let same = [-1, 0, 1].map(|look| life.due_at(&policy, millis(due, look)));
                assert_eq!(same, [due; 3], "whoever looks again finds the same");
            }
        }
    }

    #[test]
    fn a_leap_day_is_a_day_like_any_other() {
        let moment = |text: &str| Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let (not_before, not_after) = (moment("2028-01-15T00:00:00Z"), moment("2028-04-14T00:00:00Z"));
        let life = Life { not_before, not_after, jitter: 0 };
        assert_eq!(life.lifetime(), 90 * DAY);
        assert_eq!(life.renew_at(&RenewPolicy::default()).to_string(), "2028-03-15T00:00:00Z");
        let before = Some(45 * DAY);
        let tuesdays = vec![crate::config::window::parse("Tue 02:00-05:00").unwrap()];
        let due = life.due_at(&RenewPolicy { before, windows: tuesdays }, not_before);
        assert_eq!(life.renew_at(&RenewPolicy { before, windows: Vec::new() }).to_string(), "2028-02-29T00:00:00Z");
        assert_eq!(due.to_string(), "2028-02-29T02:00:00Z");
    }
}

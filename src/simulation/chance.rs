//! What is left to chance: when trouble comes, of what kind, and for how long.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::plug::Milestone;
use super::script::{Advice, Event};
use super::trouble::{Refusal, Span, Trouble, TroubleKind};
use crate::clock::Timestamp;
use crate::config::{Limit, Limits};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Lifetimes in hours, and how many of a hundred certificates have them.
const LIFETIMES: [(u32, u32); 7] =
    [(160, 10), (6 * 24, 10), (10 * 24, 10), (45 * 24, 20), (64 * 24, 15), (90 * 24, 25), (200 * 24, 10)];

/// What is left to chance.
#[derive(Debug)]
pub(super) struct Chance {
    pub(super) random: SmallRng,
    seed: u64,
    start: Timestamp,
    days: u32,
}

impl Chance {
    /// Thrown with this seed, for so many days from then on.
    pub(super) fn new(seed: u64, start: Timestamp, days: u32) -> Self {
        Self { random: SmallRng::seed_from_u64(seed ^ 0x5ce7_a810), seed, start, days }
    }

    /// An instant between two hundredths of the run.
    pub(super) fn between(&mut self, from: u64, to: u64) -> Timestamp {
        let length = (DAY * self.days).as_secs();
        self.start.plus(Duration::from_secs(self.random.random_range(length * from / 100..length * to / 100)))
    }

    /// From ten minutes to this.
    pub(super) fn length(&mut self, longest: Duration) -> Duration {
        Duration::from_secs(self.random.random_range(600..longest.as_secs().max(601)))
    }

    pub(super) fn kind(&mut self) -> TroubleKind {
        TroubleKind::ALL[self.random.random_range(0..TroubleKind::ALL.len())]
    }

    /// One outage more than that, of every kind.
    pub(super) fn outages(&mut self, count: u32, longest: Duration) -> Vec<Trouble> {
        let mut one = || Trouble { span: Span::of(self.between(0, 95), self.length(longest)), kind: self.kind() };
        (0..=count).map(|_| one()).collect()
    }

    /// One span more than that.
    pub(super) fn spans(&mut self, count: u32, longest: Duration) -> Vec<Span> {
        (0..=count).map(|_| Span::of(self.between(0, 95), self.length(longest))).collect()
    }

    /// Pulls of the plug, each within half of its turn: every other after some writes, wherever that is, and the rest so
    /// few writes after a milestone that between them each write that follows one is the last.
    pub(super) fn crashes(&mut self, every: Duration) -> Vec<(Timestamp, Event)> {
        let count = (DAY * self.days).as_secs() / every.as_secs().max(1);
        let mut one = |index: u32| {
            let at = self.start.plus(every * index).plus(self.length(every / 2));
            let step = self.seed.wrapping_add(u64::from(index / 2));
            let event = if index.is_multiple_of(2) { near_a_milestone(step) } else { self.anywhere() };
            (at, event)
        };
        (1..u32::try_from(count).unwrap_or(u32::MAX)).map(&mut one).collect()
    }

    fn anywhere(&mut self) -> Event {
        Event::Crash { after: None, writes: self.random.random_range(1..=12) }
    }

    pub(super) fn lifetime(&mut self) -> Duration {
        let mut throw = self.random.random_range(0..100);
        for (hours, share) in LIFETIMES {
            if throw < share {
                return HOUR * hours;
            }
            throw -= share;
        }
        90 * DAY
    }

    /// In the past already, a day, or five.
    pub(super) fn window(&mut self) -> Duration {
        [Duration::ZERO, DAY, 5 * DAY][self.random.random_range(0..3)]
    }

    /// As most CAs, or with little room for anybody.
    pub(super) fn limits(&mut self) -> Limits {
        let orders = Limit { most: self.random.random_range(4..12), within: 3 * HOUR };
        let domain = Limit { most: self.random.random_range(6..12), within: 7 * DAY };
        let tight = Limits { orders: Some(orders), domain: Some(domain), ..Limits::LETS_ENCRYPT };
        if self.random.random() { tight } else { Limits::LETS_ENCRYPT }
    }

    pub(super) fn advice(&mut self) -> Advice {
        [Advice::None, Advice::Usual, Advice::Usual, Advice::TooLate][self.random.random_range(0..4)]
    }

    pub(super) fn ask_again(&mut self) -> Option<Duration> {
        [None, Some(12 * HOUR), Some(365 * DAY)][self.random.random_range(0..3)]
    }

    /// One certificate in so many is refused for a while.
    pub(super) fn refusal(&mut self, certificate: &str, in_so_many: u32) -> Option<Refusal> {
        let refused = self.random.random_ratio(1, in_so_many);
        let span = Span::of(self.between(0, 90), self.length(3 * DAY));
        refused.then(|| Refusal { certificate: certificate.to_owned(), span })
    }

    /// A day ahead or behind for two hours, a small step, and a sleep of up to three days.
    pub(super) fn clock_trouble(&mut self) -> Vec<(Timestamp, Event)> {
        let day = [86_400_000, -86_400_000][self.random.random_range(0..2)];
        let wrong = self.between(5, 60);
        let step = self.between(5, 90);
        let skew = self.random.random_range(-5000..5000);
        vec![
            (wrong, Event::Clock { skew: day }),
            (wrong.plus(2 * HOUR), Event::Clock { skew: 0 }),
            (step, Event::Clock { skew }),
            (step.plus(HOUR), Event::Clock { skew: 0 }),
            (self.between(5, 90), Event::Suspend(self.length(3 * DAY))),
        ]
    }
}

/// Writes after a milestone that may be the last.
const NEAR: u64 = 5;

/// Step after step every milestone with every small number of writes.
fn near_a_milestone(step: u64) -> Event {
    let milestones = Milestone::ALL.len() as u64;
    let index = usize::try_from(step % milestones).unwrap_or(0);
    let writes = u32::try_from(step / milestones % NEAR).unwrap_or(0);
    Event::Crash { after: Some(Milestone::ALL[index]), writes }
}

//! Plays a script: hands out what is due, one certificate after another, and moves the clock where nothing is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;

use super::restart::{Machine, Process};
use super::script::{Event, Script};
use super::shelf::Shelf;
use super::trouble::Span;
use super::world::{Book, World};
use super::{Report, SimulationError, inspection};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::state::State;
use crate::worker::reconcile::reconcile;
use crate::worker::{Dice, WorkError, timekeeper};

/// As many certificates are handed out between two looks at the clock.
const BATCH: u32 = 256;

/// What is under way at the end has so long to come to an end.
const AFTERMATH: Duration = Duration::from_secs(2 * 24 * 3600);

/// A plug that is to be pulled at a write is pulled after this where nothing is written.
const PLUG: Duration = Duration::from_secs(1800);

/// The clock is looked at this often, and whenever it is set …
const TIMEKEEPING: Duration = Duration::from_secs(6 * 3600);

/// … and so often while it cannot be trusted.
const DISTRUST: Duration = Duration::from_secs(1800);

/// Whether all is well is looked at this often.
const INSPECTION: Duration = Duration::from_secs(6 * 3600);

/// A process that was killed comes up again after this.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Old records are swept out this often.
const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// More turns than this at one instant are a certificate that is due for ever.
const CIRCLES: u32 = 200;

/// Plays the script to its end.
///
/// # Errors
/// Where the machinery of the simulation fails. What renewd does wrong stands in the report.
pub async fn run(script: Script) -> Result<Report, SimulationError> {
    let began = Instant::now();
    let mut run = Run::begin(script).await?;
    run.play().await?;
    let mut report = run.end().await?;
    report.took = super::report::Took(began.elapsed());
    Ok(report)
}

/// A run under way.
pub(super) struct Run {
    pub(super) machine: Machine,
    process: Process,
    pub(super) config: Arc<Config>,
    events: VecDeque<(Timestamp, Event)>,
    seed: u64,
    start: Timestamp,
    end: Timestamp,
    stride: Duration,
    /// A crash is under way: the plug is pulled at the latest at this instant.
    plug: Option<Timestamp>,
    next_timekeeping: Timestamp,
    next_inspection: Timestamp,
    next_sweep: Timestamp,
    distrusted_since: Option<Timestamp>,
    pub(super) inspection: inspection::Inspection,
    turns: u64,
    crashes: u64,
    most_held: u32,
}

impl Run {
    async fn begin(script: Script) -> Result<Self, SimulationError> {
        let clock = Clock::simulated(script.start);
        let world = World::new(&script, clock.clone())?;
        let state = State::simulated().await?;
        let dice = Dice::seeded(script.seed);
        let machine = Machine { state, clock, world, shelf: Arc::new(Shelf::default()), dice };
        let process = machine.start(&script.config).await?;
        let start = script.start;
        // Of what was before nobody knows anything.
        machine.world.with(|book, _| book.was_idle(Span { from: Timestamp::EPOCH, to: start }));
        for held in &script.held {
            held.put(&machine, &script.config).await?;
        }
        Ok(Self {
            machine,
            process,
            inspection: inspection::Inspection::new(&script.config, start),
            config: script.config,
            events: script.events.into(),
            seed: script.seed,
            start,
            end: script.end,
            stride: script.stride,
            plug: None,
            next_timekeeping: start,
            next_inspection: start.plus(INSPECTION),
            next_sweep: start.plus(SWEEP),
            distrusted_since: None,
            turns: 0,
            crashes: 0,
            most_held: 0,
        })
    }

    fn world(&self) -> &World {
        &self.machine.world
    }

    async fn play(&mut self) -> Result<(), SimulationError> {
        let last = self.end.plus(AFTERMATH);
        let (mut instant, mut circles) = (self.start, 0);
        while self.world().now() < last {
            self.happen().await?;
            self.chores().await?;
            let now = self.world().now();
            circles = if now == instant { circles + 1 } else { 0 };
            instant = now;
            match self.machine.state.next_due(Timestamp::EPOCH).await? {
                Some(due) if due <= self.machine.clock.now() => self.work(circles).await?,
                due => self.jump(due, last),
            }
        }
        Ok(())
    }

    /// One turn for each that is due, as long as nothing else happens.
    async fn work(&mut self, circles: u32) -> Result<(), SimulationError> {
        let due = self.machine.state.due(self.machine.clock.now(), BATCH).await?;
        if let (Some(name), true) = (due.first(), circles > CIRCLES) {
            self.world().with(|book, now| book.witness.violation(name, "due again and again at one instant", now));
            self.world().pass_to(self.world().now().plus(Duration::from_secs(60)));
        }
        for name in due {
            self.turns += 1;
            let outcome = self.process.worker.work(&name).await;
            if self.machine.state.fuse().is_blown() {
                self.look_for_tears(&name).await?;
                return self.crash(None).await;
            }
            if self.plug.is_none() && self.machine.state.fuse().is_set() {
                self.plug = Some(self.world().now().plus(PLUG));
            }
            if let Err(failure) = outcome {
                self.turn_failed(&name, &failure);
            }
            if self.something_comes() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The plug is pulled amid the work on a certificate.
    async fn look_for_tears(&self, name: &str) -> Result<(), SimulationError> {
        if let Some(torn) = self.machine.torn(name, &self.config).await? {
            // By a clock that was set back, what came later seems to have come before.
            let sure = |book: &Book, now| now >= book.witness.excused_until;
            self.world().with(|book, now| sure(book, now).then(|| book.witness.violation(name, torn, now)));
        }
        Ok(())
    }

    fn turn_failed(&self, name: &str, failure: &WorkError) {
        let what = format!("its turn failed: {}", providers::error::chain(failure));
        self.world().with(|book, now| book.witness.violation(name, &what, now));
        self.world().pass_to(self.world().now().plus(Duration::from_secs(60)));
    }

    fn something_comes(&self) -> bool {
        self.world().now() >= self.next_event()
    }

    /// The next instant at which something happens that is not due work.
    fn next_event(&self) -> Timestamp {
        if let Some(plug) = self.plug {
            return plug;
        }
        let event = self.events.front().map_or(Timestamp::NEVER, |(at, _)| *at);
        event.min(self.next_timekeeping).min(self.next_inspection).min(self.next_sweep)
    }

    /// To whatever comes next; work that is due a little later is waited for, and done together.
    fn jump(&self, due: Option<Timestamp>, last: Timestamp) {
        let now = self.world().now();
        let due = due.map_or(Timestamp::NEVER, |due| self.world().truly(due).max(now.plus(self.stride)));
        self.world().pass_to(due.min(self.next_event()).min(last));
    }

    /// What the script has for now. While the plug hangs loose nothing else happens.
    async fn happen(&mut self) -> Result<(), SimulationError> {
        let now = self.world().now();
        if self.plug.is_some_and(|plug| plug <= now) {
            self.crash(None).await?;
        }
        while self.plug.is_none() && self.events.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, event)) = self.events.pop_front() else { break };
            self.take(event).await?;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), SimulationError> {
        let now = self.world().now();
        match event {
            Event::Crash { after: Some(milestone), writes } => {
                self.world().with(|book, _| book.plugs.set_up(milestone, writes));
            }
            Event::Crash { after: None, writes: 0 } => self.crash(Some(AT_ONCE)).await?,
            Event::Crash { after: None, writes } => {
                self.machine.state.fuse().set(writes);
                self.plug = Some(now.plus(PLUG));
            }
            Event::Clock { skew } => self.set_clock(skew, now).await?,
            Event::Suspend(length) => {
                self.world().with(|book, now| book.was_idle(Span::of(now, length)));
                self.world().pass_to(now.plus(length));
            }
            Event::MassRevocation { issuer, permille, window } => self.world().with(|book, now| {
                if let Some(authority) = book.authorities.get_mut(&issuer) {
                    authority.revoke_many(permille, window, now, &mut book.random);
                }
            }),
            Event::Config(config) => self.configure(config).await?,
        }
        Ok(())
    }

    async fn set_clock(&mut self, skew: i64, now: Timestamp) -> Result<(), SimulationError> {
        const TAINTED: Duration = Duration::from_secs(8 * 24 * 3600);
        const SLIGHT: u64 = 60_000;
        if skew.abs_diff(self.world().skew()) > SLIGHT {
            self.world().with(|book, _| book.witness.excused_until = now.plus(TAINTED));
        }
        self.world().set_skew(skew);
        self.keep_time().await?;
        self.next_timekeeping = now.plus(DISTRUST);
        Ok(())
    }

    async fn configure(&mut self, config: Arc<Config>) -> Result<(), SimulationError> {
        self.process.parts.store(self.machine.parts(&config)?);
        reconcile(&config, &self.machine.state, self.machine.clock.now()).await?;
        self.inspection.expect(&config, self.world().now());
        self.config = config;
        Ok(())
    }

    /// What the daemon does beside its loop.
    async fn chores(&mut self) -> Result<(), SimulationError> {
        if self.plug.is_some() {
            return Ok(());
        }
        let now = self.world().now();
        if now >= self.next_timekeeping {
            self.keep_time().await?;
            self.next_timekeeping = now.plus(if self.distrusted_since.is_some() { DISTRUST } else { TIMEKEEPING });
        }
        if now >= self.next_inspection {
            self.next_inspection = now.plus(INSPECTION);
            self.inspect().await?;
            self.most_held = self.most_held.max(self.machine.state.count_held(self.machine.clock.now()).await?);
        }
        if now >= self.next_sweep {
            self.next_sweep = now.plus(SWEEP);
            self.process.worker.sweep().await?;
        }
        Ok(())
    }

    async fn keep_time(&mut self) -> Result<(), SimulationError> {
        let Machine { state, clock, .. } = &self.machine;
        let trusted = timekeeper::look(state, clock, &self.process.trusted).await?;
        let (now, shown) = (self.world().now(), clock.now());
        self.world().with(|book, _| book.highest = book.highest.max(shown));
        match (self.distrusted_since, trusted) {
            (None, false) => self.distrusted_since = Some(now),
            (Some(from), _) => {
                // Told piece by piece, so that whoever looks meanwhile knows.
                self.world().with(|book, _| book.was_idle(Span { from, to: now }));
                self.distrusted_since = (!trusted).then_some(now);
            }
            (None, true) => {}
        }
        Ok(())
    }

    /// The process is gone, and comes up again a little later, or after so long.
    async fn crash(&mut self, comes_up: Option<Duration>) -> Result<(), SimulationError> {
        self.plug = None;
        self.crashes += 1;
        self.machine.state.fuse().mend();
        let written = self.machine.state.fuse().passed();
        let failing = self.world().with(|book, _| {
            book.witness.crashed(written);
            book.witness.failing()
        });
        let before = self.machine.on_record(&failing).await?;
        let pause = || self.world().with(|book, _| Duration::from_secs(book.random.random_range(1..60)));
        self.world().pass_to(self.world().now().plus(comes_up.unwrap_or_else(pause)));
        self.process = self.machine.start(&self.config).await?;
        let after = self.machine.on_record(&failing).await?;
        for ((name, issuer), retry_at) in before {
            if after.get(&(name.clone(), issuer.clone())).is_none_or(|found| *found < retry_at) {
                let what = format!("the restart forgot that `{issuer}` is not to be asked before {retry_at}");
                self.world().with(|book, now| book.witness.violation(&name, &what, now));
            }
        }
        Ok(())
    }

    async fn end(mut self) -> Result<Report, SimulationError> {
        self.inspect().await?;
        self.inspect_the_host().await?;
        self.inspect_the_shelf().await?;
        let config = Arc::clone(&self.config);
        let mut report = self.world().with(|book, now| book.witness.conclude(&config, now));
        report.held = self.most_held;
        report.seed = self.seed;
        report.certificates = self.config.certificates.len();
        report.days = u32::try_from(self.end.since(self.start).as_secs() / (24 * 3600)).unwrap_or(u32::MAX);
        report.turns = self.turns;
        report.crashes = self.crashes;
        Ok(report)
    }
}

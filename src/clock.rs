//! Time: the only caller of `SystemTime::now`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant in milliseconds since 1970 (UTC), as the database keeps it. `Display` is RFC 3339 with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// So far away that it never comes.
    pub const NEVER: Self = Self(253_402_300_799_000);

    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)).min(Self::NEVER.0))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The time from `earlier` to here; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a calendar date and time in UTC. Out of its range (years beyond 9999) it is the nearest end.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        let nanos = i128::from(self.0.clamp(-62_135_596_800_000, Self::NEVER.0)) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// From a calendar date and time.
    #[must_use]
    pub fn from_datetime(datetime: OffsetDateTime) -> Self {
        Self(i64::try_from(datetime.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX).min(Self::NEVER.0))
    }

    /// As `SystemTime`, for HTTP dates.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + self.since(Self::EPOCH)
    }

    /// As an HTTP date (RFC 9110, section 5.6.7), in its preferred form.
    #[must_use]
    pub fn to_http_date(self) -> String {
        httpdate::fmt_http_date(self.min(Self::NEVER).to_system_time())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Self::from_seconds(self.seconds()).to_datetime();
        formatter.write_str(&whole.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The environment variable that names a file holding an offset in seconds, by which a test moves a real daemon in
/// time. The file is read anew each time.
pub const TEST_CLOCK: &str = "RENEWD_TEST_CLOCK";

/// What the time is, and waiting for it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset: Option<PathBuf>,
    simulated: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock, moved by the file that `RENEWD_TEST_CLOCK` names, if it names one.
    #[must_use]
    pub fn system() -> Self {
        Self { offset: std::env::var_os(TEST_CLOCK).map(PathBuf::from), simulated: None }
    }

    /// A clock of a simulation: it stands still but for `set`, and whoever sleeps moves it.
    #[must_use]
    pub fn simulated(start: Timestamp) -> Self {
        Self { offset: None, simulated: Some(Arc::new(AtomicI64::new(start.millis()))) }
    }

    /// Sets a simulated clock, back too; no other clock can be set.
    pub fn set(&self, now: Timestamp) {
        if let Some(simulated) = &self.simulated {
            simulated.store(now.millis(), Ordering::SeqCst);
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if let Some(simulated) = &self.simulated {
            return Timestamp(simulated.load(Ordering::SeqCst));
        }
        Timestamp(self.machine().0.saturating_add(self.offset_seconds().saturating_mul(1000)))
    }

    /// What the machine's own clock says, whatever `RENEWD_TEST_CLOCK` does: to be held against other machines' clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn machine(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.plus(since)
    }

    /// Returns when `instant` has come, soon after it at the latest even where the wall clock was moved meanwhile.
    pub async fn sleep_until(&self, instant: Timestamp) {
        const STRIDE: Duration = Duration::from_secs(30);
        if let Some(simulated) = &self.simulated {
            simulated.fetch_max(instant.millis(), Ordering::SeqCst);
            return;
        }
        loop {
            let left = instant.since(self.now());
            if left.is_zero() {
                return;
            }
            let stride = if self.offset.is_some() { Duration::from_millis(100) } else { STRIDE };
            tokio::time::sleep(left.min(stride)).await;
        }
    }

    fn offset_seconds(&self) -> i64 {
        let read = |path: &PathBuf| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        self.offset.as_ref().and_then(read).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(Timestamp::from_seconds(1_709_210_096).to_string(), "2024-02-29T12:34:56Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(Timestamp::NEVER.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_seconds(5).since(Timestamp::from_seconds(9)), Duration::ZERO);
        assert_eq!(Timestamp::NEVER.plus(Duration::from_secs(1)), Timestamp::NEVER);
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    async fn who_waits_goes_by_the_clock_though_it_is_set_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let clock = Clock { offset: Some(file.clone()), simulated: None };
        let set = |seconds: &str| std::fs::write(&file, seconds).unwrap();
        set("0");
        let due = clock.now().plus(Duration::from_secs(1));
        let stepped = async {
            set("-3600");
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert!(clock.now() < due, "the clock went back: it is not the time yet");
            set("2");
        };
        let waited = async {
            clock.sleep_until(due).await;
            assert!(clock.now() >= due, "nobody goes on before the time");
        };
        let both = async { tokio::join!(stepped, waited) };
        assert!(tokio::time::timeout(Duration::from_secs(60), both).await.is_ok(), "it goes on waiting");
    }
}

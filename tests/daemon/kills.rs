//! Killed again and again while a hundred orders meet a DNS host that fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::acme_ca::{AcmeCa, Endpoint, Script};
use crate::bridge::Bridge;
use crate::cloudflare::{CloudflareServer, TOKEN, meaning};
use crate::harness::Daemon;
use crate::home::{Home, STORE, certificate, dns, resolver};
use crate::own_ca::Clock;
use crate::peers::process::wait;

const LIMIT: Duration = Duration::from_secs(60);
const CERTIFICATES: usize = 100;
const SEATS: usize = 8;

/// How long a daemon lives that has nothing to do.
const IDLE_LIFE: Duration = Duration::from_secs(2);

/// Kills in the midst of work, after the first two.
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_amid_failures_forget_no_attempt_burst_on_nobody_and_leave_no_value_behind() {
    let world = World::start().await;
    world.fail(usize::from(u16::MAX));
    let mut daemon = world.daemon();
    daemon.until(LIMIT, "each has failed", |daemon| daemon.json("/health")["checks"]["certificates"]["failing"] == 100);
    daemon.kill();
    let first = world.attempts(&daemon);
    assert_eq!(world.ca.count(Endpoint::NewOrder), CERTIFICATES, "one order each");

    // Nobody's time has come: a start changes nothing.
    let mut daemon = world.daemon();
    std::thread::sleep(IDLE_LIFE);
    daemon.kill();
    let mut before = world.attempts(&daemon);
    compare(&first, &before, world.now());
    assert_eq!(world.ca.count(Endpoint::NewOrder), CERTIFICATES, "no burst on start");

    let mut standing = 0;
    for _ in 0..KILLS {
        world.pass(Duration::from_secs(600));
        world.fail(20);
        let mut daemon = world.daemon();
        assert!(wait(LIMIT, || !world.values().is_empty()), "no value was put up");
        daemon.kill();
        let after = world.attempts(&daemon);
        compare(&before, &after, world.now());
        standing += world.values().len();
        before = after;
    }
    assert!(standing > 0, "no kill came while a value stood: the test shows nothing");

    world.work();
    world.pass(Duration::from_secs(7200));
    let mut daemon = world.daemon();
    daemon.until_all(LIMIT, "stored");
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    assert_eq!(world.values(), [""; 0], "values left behind");
    for endpoint in [Endpoint::NewOrder, Endpoint::Challenge, Endpoint::Finalize] {
        let (count, most) = (world.ca.count(endpoint), CERTIFICATES + (KILLS + 2) * SEATS);
        assert!((CERTIFICATES..=most).contains(&count), "{endpoint:?}: {count} requests, more than {most}");
    }
    assert_eq!((world.ca.complaints(), world.cloud.cloud().complaints.clone()), (vec![], vec![]));
    assert!(daemon.terminate().success());
}

/// Nothing that was known is forgotten, and nobody is tried before the time that was told.
fn compare(before: &BTreeMap<String, Attempt>, after: &BTreeMap<String, Attempt>, now: OffsetDateTime) {
    for (name, old) in before {
        let new = &after[name];
        if old.issued || new.issued {
            assert!(new.issued, "{name} is issued no longer");
            continue;
        }
        assert!(new.retry_at.is_some(), "{name} failed, and its next try has no time: {new:?}");
        assert!(new.failures >= old.failures, "{name} has forgotten failures: {old:?}, {new:?}");
        if old.retry_at.is_some_and(|at| at > now) {
            assert_eq!(new, old, "{name} was tried before its time");
        }
    }
}

/// What is on record of a certificate's attempts.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    issued: bool,
    failures: u64,
    retry_at: Option<OffsetDateTime>,
}

/// A CA and a DNS host, and a daemon's home.
struct World {
    ca: AcmeCa,
    cloud: Arc<CloudflareServer>,
    home: Home,
    clock: Clock,
    passed: std::cell::Cell<i64>,
    _bridge: Bridge,
}

impl World {
    async fn start() -> Self {
        let ca = AcmeCa::start(Script { ready: false, ..Script::default() });
        let cloud = Arc::new(CloudflareServer::start().await);
        cloud.cloud().add_zone("zone.test", "active");
        let records = Arc::clone(&cloud);
        let values = move |name: &str| records.cloud().contents(name).iter().map(|value| meaning(value)).collect();
        let bridge = Bridge::start("zone.test", None, values).await;
        let home = Home::new();
        home.secret("cloudflare.key", TOKEN);
        let settings = format!("api_url = \"{}\"\napi_token = {{ file = \"cloudflare.key\" }}\n", cloud.api_url());
        let mut text = home.head() + &resolver(bridge.address) + STORE;
        text += &format!(
            "[account.fake]\ndirectory = \"{}\"\nagree_to_terms = true\nparallel_orders = {SEATS}\n\n",
            ca.directory_url()
        );
        text += &dns("host", &["zone.test"], "cloudflare", &settings);
        home.save(
            &(0..CERTIFICATES).fold(text, |text, number| text + &certificate(&name(number), &[&name(number)], "")),
        );
        let clock = Clock::new(&home);
        Self { ca, cloud, home, clock, passed: Default::default(), _bridge: bridge }
    }

    fn daemon(&self) -> Daemon {
        Daemon::start_with_env(&self.home, &[self.clock.variable()])
    }

    /// The DNS host fails with its next requests.
    fn fail(&self, requests: usize) {
        self.cloud.cloud().refusals = vec![(500, "{}".to_owned()); requests];
    }

    fn work(&self) {
        self.cloud.cloud().refusals.clear();
    }

    /// It becomes so much later.
    fn pass(&self, time: Duration) {
        self.passed.set(self.passed.get() + i64::try_from(time.as_secs()).unwrap());
        self.clock.set(self.passed.get());
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from(SystemTime::now()) + time::Duration::seconds(self.passed.get())
    }

    /// The TXT values of all challenges.
    fn values(&self) -> Vec<String> {
        let cloud = self.cloud.cloud();
        (0..CERTIFICATES).flat_map(|number| cloud.contents(&format!("_acme-challenge.{}", name(number)))).collect()
    }

    /// What is on record, read while no daemon runs.
    fn attempts(&self, daemon: &Daemon) -> BTreeMap<String, Attempt> {
        let read = |view: &Value| {
            let retry_at = view["retry_at"].as_str().map(|at| OffsetDateTime::parse(at, &Rfc3339).unwrap());
            Attempt { issued: view["version"] == 1, failures: view["failures"].as_u64().unwrap(), retry_at }
        };
        daemon.certificates().iter().map(|view| (view["name"].as_str().unwrap().to_owned(), read(view))).collect()
    }
}

fn name(number: usize) -> String {
    format!("n{number}.zone.test")
}

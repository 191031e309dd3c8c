//! Killed at each numbered step of a certificate's life, and started again.

use std::fs::read_link;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use renewd::crash::{Point, VARIABLE};

use crate::harness::Daemon;
use crate::home::{Home, certificate, list};
use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};

const ZONE: &str = "p.test";
const LIMIT: Duration = Duration::from_secs(60);

/// Where the walk is parted, so that the parts can run side by side.
const HALF: usize = Point::ALL.len() / 2;

#[test]
fn a_crash_at_any_step_up_to_the_challenges_leads_to_one_certificate() {
    Walk::new().along(&Point::ALL[..HALF]);
}

#[test]
fn a_crash_at_any_step_from_the_challenges_on_leads_to_one_certificate() {
    Walk::new().along(&Point::ALL[HALF..]);
}

/// The servers that every daemon of a walk meets.
struct Walk {
    bind: Bind,
    pebble: Pebble,
}

impl Walk {
    fn new() -> Self {
        let bind = Bind::start(&[ZONE]);
        let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
        Walk { bind, pebble }
    }

    fn along(&self, points: &[Point]) {
        for point in points {
            eprintln!("{}", point.name());
            self.crash_at(*point);
        }
    }

    fn crash_at(&self, point: Point) {
        let name = format!("{}.{ZONE}", point.name().replace('_', "-"));
        let names = [name.as_str(), &format!("*.{name}")];
        let home = Home::new();
        let told = home.file("told");
        let command = ["/bin/sh", "-c", "echo \"$RENEWD_CERTIFICATES\" >> \"$0\"", &told.to_string_lossy()];
        let more = format!("deploy = [{{ command = {} }}]\n", list(&command.map(|word| word.replace('"', "\\\""))));
        home.save(&home.acme_config(&self.bind, &[ZONE], &self.pebble, &certificate(&name, &names, &more)));

        let orders_before = self.pebble.order_count();
        let mut doomed = Daemon::spawn(&home, &[(VARIABLE, point.name())]);
        let status = doomed.wait();
        assert_eq!(status.signal(), Some(9), "it does not come to `{}`: {status}", point.name());

        let mut daemon = Daemon::start(&home);
        daemon.until_all(LIMIT, "deployed");
        daemon.until(LIMIT, "no TXT value is left", |daemon| {
            self.bind.all_txt(ZONE).is_empty() && daemon.json("/health")["checks"]["txt_owed"] == 0
        });
        let orders = self.pebble.order_count() - orders_before;
        assert!((1..=2).contains(&orders), "{orders} orders");
        let view = daemon.show(&name);
        assert_eq!((&view["version"], view["versions"].as_array().map(Vec::len)), (&1.into(), Some(1)), "{view}");
        assert_eq!(view["serial"], openssl::serial(&home.read(&name, "cert.pem")));
        self.check_files(&home, &name);
        let runs = std::fs::read_to_string(told).unwrap();
        let most = if point == Point::Deployed { 2 } else { 1 };
        assert!((1..=most).contains(&runs.lines().count()) && runs.lines().all(|line| line == name), "{runs}");
        assert!(daemon.terminate().success());
    }

    /// One version, whole, and nothing else.
    fn check_files(&self, home: &Home, name: &str) {
        assert_eq!(read_link(home.stored(name)).unwrap(), Path::new(".versions").join(name).join("000001"));
        let store = home.file("certificates");
        assert_eq!(entries(&store), [".versions", name]);
        assert_eq!(entries(&store.join(".versions").join(name)), ["000001"]);
        let files = ["cert.pem", "chain.pem", "fullchain.pem", "metadata.json", "privkey.pem"];
        assert_eq!(entries(&home.stored(name)), files);
        let file = |file| home.read(name, file);
        let (leaf, chain) = (file("cert.pem"), file("chain.pem"));
        openssl::verify(&self.pebble.root_pem(), &chain, &leaf).unwrap();
        assert_eq!(file("fullchain.pem"), format!("{leaf}{chain}"));
        assert_eq!(openssl::public_key_of_cert(&leaf), openssl::public_key_of_key(&file("privkey.pem")));
        assert_eq!(openssl::names(&leaf), [&format!("*.{name}"), name]);
    }
}

/// The names of what is in a folder, sorted; locks of the store are no content.
pub fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

//! Twenty certificates of all kinds from Pebble, by way of BIND, to what nginx serves.

use std::process::Command;
use std::time::Duration;

use crate::harness::Daemon;
use crate::home::{Home, certificate, list};
use crate::peers::bind::Bind;
use crate::peers::nginx::{Nginx, Site};
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::{openssl, process, programs};

/// The zones of the instance `main`.
const MAIN: [&str; 3] = ["a.test", "c.test", "d.test"];
/// The zone of the instance `other`, which has another key.
const OTHER: [&str; 1] = ["b.test"];
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn twenty_certificates_are_issued_stored_deployed_and_served() {
    let world = World::new(0);
    let mut daemon = world.issue_all("served");
    world.check_files();
    world.check_served();
    world.check_no_txt_left(&mut daemon);
    let reloads = world.nginx.reloads();
    assert!((1..=3).contains(&reloads), "the deploy command ran {reloads} times for twenty certificates");
    assert_eq!(world.pebble.order_count(), world.wanted.len());
    assert!(daemon.terminate().success());
}

#[test]
fn twenty_certificates_are_issued_though_half_of_the_nonces_are_refused() {
    let world = World::new(50);
    let mut daemon = world.issue_all("served");
    world.check_files();
    world.check_served();
    world.check_no_txt_left(&mut daemon);
    assert_eq!(world.pebble.order_count(), world.wanted.len());
    assert!(world.pebble.requests("POST /order-plz") > world.wanted.len(), "no nonce was refused");
    assert!(!world.pebble.log().contains("There are now 2 accounts"), "a refused nonce made a second account");
}

/// One certificate of the config.
struct Wanted {
    name: String,
    names: Vec<String>,
    key: &'static str,
    /// What a client asks for.
    server_name: String,
}

struct World {
    bind: Bind,
    pebble: Pebble,
    nginx: Nginx,
    home: Home,
    wanted: Vec<Wanted>,
}

impl World {
    fn new(nonce_reject_percent: u8) -> Self {
        let bind = Bind::start(&[&MAIN[..], &OTHER[..]].concat());
        bind.nsupdate("update add _acme-challenge.far.a.test 60 CNAME _acme-challenge.far-away.b.test");
        let pebble =
            Pebble::start(PebbleOptions { dns: bind.address(), nonce_reject_percent, ..PebbleOptions::default() });
        let (home, wanted) = (Home::new(), wanted());
        let site = |wanted: &Wanted| Site::from_folder(&wanted.server_name, &home.stored(&wanted.name));
        let nginx = Nginx::start(&wanted.iter().map(site).collect::<Vec<_>>());
        let world = World { bind, pebble, nginx, home, wanted };
        world.home.save(&world.config());
        world
    }

    fn config(&self) -> String {
        let mut extra = self.home.rfc2136_sha512("other", &OTHER, &self.bind);
        extra += &format!("[defaults]\ndeploy = [{{ command = {} }}]\n\n", list(&self.nginx.reload_command()));
        for Wanted { name, names, key, server_name } in &self.wanted {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let more = format!(
                "key = \"{key}\"\nverify = [{{ address = \"{}\", server_name = \"{server_name}\" }}]\n",
                self.nginx.address()
            );
            extra += &certificate(name, &names, &more);
        }
        self.home.acme_config(&self.bind, &MAIN, &self.pebble, &extra)
    }

    fn issue_all(&self, state: &str) -> Daemon {
        let mut daemon = Daemon::start(&self.home);
        daemon.until_all(LIMIT, state);
        assert_eq!(daemon.certificates().len(), self.wanted.len());
        daemon
    }

    /// Leaf, chain, key and names of each, as `openssl` sees them.
    fn check_files(&self) {
        let root = self.pebble.root_pem();
        for wanted in &self.wanted {
            let file = |name: &str| self.home.read(&wanted.name, name);
            let (leaf, chain, key) = (file("cert.pem"), file("chain.pem"), file("privkey.pem"));
            openssl::verify(&root, &chain, &leaf).unwrap_or_else(|error| panic!("{}: {error}", wanted.name));
            assert_eq!(file("fullchain.pem"), format!("{leaf}{chain}"));
            assert_eq!(openssl::public_key_of_cert(&leaf), openssl::public_key_of_key(&key), "{}", wanted.name);
            let mut names = wanted.names.clone();
            names.sort();
            assert_eq!(openssl::names(&leaf), names);
            assert_eq!(kind_of_key(&key), wanted.key, "{}", wanted.name);
        }
    }

    /// What nginx serves for each name is what is stored, to the octet.
    fn check_served(&self) {
        for wanted in &self.wanted {
            let stored = openssl::certificates(&self.home.read(&wanted.name, "fullchain.pem"));
            let served = || openssl::served_chain(self.nginx.address(), &wanted.server_name, None);
            let same = process::wait(Duration::from_secs(10), || served().is_ok_and(|chain| chain == stored));
            assert!(same, "nginx does not serve `{}`: {:?}", wanted.name, served());
        }
    }

    fn check_no_txt_left(&self, daemon: &mut Daemon) {
        let zones = || MAIN.iter().chain(&OTHER);
        let left = || zones().flat_map(|zone| self.bind.all_txt(zone)).collect::<Vec<_>>();
        daemon.until(Duration::from_secs(20), "all TXT values are withdrawn", |_| left().is_empty());
        assert_eq!(daemon.json("/health")["checks"]["txt_owed"], 0);
    }
}

/// Twenty certificates: no two of the same kind, then a dozen of the usual kind.
fn wanted() -> Vec<Wanted> {
    let mut wanted = vec![
        of("a.test", &["a.test", "*.a.test"], "ecdsa-p256", "any.a.test"),
        // Its challenge stands at the same name as the two of the one before.
        of("*.a.test", &["*.a.test"], "ecdsa-p256", "some.a.test"),
        of("b.test", &["b.test"], "ecdsa-p256", "b.test"),
        // Its challenge lies in the other instance's zone, behind a CNAME.
        of("far.a.test", &["far.a.test"], "ecdsa-p256", "far.a.test"),
        of("rsa.c.test", &["rsa.c.test"], "rsa-2048", "rsa.c.test"),
        of("p384.c.test", &["p384.c.test", "*.p384.c.test"], "ecdsa-p384", "p384.c.test"),
        of("everywhere", &["every.a.test", "every.b.test", "every.c.test", "*.d.test"], "ecdsa-p256", "every.b.test"),
        of("deep.c.test", &["x.y.z.deep.c.test", "*.z.deep.c.test"], "ecdsa-p256", "w.z.deep.c.test"),
    ];
    for number in 1..=12 {
        let (first, second) = (format!("h{number}.d.test"), format!("www.h{number}.d.test"));
        wanted.push(of(&first, &[&first, &second], "ecdsa-p256", &second));
    }
    wanted
}

fn of(name: &str, names: &[&str], key: &'static str, server_name: &str) -> Wanted {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Wanted { name: name.to_owned(), names, key, server_name: server_name.to_owned() }
}

/// The config's word for the kind of a key, by what `openssl` says of it.
fn kind_of_key(key: &str) -> &'static str {
    let text = programs::must(Command::new(programs::find("openssl")).args(["pkey", "-noout", "-text"]), key);
    let kinds = [("P-256", "ecdsa-p256"), ("P-384", "ecdsa-p384"), ("(2048 bit, 2 primes)", "rsa-2048")];
    kinds.into_iter().find(|(sign, _)| text.contains(sign)).map_or("something else", |(_, kind)| kind)
}

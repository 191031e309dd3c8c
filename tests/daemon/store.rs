//! What stands in the store against what stands in the state, and renewal by time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::crash::entries;
use crate::harness::{Daemon, said};
use crate::home::{Home, certificate, list};
use crate::own_ca::{Clock, DAY, LIMIT, config, plain, problem, version};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::{openssl, programs};

const FILES: [&str; 5] = ["cert.pem", "chain.pem", "fullchain.pem", "metadata.json", "privkey.pem"];

/// All files of a certificate.
fn files(home: &Home, name: &str) -> Vec<String> {
    FILES.map(|file| home.read(name, file)).into()
}

fn orders(daemon: &Daemon) -> usize {
    daemon.log().matches(" ordering certificate=").count()
}

#[test]
fn files_deleted_or_damaged_by_hand_are_put_back() {
    let home = Home::new();
    let names = ["a.test", "b.test", "c.test", "d.test"];
    home.save(&config(&home, &plain(&names)));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    let before = names.map(|name| files(&home, name));
    let damage = || {
        fs::remove_file(home.stored("a.test")).unwrap();
        fs::remove_file(home.stored("b.test").join("privkey.pem")).unwrap();
        fs::write(home.stored("c.test").join("cert.pem"), "no certificate").unwrap();
        fs::remove_dir_all(home.file("certificates/.versions/d.test")).unwrap();
    };

    damage();
    for name in names {
        let output = daemon.cli(&["deploy", name, "--wait"]);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    assert_eq!(names.map(|name| files(&home, name)), before);

    assert!(daemon.terminate().success());
    damage();
    let mut daemon = Daemon::start(&home);
    let whole = |name: &str| FILES.iter().all(|file| home.stored(name).join(file).exists());
    daemon.until(LIMIT, "all is put back", |_| {
        names.iter().all(|name| whole(name)) && names.map(|name| files(&home, name)) == before
    });
    assert_eq!(orders(&daemon), names.len(), "nothing was ordered again");
    assert!(names.iter().all(|name| version(&daemon, name) == 1));
}

#[test]
fn an_empty_state_adopts_what_fits_and_leaves_the_rest_untouched() {
    const ZONE: &str = "s.test";
    let fits = ["one.s.test", "two.s.test"];
    let strange = ["key.s.test", "old.s.test", "names.s.test", "url.s.test"];
    let bind = Bind::start(&[ZONE]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    let told = home.file("told");
    let deploy = ["/bin/sh", "-c", "echo told >> $0", &told.to_string_lossy()];
    let of = |name: &str, names: &[&str], profile: &str| {
        certificate(name, names, &format!("profile = \"{profile}\"\ndeploy = [{{ command = {} }}]\n", list(&deploy)))
    };
    let write = |old: &str, more: &[&str]| {
        let long = fits.iter().chain(&["key.s.test", "url.s.test"]).map(|name| of(name, &[name], "default"));
        let extra =
            long.collect::<String>() + &of("old.s.test", &["old.s.test"], old) + &of("names.s.test", more, "default");
        home.acme_config(&bind, &[ZONE], &pebble, &extra)
    };
    home.save(&write("shortlived", &["names.s.test"]));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT * 2, "deployed");
    assert!(daemon.terminate().success());

    // The state is gone, and so is what makes four of them fit.
    fs::remove_dir_all(home.state()).unwrap();
    fs::remove_file(&told).unwrap();
    fs::remove_file(home.file("renewd.log")).unwrap();
    fs::write(home.stored("key.s.test").join("privkey.pem"), another_key()).unwrap();
    let metadata = home.read("url.s.test", "metadata.json").replace("/dir\"", "/another\"");
    fs::write(home.stored("url.s.test").join("metadata.json"), metadata).unwrap();
    clock.set(7 * DAY);
    home.save(&write("default", &["names.s.test", "more.s.test"]));
    let adopted = fits.map(|name| files(&home, name));
    let left = strange.map(|name| files(&home, name));
    let count = pebble.order_count();

    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT * 2, "deployed");
    assert_eq!(pebble.order_count() - count, strange.len(), "an order for each that does not fit");
    assert_eq!(fits.map(|name| files(&home, name)), adopted);
    for (name, files) in fits.iter().zip(&adopted) {
        let view = daemon.show(name);
        assert_eq!((&view["version"], &view["serial"]), (&1.into(), &openssl::serial(&files[0]).into()), "{view}");
        assert_eq!(view["issuer"], "pebble");
        assert_eq!(daemon.get(&format!("/{name}/tls")).status, 200);
    }
    for (name, files) in strange.iter().zip(&left) {
        assert!(daemon.log().contains("not adopted: "), "it is reported");
        let shelf = home.file("certificates/.versions").join(name);
        assert_eq!(entries(&shelf), ["000001", "000002"], "{name}");
        let old = FILES.map(|file| fs::read_to_string(shelf.join("000001").join(file)).unwrap());
        assert_eq!(old.as_slice(), files, "{name} is left untouched");
        assert_eq!(version(&daemon, name), 2);
        let (leaf, key) = (home.read(name, "cert.pem"), home.read(name, "privkey.pem"));
        assert_eq!(openssl::public_key_of_cert(&leaf), openssl::public_key_of_key(&key));
    }
    let reported: Vec<_> =
        daemon.log().lines().filter(|line| line.contains("not adopted")).map(str::to_owned).collect();
    assert_eq!(reported.len(), strange.len(), "{reported:?}");
    let runs = fs::read_to_string(&told).unwrap().lines().count();
    assert!((1..=strange.len()).contains(&runs), "consumers are told of the new ones only");
}

#[test]
fn adopted_alone_tells_nobody_and_orders_nothing() {
    const ZONE: &str = "q.test";
    let bind = Bind::start(&[ZONE]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    let told = home.file("told");
    let deploy = list(&["/bin/sh", "-c", "echo told >> $0", &told.to_string_lossy()]);
    let text = certificate("a.q.test", &["a.q.test", "*.a.q.test"], &format!("deploy = [{{ command = {deploy} }}]\n"));
    home.save(&home.acme_config(&bind, &[ZONE], &pebble, &text));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "deployed");
    assert!(daemon.terminate().success());
    fs::remove_dir_all(home.state()).unwrap();
    fs::remove_file(&told).unwrap();
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "deployed");
    assert_eq!(pebble.order_count(), 1);
    assert!(!told.exists(), "what is in use already is not deployed");
    // It is ours from now on: what is damaged is put back, and the next version has the next number.
    fs::remove_file(home.stored("a.q.test").join("chain.pem")).unwrap();
    assert!(daemon.cli(&["deploy", "a.q.test", "--wait"]).status.success());
    assert!(home.stored("a.q.test").join("chain.pem").exists());
    assert!(daemon.cli(&["renew", "a.q.test", "--force", "--wait"]).status.success());
    assert_eq!((version(&daemon, "a.q.test"), pebble.order_count()), (2, 2));
}

#[test]
fn a_store_that_cannot_be_written_catches_up_by_itself() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let mended = home.write("certificates", "a file where the store should be");
    home.save(&config(&home, &plain(&["a.test"])));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "there is a problem", |daemon| problem(daemon, "a.test").contains("store `disk`"));
    assert_eq!(daemon.state_of("a.test"), "issued");
    assert_eq!(daemon.json("/health")["status"], "degraded");
    assert_eq!(daemon.get("/a.test/tls").status, 200, "whoever asks is served");
    let not_stored = |daemon: &Daemon| daemon.log().matches("not stored").count();
    for tried in 2..=3 {
        clock.set(tried * 60);
        daemon.until(LIMIT, "it is tried again", |daemon| not_stored(daemon) >= usize::try_from(tried).unwrap());
    }
    fs::remove_file(mended).unwrap();
    clock.set(300);
    daemon.until_all(LIMIT, "stored");
    assert_eq!((version(&daemon, "a.test"), orders(&daemon)), (1, 1), "it was issued once only");
    assert_eq!(problem(&daemon, "a.test"), "");
    assert_eq!(daemon.json("/health")["status"], "ok");
    assert_eq!(entries(&home.stored("a.test")), FILES);
}

#[test]
fn what_comes_of_age_is_renewed_once_and_three_old_versions_stay() {
    let home = Home::new();
    let clock = Clock::new(&home);
    home.save(&config(&home, &plain(&["a.test", "b.test"])));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    let number = |home: &Home| home.stored("a.test").read_link().unwrap();
    // Leaves live for 90 days: two thirds are 60, and the jitter takes a day of them at the most.
    clock.set(58 * DAY);
    daemon.until(LIMIT, "time is seen to pass", |daemon| daemon.cli_json(&["show", "a.test"])["days_left"] == 31);
    assert_eq!(version(&daemon, "a.test"), 1, "not before its time");
    for renewal in 1..=5 {
        clock.set(i64::from(renewal) * 61 * DAY);
        let wanted = u64::try_from(renewal + 1).unwrap();
        daemon.until(LIMIT, "it is renewed", |daemon| {
            ["a.test", "b.test"].iter().all(|name| version(daemon, name) == wanted && daemon.state_of(name) == "stored")
        });
    }
    assert_eq!(orders(&daemon), 2 + 2 * 5, "each exactly once");
    assert_eq!(number(&home), Path::new(".versions/a.test/000006"));
    assert_eq!(entries(&home.file("certificates/.versions/a.test")), ["000003", "000004", "000005", "000006"]);
    assert_eq!(daemon.show("a.test")["versions"].as_array().map(Vec::len), Some(6));
    let keys: Vec<PathBuf> =
        (3..=6).map(|number| home.file(&format!("certificates/.versions/a.test/00000{number}/privkey.pem"))).collect();
    let mut keys: Vec<_> = keys.iter().map(|key| fs::read_to_string(key).unwrap()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "each version has a key of its own");
}

#[test]
fn by_a_clock_that_went_back_nothing_is_ordered() {
    let home = Home::new();
    let clock = Clock::new(&home);
    home.save(&config(&home, &plain(&["a.test"])));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    clock.set(-7200);
    daemon.until(LIMIT, "health tells", |daemon| daemon.get("/health").status == 503);
    assert_eq!(daemon.json("/health")["checks"]["clock"]["status"], "failing");
    daemon.reload_by_saving(&home, &config(&home, &plain(&["a.test", "b.test"])));
    daemon.until(LIMIT, "it says why", |daemon| problem(daemon, "b.test").contains("clock"));
    let output = daemon.cli(&["renew", "a.test", "--force", "--wait"]);
    assert!(!output.status.success() && said(&output).contains("clock"), "{}", said(&output));
    assert_eq!((orders(&daemon), version(&daemon, "b.test")), (1, 0));
    assert_eq!(daemon.get("/a.test/tls").status, 200, "what there is is served");

    // A daemon that starts by the wrong clock does no better.
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    assert_eq!(daemon.get("/health").status, 503);
    assert_eq!(orders(&daemon), 1);
    clock.set(0);
    daemon.until(LIMIT, "health tells", |daemon| daemon.json("/health")["checks"]["clock"]["status"] == "ok");
    daemon.until(LIMIT, "it goes on", |daemon| version(daemon, "b.test") == 1);
    assert_eq!(version(&daemon, "a.test"), 1);
    daemon.until(Duration::from_secs(10), "all is well", |daemon| daemon.json("/health")["status"] == "ok");
}

fn another_key() -> String {
    let words = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    programs::must(Command::new(programs::find("openssl")).args(words), "")
}

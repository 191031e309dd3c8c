//! The config is edited while the daemon runs: each way of saving is noticed, nothing in progress is lost, and a bad file
//! changes nothing.

use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate};
use crate::own_ca::{Clock, DAY, LIMIT, config, plain, version};
use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};

const ZONE: &str = "r.test";

#[test]
fn editing_while_orders_run_adds_changes_and_removes() {
    let bind = Bind::start(&[ZONE]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), retry_after: 2, ..PebbleOptions::default() });
    let home = Home::new();
    let stay: Vec<String> = (1..=6).map(|number| format!("stay{number}.{ZONE}")).collect();
    let stay: String = stay.iter().map(|name| certificate(name, &[name], "")).collect();
    let write = |extra: &str| home.acme_config(&bind, &[ZONE], &pebble, &format!("{stay}{extra}"));
    let of = |name: &str, names: &[&str]| certificate(name, names, "");
    let (grown, gone, new) = ("grown.r.test", "gone.r.test", "new.r.test");
    home.save(&write(&(of(grown, &[grown]) + &of(gone, &[gone]))));

    let mut daemon = Daemon::start(&home);
    let process = daemon.id();
    daemon.until(LIMIT, "an order runs", |_| pebble.order_count() >= 4);
    daemon.reload_by_saving(&home, &write(&(of(grown, &[grown, "more.r.test"]) + &of(new, &[new]))));
    assert!(daemon.certificates().iter().any(|one| one["version"].is_null()), "orders were still on their way");
    daemon.until(LIMIT * 2, "all that are wanted are there", |daemon| {
        let all = daemon.certificates();
        let wanted: Vec<_> = all.iter().filter(|one| one["name"] != gone).collect();
        let stored = wanted.iter().all(|one| one["state"] == "stored");
        wanted.len() == 8 && stored && openssl::names(&home.read(grown, "cert.pem")) == [grown, "more.r.test"]
    });
    assert_eq!(daemon.id(), process);
    for number in 1..=6 {
        assert_eq!(version(&daemon, &format!("stay{number}.{ZONE}")), 1);
    }
    daemon.until(LIMIT, "it is retired", |daemon| daemon.state_of(gone) == "retired");
    assert_eq!(daemon.get(&format!("/{gone}/tls")).status, 404);
    daemon.until(LIMIT, "no TXT value is left", |_| bind.all_txt(ZONE).is_empty());
    let orders = pebble.order_count();
    assert!((8..=10).contains(&orders), "{orders} orders: one each, and one that was given up for two at the most");

    // Taken out and put back, it goes on with what it has.
    let serial = openssl::serial(&home.read(new, "cert.pem"));
    let files = ["cert.pem", "privkey.pem"].map(|file| home.read(new, file));
    daemon.reload_by_saving(&home, &write(&of(grown, &[grown, "more.r.test"])));
    daemon.until(LIMIT, "it is retired", |daemon| daemon.state_of(new) == "retired");
    assert_eq!(daemon.get("/new.r.test/tls").status, 404);
    assert_eq!(["cert.pem", "privkey.pem"].map(|file| home.read(new, file)), files, "its files stay");
    daemon.reload_by_saving(&home, &write(&(of(grown, &[grown, "more.r.test"]) + &of(new, &[new]))));
    daemon.until(LIMIT, "it is back", |daemon| daemon.state_of(new) == "stored");
    assert_eq!(daemon.get("/new.r.test/tls").status, 200);
    assert_eq!(daemon.show(new)["serial"], serial);
    assert_eq!(pebble.order_count(), orders, "nothing was ordered for it");
}

#[test]
fn what_is_taken_out_is_not_renewed() {
    let home = Home::new();
    let clock = Clock::new(&home);
    home.save(&config(&home, &plain(&["kept.test", "gone.test"])));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    daemon.reload_by_saving(&home, &config(&home, &plain(&["kept.test"])));
    daemon.until(LIMIT, "it is retired", |daemon| daemon.state_of("gone.test") == "retired");
    clock.set(80 * DAY);
    daemon.until(LIMIT, "the other is renewed", |daemon| version(daemon, "kept.test") == 2);
    assert_eq!(daemon.show("gone.test")["versions"].as_array().map(Vec::len), Some(1));
    assert_eq!(home.stored("gone.test").read_link().unwrap(), Path::new(".versions/gone.test/000001"));
    // Back in the file it is long due.
    daemon.reload_by_saving(&home, &config(&home, &plain(&["kept.test", "gone.test"])));
    daemon.until(LIMIT, "it is renewed", |daemon| version(daemon, "gone.test") == 2);
}

#[test]
fn each_way_of_saving_is_noticed() {
    let home = Home::new();
    std::fs::create_dir(home.file("conf.d")).unwrap();
    std::fs::create_dir(home.file("elsewhere")).unwrap();
    let text = |names: &[&str]| format!("include = [\"conf.d/*.toml\"]\n{}", config(&home, &plain(names)));
    home.save(&text(&["a.test"]));
    let mut daemon = Daemon::start(&home);
    let mut seen = |name: &str| {
        daemon.until(LIMIT, name, |daemon| {
            daemon.certificates().iter().any(|one| one["name"] == name && one["state"] == "stored")
        });
    };
    seen("a.test");
    home.save(&text(&["a.test", "renamed.test"]));
    seen("renamed.test");
    std::fs::write(home.config(), text(&["a.test", "written.test"])).unwrap();
    seen("written.test");

    home.write("conf.d/one.toml", &plain(&["included.test"]));
    seen("included.test");
    home.write("conf.d/one.toml", &plain(&["included.test", "changed.test"]));
    seen("changed.test");
    home.write(".two", &plain(&["moved-in.test"]));
    std::fs::rename(home.file(".two"), home.file("conf.d/two.toml")).unwrap();
    seen("moved-in.test");

    // The file becomes a link; the link is swapped; what it leads to is replaced in its own folder.
    let link = |target: &str| {
        symlink(target, home.file(".link")).unwrap();
        std::fs::rename(home.file(".link"), home.config()).unwrap();
    };
    home.write("elsewhere/first.toml", &text(&["a.test", "linked.test"]));
    link("elsewhere/first.toml");
    seen("linked.test");
    home.write("elsewhere/second.toml", &text(&["a.test", "swapped.test"]));
    link("elsewhere/second.toml");
    seen("swapped.test");
    home.write("elsewhere/.new", &text(&["a.test", "behind.test"]));
    std::fs::rename(home.file("elsewhere/.new"), home.file("elsewhere/second.toml")).unwrap();
    seen("behind.test");

    std::fs::remove_file(home.file("conf.d/one.toml")).unwrap();
    daemon.until(LIMIT, "what a removed file held is retired", |daemon| daemon.state_of("changed.test") == "retired");
    assert_eq!(daemon.state_of("moved-in.test"), "stored");
    assert_eq!(daemon.json("/health")["status"], "ok");
}

#[test]
fn a_signal_and_the_command_reload_at_once() {
    let home = Home::new();
    let text = |names: &[&str]| config(&home, &plain(names));
    home.save(&text(&["a.test"]));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    // Before the folder has become quiet.
    home.save(&text(&["a.test", "signal.test"]));
    daemon.signal(Signal::HUP);
    daemon.until(LIMIT, "the signal is heeded", |daemon| daemon.log().contains("reason=SIGHUP"));
    daemon.until(LIMIT, "it is stored", |daemon| version(daemon, "signal.test") == 1);

    home.save(&text(&["a.test", "command.test"]));
    let output = daemon.cli(&["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    let in_force = daemon.certificates().iter().any(|one| one["name"] == "command.test");
    assert!(in_force, "it answers when the config is in force");
    assert_eq!(daemon.state_of("signal.test"), "retired");
    let output = daemon.cli(&["reload"]);
    assert!(output.status.success(), "a file that is in force already is no failure: {}", said(&output));
}

#[test]
fn a_bad_file_is_refused_whole() {
    let home = Home::new();
    let good = config(&home, &plain(&["a.test"]));
    home.save(&good);
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    let bad = config(&home, &plain(&["a.test", "b.test"]))
        + "[certificate.\"c.test\"]\nissuers = [\"onw\"]\n[certificate.\"d.test\"]\nnonsense = \"hunter2\"\n";
    daemon.reload_by_saving(&home, &bad);
    let answer = daemon.get("/health");
    let health: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &health["status"]), (200, &"degraded".into()), "{health}");
    let check = &health["checks"]["config"];
    assert_eq!((&check["status"], &check["errors"]), (&"refused".into(), &2.into()), "{health}");
    for word in ["onw", "nonsense", "c.test", "config.toml"] {
        assert!(!answer.text().contains(word), "a stranger reads `{word}`: {health}");
    }
    let output = daemon.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for word in ["config.toml:", "onw", "did you mean `own`?", "nonsense"] {
        assert!(said(&output).contains(word), "`{word}` is not said:\n{}", said(&output));
    }
    assert!(!said(&output).contains("hunter2") && !daemon.log().contains("hunter2"), "a value is never repeated");
    let names: Vec<_> = daemon.certificates().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["a.test"], "none of it is taken");
    assert_eq!(daemon.get("/a.test/tls").status, 200);

    daemon.reload_by_saving(&home, &config(&home, &plain(&["a.test", "b.test"])));
    daemon.until(LIMIT, "the mended file is in force", |daemon| version(daemon, "b.test") == 1);
    assert_eq!(daemon.json("/health")["status"], "ok");

    // A broken line, and no file at all.
    std::fs::write(home.config(), "[certificate\n").unwrap();
    daemon.until(LIMIT, "it is refused", |daemon| daemon.json("/health")["status"] == "degraded");
    home.save(&good);
    daemon.until(LIMIT, "it is taken", |daemon| daemon.json("/health")["status"] == "ok");
    std::fs::remove_file(home.config()).unwrap();
    daemon.until(LIMIT, "it is refused", |daemon| daemon.json("/health")["status"] == "degraded");
    assert_eq!(daemon.get("/a.test/tls").status, 200);
    home.save(&good);
    daemon.until(LIMIT, "it is taken", |daemon| daemon.json("/health")["status"] == "ok");
}

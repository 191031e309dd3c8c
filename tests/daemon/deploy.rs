//! Consumers that fail, hang, or serve something else than they were told to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::harness::Daemon;
use crate::home::{Home, certificate, list};
use crate::own_ca::{Clock, LIMIT, config, problem, version};
use crate::peers::nginx::{Nginx, Site};
use crate::peers::openssl;

const NAME: &str = "a.test";

/// One certificate with a program as its deploy command; `more` are further keys of the command.
fn home_with(script: &str, more: &str) -> Home {
    let home = Home::new();
    program(&home, script);
    let deploy = format!("deploy = [{{ command = [\"{}\"]{more} }}]\n", home.file("program").display());
    home.save(&config(&home, &certificate(NAME, &[NAME], &deploy)));
    home
}

/// Puts the program in place whole: it may be run at any moment.
fn program(home: &Home, script: &str) {
    let path = home.write("program.new", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(path, home.file("program")).unwrap();
}

fn runs(home: &Home) -> usize {
    fs::read_to_string(home.file("runs")).unwrap_or_default().lines().count()
}

#[test]
fn a_command_that_fails_is_tried_again_and_nothing_is_issued_anew() {
    let home = home_with("echo run >> \"${0%/*}/runs\"; echo 'no such unit' >&2; exit 3", "");
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "the failure is on record", |daemon| problem(daemon, NAME).contains("no such unit"));
    assert_eq!(daemon.state_of(NAME), "stored");
    assert_eq!(daemon.json("/health")["status"], "degraded");
    let retry_at = |daemon: &Daemon| daemon.show(NAME)["deploy"][0]["retry_at"].as_str().unwrap().to_owned();
    let (first, count) = (retry_at(&daemon), runs(&home));
    assert_eq!(count, 1);

    // A restart forgets nothing of it.
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    assert_eq!(retry_at(&daemon), first);
    for (tried, later) in [(2, 20), (3, 60)] {
        clock.set(later);
        daemon.until(LIMIT, "it is tried again", |daemon| runs(&home) == tried && retry_at(daemon) > first);
    }
    program(&home, "echo run >> \"${0%/*}/runs\"");
    clock.set(600);
    daemon.until_all(LIMIT, "deployed");
    assert_eq!((runs(&home), version(&daemon, NAME)), (4, 1));
    assert_eq!(daemon.log().matches(" ordering certificate=").count(), 1);
    assert_eq!((problem(&daemon, NAME).as_str(), &daemon.json("/health")["status"]), ("", &"ok".into()));
}

#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let script = "sleep 300 & echo $! > \"${0%/*}/child\"; echo $$ > \"${0%/*}/parent\"; wait";
    let home = home_with(script, ", timeout = \"1s\"");
    let start = Instant::now();
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it is on record", |daemon| !problem(daemon, NAME).is_empty());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(problem(&daemon, NAME).contains("killed after 1 s"), "{}", problem(&daemon, NAME));
    let ended = |file: &str| {
        let id = fs::read_to_string(home.file(file)).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
        status.map_or(true, |status| status.contains(") Z "))
    };
    // Another run may have begun: its numbers are read then.
    program(&home, "exit 0");
    daemon.until(LIMIT, "nothing of it runs on", |_| ended("parent") && ended("child"));
    assert_eq!(daemon.state_of(NAME), "stored");
    assert_eq!((daemon.get("/health").status, &daemon.json("/health")["status"]), (200, &"degraded".into()));
    daemon.until_all(LIMIT, "deployed");
}

#[test]
fn a_server_that_serves_the_old_certificate_is_found_out() {
    let home = Home::new();
    let nginx = Nginx::start(&[Site::from_folder(NAME, &home.stored(NAME))]);
    // A reload command that claims success.
    let verify = format!(
        "deploy = [{{ command = [\"/bin/true\"] }}]\nverify = [{{ address = \"{}\", server_name = \"{NAME}\" }}]\n",
        nginx.address()
    );
    let clock = Clock::new(&home);
    home.save(&config(&home, &certificate(NAME, &[NAME], &verify)));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "what is served instead is told", |daemon| !problem(daemon, NAME).is_empty());
    nginx.reload();
    clock.set(60);
    daemon.until_all(LIMIT, "served");
    let first = openssl::serial(&home.read(NAME, "cert.pem"));

    assert!(daemon.cli(&["renew", NAME, "--force"]).status.success());
    daemon.until(LIMIT, "the old one is found", |daemon| {
        version(daemon, NAME) == 2 && problem(daemon, NAME).contains(&first)
    });
    assert_eq!(daemon.state_of(NAME), "deployed", "it is not served");
    assert_eq!(daemon.json("/health")["status"], "degraded");
    nginx.reload();
    clock.set(3600);
    daemon.until_all(LIMIT, "served");
    assert_eq!((problem(&daemon, NAME).as_str(), version(&daemon, NAME)), ("", 2));
    assert_eq!(daemon.json("/health")["status"], "ok");
}

#[test]
fn fifty_certificates_are_one_reload() {
    let home = Home::new();
    program(&home, "echo \"$RENEWD_CERTIFICATES\" | tr '\\n' ' ' >> \"${0%/*}/runs\"; echo >> \"${0%/*}/runs\"");
    let deploy = format!("deploy = [{{ command = {} }}]\n", list(&[home.file("program").to_string_lossy()]));
    let names: Vec<String> = (1..=50).map(|number| format!("n{number}.test")).collect();
    let all: String = names.iter().map(|name| certificate(name, &[name], &deploy)).collect();
    home.save(&config(&home, &all));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "deployed");
    let told = fs::read_to_string(home.file("runs")).unwrap();
    assert!((1..=3).contains(&runs(&home)), "{} runs:\n{told}", runs(&home));
    let mut of_whom: Vec<_> = told.split_whitespace().collect();
    of_whom.sort_unstable();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(of_whom, names, "each is told of once");
}

//! How lists are served, watched, and told of in `/health` and `/metrics`.

use std::path::Path;

use crate::harness::Daemon;
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT};
use crate::peers::nginx::Nginx;
use crate::pki::{NAMED, Pki, config, config_at, text};

const LIST: &str = NAMED[1];

#[test]
fn lists_are_served_whole_and_in_parts_and_not_twice() {
    let mut pki = Pki::start();
    let whole = pki.daemon.get(LIST);
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/pkix-crl"));
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    assert_eq!(whole.header("cache-control"), "max-age=3600, public, no-transform, must-revalidate");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(text(&whole.body).contains("No Revoked Certificates"));
    let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
    assert!(!whole.header("expires").is_empty() && tag.starts_with('"') && date.ends_with(" GMT"));
    let age = |date: &str| {
        let date = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", date).unwrap();
        let date = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        renewd::clock::Clock::system().now().seconds() - date.as_second()
    };
    assert!((0..120).contains(&age(date)), "it was made just now: {date}");
    assert!((-3600..-3480).contains(&age(whole.header("expires"))), "{}", whole.header("expires"));

    let get = |headers: &[&str]| pki.daemon.get_with(LIST, headers);
    let conditions = [format!("If-None-Match: {tag}"), format!("If-Modified-Since: {date}")];
    for condition in &conditions {
        let known = get(&[condition]);
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag), "{condition}");
    }
    assert_eq!(get(&["If-None-Match: \"other\""]).status, 200);

    let length = whole.body.len();
    let part = get(&["Range: bytes=10-29"]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..30]));
    assert_eq!(
        (part.header("content-range"), part.header("content-length")),
        (&*format!("bytes 10-29/{length}"), "20")
    );
    let rest = get(&[&format!("Range: bytes={}-", length - 5)]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[length - 5..]));
    let beyond = get(&[&format!("Range: bytes={length}-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{length}")));
    assert_eq!(beyond.header("content-type"), "application/problem+json");
    let other = get(&["Range: bytes=0-1", "If-Range: \"other\""]);
    assert_eq!((other.status, other.body.len()), (200, length));

    let url = format!("http://127.0.0.1:{}{LIST}", pki.home.port());
    let head = crate::pki::run("curl", &["-q", "-s", "--noproxy", "*", "--head", &url]).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {length}\r\n")), "{head}");
    for path in ["/crl/own/1/1.crl", "/crl/own/01/0.crl", "/crl/own/9/0.crl", "/crl/own/1/0.pem", "/crl/own.der"] {
        not_found(&pki.daemon, path);
    }
    for path in ["/crl/other.crl", "/crl/other/1/0.crl", "/crl/%2e%2e/1/0.crl", "/crl/own/1/%2e%2e%2fall.crl"] {
        not_found(&pki.daemon, path);
    }
    not_found(&pki.daemon, "/crl/own/0/0/delta.crl");
    assert!(pki.daemon.get("/crl/own.pem").text().starts_with("-----BEGIN X509 CRL-----\n"));
    assert!(pki.daemon.get("/crl/own/1/all.pem").text().ends_with("-----END X509 CRL-----\n"));

    // Who knows a list gets the next one, and a part of the one before is not mixed with it.
    let (tag, delta) = (tag.to_owned(), "/crl/own/1/0/delta.crl");
    let delta_tag = pki.daemon.get(delta).header("etag").to_owned();
    let ann = pki.issue("ann");
    pki.revoke(&ann, "superseded");
    let get = |path, headers: &[&str]| pki.daemon.get_with(path, headers);
    for (path, tag) in [(LIST, &tag), (delta, &delta_tag)] {
        let next = get(path, &[&format!("If-None-Match: {tag}")]);
        assert!(next.status == 200 && next.header("etag") != tag, "{path}");
        assert!(text(&next.body).contains("Serial Number: "), "{path}");
        let part = get(path, &["Range: bytes=1-", &format!("If-Range: {tag}")]);
        assert_eq!((part.status, part.body), (200, next.body), "{path}");
    }
}

fn not_found(daemon: &Daemon, path: &str) {
    let answer = daemon.get(path);
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"), "{path}");
}

#[test]
fn a_new_generation_has_lists_and_the_old_one_keeps_its_own() {
    let mut pki = Pki::start();
    let (old, before) = (pki.issue("old"), pki.daemon.get("/crl/own.crl").body);
    assert!(pki.daemon.cli(&["ca", "rotate", "own"]).status.success());
    pki.daemon.until(LIMIT, "it has lists", |daemon| daemon.get("/crl/own/2/0.crl").status == 200);
    pki.daemon.until(LIMIT, "it is the newest", |daemon| daemon.get("/crl/own.crl").body != before);
    assert!(text(&pki.daemon.get("/crl/own.crl").body).contains("CN = Own CA 2"));
    pki.revoke(&old, "cessationOfOperation");
    assert!(text(&pki.daemon.get("/crl/own/2/0.crl").body).contains("No Revoked Certificates"));
    assert_eq!(pki.shown()["generations"].as_array().unwrap().len(), 2);
}

#[test]
fn lists_are_told_of_in_numbers() {
    let pki = Pki::start();
    let health = pki.daemon.json("/health");
    let crls = &health["checks"]["crls"];
    assert_eq!((&crls["status"], &crls["lists"], &crls["lapsed"]), (&"ok".into(), &4.into(), &0.into()), "{health}");
    let metrics = pki.daemon.get("/metrics").text();
    let sample = |of: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(of)).unwrap_or_else(|| panic!("{of}: {metrics}"));
        line.trim().parse::<i64>().unwrap()
    };
    let next = sample("renewd_crl_next_update_seconds{ca=\"own\"}");
    let age = next - sample("renewd_crl_this_update_seconds{ca=\"own\"}");
    assert_eq!(age, 7 * DAY + 300);
    assert_eq!(sample("renewd_crls{ca=\"own\"}"), 4);
    assert!(sample("renewd_crl_bytes{ca=\"own\"}") > 800);
    let number = sample("renewd_crl_number{ca=\"own\",generation=\"1\",shard=\"0\"}");
    assert_eq!(u64::try_from(number).unwrap(), pki.number(LIST));
}

#[test]
fn a_list_that_cannot_be_made_is_degraded_and_then_failing() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let mut pki = Pki { home, daemon };
    pki.until_published();
    // Nothing can be written there any more, whoever tries.
    let folder = pki.home.state().join("crl/own/1");
    std::fs::rename(&folder, folder.with_file_name("gone")).unwrap();
    std::fs::write(&folder, "").unwrap();
    for (days, status, grade) in [(5, 200, "degraded"), (8, 503, "failing")] {
        clock.set(days * DAY);
        pki.daemon.until(LIMIT, grade, |daemon| daemon.json("/health")["checks"]["crls"]["status"] == grade);
        // The loop has to turn once, too, after the clock was moved.
        pki.daemon.until(LIMIT, "all in all", |daemon| daemon.get("/health").status == status);
    }
    assert!(pki.daemon.log().contains("no CRL was made"), "{}", pki.daemon.log());
    std::fs::remove_file(&folder).unwrap();
    pki.daemon.until(LIMIT, "all is well again", |daemon| daemon.json("/health")["checks"]["crls"]["status"] == "ok");
}

#[test]
fn a_year_goes_by_and_no_list_lapses() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let mut pki = Pki { home, daemon };
    pki.until_published();
    // Numbers are times: a list from after a step has a higher one than any from before.
    let numbers = |daemon: &Daemon| -> Vec<Option<i64>> {
        let shown = daemon.cli_json(&["ca", "show", "own"]);
        shown["crls"].as_array().unwrap().iter().map(|list| list["number"].as_i64()).collect()
    };
    // A list is good for seven days.
    for step in 1..=73 {
        let last = numbers(&pki.daemon).into_iter().max().unwrap();
        clock.set(step * 5 * DAY);
        pki.daemon.until(LIMIT, "all are made anew", |daemon| numbers(daemon).into_iter().min() > Some(last));
        assert_eq!(pki.daemon.json("/health")["checks"]["crls"]["lapsed"], 0);
    }
}

#[test]
fn what_is_at_the_published_url_is_looked_at() {
    let home = Home::new();
    let dead = Home::new();
    home.save(&config_at(&home, &format!("http://127.0.0.1:{}", dead.port()), ""));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let mut pki = Pki { home, daemon };
    pki.until_published();
    until_crls(&mut pki.daemon, &[("status", "degraded".into()), ("unreachable", 2.into()), ("different", 0.into())]);
    assert_eq!(pki.daemon.get("/health").status, 200);
    let shown = pki.shown();
    let amiss = &shown["crls"].as_array().unwrap().iter().find(|list| list["shard"] == 0).unwrap()["amiss"];
    assert!(amiss.as_str().unwrap().contains("refused"), "{amiss}");

    let nginx = Nginx::start_with(|port| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"<html>Welcome\"; }} }}\n")
    });
    pki.home.save(&config_at(&pki.home, &format!("http://{}", nginx.address()), ""));
    until_crls(&mut pki.daemon, &[("status", "degraded".into()), ("unreachable", 0.into()), ("different", 2.into())]);

    pki.home.save(&config(&pki.home, ""));
    until_crls(&mut pki.daemon, &[("status", "ok".into()), ("unreachable", 0.into()), ("different", 0.into())]);
    let log = pki.daemon.log();
    for line in ["what is there is no CRL", "is found at its published URL again"] {
        assert!(log.contains(line), "{line}: {log}");
    }

    // Somebody puts another CA's list there.
    let (ours, other) = (pki.home.state().join("crl/own/1/0.crl"), pki.home.state().join("crl/own/0/0.crl"));
    copy(&other, &ours);
    until_crls(&mut pki.daemon, &[("status", "degraded".into()), ("different", 1.into())]);
    assert!(pki.daemon.log().contains("is not signed by this CA"));
}

fn until_crls(daemon: &mut Daemon, wanted: &[(&str, serde_json::Value)]) {
    daemon.until(LIMIT, "the watch tells", |daemon| {
        let health = daemon.json("/health");
        wanted.iter().all(|(field, value)| health["checks"]["crls"][field] == *value)
    });
}

fn copy(from: &Path, to: &Path) {
    let beside = to.with_extension("other");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}

//! Client certificates: issued, signed, listed, taken home, renewed, many at once, and believed by others.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Daemon, said};
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT, config};
use crate::peers::certificates::self_signed;
use crate::peers::nginx::Nginx;
use crate::peers::{openssl, programs};

pub fn start() -> (Home, Daemon) {
    let home = Home::new();
    home.save(&config(&home, ""));
    let daemon = Daemon::start(&home);
    (home, daemon)
}

pub fn issue(daemon: &Daemon, words: &[&str]) -> Value {
    daemon.cli_json(&[&["client", "issue", "--ca", "own"], words].concat())
}

pub fn refused(daemon: &Daemon, words: &[&str]) -> String {
    let output = daemon.cli(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
    said(&output)
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn openssl_says(words: &[&str]) -> String {
    programs::must(Command::new(programs::find("openssl")).args(words), "")
}

/// Root, then issuing certificate, in files.
pub fn authority(home: &Home, daemon: &Daemon) -> (PathBuf, PathBuf) {
    let pem = openssl::certificates(&daemon.get("/ca/own.pem").text());
    (home.write("root.pem", &pem[1]), home.write("issuing.pem", &pem[0]))
}

pub fn verify(home: &Home, daemon: &Daemon, certificate: &Path) {
    let (root, issuing) = authority(home, daemon);
    let purpose = ["verify", "-x509_strict", "-purpose", "sslclient"];
    let chain = ["-CAfile", path(&root), "-untrusted", path(&issuing), path(certificate)];
    openssl_says(&[&purpose[..], &chain[..]].concat());
}

/// A request made by `openssl`, with these extensions.
pub fn csr(home: &Home, name: &str, extensions: &[&str]) -> (PathBuf, PathBuf) {
    let (key, csr) = (home.file(&format!("{name}.key")), home.file(&format!("{name}.csr")));
    let mut words = vec!["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let subject = format!("/CN={name}");
    words.extend(["-keyout", path(&key), "-out", path(&csr), "-subj", &subject]);
    for extension in extensions {
        words.extend(["-addext", extension]);
    }
    openssl_says(&words);
    (key, csr)
}

#[test]
fn a_certificate_is_issued_and_taken_home() {
    let (home, daemon) = start();
    let out = home.file("certs");
    home.secret("password", "gehe1m");
    let view = issue(
        &daemon,
        &[
            "--cn",
            "Ann Smith",
            "--email",
            "ann@example.com",
            "--org",
            "Example",
            "--usage",
            "vpn",
            "--out",
            path(&out),
            "--pfx-password-file",
            path(&home.file("password")),
        ],
    );
    assert_eq!(
        (&view["identifier"], &view["status"], &view["version"]),
        (&"ann-smith".into(), &"valid".into(), &1.into())
    );
    let file = |name: &str| out.join(format!("ann-smith.{name}"));
    verify(&home, &daemon, &file("crt"));
    let certificate = text(&file("crt"));
    assert_eq!(openssl::public_key_of_cert(&certificate), openssl::public_key_of_key(&text(&file("key"))));
    assert_eq!(view["serial"], openssl::serial(&certificate));
    assert_eq!(openssl::names(&certificate), ["ann@example.com"]);
    let subject = openssl_says(&["x509", "-noout", "-subject", "-in", path(&file("crt"))]);
    assert!(subject.contains("CN = Ann Smith") && subject.contains("O = Example"), "{subject}");
    for name in ["crt", "key", "fullchain.pem", "pfx"] {
        assert_eq!(std::fs::metadata(file(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let pfx = openssl_says(&["pkcs12", "-in", path(&file("pfx")), "-passin", "pass:gehe1m", "-nodes"]);
    assert_eq!(openssl::certificates(&pfx), openssl::certificates(&text(&file("fullchain.pem"))));
    assert_eq!(openssl::public_key_of_key(&pfx), openssl::public_key_of_cert(&certificate));

    for part in ["crt", "key", "csr", "chain", "fullchain"] {
        let (target, serial) = (home.file(part), view["serial"].as_str().unwrap().to_uppercase());
        let output = daemon.cli(&["client", "download", &serial, "--part", part, "--out", path(&target)]);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(text(&home.file("crt")), certificate);
    let request = openssl_says(&["req", "-in", path(&home.file("csr")), "-verify", "-noout", "-pubkey"]);
    assert!(request.contains(openssl::public_key_of_cert(&certificate).trim()), "{request}");
    assert!(!daemon.log().contains("gehe1m"));
    let missing = daemon.cli(&["client", "download", "ann-smith", "--part", "pfx", "--out", path(&home.file("x"))]);
    assert_eq!(missing.status.code(), Some(2), "a PKCS#12 file wants a password");
    assert!(refused(&daemon, &["client", "show", "nobody"]).contains("there is no client `nobody`"));
}

#[test]
fn nginx_lets_the_holder_in_and_nobody_else() {
    let (home, daemon) = start();
    let out = home.file("certs");
    issue(&daemon, &["--cn", "Ann", "--out", path(&out)]);
    let (root, _) = authority(&home, &daemon);
    let server = self_signed(&["localhost"]);
    let (certificate, key) = (home.write("server.pem", &server.certificate), home.write("server.key", &server.key));
    let nginx = Nginx::start_with(|port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
             ssl_client_certificate {}; ssl_verify_client on; ssl_verify_depth 2; \
             location / {{ return 200 \"$ssl_client_s_dn\\n\"; }} }}\n",
            certificate.display(),
            key.display(),
            root.display(),
        )
    });
    let ask = |words: &[&str]| {
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["-q", "--silent", "--insecure", "--max-time", "20", "--noproxy", "*"]).args(words);
        let output = programs::run(curl.arg(format!("https://{}/", nginx.address())), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (chain, key) = (out.join("ann.fullchain.pem"), out.join("ann.key"));
    assert!(ask(&["--cert", path(&chain), "--key", path(&key)]).starts_with("CN=Ann"), "{}", nginx.log());
    assert!(ask(&[]).contains("No required SSL certificate was sent"));
}

#[test]
fn somebodys_own_request_is_signed_and_nothing_is_smuggled_in() {
    let (home, daemon) = start();
    let out = home.file("certs");
    let (key, plain) = csr(&home, "bob", &["subjectAltName=email:bob@example.com", "extendedKeyUsage=clientAuth"]);
    let sign =
        |csr: &Path| ["client", "sign", "--ca", "own", "--csr", path(csr), "--out", path(&out)].map(str::to_owned);
    let words = |csr: &Path| sign(csr).to_vec();
    let run = |csr: &Path| daemon.cli(&words(csr).iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(&plain);
    assert!(output.status.success(), "{}", said(&output));
    let certificate = out.join("bob.crt");
    verify(&home, &daemon, &certificate);
    assert_eq!(openssl::public_key_of_cert(&text(&certificate)), openssl::public_key_of_key(&text(&key)));
    assert!(!out.join("bob.key").exists());
    let no_key = refused(&daemon, &["client", "download", "bob", "--part", "key", "--out", path(&home.file("x"))]);
    assert!(no_key.contains("made elsewhere"), "{no_key}");
    let request = home.file("request");
    assert!(daemon.cli(&["client", "download", "bob", "--part", "csr", "--out", path(&request)]).status.success());
    assert_eq!(text(&request), text(&plain), "as it came");

    for (name, extension) in [
        ("m1", "basicConstraints=critical,CA:TRUE"),
        ("m2", "extendedKeyUsage=serverAuth"),
        ("m3", "keyUsage=keyCertSign"),
        ("m4", "1.2.3.4=ASN1:NULL"),
        ("m5", "extendedKeyUsage=OCSPSigning"),
    ] {
        let (_, smuggling) = csr(&home, name, &[extension]);
        let output = run(&smuggling);
        assert_eq!(output.status.code(), Some(1), "{extension}: {}", said(&output));
        assert!(said(&output).contains("does not allow"), "{}", said(&output));
    }
    let mut broken = text(&plain);
    let at = broken.len() - 60;
    let other = if broken.as_bytes()[at] == b'A' { "B" } else { "A" };
    broken.replace_range(at..=at, other);
    assert_eq!(run(&home.write("broken.csr", &broken)).status.code(), Some(1));
    let all = daemon.cli_json(&["client", "list"]);
    assert_eq!(all["clients"].as_array().unwrap().len(), 1, "what was refused is not on record: {all}");

    // The same key is certified again, or another.
    let before = daemon.cli_json(&["client", "show", "bob"])["serial"].clone();
    let renewed = daemon.cli_json(&["client", "renew", "bob"]);
    assert_ne!(renewed["serial"], before);
    let (other_key, other) = csr(&home, "bob2", &[]);
    daemon.cli_json(&["client", "renew", "bob", "--csr", path(&other)]);
    daemon.cli(&["client", "download", "bob", "--part", "crt", "--out", path(&home.file("third"))]);
    assert_eq!(openssl::public_key_of_cert(&text(&home.file("third"))), openssl::public_key_of_key(&text(&other_key)));
    let der = home.file("bob.der");
    programs::must(
        Command::new(programs::find("openssl")).args([
            "req",
            "-in",
            path(&plain),
            "-outform",
            "DER",
            "-out",
            path(&der),
        ]),
        "",
    );
    assert_eq!(daemon.cli_json(&words(&der).iter().map(String::as_str).collect::<Vec<_>>())["status"], "valid");
}

#[test]
fn lists_are_filtered_and_paged() {
    let (_home, daemon) = start();
    for number in 0..5 {
        let (name, usage) = (format!("Device {number}"), if number % 2 == 0 { "vpn" } else { "user" });
        issue(&daemon, &["--cn", &name, "--usage", usage, "--tenant", if number < 3 { "a" } else { "b" }]);
    }
    let found = |words: &[&str]| {
        let list = daemon.cli_json(&[&["client", "list"], words].concat());
        let clients = list["clients"].as_array().unwrap().iter();
        clients.map(|one| one["common_name"].as_str().unwrap()[7..].to_owned()).collect::<String>()
    };
    for (words, expected) in [
        (&[][..], "01234"),
        (&["--usage", "vpn"], "024"),
        (&["--tenant", "b"], "34"),
        (&["--tenant", "a", "--usage", "vpn"], "02"),
        (&["--status", "valid", "--search", "DEVICE-3"], "3"),
        (&["--search", "device"], "01234"),
        (&["--search", "_evice"], ""),
        (&["--status", "revoked"], ""),
        (&["--ca", "other"], ""),
        (&["--ca", "own", "--status", "valid"], "01234"),
    ] {
        assert_eq!(found(words), expected, "{words:?}");
    }
    let (mut pages, mut after) = (String::new(), None::<String>);
    loop {
        let mut words = vec!["client", "list", "--limit", "2"];
        if let Some(after) = &after {
            words.extend(["--after", after]);
        }
        let page = daemon.cli_json(&words);
        pages += &format!("{}|", page["clients"].as_array().unwrap().len());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, "2|2|1|");
    let stats = daemon.cli_json(&["client", "stats"]);
    assert_eq!(
        (&stats["total"], &stats["by_usage"]["vpn"], &stats["by_ca"]["own"]["valid"]),
        (&5.into(), &3.into(), &5.into())
    );
    let told = said(&daemon.cli(&["client", "list", "--limit", "2"]));
    assert!(told.contains("Device 0") && told.contains("There are more: --after "), "{told}");
}

#[test]
fn renewal_keeps_the_identity_and_an_id_is_issued_once() {
    let (home, daemon) = start();
    let words = [
        "--cn",
        "Ann",
        "--id",
        "ann@example.com",
        "--email",
        "ann@example.com",
        "--org",
        "Example",
        "--ou",
        "Unit",
        "--country",
        "DE",
        "--name",
        "ann.example",
    ];
    let first = issue(&daemon, &words);
    let certificate = |name: &str| {
        let file = home.file(name);
        daemon.cli(&["client", "download", "ann@example.com", "--part", "crt", "--out", path(&file)]);
        let subject = openssl_says(&["x509", "-noout", "-subject", "-ext", "extendedKeyUsage", "-in", path(&file)]);
        (openssl::names(&text(&file)), subject, openssl::public_key_of_cert(&text(&file)))
    };
    let (names, subject, key) = certificate("first.crt");
    let again = issue(&daemon, &words);
    assert_eq!((&first["id"], &first["serial"]), (&again["id"], &again["serial"]));
    let other = refused(&daemon, &["client", "issue", "--ca", "own", "--cn", "Eve", "--id", "ann@example.com"]);
    assert!(other.contains("with another common name"), "{other}");
    let renewed = daemon.cli_json(&["client", "renew", "Ann"]);
    assert_eq!((&renewed["id"], &renewed["version"]), (&first["id"], &2.into()));
    let (names_again, subject_again, other_key) = certificate("second.crt");
    assert_eq!((names_again, subject_again), (names, subject), "the same identity");
    assert_ne!(other_key, key, "with a new key");
    assert_ne!(renewed["serial"], first["serial"]);
    let both = renewed["certificates"].as_array().unwrap();
    assert_eq!((both.len(), &both[1]["superseded"], &both[1]["serial"]), (2, &true.into(), &first["serial"]));
    let by_serial = daemon.cli_json(&["client", "show", first["serial"].as_str().unwrap()]);
    assert_eq!(by_serial["id"], first["id"], "the old serial leads to the client, too");
    issue(&daemon, &["--cn", "Ann"]);
    assert!(refused(&daemon, &["client", "show", "Ann"]).contains("the name of several clients"));
    let bad = refused(&daemon, &["client", "issue", "--ca", "own", "--cn", "Ann", "--days", "999"]);
    assert!(bad.contains("90"), "{bad}");
    assert!(refused(&daemon, &["client", "issue", "--ca", "none", "--cn", "Ann"]).contains("there is no CA `none`"));
}

#[test]
fn a_client_is_renewed_without_being_asked() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    issue(&daemon, &["--cn", "Ann", "--days", "30", "--auto-renew"]);
    issue(&daemon, &["--cn", "Bob", "--days", "30"]);
    issue(&daemon, &["--cn", "Eve", "--days", "25"]);
    let listed = |daemon: &Daemon, status: &str| {
        let list = daemon.cli_json(&["client", "list", "--status", status]);
        let clients = list["clients"].as_array().unwrap().iter();
        clients.map(|one| one["identifier"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    clock.set(19 * DAY);
    assert_eq!(daemon.cli_json(&["client", "show", "ann"])["version"], 1);
    assert_eq!(
        (listed(&daemon, "valid"), listed(&daemon, "expiring")),
        (vec!["ann".into(), "bob".into()], vec!["eve".to_owned()])
    );
    clock.set(21 * DAY);
    daemon.until(LIMIT, "it is renewed", |daemon| daemon.cli_json(&["client", "show", "ann"])["version"] == 2);
    assert_eq!(listed(&daemon, "expiring"), ["eve", "bob"], "whose end is nearest comes first");
    assert_eq!((listed(&daemon, "valid"), listed(&daemon, "expired")), (vec!["ann".to_owned()], vec![]));
    assert_eq!(daemon.cli_json(&["client", "show", "bob"])["version"], 1);
    daemon.cli_json(&["client", "auto-renew", "bob"]);
    daemon.until(LIMIT, "the other is, too", |daemon| daemon.cli_json(&["client", "show", "bob"])["version"] == 2);
    // Those of a CA that is in the config no more rest, and say why.
    home.save(&config(&home, "").replace("[ca.own]", "[ca.new]"));
    assert!(daemon.cli(&["reload"]).status.success());
    clock.set(42 * DAY);
    daemon.until(LIMIT, "it says why", |daemon| {
        let view = daemon.cli_json(&["client", "show", "ann"]);
        view["renewal_error"].as_str().is_some_and(|error| error.contains("its CA is not in the config any more"))
    });
    assert_eq!(listed(&daemon, "expired"), ["eve"]);
    assert_eq!(listed(&daemon, "expiring"), ["ann", "bob"]);
}

#[test]
fn a_table_is_issued_but_for_its_bad_rows() {
    let (home, daemon) = start();
    let (table, out) = (home.file("people.csv"), home.file("certs"));
    home.write(
        "people.csv",
        "Common Name,mail,usage,days,id\nAnn,ann@example.com,vpn,30,ann\nBob,nobody,vpn,soon,bob\n\"Eve, Dr.\",,,,eve\n\
         Far,,,9000,far\nFor,,,900,for\n",
    );
    let words =
        |more: &[&'static str]| [&["client", "batch", path(&table), "--ca", "own", "--out", path(&out)], more].concat();
    let tried = daemon.cli(&words(&["--dry-run", "--json"]));
    let told: Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!((&told["successful"], &told["failed"]), (&2.into(), &3.into()), "{told}");
    assert_eq!(daemon.cli_json(&["client", "stats"])["total"], 0);

    let output = daemon.cli(&words(&[]));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for line in [
        "line 3: email: `nobody` is no mail address",
        "line 3: days: `soon` cannot be read",
        "line 5: days: 9000",
        "line 6: days:",
        "2 issued, 0 issued before, 3 refused",
    ] {
        assert!(said(&output).contains(line), "{line}: {}", said(&output));
    }
    let first = text(&out.join("ann.crt"));
    assert_eq!(openssl::public_key_of_cert(&first), openssl::public_key_of_key(&text(&out.join("ann.key"))));
    verify(&home, &daemon, &out.join("eve.crt"));
    let results = text(&out.join("results.csv"));
    assert_eq!((results.lines().count(), results.matches(",issued,").count()), (6, 2), "{results}");

    // Again, in vain; and a head that means nothing.
    let again = daemon.cli(&words(&[]));
    assert!(said(&again).contains("0 issued, 2 issued before, 3 refused"), "{}", said(&again));
    assert_eq!(text(&out.join("ann.crt")), first);
    home.write("people.csv", "name,shoe size\n");
    assert!(refused(&daemon, &words(&[])).contains("column 2 is called `shoe size`"), "without rows, too");
    home.write("people.csv", "name,shoe size\nAnn,39\n");
    assert!(refused(&daemon, &words(&[])).contains("column 2 is called `shoe size`"));
}

#[test]
fn a_crash_in_the_middle_of_a_table_repeats_nothing_and_loses_nothing() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let (table, out) = (home.file("people.csv"), home.file("certs"));
    let rows: String = (0..120).map(|number| format!("Device {number},device-{number}\n")).collect();
    home.write("people.csv", &format!("common_name,id\n{rows}"));
    let words = ["client", "batch", path(&table), "--ca", "own", "--out", path(&out)];
    for point in ["leaf_written", "leaf_signed", "client_signed"] {
        let mut daemon = Daemon::start_with_env(&home, &[(renewd::crash::VARIABLE, point)]);
        let output = daemon.cli(&words);
        assert!(!output.status.success(), "{point}: {}", said(&output));
        assert!(!daemon.wait().success(), "it was killed at {point}");
    }
    let daemon = Daemon::start(&home);
    let output = daemon.cli(&words);
    assert!(output.status.success(), "{}", said(&output));
    let list = daemon.cli_json(&["client", "list", "--limit", "500"]);
    let clients = list["clients"].as_array().unwrap();
    let serials: BTreeSet<_> = clients.iter().map(|one| one["serial"].as_str().unwrap()).collect();
    assert_eq!((clients.len(), serials.len()), (120, 120));
    assert!(clients.iter().all(|one| one["version"] == 1));
    for (number, client) in clients.iter().enumerate() {
        let (key, certificate) = (out.join(format!("device-{number}.key")), out.join(format!("device-{number}.crt")));
        assert!(key.exists() && certificate.exists());
        assert_eq!(client["serial"], openssl::serial(&text(&certificate)));
    }
}

#[test]
fn what_was_begun_is_finished_by_the_next_start() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    for point in ["leaf_written", "leaf_signed", "client_signed"] {
        let variables = [clock.variable(), (renewd::crash::VARIABLE, point)];
        let mut daemon = Daemon::start_with_env(&home, &variables);
        let output = daemon.cli(&["client", "issue", "--ca", "own", "--cn", point]);
        assert!(!output.status.success(), "{}", said(&output));
        assert!(!daemon.wait().success());
    }
    clock.set(60);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "all are finished", |daemon| daemon.cli_json(&["client", "stats"])["by_status"]["valid"] == 3);
}

#[test]
fn revoked_held_and_released() {
    let (_home, mut daemon) = start();
    let first = issue(&daemon, &["--cn", "Ann", "--auto-renew"]);
    let second = daemon.cli_json(&["client", "renew", "ann"]);
    let of = |view: &Value| {
        let all = view["certificates"].as_array().unwrap().iter();
        all.map(|one| one["revocation_reason"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    let held = daemon.cli_json(&["client", "hold", "ann"]);
    assert_eq!((&held["status"], of(&held)), (&"on-hold".into(), vec!["certificateHold".to_owned(); 2]));
    assert_eq!(held["renewal_at"], Value::Null, "what is on hold is not renewed");
    assert!(refused(&daemon, &["client", "renew", "ann"]).contains("release it first"));
    assert_eq!(daemon.cli_json(&["client", "list", "--status", "on-hold"])["clients"].as_array().unwrap().len(), 1);
    let released = daemon.cli_json(&["client", "release", "ann"]);
    assert_eq!((&released["status"], of(&released)), (&"valid".into(), vec!["-".to_owned(); 2]));
    assert!(released["renewal_at"].is_string());
    assert!(refused(&daemon, &["client", "release", "ann"]).contains("nothing to release"));

    let third = daemon.cli_json(&["client", "renew", "ann", "--revoke-old"]);
    assert_eq!(
        (&third["status"], of(&third)),
        (&"valid".into(), ["-", "superseded", "superseded"].map(str::to_owned).to_vec())
    );
    assert_ne!(third["serial"], second["serial"]);
    let serial = first["serial"].as_str().unwrap();
    let again = ["client", "revoke", "ann", "--reason", "keyCompromise", "--serial", serial];
    assert_eq!(of(&daemon.cli_json(&again)), of(&third), "who asks again gets the first reason");
    let gone = daemon.cli_json(&["client", "revoke", "ann", "--reason", "keyCompromise"]);
    assert_eq!((&gone["status"], &of(&gone)[0]), (&"revoked".into(), &"keyCompromise".to_owned()));
    assert_eq!(daemon.cli_json(&["client", "revoke", "ann", "--reason", "superseded"]), gone, "and time");
    for words in [&["client", "release", "ann"][..], &["client", "renew", "ann"], &["client", "hold", "ann"]] {
        refused(&daemon, words);
    }
    assert_eq!(daemon.cli_json(&["client", "stats"])["by_status"]["revoked"], 1);
    assert!(daemon.terminate().success());
}

#[test]
fn a_crash_while_old_certificates_are_revoked_is_made_good() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    issue(&daemon, &["--cn", "Ann"]);
    assert!(daemon.terminate().success());
    let variables = [clock.variable(), (renewd::crash::VARIABLE, "revocation_logged")];
    let mut daemon = Daemon::start_with_env(&home, &variables);
    assert!(!daemon.cli(&["client", "renew", "ann", "--revoke-old"]).status.success());
    assert!(!daemon.wait().success(), "it was killed");
    clock.set(60);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "nothing is owed", |daemon| {
        let view = daemon.cli_json(&["client", "show", "ann"]);
        view["certificates"][0]["owed"].is_null()
    });
    let view = daemon.cli_json(&["client", "show", "ann"]);
    assert_eq!((&view["status"], &view["version"]), (&"valid".into(), &2.into()));
    assert_eq!(view["certificates"][1]["revocation_reason"], "superseded");
}

#[test]
fn who_only_looks_needs_no_daemon() {
    let (_home, mut daemon) = start();
    let ann = issue(&daemon, &["--cn", "ann", "--email", "ann@example.com", "--usage", "vpn"]);
    issue(&daemon, &["--cn", "bob"]);
    daemon.cli_json(&["client", "revoke", "bob", "--reason", "superseded"]);
    let words: [&[&str]; 7] = [
        &["client", "list"],
        &["client", "list", "--usage", "vpn", "--limit", "1"],
        &["client", "list", "--status", "revoked"],
        &["client", "show", "ann"],
        &["client", "show", ann["serial"].as_str().unwrap()],
        &["client", "stats"],
        &["ca", "export", "own"],
    ];
    let shown = |daemon: &Daemon| words.map(|words| daemon.cli_json(words));
    let (before, mut ca) = (shown(&daemon), daemon.cli_json(&["ca", "show"]));
    assert!(daemon.terminate().success());
    let after = shown(&daemon);
    // How long something lasts is told by whole days, and the export is that of `show`, without what only a daemon knows.
    for (number, (before, after)) in before[..6].iter().zip(&after).enumerate() {
        assert_eq!(before, after, "{:?}", words[number]);
    }
    assert_eq!(before[6]["chain"], after[6]["chain"]);
    for (of, live) in [("", "crls"), ("/root", "ocsp_until")] {
        let taken = ca.pointer_mut(of).and_then(Value::as_object_mut).and_then(|object| object.remove(live));
        assert!(taken.is_some_and(|taken| !taken.is_null()), "{live}");
    }
    assert_eq!(daemon.cli_json(&["ca", "show", "own"]), ca);
    let shown = said(&daemon.cli(&["ca", "show"]));
    assert!(shown.contains("no daemon runs") && !shown.contains("OCSP answers"), "{shown}");
    assert!(refused(&daemon, &["client", "show", "nobody"]).contains("there is no client `nobody`"));
    assert!(refused(&daemon, &["ca", "show", "other"]).contains("there is no CA `other`"));
}

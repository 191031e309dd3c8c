//! Client certificates over time: answers that are lost, renewals that fail, tenants and tables, and the same on
//! PostgreSQL.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::client::{authority, issue, openssl_says, path, refused, start, text};
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE};
use crate::own_ca::{Clock, DAY, LIMIT, OWN_CA, config};
use crate::peers::postgres::Postgres;
use crate::peers::{openssl, programs};
use crate::receiver::Receiver;

fn show(daemon: &Daemon, client: &str) -> Value {
    daemon.cli_json(&["client", "show", client])
}

/// What `/health` says of client certificates, and of everything.
fn health(daemon: &Daemon) -> (String, String) {
    let health = daemon.json("/health");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&health["checks"]["clients"]["status"]), word(&health["status"]))
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let killed = |point: &str, words: &[&str]| {
        let mut daemon = Daemon::start_with_env(&home, &[(renewd::crash::VARIABLE, point)]);
        let output = daemon.cli(words);
        assert!(!output.status.success(), "{point}: {}", said(&output));
        assert!(!daemon.wait().success(), "it was killed at {point}");
    };
    let issuing = ["client", "issue", "--ca", "own", "--cn", "Ann", "--id", "ann"];
    killed("client_noted", &issuing);
    let daemon = Daemon::start(&home);
    let noted = show(&daemon, "ann");
    assert_eq!(daemon.cli_json(&issuing)["serial"], noted["serial"], "what was noted is answered");
    drop(daemon);
    killed("client_noted", &["client", "renew", "ann"]);
    let revoking = ["client", "revoke", "ann", "--reason", "keyCompromise"];
    killed("revocation_written", &revoking);
    let daemon = Daemon::start(&home);
    let view = show(&daemon, "ann");
    assert_eq!((&view["version"], &view["status"]), (&2.into(), &"revoked".into()));
    let reasons: Vec<_> =
        view["certificates"].as_array().unwrap().iter().map(|one| &one["revocation_reason"]).collect();
    // The first was revoked before the crash; asked again, the other is, too, and the first keeps its time.
    let first = view["certificates"].as_array().unwrap().iter().find(|one| one["revoked_at"].is_string()).unwrap();
    assert!(reasons.contains(&&Value::from("keyCompromise")), "{reasons:?}");
    let again = daemon.cli(&revoking);
    let view = show(&daemon, "ann");
    for one in view["certificates"].as_array().unwrap() {
        assert_eq!(one["revocation_reason"], "keyCompromise", "{} {view}", said(&again));
        if one["serial"] == first["serial"] {
            assert_eq!(one["revoked_at"], first["revoked_at"]);
        }
    }
}

#[test]
fn renewals_that_fail_are_told_and_end() {
    let home = Home::new();
    home.secret("hmac", "k");
    let (receiver, clock) = (Receiver::start(), Clock::new(&home));
    let hook = format!("[notify.hook.webhook]\nurl = \"{}\"\nsecret = {{ file = \"hmac\" }}\n\n", receiver.url("/"));
    let good = config(&home, &hook);
    home.save(&good);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    issue(&daemon, &["--cn", "Ann", "--days", "30", "--auto-renew"]);
    issue(&daemon, &["--cn", "Bob", "--days", "40", "--auto-renew"]);
    issue(&daemon, &["--cn", "Eve", "--days", "30"]);
    assert_eq!(health(&daemon), ("ok".to_owned(), "ok".to_owned()));
    let metrics = |daemon: &Daemon, line: &str| daemon.get("/metrics").text().contains(line);
    assert!(metrics(&daemon, "renewd_clients{status=\"valid\"} 3\n"));
    daemon.reload_by_saving(&home, &format!("{good}\n[ca.own.profile.client]\nlifetime = \"10d\"\n"));
    clock.set(29 * DAY);
    daemon.until(LIMIT, "it is told", |_| !receiver.of_kind("failed").is_empty());
    daemon.until(LIMIT, "both fail", |daemon| metrics(daemon, "renewd_clients_troubled{trouble=\"failing\"} 2\n"));
    let degraded = ("degraded".to_owned(), "degraded".to_owned());
    daemon.until(LIMIT, "health says so", |daemon| health(daemon) == degraded);
    assert!(metrics(&daemon, "renewd_clients{status=\"expiring\"} 3\n"), "{}", daemon.get("/metrics").text());
    let told = &receiver.of_kind("failed")[0];
    assert!(told["detail"].as_str().unwrap().contains("the profile `client` allows 10 at most"), "{told}");
    assert_eq!((&told["issuer"], &told["certificate"]), (&"own".into(), &Value::Null), "{told}");

    clock.set(31 * DAY);
    daemon.until(LIMIT, "one has ended", |daemon| health(daemon).0 == "failing");
    assert_eq!(daemon.get("/health").status, 503);
    assert!(metrics(&daemon, "renewd_clients_troubled{trouble=\"expired\"} 1\n"));
    assert!(metrics(&daemon, "renewd_clients{status=\"expired\"} 2\n"));
    // Nobody has to hear of a client that nobody wants renewed.
    daemon.cli_json(&["client", "auto-renew", "ann", "--off"]);
    assert_eq!(health(&daemon).0, "degraded");

    daemon.reload_by_saving(&home, &good);
    clock.set(31 * DAY + 7 * 3600);
    daemon.until(LIMIT, "it is renewed", |daemon| show(daemon, "bob")["version"] == 2);
    daemon.until(LIMIT, "it is well", |_| !receiver.of_kind("recovered").is_empty());
    assert_eq!(health(&daemon).0, "ok");
    assert_eq!(show(&daemon, "bob")["renewal_error"], Value::Null);
    let well = &receiver.of_kind("recovered")[0];
    assert!(well["title"].as_str().unwrap().contains("`own`"), "{well}");
}

#[test]
fn clients_of_two_tenants_may_be_called_alike() {
    let (home, daemon) = start();
    let (table, out) = (home.write("table", "cn;id;tenant\nAnn;ann;a\nAnn;ann;b\nAnn;ann;\n"), home.file("certs"));
    let words = ["client", "batch", path(&table), "--ca", "own", "--out", path(&out)];
    let told = daemon.cli(&words);
    assert!(told.status.success(), "{}", said(&told));
    let files = ["a/ann", "b/ann", "ann"].map(|name| text(&out.join(format!("{name}.crt"))));
    assert!(files[0] != files[1] && files[1] != files[2] && files[0] != files[2]);
    for (tenant, certificate) in [("a", &files[0]), ("b", &files[1])] {
        let key = text(&out.join(format!("{tenant}/ann.key")));
        assert_eq!(openssl::public_key_of_key(&key), openssl::public_key_of_cert(certificate));
        let view = daemon.cli_json(&["client", "show", "ann", "--tenant", tenant]);
        assert_eq!(view["serial"], openssl::serial(certificate));
    }
    let ambiguous = refused(&daemon, &["client", "revoke", "ann", "--reason", "superseded"]);
    assert!(ambiguous.contains("the name of several clients"), "{ambiguous}");
    assert!(refused(&daemon, &["client", "show", "ann", "--tenant", "c"]).contains("there is no client `ann`"));
    daemon.cli_json(&["client", "revoke", "ann", "--tenant", "a", "--reason", "privilegeWithdrawn"]);
    let status = |tenant: &str| daemon.cli_json(&["client", "show", "ann", "--tenant", tenant])["status"].clone();
    assert_eq!((status("a"), status("b")), ("revoked".into(), "valid".into()));
}

#[test]
fn a_table_names_those_whose_key_is_elsewhere_too() {
    let (home, daemon) = start();
    let (_, csr) = crate::client::csr(&home, "bob", &[]);
    daemon.cli_json(&["client", "sign", "--ca", "own", "--csr", path(&csr), "--id", "bob"]);
    let latin = [b"cn,id\nbob,bob\nB\xf6b,boeb\nAnn,ann\n".as_slice(), b",\n"].concat();
    std::fs::write(home.file("table.csv"), latin).unwrap();
    let (table, out) = (home.file("table.csv"), home.file("certs"));
    let told = daemon.cli(&["client", "batch", path(&table), "--ca", "own", "--out", path(&out)]);
    assert_eq!(told.status.code(), Some(1));
    for line in
        ["line 3: cn: it is no UTF-8", "line 5: common_name: it is empty", "1 issued, 1 issued before, 2 refused"]
    {
        assert!(said(&told).contains(line), "{line}: {}", said(&told));
    }
    assert!(out.join("bob.crt").exists() && !out.join("bob.key").exists() && out.join("ann.key").exists());
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let (home, daemon) = start();
    issue(&daemon, &["--cn", "Ann"]);
    home.write("empty", "");
    let (empty, pfx) = (home.file("empty"), home.file("pfx"));
    let pkcs12 = ["client", "download", "ann", "--part", "pfx", "--out", path(&pfx), "--password-file"];
    for (words, code, says) in [
        (&["client", "revoke", "ann", "--reason", "because"][..], 2, "keyCompromise"),
        (&["client", "revoke", "ann", "--reason", "certificateHold"], 2, "possible values"),
        (&["client", "revoke", "ann"], 2, "--reason"),
        (&["client", "revoke", "ann", "--reason", "superseded", "--serial", "zz"], 1, "hexadecimal"),
        (&["client", "revoke", "ann", "--reason", "superseded", "--serial", "0a"], 1, "`ann` has no certificate `0a`"),
        (&["client", "hold", "nobody"], 1, "there is no client `nobody`"),
        (&["client", "list", "--status", "gone"], 2, "expiring"),
        (&["client", "issue", "--ca", "own", "--cn", "Ann", "--key", "dsa"], 2, "ecdsa-p256"),
        (&["client", "issue", "--ca", "own", "--cn", "Ann", "--email", "x"], 1, "mail address"),
        (&["client", "issue", "--ca", "own", "--cn", ""], 1, "`common_name`: it is empty"),
        (&["client", "sign", "--ca", "own", "--csr", path(&empty)], 1, "empty` is empty"),
        (&["client", "sign", "--ca", "own", "--csr", "/nowhere"], 1, "cannot read `/nowhere`"),
        (&[&pkcs12[..], &["/nowhere"]].concat(), 1, "/nowhere"),
        (&[&pkcs12[..], &[path(&empty)]].concat(), 1, "empty"),
        (&["client", "batch", "/nowhere", "--ca", "own", "--out", "x"], 1, "cannot read `/nowhere`"),
    ] {
        let output = daemon.cli(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{words:?}: {}", said(&output));
    }
    assert!(!pfx.exists());
    assert_eq!(show(&daemon, "ann")["status"], "valid");
}

#[test]
fn all_of_it_works_on_postgres() {
    let (server, home) = (Postgres::start(), Home::new());
    home.save(&(crate::postgres::head(&home, &server, true) + OWN_CA + STORE));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let first = issue(&daemon, &["--cn", "Ann", "--days", "30", "--auto-renew"]);
    clock.set(21 * DAY);
    daemon.until(LIMIT, "it is renewed", |daemon| show(daemon, "ann")["version"] == 2);
    let third = daemon.cli_json(&["client", "renew", "ann", "--revoke-old"]);
    assert_eq!((&third["version"], &third["certificates"][2]["serial"]), (&3.into(), &first["serial"]));
    assert_eq!(third["certificates"][2]["revocation_reason"], "superseded");
    assert_eq!(daemon.cli_json(&["client", "hold", "ann"])["status"], "on-hold");
    assert_eq!(daemon.cli_json(&["client", "release", "ann"])["status"], "valid");
    let rows: String = (0..60).map(|number| format!("Device {number},d{number},vpn\n")).collect();
    let (table, out) = (home.write("table", &format!("cn,id,usage\n{rows},,\n")), home.file("certs"));
    let told = daemon.cli(&["client", "batch", path(&table), "--ca", "own", "--out", path(&out)]);
    assert!(said(&told).contains("60 issued, 0 issued before, 1 refused"), "{}", said(&told));
    let found = daemon.cli_json(&["client", "list", "--search", "DEVICE 5", "--usage", "vpn", "--status", "valid"]);
    assert_eq!(found["clients"].as_array().unwrap().len(), 11);
    assert_eq!(daemon.cli_json(&["client", "revoke", "ann", "--reason", "keyCompromise"])["status"], "revoked");
    let stats = daemon.cli_json(&["client", "stats"]);
    assert_eq!((&stats["by_usage"]["vpn"], &stats["by_status"]["revoked"]), (&60.into(), &1.into()));
    assert!(daemon.get("/metrics").text().contains("renewd_clients{status=\"valid\"} 60\n"));
    assert_eq!(health(&daemon).0, "ok");
    assert!(daemon.terminate().success());
}

#[test]
fn a_serial_means_one_certificate_and_the_only_ca_needs_no_name() {
    let (_home, daemon) = start();
    let first = daemon.cli_json(&["client", "issue", "--cn", "Ann"]);
    daemon.cli_json(&["client", "renew", "ann"]);
    let serial = first["serial"].as_str().unwrap().to_uppercase();
    let view = daemon.cli_json(&["client", "revoke", &serial, "--reason", "keyCompromise"]);
    let reasons: Vec<_> =
        view["certificates"].as_array().unwrap().iter().map(|one| &one["revocation_reason"]).collect();
    assert_eq!((&view["status"], reasons), (&"valid".into(), vec![&Value::Null, &"keyCompromise".into()]));
    assert!(refused(&daemon, &["client", "hold", &serial]).contains("revoked for good stays so"));
    daemon.cli_json(&["client", "revoke", "ann", "--reason", "superseded"]);
    let told = refused(&daemon, &["client", "auto-renew", "ann"]);
    assert!(told.contains("is revoked: issue a certificate to a new client"), "{told}");
    assert_eq!(show(&daemon, "ann")["auto_renew"], false);
}

/// What `openssl ocsp` and a CRL say of a certificate.
struct Verifier {
    url: String,
    folder: PathBuf,
    authority: PathBuf,
    issuing: PathBuf,
    certificate: PathBuf,
}

impl Verifier {
    fn new(home: &Home, daemon: &Daemon, client: &str) -> Self {
        let (_, issuing) = authority(home, daemon);
        let certificate = home.file(&format!("{client}.crt"));
        daemon.cli(&["client", "download", client, "--part", "crt", "--out", path(&certificate)]);
        Self {
            url: format!("http://127.0.0.1:{}/ocsp/own", home.port()),
            folder: home.file("verifier"),
            authority: home.write("authority.pem", &daemon.get("/ca/own.pem").text()),
            issuing,
            certificate,
        }
    }

    fn ocsp(&self) -> String {
        let asked = ["ocsp", "-issuer", path(&self.issuing), "-cert", path(&self.certificate), "-url", &self.url];
        openssl_says(&[&asked[..], &["-CAfile", path(&self.authority)]].concat())
    }

    fn crl(&self, daemon: &Daemon) -> String {
        std::fs::create_dir_all(&self.folder).unwrap();
        let list = self.folder.join("crl.pem");
        std::fs::write(&list, daemon.get("/crl/own.pem").body).unwrap();
        let mut openssl = Command::new(programs::find("openssl"));
        openssl.args(["verify", "-crl_check", "-CAfile", path(&self.authority), "-CRLfile", path(&list)]);
        said(&programs::run(openssl.arg(&self.certificate), ""))
    }

    /// OCSP tells at once; the list follows.
    fn says(&self, daemon: &mut Daemon, ocsp: &[&str], crl: &str) {
        let told = self.ocsp();
        for word in ocsp {
            assert!(told.contains(word), "{word}: {told}");
        }
        daemon.until(LIMIT, crl, |daemon| self.crl(daemon).contains(crl));
    }
}

#[test]
fn verifiers_see_what_is_revoked_held_and_released() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let mut daemon = Daemon::start(&home);
    issue(&daemon, &["--cn", "Ann"]);
    issue(&daemon, &["--cn", "Bob"]);
    let (ann, bob) = (Verifier::new(&home, &daemon, "ann"), Verifier::new(&home, &daemon, "bob"));
    ann.says(&mut daemon, &["ann.crt: good"], "ann.crt: OK");
    daemon.cli_json(&["client", "hold", "ann"]);
    ann.says(&mut daemon, &["ann.crt: revoked", "Reason: certificateHold"], "certificate revoked");
    daemon.cli_json(&["client", "release", "ann"]);
    ann.says(&mut daemon, &["ann.crt: good"], "ann.crt: OK");
    daemon.cli_json(&["client", "revoke", "ann", "--reason", "affiliationChanged"]);
    ann.says(&mut daemon, &["ann.crt: revoked", "Reason: affiliationChanged"], "certificate revoked");
    bob.says(&mut daemon, &["bob.crt: good"], "bob.crt: OK");
    daemon.cli_json(&["client", "renew", "bob", "--revoke-old"]);
    bob.says(&mut daemon, &["bob.crt: revoked", "Reason: superseded"], "certificate revoked");
    Verifier::new(&home, &daemon, "bob").says(&mut daemon, &["bob.crt: good"], "bob.crt: OK");
}

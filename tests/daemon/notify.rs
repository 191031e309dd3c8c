//! What people are told: over a webhook and by mail, through outages of their own.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate};
use crate::own_ca::{Clock, DAY, LIMIT, config};
use crate::peers::certificates::Authority;
use crate::peers::mailbox::Mailbox;
use crate::peers::openssl;
use crate::receiver::{Behaviour, Received, Receiver};

const CANARY: &str = "canary-in-a-coal-mine";

fn webhook(receiver: &Receiver) -> String {
    format!(
        "[notify.hook.webhook]\nurl = \"{}\"\nsecret = {{ file = \"hmac\" }}\n\n",
        receiver.url(&format!("/{CANARY}"))
    )
}

/// A certificate whose deploy command works as long as the file `good` is there.
fn consumer(home: &Home) -> String {
    let good = home.file("good");
    certificate(
        "a.test",
        &["a.test"],
        &format!("deploy = [{{ command = [\"test\", \"-e\", \"{}\"] }}]", good.display()),
    )
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    receiver.events().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

/// The signature, computed by another program than ours.
fn check_signature(received: &Received, secret: &str) {
    let header = received.headers["x-renewd-signature"].to_str().unwrap();
    let (time, signature) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let signed = [time.as_bytes(), b".", &received.body].concat();
    assert_eq!(openssl::hmac_sha256(secret, &String::from_utf8(signed).unwrap()), signature);
}

#[test]
fn a_failing_and_recovering_certificate_is_told_over_webhook_and_mail() {
    let home = Home::new();
    home.secret("hmac", CANARY);
    home.secret("password", CANARY);
    let (receiver, authority) = (Receiver::start(), Authority::new());
    let pair = authority.issue(&["127.0.0.1"]);
    let (chain, key) = (home.write("mail.pem", &pair.certificate), home.secret("mail.key", &pair.key));
    home.write("root.pem", authority.root());
    let mailbox = Mailbox::start(&chain, &key, ("renewd", CANARY));
    let mail = format!(
        "[notify.mail.smtp]\nserver = \"127.0.0.1\"\nport = {}\ntrusted_roots = \"root.pem\"\nusername = \"renewd\"\n\
         password = {{ file = \"password\" }}\nfrom = \"renewd <renewd@a.test>\"\nto = [\"ops@a.test\", \"b@a.test\"]\n\n",
        mailbox.address().port()
    );
    home.save(&config(&home, &(webhook(&receiver) + &mail + &consumer(&home))));
    let mut daemon = Daemon::start_with(&home, &["--log-level", "debug"], &[]);
    daemon.until(LIMIT, "the failure is told", |_| !receiver.of_kind("deploy_failed").is_empty());
    home.write("good", "");
    daemon.until(LIMIT, "the recovery is told", |_| {
        !receiver.of_kind("recovered").is_empty() && mailbox.mails().len() >= 3
    });
    assert_eq!(kinds(&receiver), ["issued", "deploy_failed", "recovered"]);
    for received in receiver.received() {
        check_signature(&received, CANARY);
        let event: Value = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(received.headers["x-renewd-event"], event["id"].as_str().unwrap());
        assert_eq!((&event["schema"], &event["certificate"]), (&Value::from(1), &Value::from("a.test")));
    }
    for (mail, event) in mailbox.mails().iter().zip(receiver.events()) {
        let id = event["id"].as_str().unwrap();
        assert!(mail.contains(&format!("Message-ID: <{id}@a.test>")), "{mail}");
        assert!(mail.contains(&format!("X-Renewd-Event: {id}")), "{mail}");
        assert!(mail.contains("To-Envelope: ops@a.test,b@a.test"), "{mail}");
        assert!(mail.contains("Subject: [renewd] "), "{mail}");
    }
    let list = daemon.cli_json(&["notify", "list"]);
    assert_eq!((&list["sinks"][0]["name"], &list["sinks"][0]["due"]), (&Value::from("hook"), &Value::from(0)));
    assert!(daemon.get("/metrics").text().contains("renewd_notifications_total{sink=\"mail\",state=\"sent\"} 3"));
    crate::secrecy::check(&home, &daemon, &[CANARY]);
}

#[test]
fn an_outage_of_the_receiver_and_of_the_daemon_loses_nothing() {
    let home = Home::new();
    home.secret("hmac", CANARY);
    let mut receiver = Receiver::start();
    receiver.behave(Behaviour::Hang);
    home.save(&config(&home, &(webhook(&receiver) + &consumer(&home))));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "one is being sent", |_| !receiver.received().is_empty());
    let first = receiver.events()[0]["id"].clone();
    // The receiver that hangs holds up no certificate.
    daemon.until(LIMIT, "the command fails", |daemon| !crate::own_ca::problem(daemon, "a.test").is_empty());
    daemon.kill();
    receiver.stop();
    home.write("good", "");
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it is tried in vain", |daemon| daemon.log().contains("not told: "));
    receiver.behave(Behaviour::Take);
    receiver.start_again();
    daemon.until(Duration::from_secs(60), "all are told", |_| !receiver.of_kind("recovered").is_empty());
    let told = receiver.events();
    assert_eq!(told[1]["id"], first, "the same event has the same id");
    assert_eq!(kinds(&receiver)[1..], ["issued", "deploy_failed", "recovered"], "in their order");
}

#[test]
fn what_goes_on_failing_is_not_told_at_each_attempt() {
    let home = Home::new();
    home.secret("hmac", CANARY);
    let (receiver, clock) = (Receiver::start(), Clock::new(&home));
    home.save(&config(&home, &(webhook(&receiver) + &consumer(&home))));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let failures = |daemon: &Daemon| daemon.log().matches("not deployed: ").count();
    daemon.until(LIMIT, "three attempts", |daemon| failures(daemon) >= 3);
    assert_eq!(receiver.of_kind("deploy_failed").len(), 1);
    clock.set(2 * 3600);
    daemon.until(LIMIT, "it is told again after an hour", |_| receiver.of_kind("deploy_failed").len() == 2);
    let again = &receiver.of_kind("deploy_failed")[1];
    assert!(again["times"].as_u64().unwrap() >= 4 && again["since"].is_string(), "{again}");
    clock.set(4 * 3600);
    let before = failures(&daemon);
    daemon.until(LIMIT, "one attempt more", |daemon| failures(daemon) > before);
    assert_eq!(receiver.of_kind("deploy_failed").len(), 2, "four hours have not passed");
}

#[test]
fn a_refusal_holds_up_no_other_and_a_redirect_is_not_followed() {
    let home = Home::new();
    home.secret("hmac", CANARY);
    let (refusing, other) = (Receiver::start(), Receiver::start());
    refusing.behave(Behaviour::Refuse(422));
    let sinks = format!("{}[notify.other.webhook]\nurl = \"{}\"\n\n", webhook(&refusing), other.url("/"));
    home.save(&config(&home, &(sinks + &consumer(&home))));
    let mut daemon = Daemon::start(&home);
    daemon
        .until(LIMIT, "both are asked", |_| other.events().len() >= 2 && refusing.of_kind("deploy_failed").len() == 1);
    for (behaviour, words) in [
        (Behaviour::Redirect("http://169.254.169.254/latest".to_owned()), "302 Found to `http://169.254.169.254`"),
        (Behaviour::Refuse(403), "403 Forbidden"),
    ] {
        refusing.behave(behaviour);
        let output = daemon.cli(&["notify", "test", "hook"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(words) && !said(&output).contains(CANARY), "{}", said(&output));
    }
    assert_eq!(daemon.cli(&["notify", "test", "nobody"]).status.code(), Some(1));
    assert!(daemon.cli(&["notify", "test", "other"]).status.success());
    assert_eq!(other.of_kind("test").len(), 1);
    assert!(daemon.terminate().success());
    assert!(daemon.cli(&["notify", "test", "other"]).status.success(), "without a daemon, too");
    assert_eq!(other.of_kind("test").len(), 2);
    assert_eq!(daemon.cli_json(&["notify", "list"])["sinks"].as_array().unwrap().len(), 2);
}

#[test]
fn a_refused_config_and_a_certificate_near_its_end_are_told() {
    let home = Home::new();
    home.secret("hmac", CANARY);
    let (receiver, clock) = (Receiver::start(), Clock::new(&home));
    let good = config(&home, &(webhook(&receiver) + &certificate("a.test", &["a.test"], "")));
    home.save(&good);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is issued", |_| !receiver.of_kind("issued").is_empty());
    daemon.reload_by_saving(&home, &format!("{good}nonsense = 1\n"));
    daemon.until(LIMIT, "the refusal is told", |_| !receiver.of_kind("config_refused").is_empty());
    home.save(&good);
    daemon.until(LIMIT, "its end is told", |_| receiver.of_kind("recovered").len() == 1);

    let dead = format!("http://{}/directory", crate::peers::ports::loopback(crate::peers::ports::tcp()));
    let dead = format!("[account.dead]\ndirectory = \"{dead}\"\nagree_to_terms = true\n\n[certificate");
    let elsewhere = good.replace("[certificate", &dead) + "issuers = [\"dead\"]\ndns = [\"script\"]\n";
    daemon.reload_by_saving(&home, &(elsewhere + "[dns.script.exec]\ncommand = [\"true\"]\n"));
    daemon.until(LIMIT, "the failed order is told", |_| receiver.of_kind("failed").len() == 1);
    assert!(receiver.of_kind("expiring").is_empty());
    clock.set(85 * DAY);
    daemon.until(LIMIT, "its end is told", |_| receiver.of_kind("expiring").len() == 1);
    clock.set(91 * DAY);
    daemon.until(LIMIT, "that it has expired is told", |_| receiver.of_kind("expiring").len() == 2);
    assert!(receiver.of_kind("expiring")[1]["title"].as_str().unwrap().contains("has expired"));

    home.save(&good);
    let renewed = |receiver: &Receiver| !receiver.of_kind("renewed").is_empty();
    daemon.until(LIMIT, "it is renewed, and that is told", |_| {
        renewed(&receiver) && receiver.of_kind("recovered").len() == 3
    });
}

#[test]
fn a_sink_hears_of_its_own_certificates_and_events_only() {
    let home = Home::new();
    let (all, few) = (Receiver::start(), Receiver::start());
    let sink = |name: &str, receiver: &Receiver, more: &str| {
        format!("[notify.{name}]\n{more}\n[notify.{name}.webhook]\nurl = \"{}\"\n\n", receiver.url("/"))
    };
    let few_text = sink("few", &few, "events = [\"issued\"]\ncertificates = [\"*.b.test\"]");
    let certificates = crate::own_ca::plain(&["a.test", "x.b.test"]);
    home.save(&config(&home, &(sink("all", &all, "") + &few_text + &certificates)));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "both are told", |_| all.of_kind("issued").len() == 2 && few.events().len() == 1);
    assert_eq!(few.events()[0]["certificate"], "x.b.test");
    assert!(daemon.cli(&["renew", "x.b.test", "--force", "--wait"]).status.success());
    daemon.until(LIMIT, "one is told", |_| all.of_kind("renewed").len() == 1);
    assert_eq!(few.events().len(), 1);
}

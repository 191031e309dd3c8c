//! The daemon on PostgreSQL.

use crate::harness::{Daemon, run, said};
use crate::home::{Home, STORE, certificate, resolver};
use crate::own_ca::{LIMIT, OWN_CA};
use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::postgres::Postgres;

const ZONE: &str = "pg.test";

/// A config with the database; the password and, where it is wanted, the seal key are in files.
pub fn head(home: &Home, server: &Postgres, seal_key: bool) -> String {
    home.secret("password", server.password());
    home.secret("seal", &renewd::secret::Sealer::generate_base64().unwrap());
    let database = format!(
        "database = {{ url = \"{}\", user = \"{}\", password = {{ file = \"password\" }} }}\n",
        server.url(),
        server.user()
    );
    let seal_key = if seal_key { "seal_key = { file = \"seal\" }\n" } else { "" };
    home.head().replace("[state]\n", &format!("[state]\n{database}{seal_key}"))
}

#[test]
fn both_issuers_issue_on_postgres() {
    let (server, bind, home) = (Postgres::start(), Bind::start(&[ZONE]), Home::new());
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let head = head(&home, &server, true);
    let text = head
        + &resolver(bind.address())
        + &home.account(&pebble)
        + &home.rfc2136("main", &[ZONE], &bind)
        + OWN_CA
        + STORE
        + &certificate("public.pg.test", &["public.pg.test", "*.public.pg.test"], "issuers = [\"pebble\"]\n")
        + &certificate("private.test", &["private.test"], "issuers = [\"own\"]\n");
    home.save(&text);
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT * 2, "stored");
    daemon.until(LIMIT, "no TXT value is left", |_| bind.all_txt(ZONE).is_empty());
    let root = pebble.root_pem();
    let leaf = home.read("public.pg.test", "cert.pem");
    openssl::verify(&root, &home.read("public.pg.test", "chain.pem"), &leaf).unwrap();
    let authority = openssl::certificates(&daemon.get("/ca/own.pem").text());
    openssl::verify(&authority[1], &authority[0], &home.read("private.test", "cert.pem")).unwrap();
    assert!(!home.state().join("renewd.db").exists(), "there is no other database");
    assert!(!home.state().join("seal.key").exists(), "nor another key");

    // A second daemon is told; what is there is there for the next.
    let other = Home::new();
    other.secret("tsig.key", bind.tsig_secret());
    other.secret("password", server.password());
    std::fs::copy(home.file("seal"), other.file("seal")).unwrap();
    other.save(&text.replace(&home.port().to_string(), &other.port().to_string()));
    let mut second = Daemon::spawn(&other, &[]);
    assert!(!second.wait().success());
    assert!(second.log().contains("another renewd uses the database"), "{}", second.log());
    assert!(!second.log().contains(server.password()));

    let serials = |daemon: &Daemon| daemon.certificates().iter().map(|one| one["serial"].clone()).collect::<Vec<_>>();
    let before = serials(&daemon);
    assert!(daemon.terminate().success());
    let listed = run(&home.config(), &["list"]);
    assert!(listed.status.success() && said(&listed).contains("private.test"), "{}", said(&listed));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    assert_eq!((serials(&daemon), pebble.order_count()), (before, 1));
    assert!(!daemon.log().contains(server.password()));
}

#[test]
fn without_a_seal_key_it_is_refused() {
    let (server, home) = (Postgres::start(), Home::new());
    let text = head(&home, &server, false) + OWN_CA + STORE + &certificate("a.test", &["a.test"], "");
    home.save(&text);
    let output = run(&home.config(), &["check"]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains("seal_key"), "{}", said(&output));
    assert!(!said(&output).contains(server.password()));
    let mut daemon = Daemon::spawn(&home, &[]);
    assert_eq!(daemon.wait().code(), Some(78));
    assert_eq!(server.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'"), "0");
}

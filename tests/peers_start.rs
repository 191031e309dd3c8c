//! Each peer of the tests starts, answers one real question, and is gone once ended.

#[path = "peers/peers.rs"]
mod peers;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use peers::bind::Bind;
use peers::certificates::{Authority, Pair};
use peers::folder::Folder;
use peers::imap::Imap;
use peers::moto::Moto;
use peers::nginx::{Nginx, Site};
use peers::pebble::{Pebble, PebbleOptions};
use peers::postgres::Postgres;
use peers::powerdns::PowerDns;
use peers::smtp::Smtp;
use peers::{curl, dig, lego, openssl, process, programs};

#[test]
fn bind_takes_a_signed_update_and_keeps_it() {
    let mut bind = Bind::start(&["example.com", "sub.example.com", "example.net"]);
    bind.nsupdate("update add a.example.com 60 TXT \"one \\\"two\\\"\" \"three\"");
    bind.nsupdate("update add c.example.com 60 CNAME t.sub.example.com\nsend\nupdate add t.sub.example.com 60 TXT x");
    assert_eq!(bind.txt("a.example.com"), ["one \"two\"three"]);
    assert_eq!(bind.all_txt("example.com"), [("a.example.com".to_owned(), "one \"two\"three".to_owned())]);
    let process = bind.process_id().expect("it runs");
    bind.stop();
    assert!(is_gone(process));
    assert!(bind.txt("a.example.com").is_empty());
    bind.start_again();
    assert_eq!(bind.txt("a.example.com"), ["one \"two\"three"]);
    assert_eq!(dig::answer(bind.address(), "c.example.com", "TXT").len(), 2, "CNAMEs are followed");
    assert_eq!(dig::answer(bind.address(), "example.net", "SOA").len(), 1);
    assert!(dig::answer(bind.address(), "nothing.example.org", "TXT").is_empty());
}

#[test]
fn powerdns_takes_a_record_by_its_api() {
    let mut server = PowerDns::start(&["example.com"]);
    let record = r#"{"rrsets": [{"name": "a.example.com.", "type": "TXT", "ttl": 60, "changetype": "REPLACE",
        "records": [{"content": "\"one\"", "disabled": false}]}]}"#;
    server.request("PATCH", "/zones/example.com.", record).expect("the API takes the record");
    assert_eq!(server.txt("a.example.com"), ["one"]);
    assert_eq!(server.all_txt("example.com"), [("a.example.com".to_owned(), "one".to_owned())]);
    let process = server.process_id().expect("it runs");
    server.stop();
    assert!(is_gone(process));
    server.start_again();
    assert_eq!(server.txt("a.example.com"), ["one"]);
}

#[test]
fn lego_obtains_a_certificate_from_pebble_with_bind() {
    let bind = Bind::start(&["example.com"]);
    let options = PebbleOptions { dns: bind.address(), nonce_reject_percent: 20, ..PebbleOptions::default() };
    let mut pebble = Pebble::start(options);
    let folder = Folder::new("lego");
    programs::must(&mut lego_command(&bind, &pebble, folder.path()), "");

    let file = |name: &str| std::fs::read_to_string(folder.path().join("certificates").join(name)).expect(name);
    let (certificate, key) = (file("www.example.com.crt"), file("www.example.com.key"));
    let (root, chain) = (pebble.root_pem(), file("www.example.com.issuer.crt"));
    openssl::verify(&root, &chain, &certificate).expect("the chain leads to Pebble's root");
    assert!(openssl::verify(&root, "", openssl::certificates(&certificate)[0].as_str()).is_err());
    assert_eq!(chain.trim(), pebble.intermediate_pem().trim());
    assert_eq!(openssl::public_key_of_cert(&certificate), openssl::public_key_of_key(&key));
    assert_eq!(openssl::names(&certificate), ["www.example.com"]);
    assert_eq!(pebble.certificate_status(&openssl::serial(&certificate)), "Valid");
    assert_eq!(pebble.order_count(), 1);
    assert!(pebble.requests("POST /order-plz") >= 1);
    assert!(bind.all_txt("example.com").is_empty());

    pebble.set_renewal_info(&openssl::certificates(&certificate)[0], "{}");
    let process = pebble.process_id().expect("it runs");
    pebble.stop();
    assert!(is_gone(process));
    pebble.start_again();
    assert_ne!(pebble.root_pem(), root);
}

#[test]
fn pebble_has_profiles_renewal_info_and_account_binding() {
    let options = PebbleOptions {
        eab: Some(("kid-1".to_owned(), "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".to_owned())),
        alternate_roots: 1,
        ..PebbleOptions::default()
    };
    let pebble = Pebble::start(options);
    let directory = curl::get(&pebble.directory_url()).root(pebble.tls_root()).must();
    let directory: serde_json::Value = serde_json::from_str(&directory).expect("a directory is JSON");
    assert!(directory["renewalInfo"].is_string());
    assert!(directory["meta"]["profiles"]["shortlived"].is_string());
    assert_eq!(directory["meta"]["externalAccountRequired"], true);
    assert_ne!(pebble.alternate_root_pem(1), pebble.root_pem());
}

#[test]
fn moto_has_a_hosted_zone() {
    let mut moto = Moto::start();
    let zone = moto.hosted_zone("example.com");
    assert!(moto.all_txt(&zone).is_empty());
    let change = "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
        <Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>a.example.com.</Name><Type>TXT</Type>\
        <TTL>60</TTL><ResourceRecords><ResourceRecord><Value>\"one\"</Value></ResourceRecord></ResourceRecords>\
        </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>";
    moto.route53("POST", &format!("/hostedzone/{zone}/rrset/")).body(change).must();
    assert_eq!(moto.txt(&zone, "a.example.com"), ["one"]);
    let process = moto.process_id().expect("it runs");
    moto.stop();
    assert!(is_gone(process));
}

#[test]
fn postgres_keeps_rows_and_changes_its_certificate() {
    let (first, second) = (TlsFiles::new("db.example.com"), TlsFiles::new("db.example.com"));
    let mut postgres = Postgres::start_with_tls(&first.certificate(), &first.key());
    let url = postgres.database("fresh");
    assert_eq!(url, format!("postgres://127.0.0.1:{}/fresh", postgres.port()));
    postgres.sql_in("fresh", "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)");
    assert_eq!(postgres.sql_in("fresh", "SELECT n, n + 1 FROM t"), "7|8");
    let address = peers::ports::loopback(postgres.port());
    let served = || openssl::served_certificate(address, "db.example.com", Some("postgres")).expect("TLS is on");
    assert_eq!(served(), first.pair.certificate);
    postgres.install_tls(&second.certificate(), &second.key());
    assert!(process::wait(Duration::from_secs(10), || served() == second.pair.certificate));
    let process = postgres.process_id().expect("it runs");
    postgres.stop();
    assert!(is_gone(process));
    postgres.start_again();
    assert_eq!(postgres.sql_in("fresh", "SELECT n FROM t"), "7");
}

#[test]
fn nginx_serves_a_placeholder_until_a_reload_finds_the_files() {
    let folder = Folder::new("site");
    let site = Site::from_folder("www.example.com", folder.path());
    let mut nginx = Nginx::start(&[site]);
    let served = || openssl::served_certificate(nginx.address(), "www.example.com", None).expect("TLS is on");
    let authority = Authority::new();
    let pair = authority.issue(&["www.example.com"]);
    assert_ne!(served(), pair.certificate);
    folder.write("fullchain.pem", &pair.certificate);
    folder.write("privkey.pem", &pair.key);
    nginx.reload();
    assert!(process::wait(Duration::from_secs(10), || served() == pair.certificate));
    assert_eq!(nginx.reloads(), 1);
    openssl::verify(authority.root(), "", &pair.certificate).expect("the authority issued it");
    let process = nginx.process_id().expect("it runs");
    nginx.stop();
    assert!(is_gone(process));
}

#[test]
fn smtp_and_imap_start_tls() {
    let files = TlsFiles::new("mail.example.com");
    let mut smtp = Smtp::start(&files.certificate(), &files.key());
    let mut imap = Imap::start(&files.certificate(), &files.key());
    for (address, protocol) in [(smtp.address(), "smtp"), (imap.address(), "imap")] {
        let served = || openssl::served_certificate(address, "mail.example.com", Some(protocol)).expect(protocol);
        assert_eq!(served(), files.pair.certificate);
    }
    let next = TlsFiles::new("mail.example.com");
    std::fs::copy(next.certificate(), files.certificate()).expect("a file can be replaced");
    std::fs::copy(next.key(), files.key()).expect("a file can be replaced");
    smtp.reload();
    for (address, protocol) in [(smtp.address(), "smtp"), (imap.address(), "imap")] {
        let served = || openssl::served_certificate(address, "mail.example.com", Some(protocol)).expect(protocol);
        assert!(process::wait(Duration::from_secs(10), || served() == next.pair.certificate));
    }
    let processes = [smtp.process_id(), imap.process_id()];
    smtp.stop();
    imap.stop();
    assert!(processes.into_iter().flatten().all(is_gone));
}

#[test]
#[should_panic(expected = "run tests/run")]
fn a_missing_program_says_what_to_run() {
    programs::find("no-such-program-of-renewd");
}

#[test]
fn a_server_that_ends_at_once_shows_its_log() {
    let folder = Folder::new("nothing");
    let mut shell = Command::new("/bin/sh");
    let mut process = process::Process::spawn(shell.args(["-c", "echo no such zone; exit 3"]), &folder.log());
    let error = process.wait_until(|| false).expect_err("it ended");
    assert!(error.contains("exit status: 3") && error.contains("no such zone"), "{error}");
}

#[test]
fn a_server_that_runs_on_without_its_port_is_lost_at_once() {
    let folder = Folder::new("nothing");
    folder.write("log", "address in use, but before this one\n");
    let mut shell = Command::new("/bin/sh");
    let process = process::Process::spawn(shell.args(["-c", "echo address in use; exec sleep 600"]), &folder.log());
    let error = process.hopeless_when(&["address in use"]).wait_until(|| false).expect_err("it is lost");
    assert!(error.contains("cannot serve") && !error.contains("before this one"), "{error}");
}

#[test]
fn bind_does_not_run_without_its_port() {
    let mut bind = Bind::start(&["example.com"]);
    let port = bind.address().port();
    bind.stop();
    let thief = std::net::TcpListener::bind(bind.address()).expect("the port is free again");
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bind.start_again()));
    assert!(again.is_err(), "somebody else has the port");
    drop(thief);
    bind.start_again();
    assert_eq!(bind.address().port(), port);
}

struct TlsFiles {
    folder: Folder,
    pair: Pair,
}

impl TlsFiles {
    fn new(name: &str) -> Self {
        let (folder, pair) = (Folder::new("tls"), Authority::new().issue(&[name]));
        folder.write("certificate.pem", &pair.certificate);
        folder.write("key.pem", &pair.key);
        TlsFiles { folder, pair }
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.folder.file("certificate.pem")
    }

    fn key(&self) -> std::path::PathBuf {
        self.folder.file("key.pem")
    }
}

fn lego_command(bind: &Bind, pebble: &Pebble, folder: &Path) -> Command {
    let mut lego = Command::new(lego::program());
    lego.arg("--path").arg(folder).args(["--server", &pebble.directory_url(), "--email", "ops@example.com"]);
    lego.args(["--accept-tos", "--domains", "www.example.com", "--dns", "rfc2136"]);
    lego.args(["--dns.resolvers", &bind.address().to_string(), "--dns.propagation-disable-ans", "run"]);
    lego.env("LEGO_CA_CERTIFICATES", pebble.tls_root());
    lego.env("RFC2136_NAMESERVER", bind.address().to_string()).env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.");
    lego.env("RFC2136_TSIG_KEY", bind.tsig_key()).env("RFC2136_TSIG_SECRET", bind.tsig_secret());
    lego
}

fn is_gone(process: u32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

//! The example config, as a stranger runs it: a private CA, one certificate, no network.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Answer, Daemon};
use crate::home::Home;
use crate::peers::{openssl, programs};

const NAME: &str = "demo.internal";
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_example_config_runs_as_it_is() {
    let (home, mut daemon) = example();
    let health = daemon.json("/health");
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(daemon.get("/health/ready").status, 200);
    check_downloads(&daemon);
    check_files(&home, &daemon);
    let start = Instant::now();
    assert!(daemon.terminate().success(), "SIGTERM ends it in good order");
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?} to end", start.elapsed());
}

#[test]
fn a_restart_changes_neither_ca_nor_certificate() {
    let (home, mut daemon) = example();
    let served = |daemon: &Daemon| [download(daemon, ""), daemon.get("/ca/internal.pem").text()];
    let before = served(&daemon);
    let state = std::fs::metadata(home.file("renewd-state")).expect("the state directory is there");
    assert_eq!(state.permissions().mode() & 0o077 & !0o055, 0, "nobody else writes there");
    assert!(daemon.terminate().success());
    let mut again = Daemon::start(&home);
    assert_eq!(served(&again), before);
    assert_eq!(again.show(NAME)["version"], 1);
    assert!(again.terminate().success());
}

#[test]
fn https_opens_with_the_managed_certificate() {
    let home = Home::new();
    let tls = Home::new().port();
    let listen = format!("http://127.0.0.1:{}\", \"https://127.0.0.1:{tls}", home.port());
    let text = example_text().replace("http://127.0.0.1:8460", &listen);
    home.save(&text.replace("#certificate = \"demo.internal\"", "certificate = \"demo.internal\""));
    let mut daemon = Daemon::start(&home);
    let address = crate::peers::ports::loopback(tls);
    let leaf = |daemon: &Daemon| openssl::certificates(&daemon.get("/demo.internal/tls").text()).first().cloned();
    daemon.until(LIMIT, "the https listener shows the certificate", |daemon| {
        let served = openssl::served_certificate(address, NAME, None).ok();
        served.is_some() && served == leaf(daemon)
    });
    let first = leaf(&daemon);
    assert!(daemon.cli(&["renew", NAME, "--force", "--wait"]).status.success());
    assert_ne!(leaf(&daemon), first);
    daemon.until(LIMIT, "the new one is swapped in", |daemon| {
        openssl::served_certificate(address, NAME, None).ok() == leaf(daemon)
    });
}

/// PEM, DER and PKCS #7 of one chain, which leads to the CA's root; unchanged, it is not sent again.
fn check_downloads(daemon: &Daemon) {
    let pem = download(daemon, "");
    let chain = openssl::certificates(&pem);
    let authority = openssl::certificates(&daemon.get("/ca/internal.pem").text());
    let [issuing, root] = authority.as_slice() else { panic!("issuing certificate and root: {authority:?}") };
    assert_eq!(chain.len(), 2, "leaf and issuing certificate");
    assert_eq!(&chain[1], issuing);
    openssl::verify(root, issuing, &chain[0]).expect("the leaf leads to the root");
    assert!(openssl::verify(root, "", &chain[0]).is_err());
    assert_eq!(openssl::names(&chain[0]), [NAME, "www.demo.internal"]);

    let folder = crate::peers::folder::Folder::new("download");
    let converted = |format: &str, words: &[&str]| {
        std::fs::write(folder.file(format), daemon.get(&path(format)).body).expect("a file can be written");
        programs::must(Command::new(programs::find("openssl")).args(words).arg("-in").arg(folder.file(format)), "")
    };
    assert_eq!(openssl::certificates(&converted("der", &["x509", "-inform", "DER"])), chain[..1]);
    assert_eq!(openssl::certificates(&converted("p7b", &["pkcs7", "-inform", "DER", "-print_certs"])), chain);
    assert_eq!(daemon.get("/demo.internal/tls?format=exe").status, 400);
    assert_eq!(daemon.get("/unknown.internal/tls").status, 404);

    let answer = daemon.get(&path("pem"));
    let (tag, modified) = (answer.header("etag").to_owned(), answer.header("last-modified").to_owned());
    let again = |line: String| daemon.get_with(&path("pem"), &[&line]);
    is_unchanged(&again(format!("If-None-Match: {tag}")));
    is_unchanged(&again(format!("If-Modified-Since: {modified}")));
    assert_eq!(again("If-None-Match: \"another\"".to_owned()).text(), pem);
}

fn is_unchanged(answer: &Answer) {
    assert_eq!((answer.status, answer.body.len()), (304, 0));
}

fn check_files(home: &Home, daemon: &Daemon) {
    let folder = home.file("renewd-state/certificates").join(NAME);
    let file =
        |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mode = |name: &str| std::fs::metadata(folder.join(name)).expect(name).permissions().mode() & 0o7777;
    assert_eq!(file("fullchain.pem"), download(daemon, ""));
    assert_eq!(openssl::public_key_of_key(&file("privkey.pem")), openssl::public_key_of_cert(&file("cert.pem")));
    let modes = ["cert.pem", "chain.pem", "fullchain.pem", "metadata.json", "privkey.pem"].map(mode);
    assert_eq!(modes, [0o644, 0o644, 0o644, 0o644, 0o600]);
    let link = std::fs::read_link(&folder).expect("the certificate's folder is a link");
    assert_eq!(link.to_string_lossy(), format!(".versions/{NAME}/000001"));
    let private =
        |name: &str| std::fs::metadata(home.file("renewd-state").join(name)).expect(name).permissions().mode();
    assert_eq!(private("seal.key") & 0o7777, 0o600);
}

fn path(format: &str) -> String {
    format!("/{NAME}/tls?format={format}")
}

fn download(daemon: &Daemon, query: &str) -> String {
    let answer = daemon.get(&format!("/{NAME}/tls{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The example with another port and nothing else changed, run until its certificate is stored.
fn example() -> (Home, Daemon) {
    let home = Home::new();
    home.save(&example_text().replace("127.0.0.1:8460", &format!("127.0.0.1:{}", home.port())));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    (home, daemon)
}

fn example_text() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).expect("the example is there")
}

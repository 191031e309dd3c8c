//! The certificates above leaves: of every kind of key, taken over from elsewhere, signed elsewhere, and with the root's
//! key in a safe.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Daemon, said};
use crate::home::{Home, STORE};
use crate::own_ca::{Clock, DAY, LIMIT, config, plain};
use crate::peers::{openssl, programs};

const NAME: &str = "a.example.test";

/// A root as somebody else's tool made it: a subject that repeats attributes.
const OLD_SUBJECT: &str = "/DC=test/DC=example/O=Old Corp/OU=IT/OU=Security/CN=Old Root";

fn start(extra: &str) -> (Home, Daemon) {
    let home = Home::new();
    home.save(&config(&home, &format!("{extra}{}", plain(&[NAME]))));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    (home, daemon)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl_says(words: &[&str]) -> String {
    programs::must(Command::new(programs::find("openssl")).args(words), "")
}

fn done(daemon: &Daemon, words: &[&str]) -> String {
    let output = daemon.cli(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    said(&output)
}

fn refused(daemon: &Daemon, words: &[&str]) -> String {
    let output = daemon.cli(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
    said(&output)
}

/// A CA made by `openssl`: its certificate and its key, in files.
struct Made {
    certificate: PathBuf,
    key: PathBuf,
}

impl Made {
    fn root(home: &Home, name: &str, subject: &str, more: &[&str]) -> Self {
        let (certificate, key) = (home.file(&format!("{name}.pem")), home.file(&format!("{name}.key")));
        let usual = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-utf8", "-days", "300", "-subj", subject];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        let files = ["-keyout", path(&key), "-out", path(&certificate)];
        openssl_says(&[&usual[..], &usage, &files, more].concat());
        Made { certificate, key }
    }

    /// An issuing CA that this one signs.
    fn issuing(&self, home: &Home, name: &str, extensions: &str) -> Self {
        let (request, key) = (home.file(&format!("{name}.csr")), home.file(&format!("{name}.key")));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-noenc"];
        let subject = format!("/O=Old Corp/CN={name}");
        let files = ["-subj", &subject, "-keyout", path(&key), "-out", path(&request)];
        openssl_says(&[&["req", "-new"][..], &ec, &files].concat());
        Made { certificate: self.sign(home, name, &request, Some(extensions)), key }
    }

    /// Signs a request; without extensions of its own it gets those that it asks for.
    fn sign(&self, home: &Home, name: &str, request: &Path, extensions: Option<&str>) -> PathBuf {
        let signed = home.file(&format!("{name}.pem"));
        let by = ["-CA", path(&self.certificate), "-CAkey", path(&self.key), "-days", "200"];
        let files = ["x509", "-req", "-in", path(request), "-out", path(&signed)];
        let written = extensions.map(|text| home.write(&format!("{name}.ext"), text));
        let more = match &written {
            Some(file) => ["-extfile", path(file)],
            None => ["-copy_extensions", "copyall"],
        };
        openssl_says(&[&files[..], &by, &more].concat());
        signed
    }

    fn pkcs12(&self, home: &Home, above: &Made, password: &str) -> PathBuf {
        let file = home.file("ca.p12");
        let parts = ["-in", path(&self.certificate), "-inkey", path(&self.key), "-certfile", path(&above.certificate)];
        let out = ["-out", path(&file), "-passout", &format!("pass:{password}")];
        openssl_says(&[&["pkcs12", "-export"][..], &parts, &out].concat());
        file
    }
}

const ISSUING: &str =
    "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// Renews the certificate, and looks whether its chain leads to this root.
fn issues_under(daemon: &Daemon, root: &str) -> Vec<String> {
    done(daemon, &["renew", NAME, "--force", "--wait"]);
    let chain = openssl::certificates(&daemon.get(&format!("/{NAME}/tls")).text());
    openssl::verify(root, &chain[1..].concat(), &chain[0]).expect("the leaf leads to the root");
    chain
}

/// Months since the year 0 of an RFC 3339 time.
fn month(time: &serde_json::Value) -> i32 {
    let time = time.as_str().expect("a time");
    let number = |range: std::ops::Range<usize>| time[range].parse::<i32>().expect("a number");
    number(0..4) * 12 + number(5..7)
}

fn generations(daemon: &Daemon) -> usize {
    daemon.cli_json(&["ca", "show", "own"])["generations"].as_array().unwrap().len()
}

#[test]
fn every_kind_of_key_makes_a_ca_that_openssl_believes() {
    const KINDS: [&str; 6] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"];
    let home = Home::new();
    let one = |kind: &str| {
        format!(
            "[ca.{kind}]\nsubject = {{ common_name = \"CA\" }}\nkey = \"{kind}\"\npath_length = 1\n\
             [certificate.\"{kind}.test\"]\nissuers = \"{kind}\"\n"
        )
    };
    let text: String = KINDS.iter().map(|kind| one(kind)).collect();
    home.save(&format!("{}{STORE}{text}", home.head()));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(Duration::from_secs(300), "stored");
    for kind in KINDS {
        let chain = openssl::certificates(&daemon.get(&format!("/{kind}.test/tls")).text());
        let authority = openssl::certificates(&daemon.get(&format!("/ca/{kind}.pem")).text());
        openssl::verify(&authority[1], &chain[1], &chain[0]).expect(kind);
        let described = |pem: &str| programs::must(Command::new("openssl").args(["x509", "-noout", "-text"]), pem);
        assert!(described(&authority[1]).contains("CA:TRUE, pathlen:1\n"));
        assert!(described(&authority[0]).contains("CA:TRUE, pathlen:0\n"));
    }
}

#[test]
fn a_root_from_elsewhere_issues_and_has_successors() {
    let (home, mut daemon) = start("");
    let constrained = ["-addext", "nameConstraints=critical,permitted;DNS:example.test"];
    let old = Made::root(&home, "old", OLD_SUBJECT, &constrained);
    let import = ["ca", "import", "own", "--certificate", path(&old.certificate), "--key", path(&old.key)];
    let told = done(&daemon, &import);
    assert!(told.contains("CN=Old Root  itself"), "{told}");
    let root = read(&old.certificate);
    let chain = issues_under(&daemon, &root);
    assert_eq!(openssl::certificates(&root)[0], chain[1], "octet by octet");
    // The issuer of the leaf is the root's subject, as it stands there.
    let names = |what: &str, pem: &str| {
        programs::must(Command::new("openssl").args(["x509", "-noout", what, "-nameopt", "dn_rev,sep_multiline"]), pem)
    };
    let after = |text: String| text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap();
    assert_eq!(after(names("-issuer", &chain[0])), after(names("-subject", &root)));
    assert_eq!(openssl::certificates(&daemon.get("/ca/own.pem").text()), openssl::certificates(&root));

    let outside = refused(&daemon, &["client", "issue", "--ca", "own", "--cn", "x.example.com"]);
    assert!(outside.contains("permitted: example.test"), "{outside}");
    let again = generations(&daemon);
    done(&daemon, &import);
    assert_eq!(generations(&daemon), again, "imported once");

    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start(&home);
    done(&daemon, &["ca", "rotate", "own"]);
    let chain = issues_under(&daemon, &root);
    assert_ne!(openssl::certificates(&root)[0], chain[1], "an issuing certificate below the old root");
    assert!(refused(&daemon, &import).contains("generation 2 of the CA already"));
    let outside = refused(&daemon, &["client", "issue", "--ca", "own", "--cn", "x.example.com"]);
    assert!(outside.contains("permitted: example.test"), "the root's constraints bind what is below it: {outside}");
    assert!(daemon.terminate().success());
}

#[test]
fn an_issuing_ca_comes_with_its_chain_and_nothing_else_does() {
    let (home, daemon) = start("");
    let old = Made::root(&home, "old", OLD_SUBJECT, &[]);
    let issuing = old.issuing(&home, "Issuing", ISSUING);
    let other = Made::root(&home, "other", "/CN=Other", &[]);
    let namesake = Made::root(&home, "namesake", OLD_SUBJECT, &[]);
    let leaf = old.issuing(&home, "Leaf", "basicConstraints=CA:FALSE\n");
    let weak = old.issuing(&home, "Unsigning", "basicConstraints=CA:TRUE\nkeyUsage=cRLSign\n");
    let narrow = Made::root(&home, "narrow", "/CN=Narrow", &["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"]);
    let below = narrow.issuing(&home, "Below", ISSUING);
    let imported = |made: &Made, key: &Path, chain: Option<&Made>| {
        let words = ["ca", "import", "own", "--certificate", path(&made.certificate), "--key", path(key)];
        let chain = chain.map(|chain| vec!["--chain", path(&chain.certificate)]).unwrap_or_default();
        refused(&daemon, &[&words[..], &chain].concat())
    };
    for (said, wanted) in [
        (imported(&issuing, &issuing.key, None), "was issued by `Old Root`, whose certificate was not given"),
        (imported(&issuing, &other.key, Some(&old)), "no certificate of those given is for the key"),
        (imported(&issuing, &issuing.key, Some(&other)), "was not given"),
        (imported(&issuing, &issuing.key, Some(&namesake)), "was not signed by the key of the `Old Root`"),
        (imported(&leaf, &leaf.key, Some(&old)), "do not say CA:TRUE"),
        (imported(&weak, &weak.key, Some(&old)), "no keyCertSign"),
        (imported(&below, &below.key, Some(&narrow)), "`Narrow` allows no CA below it"),
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let file = issuing.pkcs12(&home, &old, "gehe1mes-Wort");
    let (good, bad) = (home.secret("good", "gehe1mes-Wort\n"), home.secret("bad", "falsches-Wort\n"));
    let pkcs12 = ["ca", "import", "own", "--pkcs12", path(&file), "--password-file"];
    let said = refused(&daemon, &[&pkcs12[..], &[path(&bad)]].concat());
    assert!(said.contains("the password is another"), "{said}");
    assert_eq!(generations(&daemon), 1);
    done(&daemon, &[&pkcs12[..], &[path(&good)]].concat());
    let chain = issues_under(&daemon, &read(&old.certificate));
    assert_eq!(chain.len(), 2, "the root is not sent");
    assert_eq!(openssl::certificates(&read(&issuing.certificate))[0], chain[1]);
    // Its issuer's key is not here: neither by hand nor by itself is there a successor.
    assert!(refused(&daemon, &["ca", "rotate", "own"]).contains("renewd ca csr"));
    for word in ["gehe1mes-Wort", "falsches-Wort", "PRIVATE KEY"] {
        assert!(!daemon.log().contains(word), "{word} is in the log");
    }
}

#[test]
fn what_has_ended_is_not_imported() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let old = Made::root(&home, "old", OLD_SUBJECT, &[]);
    let import = ["ca", "import", "own", "--certificate", path(&old.certificate), "--key", path(&old.key)];
    clock.set(301 * DAY);
    let said = refused(&daemon, &import);
    assert!(said.contains("`Old Root` expired at"), "{said}");
    assert_eq!(generations(&daemon), 1);
}

#[test]
fn the_root_goes_offline_and_signs_the_next_generation_there() {
    let (home, mut daemon) = start("");
    let password = home.secret("password", "gehe1mes-Wort\n");
    let file = home.file("safe/root.p12");
    let refusal = refused(&daemon, &["ca", "root", "forget", "own", "--yes"]);
    assert!(refusal.contains("renewd ca root export"), "{refusal}");
    done(&daemon, &["ca", "root", "export", "own", "--to", path(&file), "--password-file", path(&password)]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(refused(&daemon, &["ca", "root", "forget", "own"]).contains("--yes"));
    let told = done(&daemon, &["ca", "root", "forget", "own", "--yes"]);
    assert!(told.contains("its key is elsewhere"), "{told}");
    assert!(refused(&daemon, &["ca", "rotate", "own"]).contains("renewd ca csr"));
    // The root's list outlasts its key, and is watched.
    daemon.until(LIMIT, "the root's last list is told of", |daemon| {
        let shown = daemon.cli_json(&["ca", "show", "own"]);
        let list = shown["crls"].as_array().unwrap().iter().find(|list| list["generation"] == 0).cloned();
        list.is_some_and(|list| month(&list["next_update"]) - month(&list["this_update"]) >= 11)
    });
    assert_eq!(daemon.json("/health")["checks"]["crls"]["status"], "ok");
    let list = home.write("root.crl", &daemon.get("/crl/own/0/all.pem").text());
    let trusted = home.write("trusted.pem", &openssl::certificates(&daemon.get("/ca/own.pem").text())[1]);
    let verified = programs::run(
        Command::new(programs::find("openssl")).args(["crl", "-noout", "-in", path(&list), "-CAfile", path(&trusted)]),
        "",
    );
    assert!(said(&verified).contains("verify OK"), "{}", said(&verified));

    let safe = home.file("safe.pem");
    let pass = format!("file:{}", path(&password));
    openssl_says(&["pkcs12", "-in", path(&file), "-passin", &pass, "-noenc", "-out", path(&safe)]);
    let root = Made { certificate: safe.clone(), key: safe };
    let trusted = openssl::certificates(&daemon.get("/ca/own.pem").text())[1].clone();
    issues_under(&daemon, &trusted);

    let request = home.write("next.csr", &done(&daemon, &["ca", "csr", "own"]));
    let described = openssl_says(&["req", "-in", path(&request), "-noout", "-text", "-verify"]);
    assert!(described.contains("CN = Own CA 2") && described.contains("CA:TRUE, pathlen:0"), "{described}");
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start(&home);
    assert_eq!(done(&daemon, &["ca", "csr", "own"]), read(&request), "the same until it is installed");
    let signed = root.sign(&home, "next", &request, None);
    done(&daemon, &["ca", "install", "own", "--certificate", path(&signed)]);
    let chain = issues_under(&daemon, &trusted);
    assert_eq!(openssl::certificates(&read(&signed))[0], chain[1]);
    assert!(refused(&daemon, &["ca", "install", "own", "--certificate", path(&signed)]).contains("no request waits"));

    let other = Made::root(&home, "other", "/CN=Other", &[]);
    let other = other.pkcs12(&home, &other, "gehe1mes-Wort");
    let said = refused(
        &daemon,
        &["ca", "root", "restore", "own", "--pkcs12", path(&other), "--password-file", path(&password)],
    );
    assert!(said.contains("the key is not that of the root"), "{said}");
    let restore = ["ca", "root", "restore", "own", "--pkcs12", path(&file), "--password-file", path(&password)];
    assert!(done(&daemon, &restore).contains("its key is here"));
    done(&daemon, &["ca", "rotate", "own"]);
    issues_under(&daemon, &trusted);
    assert!(daemon.terminate().success());
    assert!(!daemon.log().contains("gehe1mes-Wort"));
}

#[test]
fn an_outside_root_signs_the_issuing_certificate() {
    let (home, daemon) = start("");
    let corporate = Made::root(&home, "corporate", OLD_SUBJECT, &[]);
    let request = home.write("next.csr", &done(&daemon, &["ca", "csr", "own"]));
    let signed = corporate.sign(&home, "next", &request, None);
    let install = ["ca", "install", "own", "--certificate", path(&signed)];
    assert!(refused(&daemon, &install).contains("was not given"));
    let chain = ["--chain", path(&corporate.certificate)];
    let newer = home.write("newer.csr", &done(&daemon, &["ca", "csr", "own", "--new"]));
    let said = refused(&daemon, &[&install[..], &chain].concat());
    assert!(said.contains("no certificate of those given is for the key"), "{said}");
    let unfit = corporate.sign(&home, "unfit", &newer, Some("basicConstraints=CA:FALSE\n"));
    let said = refused(&daemon, &[&["ca", "install", "own", "--certificate", path(&unfit)][..], &chain].concat());
    assert!(said.contains("do not say CA:TRUE"), "{said}");
    let signed = corporate.sign(&home, "newer", &newer, None);
    done(&daemon, &[&["ca", "install", "own", "--certificate", path(&signed)][..], &chain].concat());
    issues_under(&daemon, &read(&corporate.certificate));
}

#[test]
fn what_takes_effect_at_a_rotation_only_is_said() {
    let (home, daemon) = start("");
    let silent = |words: &[&str]| {
        let answer = daemon.cli_json(words);
        assert_eq!(answer["authorities"].as_array().unwrap().len(), 0, "{words:?}: {answer}");
    };
    silent(&["check"]);
    silent(&["plan"]);
    let changed = "common_name = \"Another CA\" }\nkey = \"ecdsa-p384\"\nissuing_lifetime = \"5y\"\nlifetime = \"15y\"";
    let text = config(&home, &plain(&[NAME])).replace("common_name = \"Own CA\" }", changed);
    daemon.reload_by_saving(&home, &text);
    for command in ["check", "plan"] {
        let told = done(&daemon, &[command]);
        assert!(
            told.contains("ca.own: `subject`, `key`, `issuing_lifetime`: in force with `renewd ca rotate own`"),
            "{told}"
        );
        assert!(told.contains("ca.own: `lifetime`: for roots that are made anew"), "{told}");
    }
    done(&daemon, &["ca", "rotate", "own"]);
    let told = daemon.cli_json(&["check"]);
    let authorities = told["authorities"].as_array().unwrap();
    assert_eq!(authorities.len(), 1, "only the root is as before: {told}");
    let shown = done(&daemon, &["ca", "show", "own"]);
    assert!(shown.contains("CN=Another CA 2  CN=Own CA Root"), "{shown}");
}

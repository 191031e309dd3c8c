//! `renewd ca sign`: somebody's own request, and what a profile makes of it, as `openssl` sees both.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use renewd::crash::{Point, VARIABLE};
use serde_json::Value;

use crate::harness::{Daemon, said};
use crate::home::Home;
use crate::own_ca::{Clock, LIMIT};
use crate::peers::{openssl, programs};

const CA: &str = "\
[ca.own]
subject = { common_name = \"Own CA\" }
name_constraints = { permitted = [\"example.internal\", \"10.0.0.0/8\"] }
[ca.own.profile.code]
key_usage = [\"digitalSignature\", \"contentCommitment\"]
extended_key_usage = [\"codeSigning\", \"1.2.3.4.5\"]
lifetime = \"20d\"
max_lifetime = \"40d\"
allowed_names = [\"*@example.com\"]
allowed_keys = [\"ecdsa-p384\"]
subject = { organization = \"Fixed\", country = \"DE\", from_request = true }
[ca.own.profile.silent]
extended_key_usage = [\"serverAuth\"]
allowed_names = [\"*.deep.example.internal\"]
subject = { common_name = false }
";

/// A CA with constraints, a profile that bounds everything, and URLs in its leaves.
fn config(home: &Home) -> String {
    format!(
        "[state]\ndirectory = \"state\"\n[http]\nlisten = [\"http://127.0.0.1:{}\"]\n\
         public_url = \"http://pki.example.com\"\n{CA}",
        home.port()
    )
}

fn start() -> (Home, Daemon) {
    let home = Home::new();
    home.save(&config(&home));
    let daemon = Daemon::start(&home);
    (home, daemon)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A request by `openssl`, and its key.
fn request(home: &Home, name: &str, curve: &str, subject: &str, extensions: &[&str]) -> (PathBuf, PathBuf) {
    let (key, csr) = (home.file(&format!("{name}.key")), home.file(&format!("{name}.csr")));
    let curve = format!("ec_paramgen_curve:{curve}");
    let mut words = vec!["req", "-new", "-newkey", "ec", "-pkeyopt", &curve, "-nodes", "-utf8"];
    words.extend(["-keyout", text(&key), "-out", text(&csr), "-subj", subject]);
    for extension in extensions {
        words.extend(["-addext", extension]);
    }
    programs::must(Command::new(programs::find("openssl")).args(words), "");
    (key, csr)
}

fn sign(daemon: &Daemon, csr: &Path, profile: &str, more: &[&str]) -> Output {
    let words = ["ca", "sign", "own", "--csr", text(csr), "--profile", profile];
    daemon.cli(&[&words[..], more].concat())
}

/// The certificates of the answer.
fn signed(daemon: &Daemon, csr: &Path, profile: &str, more: &[&str]) -> Vec<String> {
    let output = sign(daemon, csr, profile, more);
    assert!(output.status.success(), "{profile}: {}", said(&output));
    openssl::certificates(&String::from_utf8_lossy(&output.stdout))
}

fn refused(daemon: &Daemon, csr: &Path, profile: &str, more: &[&str]) -> String {
    let output = sign(daemon, csr, profile, more);
    assert_eq!(output.status.code(), Some(1), "{profile}: {}", said(&output));
    said(&output)
}

fn described(pem: &str) -> String {
    let mut openssl = Command::new(programs::find("openssl"));
    programs::must(openssl.args(["x509", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8"]), pem)
}

fn root(daemon: &Daemon) -> String {
    let exported = daemon.cli(&["ca", "export", "own"]);
    openssl::certificates(&String::from_utf8_lossy(&exported.stdout)).pop().unwrap()
}

#[test]
fn a_request_is_signed_and_the_chain_printed() {
    let (home, daemon) = start();
    let names = ["subjectAltName=DNS:a.example.internal,IP:10.1.2.3", "keyUsage=digitalSignature,keyEncipherment"];
    let (key, csr) = request(&home, "server", "P-256", "/O=Mine/CN=b.example.internal", &names);
    let chain = signed(&daemon, &csr, "server", &[]);
    let [leaf, issuing] = chain.as_slice() else { panic!("leaf and issuing certificate: {chain:?}") };
    openssl::verify(&root(&daemon), issuing, leaf).unwrap();
    assert_eq!(openssl::names(leaf), ["10.1.2.3", "a.example.internal", "b.example.internal"]);
    let key = std::fs::read_to_string(key).unwrap();
    assert_eq!(openssl::public_key_of_cert(leaf), openssl::public_key_of_key(&key));
    let told = described(leaf);
    for part in [
        "Subject: CN=b.example.internal\n",
        "critical\n                CA:FALSE\n",
        "critical\n                Digital Signature\n",
        "                TLS Web Server Authentication\n",
        "CA Issuers - URI:http://pki.example.com/ca/own/1.crt\n",
        "OCSP - URI:http://pki.example.com/ocsp/own\n",
        "URI:http://pki.example.com/crl/own/1/0.crl\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let der = home.file("server.der");
    let convert = ["req", "-in", text(&csr), "-outform", "DER", "-out", text(&der)];
    programs::must(Command::new(programs::find("openssl")).args(convert), "");
    assert_eq!(signed(&daemon, &der, "server", &[]), chain, "the same request, soon again, in DER");
    let answer = daemon.cli_json(&["ca", "sign", "own", "--csr", text(&csr), "--profile", "server"]);
    assert_eq!((&answer["repeated"], &answer["serial"]), (&Value::Bool(true), &openssl::serial(leaf).into()));
    let other = signed(&daemon, &csr, "server", &["--lifetime", "12h"]);
    assert_ne!(other[0], *leaf, "another lifetime is another wish");
    let client = described(&signed(&daemon, &csr, "client", &[])[0]);
    assert!(
        client.contains("TLS Web Client Authentication\n") && !client.contains("Server"),
        "another profile: {client}"
    );
    assert!(described(&other[0]).contains("No Revocation Available") || described(&other[0]).contains("2.5.29.56"));
}

#[test]
fn the_same_request_later_is_one_for_the_next_certificate() {
    let home = Home::new();
    home.save(&config(&home));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let (_, csr) = request(&home, "server", "P-256", "/CN=a.example.internal", &[]);
    let first = signed(&daemon, &csr, "server", &[]);
    clock.set(3_500);
    assert_eq!(signed(&daemon, &csr, "server", &[]), first);
    clock.set(3_700);
    let second = signed(&daemon, &csr, "server", &[]);
    assert_ne!(second[0], first[0]);
    assert_eq!(signed(&daemon, &csr, "server", &[]), second);
    // Nobody is given what is revoked.
    daemon.cli_json(&["ca", "revoke", "own", &openssl::serial(&second[0]), "--reason", "superseded"]);
    let third = signed(&daemon, &csr, "server", &[]);
    assert_ne!(third[0], second[0]);
    assert_eq!(signed(&daemon, &csr, "server", &[]), third);
}

#[test]
fn what_a_profile_has_no_room_for_is_refused() {
    let (home, daemon) = start();
    let good = "subjectAltName=DNS:a.example.internal";
    for (name, extensions, profile, told) in [
        ("m1", &[good, "basicConstraints=critical,CA:TRUE"][..], "server", "does not allow a CA's certificate"),
        ("m2", &[good, "keyUsage=keyCertSign"], "server", "does not allow the key usage keyCertSign"),
        ("m3", &[good, "extendedKeyUsage=clientAuth"], "server", "does not allow the purpose 1.3.6.1.5.5.7.3.2"),
        ("m4", &[good, "1.2.3.4=critical,ASN1:NULL"], "server", "does not allow the critical extension 1.2.3.4"),
        ("m5", &["subjectAltName=otherName:1.2.3.4;UTF8:root"], "server", "is an otherName, which is not certified"),
        ("m6", &["subjectAltName=DNS:a.example.com"], "server", "`a.example.com` is outside the names that the CA"),
        ("m7", &["subjectAltName=email:ann@example.com"], "server", "does not allow the mail address"),
        ("m8", &["subjectAltName=email:ann@example.org"], "code", "does not allow the mail address"),
        ("m9", &["subjectAltName=email:ann@example.com"], "code", "does not allow a key of the kind `ecdsa-p256`"),
        ("m10", &[good], "none", "has no profile `none`"),
    ] {
        let curve = if name == "m8" { "P-384" } else { "P-256" };
        let (_, csr) = request(&home, name, curve, "/CN=a.example.internal", extensions);
        let words = refused(&daemon, &csr, profile, &[]);
        assert!(words.contains(told), "{name}: {words}");
    }
    let (_, csr) = request(&home, "ann", "P-256", "/CN=Ann Smith", &[]);
    let words = refused(&daemon, &csr, "server", &[]);
    assert!(words.contains("does not allow the common name `Ann Smith`, which is no DNS name nor address"), "{words}");
    signed(&daemon, &csr, "client", &[]);
    let words = refused(&daemon, &csr, "client", &["--lifetime", "91d"]);
    assert!(words.contains("91 days are asked for, and the profile `client` allows 90 at most"), "{words}");
    assert!(refused(&daemon, &csr, "client", &["--lifetime", "soon"]).contains("`soon` is no lifetime"));
    let pem = std::fs::read_to_string(&csr).unwrap();
    let broken = home.write("broken.csr", &pem.replacen("MII", "MIJ", 1).replacen("MIH", "MII", 1));
    assert!(refused(&daemon, &broken, "client", &[]).contains("the request: it "));
    assert!(
        refused(&daemon, &home.write("no.csr", "nothing"), "client", &[]).contains("no certificate request in PEM")
    );
}

#[test]
fn a_profile_decides_what_stands_in_a_leaf() {
    let (home, daemon) = start();
    let extensions = ["subjectAltName=email:ann@example.com", "extendedKeyUsage=codeSigning"];
    let subject = "/C=FR/ST=Bretagne/L=Brest/O=Mine/OU=Unit/CN=Änn/emailAddress=x@example.org";
    let (_, csr) = request(&home, "code", "P-384", subject, &extensions);
    let leaf = signed(&daemon, &csr, "code", &[]).remove(0);
    let told = described(&leaf);
    for part in [
        "Subject: CN=Änn,OU=Unit,O=Fixed,L=Brest,ST=Bretagne,C=DE\n",
        "critical\n                Digital Signature, Non Repudiation\n",
        "                Code Signing, 1.2.3.4.5\n",
        "                email:ann@example.com\n",
        "Public-Key: (384 bit)\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("x@example.org"));
    assert_eq!(days(&leaf), (20, 900), "the profile's lifetime, backdated by a quarter of an hour");
    assert_eq!(days(&signed(&daemon, &csr, "code", &["--lifetime", "40d"])[0]).0, 40, "up to `max_lifetime`");
    assert!(refused(&daemon, &csr, "code", &["--lifetime", "41d"]).contains("allows 40 at most"));
    let (_, csr) = request(&home, "vpn", "P-256", "/O=Mine/CN=gateway", &[]);
    let vpn = described(&signed(&daemon, &csr, "vpn", &[])[0]);
    assert!(vpn.contains("Subject: CN=gateway,O=Mine\n") && vpn.contains("TLS Web Client Authentication\n"), "{vpn}");
    let names = ["subjectAltName=DNS:x.deep.example.internal"];
    let (_, csr) = request(&home, "silent", "P-256", "/O=Mine/CN=x.deep.example.internal", &names);
    let silent = described(&signed(&daemon, &csr, "silent", &[])[0]);
    assert!(silent.contains("Subject: \n") && silent.contains("Alternative Name: critical\n"), "{silent}");
    let (_, csr) = request(&home, "above", "P-256", "/", &["subjectAltName=DNS:deep.example.internal"]);
    assert!(refused(&daemon, &csr, "silent", &[]).contains("does not allow the DNS name `deep.example.internal`"));
}

/// Whole days from now to the end, as asked for, and the seconds that the begin lies before that.
fn days(pem: &str) -> (i64, i64) {
    let leaf = renewd::pki::chain::Chain::from_pem(pem).unwrap().leaf().clone();
    let whole = leaf.not_after.since(leaf.not_before).as_secs() as i64;
    (whole / 86_400, whole % 86_400)
}

#[test]
fn a_crash_at_any_step_of_a_signature_leads_to_one_certificate() {
    for point in Point::LEAF {
        let home = Home::new();
        home.save(&config(&home));
        let (_, csr) = request(&home, "server", "P-256", "/CN=a.example.internal", &[]);
        let mut doomed = Daemon::start_with_env(&home, &[(VARIABLE, point.name())]);
        assert!(!sign(&doomed, &csr, "server", &[]).status.success(), "{}", point.name());
        let status = doomed.wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{}", point.name());
        let mut daemon = Daemon::start(&home);
        daemon.until(LIMIT, "it is ready", |daemon| daemon.get("/health/live").status == 200);
        let words = ["ca", "sign", "own", "--csr", text(&csr), "--profile", "server"];
        let answer = daemon.cli_json(&words);
        assert_eq!(answer["repeated"], true, "{}: what was written down is what is signed", point.name());
        let chain = openssl::certificates(answer["chain"].as_str().unwrap());
        openssl::verify(&root(&daemon), &chain[1], &chain[0]).unwrap();
        assert_eq!(daemon.cli_json(&words), answer);
    }
}

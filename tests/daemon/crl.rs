//! CRLs as verifiers see them: openssl, gnutls, nginx, Python's cryptography and pkilint.

mod crash;
mod rest;
mod service;
mod told;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::own_ca::LIMIT;
use crate::peers::certificates::self_signed;
use crate::peers::nginx::Nginx;
use crate::peers::{openssl, programs};
use crate::pki::{NAMED, Pki, run, serial, text, word};

#[test]
fn openssl_believes_a_chain_until_it_is_revoked() {
    let mut pki = Pki::start();
    let (ann, bob) = (pki.issue("ann"), pki.issue("bob"));
    for certificate in [&ann, &bob] {
        for lists in [pki.named(), pki.whole()] {
            pki.verify(certificate, &lists, &[]).unwrap();
        }
        // From where certificates say that they are, with deltas; the root itself says nothing.
        let [root, _] = pki.named();
        pki.verify(certificate, &[root], &["-crl_download", "-use_deltas", "-extended_crl"]).unwrap();
    }
    assert!(pki.verify(&ann, &pki.named()[1..], &[]).unwrap_err().contains("unable to get certificate CRL"));

    let before = NAMED.map(|path| pki.number(path));
    pki.revoke(&ann, "keyCompromise");
    for lists in [pki.named(), pki.whole()] {
        let refused = pki.verify(&ann, &lists, &[]).unwrap_err();
        assert!(refused.contains("certificate revoked"), "{refused}");
        pki.verify(&bob, &lists, &[]).unwrap();
    }
    let refused = pki.verify(&ann, &pki.named()[..1], &["-crl_download"]).unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");
    let after = NAMED.map(|path| pki.number(path));
    assert!(after[1] > before[1] && after[0] == before[0], "{before:?} {after:?}");

    let shown = pki.shown();
    let (generation, lists) = (&shown["generations"][0], shown["crls"].as_array().unwrap());
    assert_eq!((&generation["certificates"], &generation["revoked"]), (&2.into(), &1.into()), "{shown}");
    let shard = lists.iter().find(|list| list["generation"] == 1 && list["shard"] == 0).unwrap();
    assert_eq!(shard["number"], after[1]);
    assert_eq!(shard["url"], format!("http://127.0.0.1:{}/crl/own/1/0.crl", pki.home.port()));
}

#[test]
fn a_serial_is_revoked_once_and_nobody_elses() {
    let mut pki = Pki::start();
    let ann = pki.issue("ann");
    pki.revoke(&ann, "superseded");
    let again = pki.daemon.cli_json(&["ca", "revoke", "own", &serial(&ann), "--reason", "keyCompromise"]);
    assert_eq!((&again["changed"], &again["reason"]), (&false.into(), &"superseded".into()));
    for (words, code, why) in [
        (&["ca", "release", "own", &serial(&ann)][..], 1, "is final"),
        (&["ca", "release", "own", "0123"], 1, "has issued no certificate with the serial"),
        (&["ca", "revoke", "own", "0123", "--reason", "superseded"], 1, "has issued no certificate with the serial"),
        (&["ca", "revoke", "other", "0123", "--reason", "superseded"], 1, "there is no CA `other`"),
        (&["ca", "revoke", "own", "xyz", "--reason", "superseded"], 1, ""),
        (&["ca", "revoke", "own", &serial(&ann), "--reason", "removeFromCRL"], 2, "possible values"),
        (&["ca", "revoke", "own", &serial(&ann)], 2, "--reason"),
    ] {
        let output = pki.daemon.cli(words);
        let said = crate::harness::said(&output);
        assert!(output.status.code() == Some(code) && said.contains(why), "{words:?}: {said}");
    }
    let client = pki.daemon.cli_json(&["client", "show", "ann"]);
    assert_eq!(client["status"], "revoked", "the client's certificate is that one");
}

#[test]
fn the_distribution_point_is_that_of_the_list_octet_by_octet() {
    const SCRIPT: &str = r#"
import sys
from cryptography import x509
certificate = x509.load_pem_x509_certificate(open(sys.argv[1], "rb").read())
crl = x509.load_der_x509_crl(open(sys.argv[2], "rb").read())
[point] = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
idp = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
assert idp.critical
assert idp.value.full_name == point.full_name and len(point.full_name) == 1, (idp, point)
assert idp.value.only_contains_user_certs and not idp.value.only_contains_ca_certs
url = point.full_name[0].value.encode()
uri = b"\x86" + bytes([len(url)]) + url
name = b"\xa0" + bytes([len(uri)]) + uri
name = b"\xa0" + bytes([len(name)]) + name
ders = [certificate.tbs_certificate_bytes, crl.tbs_certlist_bytes]
assert all(der.count(name) == 1 for der in ders), "the same octets"
print(url.decode())
"#;
    let pki = Pki::start();
    let ann = pki.issue("ann");
    let list = pki.save(NAMED[1], "list.der");
    let mut python = Command::new(programs::venv_python());
    let url = programs::must(python.args(["-c", SCRIPT, word(&ann), word(&list)]), "");
    let at_home = format!("http://127.0.0.1:{}", pki.home.port());
    assert_eq!(url.trim(), format!("{at_home}{}", NAMED[1]));
    // What the root has certified stands in one list, whatever it names.
    let (root, issuing) = pki.authority();
    assert!(!text(&pki.daemon.get(NAMED[0]).body).contains("Issuing Distribution Point"));
    let says = |file: &Path| run("openssl", &["x509", "-noout", "-text", "-in", word(file)]).unwrap();
    assert!(says(&issuing).contains(&format!("URI:{at_home}{}\n", NAMED[0])));
    assert!(!says(&root).contains("URI:"));
}

#[test]
fn a_hold_is_told_and_its_end_too() {
    let mut pki = Pki::start();
    let (ann, bob) = (pki.issue("ann"), pki.issue("bob"));
    // A verifier fetches the list now, and from then on deltas only.
    let [root, old] = pki.named();
    let kept = pki.home.file("kept.crl");
    std::fs::rename(old, &kept).unwrap();
    let check = |pki: &Pki, certificate: &Path| {
        let delta = pki.list("/crl/own/1/0/delta.crl", "delta.crl");
        pki.verify(certificate, &[root.clone(), kept.clone(), delta], &["-use_deltas", "-extended_crl"])
    };
    check(&pki, &ann).unwrap();
    pki.revoke(&ann, "certificateHold");
    assert!(check(&pki, &ann).unwrap_err().contains("certificate revoked"));
    check(&pki, &bob).unwrap();
    // Another verifier fetches the list that says so.
    let held = pki.home.file("held.crl");
    std::fs::rename(&pki.named()[1], &held).unwrap();

    let released = pki.daemon.cli_json(&["ca", "release", "own", &serial(&ann)]);
    assert_eq!((&released["status"], &released["changed"]), (&"valid".into(), &true.into()), "{released}");
    pki.until_listed(&serial(&ann), false);
    assert!(text(&pki.daemon.get("/crl/own/1/0/delta.crl").body).contains("Remove From CRL"));
    check(&pki, &ann).unwrap();
    let delta = pki.list("/crl/own/1/0/delta.crl", "delta.crl");
    pki.verify(&ann, &[root.clone(), held, delta], &["-use_deltas", "-extended_crl"]).unwrap();
    pki.verify(&ann, &pki.named(), &[]).unwrap();
}

#[test]
fn gnutls_reads_and_verifies_the_lists() {
    let mut pki = Pki::start();
    let ann = pki.issue("ann");
    pki.revoke(&ann, "affiliationChanged");
    let (root, issuing) = pki.authority();
    let delta = pki.list("/crl/own/1/0/delta.crl", "delta.crl");
    let ([root_list, shard], [root_all, all]) = (pki.named(), pki.whole());
    for (list, issuer, count) in [
        (&root_list, &root, 0),
        (&root_all, &root, 0),
        (&shard, &issuing, 1),
        (&all, &issuing, 1),
        (&delta, &issuing, 1),
    ] {
        let info = run("certtool", &["--crl-info", "--infile", word(list)]).unwrap();
        let revoked = if count == 0 { "No revoked certificates" } else { "Revoked certificates (1):" };
        assert!(info.contains(revoked), "{info}");
        assert!(count == 0 || info.contains(&serial(&ann)), "{info}");
        let words = ["--verify-crl", "--load-ca-certificate", word(issuer), "--infile", word(list)];
        let verified = run("certtool", &words).unwrap();
        assert!(verified.contains("Verified"), "{verified}");
    }
}

#[test]
fn nginx_turns_a_client_away_that_is_on_its_list() {
    let mut pki = Pki::start();
    let (ann, bob) = (pki.issue("ann"), pki.issue("bob"));
    let (root, _) = pki.authority();
    let server = self_signed(&["localhost"]);
    let (certificate, key) =
        (pki.home.write("server.pem", &server.certificate), pki.home.write("server.key", &server.key));
    let lists = pki.home.file("lists.pem");
    let fetch = |pki: &Pki| {
        let [root, shard] = pki.whole().map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::write(&lists, root + &shard).unwrap();
    };
    fetch(&pki);
    let nginx = Nginx::start_with(|port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
             ssl_client_certificate {}; ssl_crl {}; ssl_verify_client on; ssl_verify_depth 2; \
             location / {{ return 200 \"$ssl_client_s_dn\\n\"; }} }}\n",
            certificate.display(),
            key.display(),
            root.display(),
            lists.display(),
        )
    });
    let ask = |certificate: &Path| {
        let (chain, key) = (certificate.with_extension("fullchain.pem"), certificate.with_extension("key"));
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["-q", "--silent", "--insecure", "--max-time", "20", "--noproxy", "*"]);
        curl.args(["--cert", word(&chain), "--key", word(&key)]);
        let output = programs::run(curl.arg(format!("https://{}/", nginx.address())), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (client, name) in [(&ann, "CN=ann"), (&bob, "CN=bob")] {
        assert!(ask(client).starts_with(name), "{}", nginx.log());
    }
    pki.revoke(&ann, "keyCompromise");
    fetch(&pki);
    nginx.reload();
    pki.daemon.until(LIMIT, "nginx turns it away", |_| ask(&ann).contains("The SSL certificate error"));
    assert!(ask(&bob).starts_with("CN=bob"), "{}", nginx.log());
}

#[test]
fn pkilint_finds_nothing_in_any_certificate_or_list() {
    let mut pki = Pki::start();
    let (ann, bob) = (pki.issue("ann"), pki.issue("bob"));
    pki.home.save(&crate::pki::config(&pki.home, "[store.disk.directory]\n[certificate.\"a.internal\"]\n"));
    pki.daemon.until(LIMIT, "a server's certificate is there", |daemon| daemon.get("/a.internal/tls").status == 200);
    let chain = openssl::certificates(&pki.daemon.get("/a.internal/tls").text());
    let server = pki.home.write("server.crt", &chain[0]);
    pki.revoke(&ann, "keyCompromise");
    pki.revoke(&bob, "certificateHold");
    let (root, issuing) = pki.authority();
    let responder = responder(&pki, &issuing, &ann);
    for certificate in [&root, &issuing, &server, &ann, &responder] {
        lint("lint_pkix_cert", &["-s", "WARNING", word(certificate)]);
    }
    for (issuer, subject) in [(&root, &issuing), (&issuing, &server), (&issuing, &ann), (&issuing, &responder)] {
        lint("lint_pkix_signer_signee_cert_chain", &["-s", "WARNING", word(issuer), word(subject)]);
    }
    for (path, kind) in [
        (NAMED[0], "ARL"),
        (NAMED[1], "CRL"),
        ("/crl/own/1/0/delta.crl", "CRL"),
        ("/crl/own.crl", "CRL"),
        ("/crl/own/0/all.crl", "CRL"),
    ] {
        let list = pki.save(path, "list.der");
        lint("lint_crl", &["-t", kind, "-p", "PKIX", "-s", "WARNING", word(&list)]);
    }
}

/// The certificate of whoever answers OCSP, from an answer.
fn responder(pki: &Pki, issuing: &Path, certificate: &Path) -> PathBuf {
    let url = format!("http://127.0.0.1:{}/ocsp/own", pki.home.port());
    let words = ["ocsp", "-issuer", word(issuing), "-cert", word(certificate), "-url", &url, "-noverify", "-resp_text"];
    let printed = run("openssl", &words).unwrap();
    pki.home.write("responder.crt", &openssl::certificates(&printed)[0])
}

/// Runs a linter, which must find nothing.
fn lint(linter: &str, words: &[&str]) {
    let found = run(linter, &[&["lint"], words].concat());
    let found = found.unwrap_or_else(|said| panic!("{linter} {words:?}: {said}"));
    assert!(!found.contains("WARNING") && !found.contains("ERROR"), "{linter} {words:?}: {found}");
}

//! No secret is repeated, and each is looked for.

use std::os::unix::fs::PermissionsExt;

use renewd::config::Report;

use super::{BASE, load_files};

const CANARY: &str = "CANARY7391";

/// Every place for a secret, with the rest of its table in order.
const SECRETS: [&str; 13] = [
    "[state]\nseal_key = @",
    "[state]\nseal_key = { env = \"X\" }\ndatabase = { url = \"postgres://h/d\", user = \"u\", password = @ }",
    "[account.x]\ndirectory = \"letsencrypt\"\nagree_to_terms = true\neab = { kid = \"k\", hmac_key = @ }",
    "[store.x]\npfx = { password = @ }\ndirectory = { path = \"x\" }",
    "[dns.x.rfc2136]\nserver = \"a:1\"\ntsig_key = \"k\"\ntsig_secret = @",
    "[dns.x.cloudflare]\napi_token = @",
    "[dns.x.route53]\naccess_key_id = \"k\"\nsecret_access_key = @",
    "[dns.x.powerdns]\napi_url = \"http://x.example\"\napi_key = @",
    "[dns.x.acme-dns]\napi_url = \"http://x.example\"\nusername = \"u\"\nsubdomain = \"s\"\npassword = @",
    "[notify.x.webhook]\nurl = @",
    "[notify.x.webhook]\nurl = \"https://x.example\"\nsecret = @",
    "[notify.x.webhook]\nurl = \"https://x.example\"\nheaders.Authorization = @",
    "[notify.x.smtp]\nserver = \"x.example\"\nfrom = \"a@x.example\"\nto = \"b@x.example\"\nusername = \"u\"\npassword = @",
];

/// Ways to write a secret in the file.
const LITERALS: [&str; 18] = [
    "\"CANARY7391\"",
    "'CANARY7391'",
    "[\"CANARY7391\"]",
    "{ CANARY7391 = \"x\" }",
    "{ value = \"CANARY7391\" }",
    "{ file = [\"CANARY7391\"] }",
    "{ file = \"a\", env = \"CANARY7391\" }",
    "{ credential = \"../CANARY7391\" }",
    // Broken lines.
    "CANARY7391",
    "\"CANARY7391",
    "'CANARY7391",
    "CANARY7391\"",
    "\n\"CANARY7391\"",
    "\nCANARY7391",
    "\nCANARY7391 = 1 2",
    "\"\"\"CANARY7391",
    "{ file = CANARY7391 }",
    "{ CANARY7391",
];

#[test]
fn a_secret_in_the_file_is_never_repeated() {
    for place in SECRETS {
        for literal in LITERALS {
            let text = format!("{BASE}{}\n[certificate.\"a.example\"]\n", place.replace('@', literal));
            assert!(text.contains(CANARY));
            let report = load_files(&[("c.toml", &text)]).1.expect_err(&text);
            assert_silent(&report, &text);
        }
    }
}

#[test]
fn a_secret_in_a_url_or_under_a_wrong_key_is_never_repeated() {
    for text in [
        "[dns.x.powerdns]\napi_url = \"http://u:CANARY7391@x.example\"\napi_key = { file = \"x\" }",
        "[dns.x.powerdns]\napi_url = \"u:CANARY7391@x.example\"\napi_key = { file = \"x\" }",
        "[account.x]\ndirectory = \"https://CANARY7391@x.example\"\nagree_to_terms = true",
        "[account.x]\ndirectory = \"u:CANARY7391@x.example\"\nagree_to_terms = true",
        "[state]\nseal_key = { env = \"X\" }\ndatabase = { url = \"postgres://u:CANARY7391@h/d\", user = \"u\" }",
        "[state]\nseal_key = { env = \"X\" }\ndatabase = { url = \"postgres://h/d?password=CANARY7391\", user = \"u\" }",
        "[dns.x.cloudflare]\napi_tokn = \"CANARY7391\"",
        "[dns.x]\ncloudflare = \"CANARY7391\"",
        "[dns]\ncloudflare = \"CANARY7391\"",
        "[http]\npublic_url = \"http://CANARY7391:x@x.example\"",
        "[http]\nprotect_downloads = \"CANARY7391\"\nlisten = [\"http://u:CANARY7391@127.0.0.1:1\"]",
        "[certificate.a]\nverify = [{ address = \"u:CANARY7391@a:1\" }]",
    ] {
        let report = load_files(&[("c.toml", &format!("{BASE}{text}"))]).1.expect_err(text);
        assert_silent(&report, text);
    }
}

fn assert_silent(report: &Report, text: &str) {
    let json = serde_json::to_string(report).unwrap();
    let errors: Vec<String> = report.errors.iter().map(|error| format!("{error} {error:?}")).collect();
    for output in [report.to_string(), format!("{report:?}"), json, errors.concat()] {
        assert!(!output.contains(CANARY), "{output}\n{text}");
    }
    assert!(!report.errors.is_empty(), "{text}");
}

#[test]
fn what_is_referred_to_is_looked_for() {
    let text = "[dns.a.cloudflare]\napi_token = { file = \"none\" }\n[dns.b.cloudflare]\napi_token = { file = \"empty\" }\n[dns.c.cloudflare]\napi_token = { file = \"open\" }\n[dns.d.cloudflare]\napi_token = { env = \"RENEWD_NOT_SET\" }\n[dns.e.cloudflare]\napi_token = { credential = \"x\" }\n[account.a]\ndirectory = \"letsencrypt\"\nagree_to_terms = true\ntrusted_roots = \"roots.pem\"\n";
    let (directory, result) = load_files(&[("c.toml", text), ("empty", "\n"), ("open", "word\n")]);
    std::fs::set_permissions(directory.path().join("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let report = result.unwrap().check_secrets();
    let errors: Vec<_> = report.errors.iter().map(|error| (error.line, error.key.as_str())).collect();
    assert_eq!(
        errors,
        [(2, "dns.a.cloudflare.api_token"), (4, "dns.b.cloudflare.api_token"), (14, "account.a.trusted_roots")]
    );
    let notes: Vec<_> = report.notes.iter().map(|note| note.line).collect();
    assert_eq!(notes, [6, 8, 10], "{report}");
    assert!(report.notes[0].message.contains("can be read by everybody"));
    assert!(report.notes[2].message.contains("credential `x` cannot be read outside the unit"));
}

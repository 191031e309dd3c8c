//! Every mistake is told with its place, what is wrong and what to write instead.

use super::{BASE, errors, load_files, taken};

/// Lines count from the case's own first one.
fn below_base(text: &str) -> Vec<String> {
    let lines = BASE.lines().count();
    let renumber = |error: String| {
        let mut parts = error.splitn(3, ':');
        let (file, line, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(file, "c.toml", "{error}");
        format!("{}:{rest}", line.parse::<usize>().unwrap() as isize - lines as isize)
    };
    errors(&[("c.toml", &format!("{BASE}{text}"))]).into_iter().map(renumber).collect()
}

#[test]
fn each_mistake_is_told_where_it_stands() {
    let wrong = CASES.iter().map(|(text, expected)| (text, below_base(text), expected));
    let wrong: Vec<String> = wrong
        .filter(|(_, found, expected)| found != *expected)
        .map(|(text, found, expected)| format!("{text}\nfound {found:#?}\nexpected {expected:#?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const CASES: &[(&str, &[&str])] = &[
    // Sections, keys and references.
    ("[certificat.a]", &["1:2: certificat: unknown section; did you mean `certificate`?"]),
    ("[notfy.ops.webhook]\nurl = \"https://x.example\"", &["1:2: notfy: unknown section; did you mean `notify`?"]),
    (
        "[notify.a]\nevents = [\"faild\"]",
        &[
            "1:9: notify.a: says not how to tell; write [notify.a.webhook] or [notify.a.smtp]",
            "2:11: notify.a.events: is no kind of event; did you mean `failed`?",
        ],
    ),
    (
        "[notify.a.webhook]\nurl = \"https://x.example\"\nbody = \"{{ titel }}\"\nheaders = { X-Api-Key = \"k\" }",
        &[
            "3:8: notify.a.webhook.body: there is no such variable in line 1; docs/OPERATIONS.md tells what an event holds",
            "4:25: notify.a.webhook.headers.X-Api-Key: a secret is never written here, but referred to; write { credential = \"…\" }, { file = \"…\" } or { env = \"…\" }",
        ],
    ),
    (
        "[notify.a.smtp]\nserver = \"mail.example.com\"\ntls = \"none\"\nfrom = \"a@b.example\"\nto = \"nobody\"",
        &[
            "3:7: notify.a.smtp.tls: is for a server on this machine only; write \"starttls\" or \"tls\"",
            "5:6: notify.a.smtp.to: is not a mail address; write \"ops@example.com\" or \"Ops <ops@example.com>\"",
        ],
    ),
    (
        "[certificate.\"a.example\"]\nisuers = [\"le\"]",
        &["2:1: certificate.\"a.example\".isuers: unknown key; did you mean `issuers`?"],
    ),
    (
        "[certificate.\"a.example\"]\ndns = \"mian\"",
        &["2:7: certificate.\"a.example\".dns: no dns instance `mian`; did you mean `main`?"],
    ),
    (
        "[certificate.\"a.example\"]\nissuers = [\"le\", \"intern\"]\nstores = [\"dsk\"]",
        &[
            "2:18: certificate.\"a.example\".issuers: no account or ca `intern`; did you mean `internal`?",
            "3:11: certificate.\"a.example\".stores: no store `dsk`; did you mean `disk`?",
        ],
    ),
    (
        "[certificate.\"a.example\"]\nissuers = []\ndns = []",
        &["2:11: certificate.\"a.example\".issuers: names no issuer; write the name of an account or a CA"],
    ),
    (
        "[certificate.\"a.example\"]\ndns = []",
        &[
            "2:7: certificate.\"a.example\".dns: names no dns instance, and an ACME account wants DNS-01; write its name",
        ],
    ),
    (
        "certificate = 1",
        &[
            "1:1: defaults.certificate: unknown key; write one of `renew`, `attempts_left`, `issuers`, `dns`, `stores`, `key`, `profile`, `chain`, `deploy`",
        ],
    ),
    // Names.
    (
        "[certificate.\"a/b\"]",
        &[
            "1:14: certificate.\"a/b\": `a/b` is not a certificate name: write 1–200 of `a-z 0-9 . _ - *`, not beginning with `.` or `-`, `*` only as the first label",
        ],
    ),
    (
        "[certificate.api]",
        &[
            "1:14: certificate.api: `api` is reserved for renewd's own paths: choose another certificate name and give the DNS names in `names`",
        ],
    ),
    (
        "[certificate.\"A.example\"]\n[certificate.\"a.example\"]",
        &["2:14: certificate.\"a.example\": `a.example` is defined twice: first at c.toml:11; leave one of them out"],
    ),
    (
        "[certificate.a_-]",
        &["1:14: certificate.a_-.names: `a_-` is no DNS name, and `names` is missing; write `names = [\"…\"]`"],
    ),
    (
        "[certificate.a]\nnames = []",
        &["2:9: certificate.a.names: names nothing; write `names = [\"a\"]`, or leave it out"],
    ),
    (
        "[certificate.a]\nnames = \"a.example\"",
        &["2:9: certificate.a.names: expected a list in brackets, found a text"],
    ),
    (
        "[certificate.a]\nnames = [\"a b\", 5, \"\"]",
        &[
            "2:10: certificate.a.names: `a b` is not a DNS name: only letters, digits and `-` may stand in a label",
            "2:17: certificate.a.names: expected a text in quotes, found a number",
            "2:20: certificate.a.names: is empty",
        ],
    ),
    (
        "[certificate.a]\nnames = [\"10.0.0.1\"]",
        &[
            "2:10: certificate.a.names: `10.0.0.1` is an IP address, and `le` is an ACME account: DNS-01 cannot prove control of an address, and HTTP-01 and TLS-ALPN-01 are not there yet; leave it out, or write `issuers` with a private CA only",
        ],
    ),
    // Profiles of private CAs.
    (
        "[ca.x]\nsubject = { common_name = \"X\" }\n[ca.x.profile.a]\nextended_key_usage = [\"1.3.6.1.5.5.7.3.9\"]\n\
         lifetime = \"2d\"\nmax_lifetime = \"1d\"",
        &[
            "3:15: ca.x.profile.a: `lifetime` is longer than `max_lifetime`; write a longer `max_lifetime`",
            "4:23: ca.x.profile.a.extended_key_usage: is no purpose for leaves; leave it out: the CA makes such certificates for itself alone",
        ],
    ),
    (
        "[ca.x]\nsubject = { common_name = \"X\" }\n[ca.x.profile.a]\nextended_key_usage = []\nkey_usage = []",
        &[
            "4:22: ca.x.profile.a.extended_key_usage: is empty: its leaves would be for any purpose; write what they are for",
            "5:13: ca.x.profile.a.key_usage: is empty; leave it out, or write what keys are for",
        ],
    ),
    // Keys, profiles, renewal.
    (
        "[certificate.a]\nkey = \"ecdsa-p265\"",
        &["2:7: certificate.a.key: is not an algorithm of keys; did you mean `ecdsa-p256`?"],
    ),
    (
        "[certificate.a]\nkey = \"ed25519\"",
        &[
            "2:7: certificate.a.key: `ed25519` is for private CAs only, and `le` is an ACME account; write \"ecdsa-p256\", or `issuers` with a private CA only",
        ],
    ),
    (
        "[certificate.a]\nprofile = { requires = \"x\" }\n[certificate.b]\nprofile = 3",
        &[
            "2:1: certificate.a.profile.require: is missing; write `profile = { require = \"tlsserver\" }`",
            "2:13: certificate.a.profile.requires: unknown key; did you mean `require`?",
            "4:11: certificate.b.profile: expected a profile in quotes, or { require = \"…\" }, found a number",
        ],
    ),
    (
        "[certificate.a]\nrenew = { before = \"0s\", window = [\"Mon 2-5\", \"Mon 02:00-05:00 Europe/Berln\"] }",
        &[
            "2:20: certificate.a.renew.before: must be longer than nothing",
            "2:36: certificate.a.renew.window: has no hours after the days; write for instance \"Mon-Fri 02:00-05:00 Europe/Berlin\", \"Sat,Sun 00:00-24:00\" or \"daily 22:00-04:00\"",
            "2:47: certificate.a.renew.window: names a time zone that is not known; did you mean `Europe/Berlin`?",
        ],
    ),
    (
        "[certificate.a]\nrenew = { before = 20 }\nattempts_left = -1",
        &[
            "2:20: certificate.a.renew.before: expected a duration in quotes, found a number; write for instance \"90s\", \"20d\" or \"1d12h\" (s, m, h, d, w, y)",
            "3:17: certificate.a.attempts_left: is not a whole number from 0 to 1000",
        ],
    ),
    // Alias, deploy, verify.
    (
        "[certificate.\"a.example\"]\nalias = { \"b.example\" = \"x.example\", \"*.a.example\" = \"x.example\", \"a.example\" = \"*.x\" }",
        &[
            "2:11: certificate.\"a.example\".alias.\"b.example\": `b.example` is none of the certificate's names; did you mean `a.example`?",
            "2:38: certificate.\"a.example\".alias.\"*.a.example\": an alias is for a name without its wildcard; write \"a.example\", which serves the wildcard as well",
            "2:81: certificate.\"a.example\".alias.\"a.example\": a TXT record is published under one name, not a wildcard",
        ],
    ),
    (
        "[certificate.a]\ndeploy = [{ command = [] }, { each = \"yes\" }, { command = \"true\", timeout = \"1\" }]",
        &[
            "2:23: certificate.a.deploy.command: names no program; write for instance [\"systemctl\", \"reload\", \"nginx\"]",
            "2:29: certificate.a.deploy.command: is missing; write `command = [\"systemctl\", \"reload\", \"nginx\"]`",
            "2:38: certificate.a.deploy.each: expected `true` or `false`, without quotes, found a text",
            "2:59: certificate.a.deploy.command: expected a list in brackets, found a text",
            "2:77: certificate.a.deploy.timeout: is not a duration; write for instance \"90s\", \"20d\" or \"1d12h\" (s, m, h, d, w, y)",
        ],
    ),
    (
        "[certificate.\"*.example\"]\nverify = [{ address = \"x.other\" }, { address = \"10.0.0.1:443\" }, { address = \"a:1\", server_name = \"a\", starttls = \"stmp\" }]",
        &[
            "2:23: certificate.\"*.example\".verify.address: is not a host and a port; write \"host.example.com:port\" or \"[::1]:port\"",
            "2:36: certificate.\"*.example\".verify.server_name: cannot be guessed: every DNS name of the certificate is a wildcard; write `server_name = \"www.example.com\"`",
            "2:115: certificate.\"*.example\".verify.starttls: is not known; did you mean `smtp`?",
        ],
    ),
    // Accounts.
    (
        "[account.a]",
        &[
            "1:10: account.a.agree_to_terms: is missing; read the CA's terms of service, then write `agree_to_terms = true`",
            "1:10: account.a.directory: is missing; write `directory = \"letsencrypt\"`, or the CA's directory URL",
        ],
    ),
    (
        "[account.a]\ndirectory = \"letsencript\"\nagree_to_terms = false\ncontact = [\"ops@example.com\"]\nparallel_orders = 0",
        &[
            "2:13: account.a.directory: is not the short name of a CA; did you mean `letsencrypt`? A directory URL may stand here, too",
            "3:18: account.a.agree_to_terms: a CA opens no account for who does not agree to its terms; read the CA's terms of service, then write `agree_to_terms = true`",
            "4:12: account.a.contact: is not a contact; write for instance \"mailto:ops@example.com\", one address an entry",
            "5:19: account.a.parallel_orders: is not a whole number from 1 to 100",
        ],
    ),
    (
        "[account.a]\ndirectory = \"ftp://a\"\nagree_to_terms = true\neab = { kid = \"k\" }",
        &[
            "2:13: account.a.directory: is not such a URL as belongs here; write a URL that begins with `http://` or `https://`",
            "4:1: account.a.eab.hmac_key: is missing; write `hmac_key = { file = \"…\" }`: the MAC key that the CA gave you",
        ],
    ),
    (
        "[account.internal]\ndirectory = \"letsencrypt\"\nagree_to_terms = true",
        &[
            "-6:5: ca.internal: `internal` is the name of an account already: c.toml:11; accounts and CAs are both issuers: give them different names",
        ],
    ),
    (
        "[account.Le]\ndirectory = \"letsencrypt\"\nagree_to_terms = true",
        &["1:10: account.Le: is not a name; write 1–63 of `a-z 0-9 _ -`, beginning with a letter or a digit"],
    ),
    (
        "[ca.a]\nsubject = { organization = \"x\", country = \"de\" }\nlifetime = \"5y\"",
        &[
            "1:5: ca.a: `issuing_lifetime` must not be longer than `lifetime`: no certificate outlives its issuer; unless said it is 3650 days; write `issuing_lifetime = \"…\"`",
            "2:1: ca.a.subject.common_name: is missing; write `common_name = \"Example Internal CA\"`",
            "2:43: ca.a.subject.country: is not a country; write two capital letters (ISO 3166), for instance \"DE\"",
        ],
    ),
    (
        "[ca.a]\nsubject = { common_name = \"x\" }\nleaf_lifetime = \"11y\"",
        &[
            "3:17: ca.a.leaf_lifetime: `leaf_lifetime` must not be longer than `issuing_lifetime`: no certificate outlives its issuer; write a shorter one, or a longer `issuing_lifetime`",
        ],
    ),
    // DNS.
    (
        "[dns.a]",
        &[
            "1:6: dns.a: has no provider; write one of [dns.a.rfc2136], [dns.a.cloudflare], [dns.a.route53], [dns.a.powerdns], [dns.a.acme-dns], [dns.a.exec]",
        ],
    ),
    (
        "[dns.a.cloudfare]\napi_token = { file = \"x\" }",
        &["1:8: dns.a.cloudfare: unknown key; did you mean `cloudflare`?"],
    ),
    (
        "[dns.a.exec]\ncommand = [\"x\"]\n[dns.a.cloudflare]",
        &[
            "1:8: dns.a.exec: an instance has one provider, and this one has `cloudflare` already; move `exec` into a [dns.…] of its own",
            "3:8: dns.a.cloudflare.api_token: is missing; write `api_token = { credential = \"cloudflare\" }`",
        ],
    ),
    (
        "[dns.a]\nzones = [\"*.example\"]\npropagation = { servers = [\"ns\"], recursive = 1 }\nexec = { command = [\"x\"] }",
        &[
            "2:10: dns.a.zones: a zone has no wildcard; write \"example\"",
            "3:28: dns.a.propagation.servers: is not an IP address with or without a port; write for instance \"10.0.0.53:53\" or \"[2001:db8::53]:53\"",
            "3:47: dns.a.propagation.recursive: expected `true` or `false`, without quotes, found a number",
        ],
    ),
    (
        "[dns.a.rfc2136]\nserver = \"::1\"\ntsig_key = \"k\"\ntsig_algorithm = \"hmac-md5\"\ntsig_secret = \"x\"",
        &[
            "2:10: dns.a.rfc2136.server: is not a host and a port; write \"host.example.com:port\" or \"[::1]:port\" (without a port where it is the usual one)",
            "4:18: dns.a.rfc2136.tsig_algorithm: is not known; write one of `hmac-sha256`, `hmac-sha512`",
            SECRET_AT_5,
        ],
    ),
    (
        "[dns.a.route53]\naccess_key_id = \"x\"\n[dns.b.route53]\nsecret_access_key = { env = \"X\" }",
        &[
            "2:17: dns.a.route53.access_key_id: goes with `secret_access_key`; write `secret_access_key = { file = \"…\" }`, too",
            "4:21: dns.b.route53.secret_access_key: goes with `access_key_id`; write `access_key_id`, too",
        ],
    ),
    (
        "[dns.a.acme-dns]\napi_url = \"https://x.example\"\nusername = \"u\"\npassword = { file = \"p\" }",
        &[
            "1:8: dns.a.acme-dns.subdomain: is missing; write `username`, `password` and `subdomain`, or none of them: then renewd registers each name",
        ],
    ),
    (
        "[dns.a.powerdns]\napi_url = \"http://u:p@x.example\"\napi_key = { file = \"p\" }",
        &[
            "2:11: dns.a.powerdns.api_url: carries a user or a password; write the URL without; a secret has a key of its own",
        ],
    ),
    // Stores.
    ("[store.a]", &["1:8: store.a: says not what kind of store it is; write [store.a.directory]"]),
    ("[store.a.dirctory]", &["1:10: store.a.dirctory: unknown key; did you mean `directory`?"]),
    (
        "[store.a.directory]",
        &["-2:8: store.disk: keeps its bundles where the store `a` keeps its own; give one of them another `path`"],
    ),
    (
        "[store.a]\npfx = {}\n[store.a.directory]\npath = \"x\"\nmode = \"0644\"",
        &[
            "2:1: store.a.pfx.password: is missing; write `password = { file = \"…\" }`",
            "5:8: store.a.directory.mode: private keys must not be open to everybody; write \"0600\", \"0640\", \"0400\" or \"0440\"",
        ],
    ),
    (
        "[store.a.directory]\npath = \"x\"\nmode = 640",
        &["3:8: store.a.directory.mode: expected a mode in quotes, such as \"0640\", found a number"],
    ),
    (
        "[store.a.directory]\npath = \"x\"\nmode = \"0660\"\nowner = \"a b\"",
        &[
            "3:8: store.a.directory.mode: private keys must not be writable by a group; write \"0600\", \"0640\", \"0400\" or \"0440\"",
            "4:9: store.a.directory.owner: is not the name of a user or group; write a name or a number in quotes",
        ],
    ),
    // State, HTTP, resolver.
    (
        "[state]\ndatabase = { url = \"mysql://x/y\", user = \"u\" }\nnode = \"a b\"",
        &[
            "2:12: state.database: with PostgreSQL the seal key must be given: all nodes need the same one; write `seal_key = { credential = \"seal\" }` in [state] (32 bytes, base64)",
            "2:20: state.database.url: is not such a URL as belongs here; write a URL that begins with `postgres://` or `postgresql://`",
            "3:8: state.node: is not a node's name; write letters, digits, `.`, `_` and `-`",
        ],
    ),
    (
        "[state]\ndatabase = { url = \"postgres://h/d?password=x\", user = \"u\" }\nseal_key = { file = \"x\" }",
        &[
            "2:20: state.database.url: carries a user or a password; write the URL without; a secret has a key of its own",
        ],
    ),
    (
        "[http]\nlisten = [\"https://0.0.0.0:443\", \"localhost:80\", \"http://[::1]:1\", \"http://[::1]:1/\"]\npublic_url = \"https://x.example\"\ntrusted_proxies = [\"10.0.0.1/8\", \"x\"]",
        &[
            "2:11: http.listen: an https listener needs a certificate; write `certificate = \"…\"` in [http], the name of a managed certificate",
            "2:34: http.listen: is not an address to listen on; write scheme, IP address and port: \"http://127.0.0.1:8460\", \"https://0.0.0.0:8443\" or \"http://[::]:8460\"",
            "2:68: http.listen: this address stands here twice; leave one of them out",
            "3:14: http.public_url: is not such a URL as belongs here; write a URL that begins with `http://`",
            "4:20: http.trusted_proxies: has bits set beyond its prefix length; write \"10.0.0.0/8\"",
            "4:34: http.trusted_proxies: is not a network; write for instance \"10.0.0.0/8\" or \"2001:db8::/32\"",
        ],
    ),
    (
        "[http]\ncertificate = \"a.exmple\"\n[certificate.\"a.example\"]",
        &["2:15: http.certificate: no certificate `a.exmple`; did you mean `a.example`?"],
    ),
    (
        "[resolver]\nservers = [\"10.0.0.53:0\"]\nauthoritative_port = 0",
        &[
            "2:12: resolver.servers: is not an IP address with or without a port; write for instance \"10.0.0.53:53\" or \"[2001:db8::53]:53\"",
            "3:22: resolver.authoritative_port: is not a whole number from 1 to 65535",
        ],
    ),
    // No TOML.
    ("[certificate.a]\n[certificate.a]", &["2:14: is defined twice: first at c.toml:11; leave one of them out"]),
    ("[resolver]\nservers = []\nservers = []", &["3:1: this key is there already; leave one of them out"]),
];

const SECRET_AT_5: &str = "5:15: dns.a.rfc2136.tsig_secret: a secret is never written here, but referred to; write { credential = \"…\" }, { file = \"…\" } or { env = \"…\" }";

#[test]
fn what_is_the_only_one_need_not_be_named() {
    let two = "[ca.a]\nsubject = { common_name = \"a\" }\n[ca.b]\nsubject = { common_name = \"b\" }\n";
    let stores = "[store.a.directory]\npath = \"a\"\n[store.b.directory]\npath = \"b\"\n";
    let certificate = "[certificate.\"x.example\"]\n";
    for (text, error) in [
        (
            certificate.to_owned(),
            "c.toml:1:14: certificate.\"x.example\".issuers: there is no issuer; add [account.NAME] or [ca.NAME]",
        ),
        (
            format!("{two}{certificate}"),
            "c.toml:5:14: certificate.\"x.example\".issuers: there are several issuers, and none is named; set `issuers` here or in [defaults]: `a`, `b`",
        ),
        (
            format!("{stores}{certificate}issuers = \"c\"\n[ca.c]\nsubject = {{ common_name = \"c\" }}"),
            "c.toml:5:14: certificate.\"x.example\".stores: there are several stores, and none is named; set `stores` here or in [defaults]: `a`, `b`",
        ),
        (
            format!("[account.a]\ndirectory = \"letsencrypt\"\nagree_to_terms = true\n{certificate}"),
            "c.toml:4:14: certificate.\"x.example\".dns: there is no dns instance, and an ACME account wants DNS-01; add [dns.NAME] with a provider",
        ),
    ] {
        assert_eq!(errors(&[("c.toml", &text)]), [error], "{text}");
    }
    let only = taken(&format!("{BASE}{certificate}")).config;
    let certificate = &only.certificates["x.example"];
    assert_eq!(
        (certificate.dns.as_slice(), certificate.stores.as_slice()),
        (["main".into()].as_slice(), ["disk".into()].as_slice())
    );
}

#[test]
fn one_mistake_hides_no_other() {
    let text = "[state]\nnod = 1\n[http]\nlisten = 1\n[account.a]\n[ca.b]\n[dns.c]\n[store.d]\n[defaults]\nkey = 1\n[certificate.e]\nnames = 1\n";
    let lines: Vec<u32> =
        load_files(&[("c.toml", text)]).1.unwrap_err().errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 4, 5, 5, 6, 7, 8, 10, 11, 12]);
}

#[test]
fn nothing_is_missing_while_the_text_is_broken() {
    let broken = "[dns.x.cloudflare]\napi_token = \"abc\n[certificate.\"a.example\"]\ndns = \"y\"\nkeys = 1\n";
    let found = below_base(broken);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("2:17: invalid basic string"), "{found:?}");
    assert_eq!(found[1], "5:1: certificate.\"a.example\".keys: unknown key; did you mean `key`?");
}

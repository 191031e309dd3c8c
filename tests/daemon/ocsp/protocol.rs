//! What is asked, however it is asked, and what is answered: RFC 6960, RFC 5019, RFC 9654.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::Value;

use super::query::{Hash, Issuer, nonce, request};
use super::{World, reading};

/// What is asked about, its CertIDs, and what is said of each.
type Case<'a> = (&'a str, Vec<Vec<u8>>, Vec<&'a str>);

const REQUEST: &str = "Content-Type: application/ocsp-request";

fn statuses(answer: &Value) -> Vec<&str> {
    let singles = answer["singles"].as_array().unwrap_or_else(|| panic!("no answer: {answer}"));
    singles.iter().map(|single| single["status"].as_str().unwrap()).collect()
}

#[test]
fn each_certificate_gets_the_status_that_it_has() {
    let world = World::start();
    let (ann, bob, eve) = (world.issue("ann"), world.issue("bob"), world.issue_at("other", "eve"));
    world.client(&["revoke", "bob", "--reason", "keyCompromise"]);
    let (own, other) = (world.issuer(), world.issuer_of("other"));
    let id = |serial: &[u8]| own.cert_id(Hash::Sha1, serial);
    let namesake = other.cert_id(Hash::Sha1, &ann.serial);
    let ann_sha256 = own.cert_id(Hash::Sha256, &ann.serial);
    let (ann, bob) = (id(&ann.serial), id(&bob.serial));
    let (foreign, nobody) = (other.cert_id(Hash::Sha1, &eve.serial), Issuer::nobody().cert_id(Hash::Sha1, &[1]));
    let many = |count: usize| vec![ann.clone(); count];
    let cases: Vec<Case> = vec![
        ("good", vec![ann.clone()], vec!["GOOD"]),
        ("by SHA-256", vec![ann_sha256.clone()], vec!["GOOD"]),
        ("revoked", vec![bob.clone()], vec!["REVOKED"]),
        ("never issued", vec![id(&[0x12; 16])], vec!["UNKNOWN"]),
        ("a serial of 20 octets", vec![id(&[0x7f; 20])], vec!["UNKNOWN"]),
        ("a serial that no CA may give out", vec![id(&[0x7f; 21])], vec!["UNKNOWN"]),
        ("zero", vec![id(&[0])], vec!["UNKNOWN"]),
        ("another issuer's serial", vec![id(&eve.serial)], vec!["UNKNOWN"]),
        ("several", vec![ann.clone(), bob.clone(), ann_sha256], vec!["GOOD", "REVOKED", "GOOD"]),
        ("our serial of another issuer", vec![ann.clone(), namesake], vec!["GOOD", "UNKNOWN"]),
        ("mixed issuers", vec![ann.clone(), foreign.clone(), nobody.clone()], vec!["GOOD", "UNKNOWN", "UNKNOWN"]),
        ("ours comes last", vec![nobody.clone(), foreign.clone(), bob.clone()], vec!["UNKNOWN", "UNKNOWN", "REVOKED"]),
        ("the same twice", vec![bob.clone(), bob], vec!["REVOKED", "REVOKED"]),
        ("twenty", many(20), vec!["GOOD"; 20]),
    ];
    let answers: Vec<_> = cases.iter().map(|(_, ids, _)| world.post(&request(ids, &[]))).collect();
    let bodies: Vec<_> = answers.iter().map(|answer| &answer.body).collect();
    for ((what, ids, expected), answer) in cases.iter().zip(reading::read_all(&world.issuing, &bodies)) {
        assert_eq!((statuses(&answer).len(), statuses(&answer)), (ids.len(), expected.clone()), "{what}: {answer}");
        let single = &answer["singles"][0];
        let hash = if *what == "by SHA-256" { "sha256" } else { "sha1" };
        assert_eq!(single["hash"], hash, "it names the certificate as the question did: {what}");
        let lasts = single["next_update"].as_i64().unwrap() - single["this_update"].as_i64().unwrap();
        let never_issued = expected.iter().all(|status| *status == "UNKNOWN");
        assert_eq!(lasts, if never_issued { 300 } else { 12 * 3600 }, "what is unknown may become known: {what}");
    }
    for (place, (what, ids, expected)) in cases.iter().enumerate() {
        let kept = ids.len() == 1 && expected[0] != "UNKNOWN";
        assert_eq!(answers[place].header("cache-control") != "no-store", kept, "{what}");
    }

    let refused = [
        ("unknown issuer", vec![nobody], "UNAUTHORIZED"),
        ("another CA's", vec![foreign.clone()], "UNAUTHORIZED"),
        ("an unknown hash", vec![own.cert_id(Hash::Md5, &[1])], "UNAUTHORIZED"),
        ("nothing", vec![], "MALFORMED_REQUEST"),
        ("one too many", many(21), "MALFORMED_REQUEST"),
        ("a hundred", many(100), "MALFORMED_REQUEST"),
    ];
    for (what, ids, expected) in refused {
        let answer = world.post(&request(&ids, &[]));
        assert_eq!(world.read(&answer)["status"], expected, "{what}");
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    }
    let answer = world.post_to("other", &request(&[foreign], &[]));
    let other = world.home.write("other.pem", &super::certificates(&world.daemon, "other")[0]);
    assert_eq!(statuses(&reading::read(&other, &answer.body)), ["GOOD"]);
    // What was said of the first certificate of each request is counted.
    let metrics = world.daemon.get("/metrics").text();
    let first = |status: &str| cases.iter().filter(|(_, _, expected)| expected[0] == status).count();
    for (ca, status, count) in [
        ("own", "good", first("GOOD")),
        ("own", "revoked", first("REVOKED")),
        ("own", "unknown", first("UNKNOWN")),
        ("own", "unauthorized", 3),
        ("own", "malformed_request", 3),
        ("other", "good", 1),
    ] {
        let line = format!("renewd_ocsp_responses_total{{ca=\"{ca}\",status=\"{status}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[test]
fn nonces_are_repeated_and_never_kept() {
    let world = World::start();
    let id = world.issuer().cert_id(Hash::Sha1, &world.issue("ann").serial);
    let ask = |extensions: &[Vec<u8>]| world.post(&request(std::slice::from_ref(&id), extensions));
    let kept = ask(&[]);
    for length in [1, 16, 32, 128] {
        let octets: Vec<u8> = (0..length).map(|octet| octet ^ 0xa5).collect();
        let answers = [ask(&[nonce(&octets)]), ask(&[nonce(&octets)])];
        for answer in &answers {
            let said = world.read(answer);
            assert_eq!((&said["nonces"], statuses(&said)), (&Value::from(vec![hex::encode(&octets)]), vec!["GOOD"]));
            assert_eq!((answer.header("cache-control"), answer.header("etag")), ("no-store", ""));
        }
        assert_ne!(answers[0].body, answers[1].body, "each is signed for itself");
        assert_eq!(ask(&[]).body, kept.body, "and who sends no nonce gets none");
    }
    assert_eq!(world.read(&kept)["nonces"], Value::from(Vec::<String>::new()));
    for (what, extensions) in [
        ("none", vec![nonce(&[])]),
        ("too long", vec![nonce(&[7; 129])]),
        ("two", vec![nonce(&[1; 16]), nonce(&[2; 16])]),
        ("the same twice", vec![nonce(&[1; 16]), nonce(&[1; 16])]),
    ] {
        let answer = ask(&extensions);
        assert_eq!(world.read(&answer)["status"], "MALFORMED_REQUEST", "{what}");
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    }
}

#[test]
fn a_get_is_read_however_its_base64_is_encoded() {
    let world = World::start();
    let serial = world.issue("ann").serial;
    let id = world.issuer().cert_id(Hash::Sha1, &serial);
    let plain = request(std::slice::from_ref(&id), &[]);
    let posted = world.post(&plain);
    for text in [STANDARD.encode(&plain), STANDARD_NO_PAD.encode(&plain)] {
        assert_eq!(world.daemon.get(&format!("/ocsp/own/{text}")).body, posted.body, "{text}");
    }
    // Every alignment of these octets is met, so that there is each of the letters.
    let octets = [
        &[0xff; 9][..],
        &[0xfb, 0xef, 0xbe].repeat(3),
        &[0],
        &[0xfb, 0xef, 0xbe].repeat(3),
        &[0],
        &[0xfb, 0xef, 0xbe].repeat(3),
    ]
    .concat();
    for length in octets.len() - 2..=octets.len() {
        let text = STANDARD.encode(request(std::slice::from_ref(&id), &[nonce(&octets[..length])]));
        assert!(text.contains('/') && text.contains('+'), "{text}");
        let percent = |letters: &str| {
            let one = |letter| match letters.contains(letter) {
                true => format!("%{:02X}", letter as u32),
                false => String::from(letter),
            };
            text.chars().map(one).collect::<String>()
        };
        let lower_case = percent("/=").replace("%2F", "%2f").replace("%3D", "%3d");
        for path in [text.clone(), percent("/"), percent("+"), percent("="), percent("/+="), lower_case] {
            let answer = world.daemon.get(&format!("/ocsp/own/{path}"));
            let said = world.read(&answer);
            assert_eq!(said["nonces"], Value::from(vec![hex::encode(&octets[..length])]), "{path}");
        }
    }
}

#[test]
fn caches_are_told_how_long_an_answer_lasts() {
    let world = World::start();
    let serial = world.issue("ann").serial;
    let plain = request(&[world.issuer().cert_id(Hash::Sha256, &serial)], &[]);
    let path = format!("/ocsp/own/{}", STANDARD.encode(&plain));
    let first = world.daemon.get(&path);
    assert_eq!((first.status, first.header("content-type")), (200, "application/ocsp-response"));
    let said = world.read(&first)["singles"][0].clone();
    let date = |name: &str| httpdate(first.header(name));
    assert_eq!((date("last-modified"), date("expires")), (said["this_update"].as_i64(), said["next_update"].as_i64()));
    let caching = first.header("cache-control");
    let max_age = caching.strip_prefix("max-age=").and_then(|rest| rest.split(',').next()?.parse::<i64>().ok());
    let lasts = said["next_update"].as_i64().unwrap() - said["this_update"].as_i64().unwrap();
    assert_eq!(lasts, 12 * 3600);
    assert!(max_age.is_some_and(|age| age <= lasts && age > lasts - 600), "{caching}");
    for directive in ["public", "no-transform", "must-revalidate"] {
        assert!(caching.contains(directive), "{caching}");
    }
    assert_eq!(world.daemon.get(&path).body, first.body, "it is the same for everybody");

    let (tag, modified) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
    for known in [format!("If-None-Match: {tag}"), format!("If-Modified-Since: {modified}")] {
        let again = world.daemon.get_with(&path, &[&known]);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{known}");
        assert_eq!(again.header("expires"), first.header("expires"));
    }
    let head = world.daemon.send(&path, &[], &["--head"]);
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, tag.as_str()));
    assert_eq!(head.header("content-length"), first.body.len().to_string());

    world.client(&["revoke", "ann", "--reason", "superseded"]);
    let after = world.daemon.get_with(&path, &[&format!("If-None-Match: {tag}")]);
    assert_eq!(after.status, 200, "who knows the old answer gets the new one");
    assert_ne!(after.header("etag"), tag);
    assert_eq!(world.read(&after)["singles"][0]["status"], "REVOKED");
}

fn httpdate(text: &str) -> Option<i64> {
    let format = "%a, %d %b %Y %H:%M:%S GMT";
    let date = jiff::civil::DateTime::strptime(format, text).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[test]
fn what_is_no_request_is_refused_and_harms_nobody() {
    let world = World::start();
    let id = world.issuer().cert_id(Hash::Sha1, &world.issue("ann").serial);
    let plain = request(&[id], &[]);
    let mut bad: Vec<Vec<u8>> = (0..plain.len()).step_by(7).map(|end| plain[..end].to_vec()).collect();
    bad.extend([[&plain[..], &[0]].concat(), vec![0x30; 4_000], vec![0xff; 300], b"GET / HTTP/1.1\r\n\r\n".to_vec()]);
    for body in &bad {
        let answer = world.post(body);
        assert_eq!(answer.body, [0x30, 3, 0x0a, 1, 1], "{body:02x?}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for path in ["/ocsp/own/", "/ocsp/own/%%%", "/ocsp/own/AAAA", "/ocsp/own/a/b/c?d=e"] {
        assert_eq!(world.daemon.get(path).body, [0x30, 3, 0x0a, 1, 1], "{path}");
    }

    let two_megabytes = vec![0x30; 2 << 20];
    assert_eq!(world.post_as("own", &two_megabytes, &[REQUEST]).status, 413);
    assert_eq!(world.post_as("own", &two_megabytes, &[REQUEST, "Transfer-Encoding: chunked"]).status, 413);
    assert_eq!(world.daemon.get(&format!("/ocsp/own/{}", "A".repeat(5_000))).status, 414);
    assert_eq!(world.post_as("own", &plain, &["Content-Type: application/json"]).status, 415);
    assert_eq!(world.post_as("own", &plain, &["Content-Type:"]).status, 200, "who says nothing is believed");
    assert_eq!(world.post_as("nowhere", &plain, &[REQUEST]).status, 404);
    let get = world.daemon.get("/ocsp/own");
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
    let put = world.daemon.send(&format!("/ocsp/own/{}", STANDARD.encode(&plain)), &[], &["--request", "PUT"]);
    assert_eq!((put.status, put.header("allow")), (405, "GET,HEAD"));
    assert_eq!(put.header("content-type"), "application/problem+json");
    assert_eq!(statuses(&world.ask(&plain)), ["GOOD"], "and it answers on");
}

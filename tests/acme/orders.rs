//! Orders at a CA that does what CAs do on bad days.

use std::sync::Arc;
use std::time::Duration;

use renewd::clock::Clock;
use renewd::config::Profile;
use renewd::issuer::{Acme, AcmeSettings, IssuerError, Progress};
use renewd::pki::chain::Chain;
use serde_json::{Value, json};

use crate::acme_ca::{AcmeCa, Endpoint, Reply, Script};
use crate::lab::Lab;
use crate::world::{World, finish, row};

/// Says for so many answers that the order is being worked on.
fn process(times: usize) -> impl FnMut(&mut Value) + Send {
    let mut left = times;
    move |order| {
        if left > 0 && order["status"] == "valid" {
            left -= 1;
            order["status"] = "processing".into();
            order.as_object_mut().unwrap().remove("certificate");
        }
    }
}

#[tokio::test]
async fn an_order_that_is_worked_on_is_waited_for_as_the_ca_asks() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    for (endpoint, name) in [(Endpoint::Finalize, "a.example.com"), (Endpoint::Order, "b.example.com")] {
        lab.ca.behave();
        lab.ca.edit(Endpoint::Finalize, process(1));
        lab.ca.edit(Endpoint::Order, process(2));
        lab.ca.header(endpoint, "retry-after", "7");
        let (wanted, _) = lab.order(name).await;
        let before = Clock::system().now();
        let Progress::Wait { until, .. } = lab.advance(&acme, &wanted).await.unwrap() else { panic!("it waits") };
        let wait = until.since(before).as_secs();
        assert!((6..=8).contains(&wait), "{endpoint:?}: {wait} s");
        lab.ca.behave();
        finish(&acme, &lab.state, &wanted).await.unwrap();
    }
    assert_eq!(lab.count(Endpoint::Finalize), 2);
}

#[tokio::test]
async fn no_retry_after_is_too_much() {
    let lab = Lab::new(Script::default()).await;
    lab.ca.edit(Endpoint::Finalize, process(9));
    lab.ca.edit(Endpoint::Order, process(9));
    // Not at finalize: only who looks again meets it where instant-acme adds it to the time.
    lab.ca.header(Endpoint::Order, "retry-after", "18446744073709551615");
    let (wanted, _) = lab.order("example.com").await;
    let acme = lab.acme();
    for _ in 0..2 {
        let before = Clock::system().now();
        let Progress::Wait { until, .. } = lab.advance(&acme, &wanted).await.unwrap() else { panic!("it waits") };
        assert!(until.since(before) <= Duration::from_secs(3601));
    }
}

#[tokio::test]
async fn an_order_that_is_not_ready_yet_and_a_late_certificate_are_waited_for() {
    let lab = Lab::new(Script::default()).await;
    for _ in 0..2 {
        lab.ca.next(Endpoint::Finalize, Reply::problem(403, "orderNotReady", "a moment"));
    }
    lab.ca.next(Endpoint::Certificate, Reply::problem(404, "malformed", "not yet"));
    lab.ca.next(Endpoint::Certificate, Reply::problem(403, "orderNotReady", "not yet"));
    let mut late = 2;
    lab.ca.edit(Endpoint::Order, move |order| {
        if late > 0 && order["status"] == "valid" {
            late -= 1;
            order.as_object_mut().unwrap().remove("certificate");
        }
    });
    let order = lab.obtain(&lab.acme(), "example.com").await;
    assert!(order.chain.is_some());
    assert_eq!(
        (lab.count(Endpoint::NewOrder), lab.count(Endpoint::Finalize), lab.count(Endpoint::Certificate)),
        (1, 3, 3)
    );
}

#[tokio::test]
async fn what_is_finalized_is_taken_up_after_a_restart() {
    let lab = Lab::new(Script::default()).await;
    lab.ca.always(Endpoint::Certificate, Reply::html(500));
    let (wanted, id) = lab.order("example.com").await;
    let error = finish(&lab.acme(), &lab.state, &wanted).await.unwrap_err();
    assert!(matches!(error, IssuerError::Unreachable { .. }) && !error.ends_order(), "{error}");
    lab.ca.behave();
    finish(&lab.acme(), &lab.state, &wanted).await.unwrap();
    assert!(row(&lab.state, &wanted, &id).await.chain.is_some());
    assert_eq!((lab.count(Endpoint::NewOrder), lab.count(Endpoint::Finalize)), (1, 1));
}

#[tokio::test]
async fn an_order_that_becomes_invalid_is_told_in_the_ca_s_own_words() {
    let lab = Lab::new(Script::default()).await;
    let error = json!({
        "type": "urn:ietf:params:acme:error:caa", "detail": "CAA for \u{1b}[2J../example.com\r\nforbids", "status": "403",
        "subproblems": [null, { "identifier": { "type": "email", "value": 7 }, "detail": "sub" }],
    });
    for endpoint in [Endpoint::Finalize, Endpoint::Order] {
        let error = error.clone();
        lab.ca.edit(endpoint, move |order| {
            if order["status"] == "valid" {
                order["status"] = "invalid".into();
                order["error"] = error.clone();
            }
        });
    }
    let error = lab.fail(&lab.acme(), "example.com").await;
    let IssuerError::Refused { detail } = &error else { panic!("{error}") };
    assert!(detail.starts_with("caa: CAA for  [2J../example.com  forbids") && detail.contains("sub"), "{detail}");
    assert!(!detail.contains(char::is_control) && error.ends_order());
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    lab.ca.edit(Endpoint::NewOrder, |order| order["status"] = "pending".into());
    for status in ["expired", "deactivated", "revoked"] {
        lab.ca.edit(Endpoint::Authorization, move |authorization| authorization["status"] = status.into());
        let error = lab.fail(&acme, &format!("{status}.example.com")).await;
        assert!(matches!(&error, IssuerError::OrderGone { detail } if detail.contains(status)), "{error}");
    }
    lab.ca.behave();
    for words in [Value::Null, json!({ "type": "urn:ietf:params:acme:error:malformed", "detail": "it is late" })] {
        for endpoint in [Endpoint::NewOrder, Endpoint::Order] {
            let words = words.clone();
            lab.ca.edit(endpoint, move |order| {
                order["status"] = "invalid".into();
                order["expires"] = "2020-01-01T00:00:00Z".into();
                order["error"] = words.clone();
            });
        }
        let error = lab.fail(&acme, &format!("{}.example.com", words.is_null())).await;
        assert!(matches!(&error, IssuerError::OrderGone { detail } if detail.contains("2020-01-01")), "{error}");
        lab.ca.behave();
    }
    for (number, reply) in [
        Reply::problem(404, "malformed", "no such order"),
        Reply::html(404),
        Reply::problem(403, "unauthorized", "another's"),
    ]
    .into_iter()
    .enumerate()
    {
        lab.ca.next(Endpoint::Finalize, Reply::html(500));
        let (wanted, _) = lab.order(&format!("n{number}.example.com")).await;
        finish(&acme, &lab.state, &wanted).await.unwrap_err();
        lab.ca.next(Endpoint::Order, reply);
        let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
        assert!(matches!(&error, IssuerError::OrderGone { .. }) && error.ends_order(), "{error}");
    }
}

#[tokio::test]
async fn a_chain_that_does_not_fit_replaces_nothing() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let (own, other) = (lab.ca.foreign_leaf(&["a.example.com"]), lab.ca.foreign_leaf(&["b.example.com"]));
    let root = lab.ca.root_pem();
    type Spoil = Box<dyn Fn(&mut Vec<String>) + Send>;
    let cases: Vec<(&str, Spoil)> = vec![
        ("without that of its issuer", Box::new(|chain| chain.truncate(1))),
        ("another key", Box::new(|chain| chain.reverse())),
        ("`CN=Fake Root X1` follows", Box::new(move |chain| chain.insert(1, root.clone()))),
        ("another key", Box::new(move |chain| chain[0].clone_from(&own))),
        ("another key", Box::new(move |chain| chain[0].clone_from(&other))),
        ("repetition", Box::new(|chain| chain.push(chain[1].clone()))),
        ("no certificate", Box::new(|chain| *chain = vec!["<html>".to_owned()])),
        ("too long", Box::new(|chain| chain.push(chain[1].repeat(20)))),
    ];
    for (words, spoil) in cases {
        lab.ca.behave();
        lab.ca.edit_chain(spoil);
        let (wanted, id) = lab.order("a.example.com").await;
        let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
        assert!(matches!(&error, IssuerError::BadChain { detail } if detail.contains(words)), "{words}: {error}");
        assert!(error.ends_order() && row(&lab.state, &wanted, &id).await.chain.is_none());
    }
}

#[tokio::test]
async fn nothing_leads_a_ca_s_client_astray() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    const AWAY: &str = "http://169.254.169.254/latest/";
    lab.ca.edit(Endpoint::NewOrder, |order| order["finalize"] = AWAY.into());
    let error = lab.fail(&acme, "a.example.com").await;
    assert!(matches!(&error, IssuerError::Unreachable { detail } if detail.contains("not followed")), "{error}");
    lab.ca.behave();
    let away = Reply::json(&json!({ "status": "pending", "authorizations": [], "finalize": AWAY }));
    lab.ca.next(Endpoint::NewOrder, Reply { status: 201, ..away }.with("location", AWAY));
    let (wanted, id) = lab.order("b.example.com").await;
    let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
    assert!(error.to_string().contains("not followed"), "{error}");
    assert_eq!(row(&lab.state, &wanted, &id).await.url, None);
    for (reply, words) in [
        (Reply::html(302).with("location", AWAY), "not followed"),
        (Reply { status: 200, headers: Vec::new(), body: " ".repeat(10 << 20) }, "more than 1048576 bytes"),
        (Reply::html(200), "not ACME"),
        (Reply::html(502), "HTTP 502"),
    ] {
        lab.ca.next(Endpoint::Finalize, reply);
        let error = lab.fail(&acme, "c.example.com").await;
        assert!(error.to_string().contains(words) && !error.ends_order(), "{words}: {error}");
    }
}

#[tokio::test]
async fn nearly_all_nonces_may_be_refused_and_nothing_is_asked_for_twice() {
    let lab = Lab::new(Script { nonce_reject_percent: 90, ..Script::default() }).await;
    lab.obtain(&lab.acme(), "example.com").await;
    assert!(lab.ca.refused_nonces() > 10, "{}", lab.ca.refused_nonces());
    let counts = [Endpoint::NewAccount, Endpoint::NewOrder, Endpoint::Finalize].map(|endpoint| lab.count(endpoint));
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test]
async fn what_is_not_known_is_passed_over() {
    let world = World::start(crate::quick());
    let ca = AcmeCa::start(Script { ready: false, ..Script::default() });
    ca.edit(Endpoint::Directory, |directory| {
        directory["newThing"] = json!({ "x": [1] });
        directory["newAuthz"] = Value::Null;
        directory["meta"]["unknown"] = json!([null]);
    });
    ca.edit(Endpoint::Authorization, |authorization| {
        let challenges = authorization["challenges"].as_array_mut().unwrap();
        challenges
            .insert(0, json!({ "type": "dns-persist-01", "url": "https://x/", "status": "pending", "issuers": ["a"] }));
        challenges.push(
            json!({ "type": "quantum-01", "url": "https://x/", "status": "pending", "token": null, "error": null }),
        );
        authorization["unknown"] = json!({});
    });
    for endpoint in [Endpoint::NewOrder, Endpoint::Order, Endpoint::Finalize] {
        ca.edit(endpoint, |order| {
            order["error"] = Value::Null;
            order["notBefore"] = Value::Null;
            order["unknown"] = json!(7);
        });
    }
    let state = world.state().await;
    let account = crate::world::account(&ca.directory_url(), None);
    let acme =
        Acme::new(AcmeSettings { name: "main".to_owned(), account }, state.clone(), world.dns01(), Clock::system());
    let wanted = crate::world::certificate(&["*.example.com", "example.com"], None);
    let id = crate::world::order(&state, &wanted).await;
    finish(&acme, &state, &wanted).await.unwrap();
    assert_eq!(ca.requests(Endpoint::Challenge).len(), 2);
    let order = row(&state, &wanted, &id).await;
    assert!(Chain::from_pem(&order.chain.unwrap()).is_ok());
    world.withdraw(&state, &wanted).await;
    assert_eq!(ca.complaints(), [""; 0]);
    // The second order finds every authorization valid; the CA gives the same order again, ready.
    let acme = Arc::new(acme);
    ca.edit(Endpoint::Authorization, |authorization| authorization["status"] = "valid".into());
    for endpoint in [Endpoint::NewOrder, Endpoint::Order] {
        ca.edit(endpoint, |order| {
            if order["status"] == "pending" {
                order["status"] = "ready".into();
            }
        });
    }
    let wanted = crate::world::certificate(&["www.example.com"], None);
    crate::world::order(&state, &wanted).await;
    ca.next(Endpoint::Finalize, Reply::problem(403, "orderNotReady", "it lied"));
    let broken = tokio::time::timeout(Duration::from_secs(1), finish(&acme, &state, &wanted)).await;
    assert!(!matches!(broken, Ok(Ok(()))), "the fake does not finalize what is not authorized");
    assert!(state.owed_txts("www.example.com").await.unwrap().is_empty(), "nothing is proved that is proved");
}

#[tokio::test]
async fn of_several_names_only_those_are_proved_that_are_not() {
    let world = World::start(crate::quick());
    let ca = AcmeCa::start(Script { ready: false, ..Script::default() });
    ca.edit(Endpoint::Authorization, |authorization| {
        if authorization["identifier"]["value"] == "a.example.com" {
            authorization["status"] = "valid".into();
        }
    });
    let state = world.state().await;
    let account = crate::world::account(&ca.directory_url(), None);
    let settings = AcmeSettings { name: "main".to_owned(), account };
    let acme = Acme::new(settings, state.clone(), world.dns01(), Clock::system());
    let wanted = crate::world::certificate(&["a.example.com", "b.example.com"], None);
    crate::world::order(&state, &wanted).await;
    let told = async {
        while ca.count(Endpoint::Challenge) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = finish(&acme, &state, &wanted) => panic!("{done:?}"),
        told = tokio::time::timeout(Duration::from_secs(60), told) => told.unwrap(),
    }
    let owed = state.owed_txts("a.example.com").await.unwrap();
    let names: Vec<&str> = owed.iter().map(|txt| txt.challenge_name.as_str()).collect();
    assert_eq!(names, ["_acme-challenge.b.example.com"]);
    world.withdraw(&state, &wanted).await;
    assert_eq!(ca.complaints(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_proved_that_was_not_ordered() {
    let lab = Lab::new(Script { ready: false, ..Script::default() }).await;
    lab.ca.edit(Endpoint::Authorization, |authorization| authorization["identifier"]["value"] = "victim.test".into());
    let error = lab.fail(&lab.acme(), "www.example.com").await;
    assert!(error.to_string().contains("proof of `victim.test`, which was not ordered"), "{error}");
    assert!(lab.state.owed_txts("www.example.com").await.unwrap().is_empty());
    assert_eq!(lab.count(Endpoint::Challenge), 0);
    // A domain above the name may stand for it, in whatever spelling: then DNS is what is missing here.
    lab.ca.behave();
    lab.ca.edit(Endpoint::Authorization, |authorization| authorization["identifier"]["value"] = "Example.COM.".into());
    let error = lab.fail(&lab.acme(), "api.example.com").await;
    assert!(!error.to_string().contains("not ordered"), "{error}");
    assert_eq!(lab.ca.complaints(), [""; 0]);
}

#[tokio::test]
async fn an_authorization_without_dns_01_is_told_with_what_there_is() {
    let lab = Lab::new(Script { ready: false, ..Script::default() }).await;
    lab.ca.edit(Endpoint::Authorization, |authorization| {
        authorization["challenges"][0]["type"] = "quantum-\u{1b}[31m01".into();
    });
    let error = lab.fail(&lab.acme(), "example.com").await;
    let words = "offers no dns-01 challenge for `example.com`, only [quantum- [31m01]";
    assert!(matches!(&error, IssuerError::Account { what } if what.contains(words)), "{error}");
}

#[tokio::test]
async fn an_order_of_another_profile_than_is_required_is_not_finalized() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    for endpoint in [Endpoint::NewOrder, Endpoint::Order] {
        lab.ca.edit(endpoint, |order| order["profile"] = "longlived".into());
    }
    for (profile, fits) in [(Profile::Required("classic".into()), false), (Profile::Preferred("classic".into()), true)]
    {
        let wanted = crate::world::certificate(&["example.com"], Some(profile));
        crate::world::order(&lab.state, &wanted).await;
        let done = finish(&acme, &lab.state, &wanted).await;
        assert_eq!(done.is_ok(), fits, "{done:?}");
        if let Err(error) = done {
            let words = "the order has the profile `longlived`, and `classic` is required";
            assert!(error.to_string().contains(words) && error.ends_order(), "{error}");
            assert_eq!(lab.count(Endpoint::Finalize), 0);
        }
    }
}

#[tokio::test]
async fn a_profile_that_holds_fewer_names_is_left_out_where_it_is_only_preferred() {
    let lab = Lab::new(Script { few_names: Some(("classic", 25)), ..Script::default() }).await;
    let acme = lab.acme();
    let names: Vec<String> = (0..100).map(|number| format!("n{number}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = crate::world::certificate(&names, Some(Profile::Required("classic".to_owned())));
    crate::world::order(&lab.state, &wanted).await;
    let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
    assert!(matches!(&error, IssuerError::Refused { detail } if detail.contains("more than 25")), "{error}");
    for (count, profile) in [(25, Some("classic")), (100, None)] {
        let wanted = crate::world::certificate(&names[..count], Some(Profile::Preferred("classic".to_owned())));
        let id = crate::world::order(&lab.state, &wanted).await;
        finish(&acme, &lab.state, &wanted).await.unwrap();
        let order = row(&lab.state, &wanted, &id).await;
        let leaf = Chain::from_pem(&order.chain.unwrap()).unwrap().leaf().clone();
        assert_eq!((leaf.names.len(), order.profile.as_deref()), (count, profile));
    }
}

#[tokio::test]
async fn a_certificate_for_other_names_replaces_nothing() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    for (names, words) in [
        (&["a.example.com", "evil.test"][..], "unexpected [evil.test]"),
        (&["b.example.com"][..], "missing [a.example.com], unexpected [b.example.com]"),
    ] {
        lab.ca.misname(Some(names));
        let (wanted, id) = lab.order("a.example.com").await;
        let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
        assert!(matches!(&error, IssuerError::BadChain { detail } if detail.contains(words)), "{error}");
        assert!(error.ends_order() && row(&lab.state, &wanted, &id).await.chain.is_none());
    }
    lab.ca.misname(None);
    lab.obtain(&acme, "a.example.com").await;
}

#[tokio::test]
async fn an_order_that_the_ca_hands_back_is_gone_on_with_or_given_up() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let base = lab.ca.directory_url().replace("/dir", "");
    let first = lab.obtain(&acme, "example.com").await;
    let before = lab.ca.requests(Endpoint::Order).len();
    // The same order, valid already, with a certificate for the first one's key.
    let again = |status: &str| {
        let order = json!({
            "status": status, "identifiers": [{ "type": "dns", "value": "example.com" }],
            "authorizations": [format!("{base}/authorization/0-0")], "finalize": format!("{base}/finalize/0"),
            "certificate": format!("{base}/certificate/0"),
        });
        Reply { status: 201, ..Reply::json(&order) }.with("location", &format!("{base}/order/0"))
    };
    lab.ca.next(Endpoint::NewOrder, again("valid"));
    let error = lab.fail(&acme, "example.com").await;
    assert!(matches!(&error, IssuerError::BadChain { detail } if detail.contains("another key")), "{error}");
    assert!(error.ends_order(), "the next attempt asks for a new one");
    // A ready one that was never finalized, as after a crash behind newOrder.
    lab.ca.next(Endpoint::Finalize, Reply::html(500));
    lab.fail(&acme, "b.example.com").await;
    let ready = |status: &str| {
        let order = json!({
            "status": status, "identifiers": [{ "type": "dns", "value": "b.example.com" }],
            "authorizations": [format!("{base}/authorization/1-0")], "finalize": format!("{base}/finalize/1"),
        });
        Reply { status: 201, ..Reply::json(&order) }.with("location", &format!("{base}/order/1"))
    };
    lab.ca.next(Endpoint::NewOrder, ready("ready"));
    let (wanted, id) = lab.order("b.example.com").await;
    finish(&acme, &lab.state, &wanted).await.unwrap();
    assert!(row(&lab.state, &wanted, &id).await.url.unwrap().ends_with("/order/1"));
    assert!(first.chain.is_some() && lab.ca.requests(Endpoint::Order).len() >= before);
}

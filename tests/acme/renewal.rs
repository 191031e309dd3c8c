//! Renewal information and what an order replaces (RFC 9773), and profiles.

use std::time::Duration;

use renewd::config::Profile;
use renewd::issuer::{Issuer, IssuerError};
use renewd::pki;
use serde_json::{Value, json};

use crate::acme_ca::{Endpoint, Reply, Script};
use crate::lab::Lab;
use crate::peers::pebble::PebbleOptions;
use crate::world::{World, certificate, finish, order, row, version};

#[tokio::test]
async fn pebble_tells_when_to_renew() {
    let world = World::start(PebbleOptions { retry_after: 0, ..PebbleOptions::default() });
    let state = world.state().await;
    let acme = world.acme(&state);
    let first = world.obtain(&acme, &state, &["example.com"]).await;
    let version = version(&state, &first).await;
    let info = acme.renewal_info(&version).await.unwrap().unwrap();
    assert!(info.start < info.end && info.end < version.not_after, "{info:?}");
    assert!(info.retry_after.is_some());

    let leaf = pki::chain::Chain::from_pem(&version.chain).unwrap().certificate_pem();
    let now = json!({
        "suggestedWindow": { "start": "2024-01-02T04:00:00Z", "end": "2024-01-03T04:00:00Z" },
        "explanationURL": "https://ca.example/incident",
    });
    world.pebble.set_renewal_info(&leaf, &now.to_string());
    let info = acme.renewal_info(&version).await.unwrap().unwrap();
    assert_eq!(info.start.to_string(), "2024-01-02T04:00:00Z");
    assert_eq!(info.explanation.as_deref(), Some("https://ca.example/incident"));
}

#[tokio::test]
async fn renewal_information_needs_no_account_and_fails_without_harm() {
    let lab = Lab::new(Script::default()).await;
    let version = version(&lab.state, &lab.obtain(&lab.acme(), "example.com").await).await;
    let acme = lab.acme();
    let (accounts, nonces) = (lab.count(Endpoint::Account), lab.count(Endpoint::NewNonce));
    let asked = || acme.renewal_info(&version);
    assert_eq!(asked().await.unwrap().unwrap().retry_after, None);
    for (value, seconds) in [("21600", 21_600), ("0", 0), ("-9", 0), ("99999999999999999999", u64::MAX)] {
        lab.ca.header(Endpoint::RenewalInfo, "retry-after", value);
        assert_eq!(asked().await.unwrap().unwrap().retry_after, Some(Duration::from_secs(seconds)), "{value}");
        lab.ca.behave();
    }
    let backwards = json!({ "suggestedWindow": { "start": "2030-01-02T04:00:00Z", "end": "2030-01-01T04:00:00Z" } });
    for reply in [
        Reply::problem(404, "malformed", "no such certificate"),
        Reply::problem(500, "serverInternal", "oh"),
        Reply::html(200),
        Reply::html(404),
        Reply::html(503).with("retry-after", "7"),
        Reply::html(302).with("location", "http://169.254.169.254/"),
        Reply::json(&backwards),
        Reply::json(&Value::Null),
        Reply { status: 200, headers: Vec::new(), body: " ".repeat(10 << 20) },
    ] {
        lab.ca.next(Endpoint::RenewalInfo, reply.clone());
        let error = asked().await.unwrap_err();
        assert!(!matches!(error, IssuerError::Account { .. } | IssuerError::Operator { .. }), "{error}");
    }
    assert!(asked().await.unwrap().is_some());
    assert_eq!((lab.count(Endpoint::Account), lab.count(Endpoint::NewNonce)), (accounts, nonces));

    let mut foreign = version.clone();
    foreign.directory_url = Some("https://other.example/dir".to_owned());
    assert_eq!(acme.renewal_info(&foreign).await.unwrap(), None);
    let without = Lab::new(Script { renewal_info: false, ..Script::default() }).await;
    let mut here = version.clone();
    here.directory_url = Some(without.ca.directory_url());
    assert_eq!(without.acme().renewal_info(&here).await.unwrap(), None);
}

fn replaced(orders: &[Value]) -> Vec<bool> {
    orders.iter().map(|order| order.get("replaces").is_some()).collect()
}

#[tokio::test]
async fn an_order_says_what_it_replaces_and_goes_without_where_that_is_refused() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let first = lab.obtain(&acme, "example.com").await;
    let id = pki::cert_id(first.chain.as_deref().unwrap()).unwrap();
    let second = lab.obtain_replacing(&acme, "a.example.com", Some(&id)).await;
    assert_eq!(lab.ca.requests(Endpoint::NewOrder)[1]["replaces"], id);
    assert_eq!(second.replaces.as_deref(), Some(id.as_str()));
    // alreadyReplaced, and unknown.
    for (name, id) in [("b.example.com", id.as_str()), ("c.example.com", "AQID.BQ")] {
        let before = lab.count(Endpoint::NewOrder);
        let order = lab.obtain_replacing(&acme, name, Some(id)).await;
        assert_eq!(replaced(&lab.ca.requests(Endpoint::NewOrder)[before..]), [true, false], "{name}");
        assert_eq!(order.replaces, None);
    }
    for (status, kind, again) in [
        (400, "malformed", true),
        (403, "unauthorized", true),
        (409, "alreadyReplaced", true),
        (404, "unknownCertificate", true),
        (429, "rateLimited", false),
        (400, "rejectedIdentifier", false),
        (403, "userActionRequired", false),
        (500, "serverInternal", true),
        (503, "serverInternal", false),
    ] {
        lab.ca.behave();
        let before = lab.count(Endpoint::NewOrder);
        lab.ca.next(Endpoint::NewOrder, Reply::problem(status, kind, "no"));
        let name = format!("{}{status}.example.com", kind.to_lowercase());
        let (wanted, _) = lab.order_replacing(&name, Some("AQID.BQ")).await;
        let done = lab.advance(&acme, &wanted).await;
        let asked = replaced(&lab.ca.requests(Endpoint::NewOrder)[before..]);
        assert_eq!(
            (done.is_ok(), asked.as_slice()),
            (again, if again { &[true, false][..] } else { &[true] }),
            "{status} {kind}"
        );
    }
}

#[tokio::test]
async fn an_order_whose_answer_does_not_repeat_what_it_replaces_is_not_lost() {
    for answered in [Value::Null, json!("AQID.BQ"), json!("nonsense")] {
        let lab = Lab::new(Script::default()).await;
        let acme = lab.acme();
        let first = lab.obtain(&acme, "example.com").await;
        let id = pki::cert_id(first.chain.as_deref().unwrap()).unwrap();
        let answer = answered.clone();
        lab.ca.edit(Endpoint::NewOrder, move |order| order["replaces"] = answer.clone());
        lab.ca.edit(Endpoint::Order, |order| drop(order.as_object_mut().unwrap().remove("replaces")));
        let order = lab.obtain_replacing(&acme, "a.example.com", Some(&id)).await;
        assert_eq!(lab.count(Endpoint::NewOrder), 2, "{answered}");
        assert!(order.url.unwrap().ends_with("/order/1"));
    }
}

#[tokio::test]
async fn a_ca_without_renewal_information_hears_nothing_of_what_is_replaced() {
    let lab = Lab::new(Script { renewal_info: false, ..Script::default() }).await;
    lab.obtain_replacing(&lab.acme(), "example.com", Some("AQID.BQ")).await;
    assert_eq!(replaced(&lab.ca.requests(Endpoint::NewOrder)), [false]);
}

#[tokio::test]
async fn a_profile_that_is_refused_is_left_out_where_it_is_only_preferred() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let classic = "classic".to_owned();
    let profiles =
        || -> Vec<Value> { lab.ca.requests(Endpoint::NewOrder).iter().map(|it| it["profile"].clone()).collect() };
    lab.ca.next(Endpoint::NewOrder, Reply::problem(400, "invalidProfile", "not today"));
    let wanted = certificate(&["a.example.com"], Some(Profile::Preferred(classic.clone())));
    let id = order(&lab.state, &wanted).await;
    finish(&acme, &lab.state, &wanted).await.unwrap();
    assert_eq!(profiles(), [json!("classic"), Value::Null]);
    assert_eq!(row(&lab.state, &wanted, &id).await.profile, None);

    lab.ca.next(Endpoint::NewOrder, Reply::problem(400, "invalidProfile", "not today"));
    for (name, profile) in [("b.example.com", classic), ("c.example.com", "golden".to_owned())] {
        let wanted = certificate(&[name], Some(Profile::Required(profile)));
        order(&lab.state, &wanted).await;
        let error = finish(&acme, &lab.state, &wanted).await.unwrap_err();
        assert!(matches!(&error, IssuerError::Account { what } if what.contains("profile")), "{error}");
    }
    assert_eq!(profiles().len(), 3, "what is not offered is not asked for");
}

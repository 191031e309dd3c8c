//! Accounts in trouble: what the operator is told, and that none is made anew in silence.

use std::time::Duration;

use renewd::clock::Clock;
use renewd::config::Profile;
use renewd::config::account::Eab;
use renewd::issuer::{Issuer, IssuerError};
use renewd::secret::SecretRef;
use renewd::state::ObstacleKind;
use serde_json::json;

use crate::acme_ca::{Endpoint, Reply, Script};
use crate::lab::Lab;
use crate::peers::folder::Folder;
use crate::world::{certificate, finish};

/// It is the account's trouble, another issuer may help, and these words are told.
fn assert_account(error: &IssuerError, words: &str) {
    assert!(matches!(error, IssuerError::Account { what } if what.contains(words)), "{words}: {error}");
    assert_eq!(error.obstacle(), ObstacleKind::Unavailable);
    assert!(!error.ends_order());
}

#[tokio::test]
async fn an_account_that_is_deactivated_or_forgotten_is_not_made_anew() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    lab.obtain(&acme, "example.com").await;
    assert_eq!(acme.account_url().await.unwrap(), Some(lab.ca.directory_url().replace("/dir", "/account/0")));
    lab.ca.deactivate_accounts();
    for acme in [&acme, &lab.acme()] {
        assert_account(&lab.fail(acme, "a.example.com").await, "deactivated");
        assert_account(&acme.ready_for(&certificate(&["a.example.com"], None)).await.unwrap_err(), "`main`");
    }
    lab.ca.forget();
    for acme in [&acme, &lab.acme()] {
        assert_account(&lab.fail(acme, "a.example.com").await, "registers no other one");
    }
    assert_eq!(lab.count(Endpoint::NewAccount), 1);
}

#[tokio::test]
async fn a_lost_key_is_told_of_and_not_replaced() {
    let lab = Lab::new(Script::default()).await;
    let (url, now) = (lab.ca.directory_url(), Clock::system().now());
    lab.state.add_account("main", &url, b"no key", &[], now).await.unwrap();
    lab.state.account_registered("main", &url, "https://ca.example/acct/7", now).await.unwrap();
    let error = lab.fail(&lab.acme(), "example.com").await;
    assert_account(&error, "https://ca.example/acct/7");
    assert_account(&error, "backup");
    assert_eq!(lab.count(Endpoint::NewAccount), 0);
}

#[tokio::test]
async fn what_the_ca_wants_of_the_operator_is_told() {
    let lab = Lab::new(Script { terms: Some("https://ca.example/terms"), ..Script::default() }).await;
    let acme = lab.acme();
    lab.obtain(&acme, "example.com").await;
    let changed = json!({
        "type": "urn:ietf:params:acme:error:userActionRequired", "detail": "Terms have changed",
        "instance": "https://ca.example/terms/8",
    });
    lab.ca.next(Endpoint::NewOrder, Reply { status: 403, ..Reply::json(&changed) });
    assert_account(&lab.fail(&acme, "a.example.com").await, "https://ca.example/terms/8");
    for (status, kind) in [(429, "rateLimited"), (403, "rateLimited"), (403, "unauthorized")] {
        let words = "Your account is temporarily prevented from requesting certificates for a.example.com. Please visit: \
            https://portal.example/unpause?jwt=x";
        lab.ca.next(Endpoint::NewOrder, Reply::problem(status, kind, words));
        let error = lab.fail(&acme, "a.example.com").await;
        assert!(
            matches!(&error, IssuerError::RateLimited { detail, .. } if detail.contains("unpause?jwt=x")),
            "{error}"
        );
    }
    for (reply, seconds) in [
        (Reply::problem(429, "rateLimited", "slow").with("retry-after", "60"), Some(60)),
        (Reply::problem(503, "rateLimited", "slow").with("retry-after", "61"), Some(61)),
        (Reply::html(503).with("retry-after", "62"), Some(62)),
        (
            Reply::problem(429, "rateLimited", "too many, retry after 2026-11-21 13:30:00 UTC: see x")
                .with("date", "Sat, 21 Nov 2026 13:29:00 GMT"),
            Some(60),
        ),
        (Reply::problem(429, "rateLimited", "slow"), None),
    ] {
        lab.ca.next(Endpoint::NewOrder, reply);
        let error = lab.fail(&acme, "a.example.com").await;
        let IssuerError::RateLimited { retry_after, .. } = &error else { panic!("{error}") };
        assert_eq!(*retry_after, seconds.map(Duration::from_secs), "{error}");
    }
    let mut strict = Lab::new(Script { terms: Some("https://ca.example/terms"), ..Script::default() }).await;
    strict.account.agree_to_terms = false;
    assert_account(&strict.fail(&strict.acme(), "example.com").await, "https://ca.example/terms");
    let lab = Lab::new(Script::default()).await;
    lab.ca.next(Endpoint::NewAccount, Reply::problem(400, "invalidContact", "no such mailbox"));
    assert_account(&lab.fail(&lab.acme(), "example.com").await, "no such mailbox");
    assert_eq!(lab.acme().account_url().await.unwrap(), None);
}

#[tokio::test]
async fn a_binding_that_is_missing_wrong_or_used_is_told_of() {
    let folder = Folder::new("eab");
    let script = || Script { eab: Some(("kid-1", b"secret")), ..Script::default() };
    let mut lab = Lab::new(script()).await;
    assert_account(&lab.fail(&lab.acme(), "example.com").await, "`eab`");
    let bound = |key: &str| Eab { kid: "kid-1".to_owned(), hmac_key: SecretRef::File(folder.write(key, key)) };
    lab.account.eab = Some(bound("d3Jvbmc"));
    assert_account(&lab.fail(&lab.acme(), "example.com").await, "does not verify (is `eab` right");
    lab.account.eab = Some(bound("c2VjcmV0"));
    lab.obtain(&lab.acme(), "example.com").await;
    // The same binding in another state.
    let mut second = Lab::new(Script::default()).await;
    second.account = lab.account.clone();
    assert_account(&second.fail(&second.acme(), "example.com").await, "used already");
}

#[tokio::test]
async fn new_contacts_are_told_to_the_ca_once_and_stop_nothing() {
    let mut lab = Lab::new(Script::default()).await;
    lab.obtain(&lab.acme(), "example.com").await;
    assert_eq!(lab.count(Endpoint::Account), 0);
    lab.account.contact = vec!["mailto:new@example.com".to_owned()];
    lab.ca.next(Endpoint::Account, Reply::problem(400, "invalidContact", "no"));
    for told in ["ops", "new", "new"] {
        lab.obtain(&lab.acme(), "example.com").await;
        assert_eq!(lab.ca.contacts(), [json!([format!("mailto:{told}@example.com")])]);
    }
    assert_eq!(lab.count(Endpoint::Account), 2);
}

#[tokio::test]
async fn whether_it_could_issue_is_known_without_an_order() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let wanted = certificate(&["example.com"], Some(Profile::Required("classic".to_owned())));
    acme.ready_for(&wanted).await.unwrap();
    acme.ready_for(&wanted).await.unwrap();
    let golden = certificate(&["example.com"], Some(Profile::Required("golden".to_owned())));
    assert_account(&acme.ready_for(&golden).await.unwrap_err(), "golden");
    lab.ca.next(Endpoint::Account, Reply::html(500));
    let down = acme.ready_for(&wanted).await.unwrap_err();
    assert!(matches!(down, IssuerError::Unreachable { .. }), "{down}");
    lab.ca.always(Endpoint::Directory, Reply::html(503));
    let down = lab.acme().ready_for(&wanted).await.unwrap_err();
    assert!(matches!(down, IssuerError::Unreachable { .. }), "{down}");
    assert_eq!((lab.count(Endpoint::NewAccount), lab.count(Endpoint::NewOrder)), (1, 0));
    lab.ca.behave();

    let offers = acme.offers().await.unwrap().unwrap();
    assert_eq!(offers.profiles.into_iter().collect::<Vec<_>>(), [("classic".to_owned(), "90 days".to_owned())]);
    assert_eq!(offers.caa_identities, ["fake.example"]);
    assert!(offers.renewal_info && !offers.external_account_required);
    finish(&acme, &lab.state, &lab.order("example.com").await.0).await.unwrap();
}

//! An ACME account against a real Pebble and a real BIND.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "peers/peers.rs"]
mod peers;

#[path = "acme/hostile.rs"]
mod hostile;
#[path = "acme/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use renewd::clock::Clock;
use renewd::config::account::Eab;
use renewd::config::{Account, Profile, Resolver};
use renewd::dns01::Dns01;
use renewd::issuer::{Acme, AcmeSettings, Issuer, IssuerError, RevocationReason};
use renewd::pki::chain::Chain;
use renewd::secret::SecretRef;
use tempfile::TempDir;

use peers::bind::Bind;
use peers::folder::Folder;
use peers::openssl;
use peers::pebble::PebbleOptions;
use world::{World, ZONE, account, certificate, certificate_name, finish, open_state, order, row};

/// Short waits where Pebble would ask for a second.
fn quick() -> PebbleOptions {
    PebbleOptions { retry_after: 0, ..PebbleOptions::default() }
}

#[tokio::test]
async fn an_order_broken_off_anywhere_goes_on_after_a_restart() {
    let world = World::start(quick());
    let wanted = certificate(&["*.example.com", "example.com", "www.example.com"], None);
    let mut state = world.state().await;
    let id = order(&state, &wanted).await;
    let mut breaks = 0;
    // Dropping the future is a crash between two awaits: nothing in memory is left, the state is opened anew.
    for millis in (1..).map(|step| step * 4) {
        let acme = world.acme(&state);
        let broken = tokio::time::timeout(Duration::from_millis(millis), finish(&acme, &state, &wanted)).await;
        drop(acme);
        state.close().await;
        drop(state);
        state = world.state().await;
        match broken {
            Ok(done) => {
                done.unwrap();
                break;
            }
            Err(_) => breaks += 1,
        }
    }
    assert!(breaks >= 3, "only {breaks} breaks");
    let order = row(&state, &wanted, &id).await;
    world.verify(&order);
    assert!(state.owed_txts(&certificate_name(&wanted)).await.unwrap().len() >= 3);
    world.withdraw(&state, &wanted).await;
    let account = state.account("main", &world.account.directory_url).await.unwrap().unwrap();
    assert_eq!(world.pebble.log().matches("There are now 1 accounts in memory").count(), 1);
    assert!(!world.pebble.log().contains("There are now 2 accounts in memory"), "one key, one account");
    assert!(account.url.is_some());
}

#[tokio::test]
async fn half_and_nearly_all_nonces_may_be_refused() {
    for nonce_reject_percent in [50, 90] {
        let world = World::start(PebbleOptions { nonce_reject_percent, ..quick() });
        let state = world.state().await;
        let acme = world.acme(&state);
        world.obtain(&acme, &state, &["*.example.com", "example.com"]).await;
        assert_eq!(world.pebble.order_count(), 1);
        acme.rotate_key().await.unwrap();
    }
}

#[tokio::test]
async fn an_account_is_bound_to_what_the_ca_handed_out() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let mut world = World::start(PebbleOptions { eab: Some(("kid-1".to_owned(), key.to_owned())), ..quick() });
    let (state, folder) = (world.state().await, Folder::new("eab"));
    let wanted = certificate(&["example.com"], None);
    order(&state, &wanted).await;
    let unbound = finish(&world.acme(&state), &state, &wanted).await.unwrap_err();
    assert!(matches!(&unbound, IssuerError::Account { what } if what.contains("`eab`")), "{unbound}");

    for (key, right) in [(key.replace('z', "a"), false), (key.to_owned(), true)] {
        let hmac_key = SecretRef::File(folder.write("hmac", &format!("{key}\n")));
        world.account.eab = Some(Eab { kid: "kid-1".to_owned(), hmac_key });
        match finish(&world.acme(&state), &state, &wanted).await {
            Ok(()) => assert!(right),
            Err(error) => {
                assert!(!right && matches!(error, IssuerError::Account { .. }), "{error}");
                assert!(!error.to_string().contains(&key), "a secret is told: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_is_rotated_whatever_breaks_off_and_a_certificate_revoked() {
    let world = World::start(quick());
    let (state, url) = (world.state().await, world.account.directory_url.clone());
    let acme = world.acme(&state);
    let first = world.obtain(&acme, &state, &["one.example.com"]).await;
    let account = || async { state.account("main", &url).await.unwrap().unwrap() };
    let (before, old) = (account().await, account().await.key(&state).unwrap());
    acme.rotate_key().await.unwrap();
    let new = account().await.key(&state).unwrap();
    assert_ne!(old, new);
    world.obtain(&acme, &state, &["two.example.com"]).await;

    // The CA has the new key, the state does not know: as after a crash behind keyChange.
    state.account_key_replaced("main", &url, &old).await.unwrap();
    state.keep_next_account_key("main", &url, &new).await.unwrap();
    let acme = world.acme(&state);
    world.obtain(&acme, &state, &["three.example.com"]).await;
    assert_eq!(account().await.key(&state).unwrap(), new);

    // The CA has the old key still: as after a crash before keyChange.
    state.keep_next_account_key("main", &url, &old).await.unwrap();
    let acme = world.acme(&state);
    let version = world.version(&state, &first).await;
    acme.revoke(&version, RevocationReason::Superseded).await.unwrap();
    assert_eq!(account().await.key(&state).unwrap(), new);
    assert!(account().await.next_key(&state).unwrap().is_none());
    assert_eq!(account().await.url, before.url);

    let serial = openssl::serial(&Chain::from_pem(&version.chain).unwrap().certificate_pem());
    assert_eq!(world.pebble.certificate_status(&serial), "Revoked");
    assert_eq!(world.pebble.revocation_reason(&serial), Some(4));
    acme.revoke(&version, RevocationReason::Superseded).await.unwrap();
}

#[tokio::test]
async fn what_the_ca_refuses_is_told_in_its_own_words() {
    let world = World::start(PebbleOptions { domain_blocklist: vec!["bad.example.com".to_owned()], ..quick() });
    let state = world.state().await;
    let acme = world.acme(&state);
    let refused = |wanted| async {
        let wanted = wanted;
        order(&state, &wanted).await;
        finish(&acme, &state, &wanted).await.unwrap_err()
    };
    let error = refused(certificate(&["www.bad.example.com"], None)).await;
    assert!(matches!(&error, IssuerError::Refused { detail } if detail.starts_with("rejectedIdentifier: ")), "{error}");
    assert!(error.ends_order());
    let error = refused(certificate(&["a.example.com"], Some(Profile::Required("golden".to_owned())))).await;
    assert!(error.to_string().contains("does not offer the profile `golden`"), "{error}");
    assert!(error.to_string().contains("[default, shortlived]"), "{error}");

    for (profile, sent) in [("golden", None), ("shortlived", Some("shortlived"))] {
        let wanted = certificate(&[&format!("{profile}.example.com")], Some(Profile::Preferred(profile.to_owned())));
        let id = order(&state, &wanted).await;
        finish(&acme, &state, &wanted).await.unwrap();
        let order = row(&state, &wanted, &id).await;
        assert_eq!(order.profile.as_deref(), sent);
        world.withdraw(&state, &wanted).await;
    }
}

#[tokio::test]
async fn a_failed_validation_is_told_in_the_ca_s_own_words() {
    let elsewhere = Bind::start(&[ZONE]);
    let world = World::start_asking(Some(elsewhere.address()), quick());
    let state = world.state().await;
    let wanted = certificate(&["example.com"], None);
    order(&state, &wanted).await;
    let error = finish(&world.acme(&state), &state, &wanted).await.unwrap_err();
    let IssuerError::Refused { detail } = &error else { panic!("{error}") };
    assert!(detail.starts_with("`example.com`: ") && detail.contains("_acme-challenge.example.com"), "{detail}");
    assert_eq!(state.owed_txts("example.com").await.unwrap().len(), 1, "the value is owed a withdrawal");
    world.withdraw(&state, &wanted).await;
}

#[tokio::test]
async fn an_account_that_the_ca_forgot_is_not_made_anew() {
    let mut world = World::start(quick());
    let state = world.state().await;
    let acme = world.acme(&state);
    world.obtain(&acme, &state, &["example.com"]).await;
    let wanted = certificate(&["www.example.com"], None);
    order(&state, &wanted).await;
    world.pebble.stop();
    let down = finish(&acme, &state, &wanted).await.unwrap_err();
    assert!(matches!(down, IssuerError::Unreachable { .. }), "{down}");
    world.pebble.start_again();
    for acme in [acme, world.acme(&state)] {
        let error = finish(&acme, &state, &wanted).await.unwrap_err();
        assert!(matches!(&error, IssuerError::Account { what } if what.contains("`main`")), "{error}");
    }
    assert_eq!(world.pebble.order_count(), 1);
    let log = world.pebble.log();
    assert!(!log.contains("There are now 2 accounts in memory"), "{log}");
    assert_eq!(log.matches("There are now 1 accounts in memory").count(), 1);
}

#[tokio::test]
async fn values_that_never_appear_keep_the_order_for_a_better_day() {
    let mut world = World::start(quick());
    let stale = Bind::start(&[ZONE]);
    let patient = world.propagation.clone();
    world.propagation.servers = vec![stale.address()];
    world.propagation.timeout = Duration::from_millis(1500);
    let state = world.state().await;
    let wanted = certificate(&["*.example.com", "example.com"], None);
    let id = order(&state, &wanted).await;
    let error = finish(&world.acme(&state), &state, &wanted).await.unwrap_err();
    let IssuerError::Dns { detail, temporary: true, .. } = &error else { panic!("{error}") };
    assert!(detail.contains(&stale.address().to_string()) && !error.ends_order(), "{detail}");
    let before = row(&state, &wanted, &id).await;
    assert!(before.presented_at.is_some() && before.url.is_some());
    // The worker withdraws meanwhile: the next attempt presents again, and owes again.
    world.withdraw(&state, &wanted).await;

    world.propagation = patient;
    finish(&world.acme(&state), &state, &wanted).await.unwrap();
    let after = row(&state, &wanted, &id).await;
    assert_eq!(after.url, before.url);
    assert_eq!(state.owed_txts("*.example.com").await.unwrap().len(), 2);
    world.withdraw(&state, &wanted).await;
    assert_eq!(world.pebble.order_count(), 1);
    let elsewhere = AcmeSettings { name: "main".to_owned(), account: account("https://other.example/dir", None) };
    let elsewhere = Acme::new(elsewhere, state.clone(), world.dns01(), Clock::system());
    let gone = elsewhere.advance(&before, &wanted).await.unwrap_err();
    assert!(matches!(gone, IssuerError::OrderGone { .. }), "{gone}");
}

#[tokio::test]
async fn a_directory_that_answers_nonsense_is_told_of() {
    let html = || "<html>sorry</html>".to_owned();
    type Fits = fn(&IssuerError) -> bool;
    let cases: [(&str, String, Fits); 5] = [
        (
            "503 Busy\r\nretry-after: 7\r\ncontent-type: text/html",
            html(),
            |error| matches!(error, IssuerError::RateLimited { retry_after: Some(wait), .. } if *wait == Duration::from_secs(7)),
        ),
        ("500 Broken\r\ncontent-type: text/html", html(), |error| error.to_string().contains("HTTP 500")),
        ("200 OK\r\ncontent-type: text/html", html(), |error| error.to_string().contains("not ACME")),
        ("302 Found\r\nlocation: http://169.254.169.254/", html(), |error| error.to_string().contains("not followed")),
        ("200 OK\r\ncontent-type: application/json", " ".repeat(10 << 20), |error| {
            error.to_string().contains("more than 1048576 bytes")
        }),
    ];
    for (head, body, fits) in cases {
        let directory = TempDir::new().unwrap();
        let state = open_state(&directory).await;
        let wanted = certificate(&["example.com"], None);
        order(&state, &wanted).await;
        let acme = lonely(account(&hostile::answering(head, body), None), &state);
        let error = finish(&acme, &state, &wanted).await.unwrap_err();
        assert!(fits(&error) && !error.ends_order(), "{head}: {error}");
    }
}

/// An account without any DNS.
fn lonely(account: Account, state: &renewd::state::State) -> Acme {
    let resolver = Resolver { servers: Vec::new(), authoritative_port: 53 };
    let dns01 = Arc::new(Dns01::new(Vec::new(), &resolver, Arc::new(world::NoRegistrations)).unwrap());
    Acme::new(AcmeSettings { name: "main".to_owned(), account }, state.clone(), dns01, Clock::system())
}

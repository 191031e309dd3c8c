//! Orders: from open to done or failed.

use renewd::clock::Timestamp;
use renewd::state::ObstacleKind;
use renewd::state::certificate::Standing;
use renewd::state::{CertificateState, OrderState, State};

use super::place::{MINUTE, NOW, enlist, new_version, order, private_key};

pub(super) async fn an_order_from_open_to_done(state: &State) {
    enlist(state, &["a"]).await;
    let key = private_key();
    let made = order(state, "a", &key).await;
    assert_eq!((made.certificate.as_str(), made.issuer.as_str(), made.reason.as_str()), ("a", "ca", "{}"));
    assert_eq!(made.names, ["a", "*.a"]);
    assert_eq!((made.key_type.as_str(), made.profile.as_deref()), ("ecdsa-p256", Some("short")));
    assert_eq!((made.state, made.next_step_at, made.created_at), (OrderState::Open, NOW, NOW));
    assert_eq!((&made.url, &made.chain, made.presented_at, made.finished_at), (&None, &None, None, None));
    assert_eq!(*made.key(state).unwrap(), key);

    state.order_made(&made.id, "https://ca.test/", "https://ca.test/1", None, NOW).await.unwrap();
    state.order_presented(&made.id, NOW.plus(MINUTE)).await.unwrap();
    state.order_presented(&made.id, NOW.plus(MINUTE * 2)).await.unwrap();
    state.order_waits(&made.id, NOW.plus(MINUTE * 3)).await.unwrap();
    state.order_issued(&made.id, "PEM", NOW).await.unwrap();
    let row = state.open_order("a").await.unwrap().unwrap();
    assert_eq!(
        (row.directory_url.as_deref(), row.url.as_deref()),
        (Some("https://ca.test/"), Some("https://ca.test/1"))
    );
    assert_eq!(row.profile, None, "the CA has no such profile");
    assert_eq!(row.presented_at, Some(NOW.plus(MINUTE)), "the first time counts");
    assert_eq!((row.next_step_at, row.chain.as_deref()), (NOW.plus(MINUTE * 3), Some("PEM")));

    state.add_version(&new_version("a", &key, &[]), Some(&row), NOW.plus(MINUTE * 4)).await.unwrap();
    assert!(state.open_order("a").await.unwrap().is_none());
    let done = state.orders("a", 5).await.unwrap().remove(0);
    assert_eq!((done.state, done.finished_at, done.error), (OrderState::Done, Some(NOW.plus(MINUTE * 4)), None));
}

pub(super) async fn trouble_is_remembered_on_the_certificate(state: &State) {
    enlist(state, &["a", "b"]).await;
    let first = order(state, "a", b"1").await;
    state
        .order_troubled(&first, ObstacleKind::Operator, "a CNAME is missing", Some("publish it"), NOW, MINUTE)
        .await
        .unwrap();
    let row = state.open_order("a").await.unwrap().unwrap();
    assert_eq!((row.waits_for.as_deref(), row.next_step_at), (Some("publish it"), NOW.plus(MINUTE)));
    state.order_waits(&first.id, NOW).await.unwrap();
    assert_eq!(state.open_order("a").await.unwrap().unwrap().waits_for, None);

    state.order_failed(&first, ObstacleKind::Refused, "refused", NOW.plus(MINUTE), MINUTE * 5).await.unwrap();
    let certificate = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((certificate.failures, certificate.retry_at), (2, NOW.plus(MINUTE * 6)));
    assert_eq!(certificate.last_error.as_deref(), Some("refused"));
    assert_eq!(certificate.last_error_at, Some(NOW.plus(MINUTE)));

    let second = order(state, "a", b"2").await;
    state.order_abandoned(&second.id, "the config changed", NOW).await.unwrap();
    assert_eq!(state.certificate("a").await.unwrap().unwrap().failures, 2, "an order given up is no failure");
    let orders = state.orders("a", 5).await.unwrap();
    let told: Vec<_> = orders.iter().map(|order| (order.state, order.error.as_deref())).collect();
    let failed = |why| (OrderState::Failed, Some(why));
    assert_eq!(told, [failed("the config changed"), failed("refused")], "newest first");
    assert_eq!(state.orders("a", 1).await.unwrap().len(), 1);

    let untouched = state.certificate("b").await.unwrap().unwrap();
    assert_eq!((untouched.failures, untouched.retry_at), (0, Timestamp::EPOCH));
    assert!(state.open_order("b").await.unwrap().is_none());
}

pub(super) async fn company_is_what_may_soon_be_issued(state: &State) {
    enlist(state, &["me", "ordering", "new", "asks", "failed"]).await;
    for name in ["ordering", "asks", "me"] {
        let order = order(state, name, b"key").await;
        if name == "asks" {
            state.order_troubled(&order, ObstacleKind::Operator, "no", Some("do this"), NOW, MINUTE).await.unwrap();
        }
    }
    let failed = Standing {
        state: CertificateState::Pending,
        problem: Some("no".into()),
        look_again_at: NOW.plus(MINUTE),
        attempts_left: None,
        too_few: false,
    };
    state.put_down("failed", NOW, &failed).await.unwrap();
    let mut company = state.on_their_way("me").await.unwrap();
    company.sort();
    assert_eq!(company, ["new", "ordering"]);
}

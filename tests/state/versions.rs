//! Versions: the one transaction in which an order becomes a certificate.

use renewd::clock::Timestamp;
use renewd::state::ObstacleKind;
use renewd::state::{OrderState, State};

use super::place::{MINUTE, NOW, certified, enlist, execute, new_version, order, private_key};

pub(super) async fn one_transaction(state: &State) {
    enlist(state, &["a"]).await;
    let key = private_key();
    let troubled = order(state, "a", &key).await;
    state.order_failed(&troubled, ObstacleKind::Refused, "no", NOW, MINUTE).await.unwrap();
    let order = order(state, "a", &key).await;
    let new = new_version("a", &key, &[("disk", "a"), ("vault", "")]);
    let id = state.add_version(&new, Some(&order), NOW.plus(MINUTE)).await.unwrap();

    let version = state.version(&id).await.unwrap().unwrap();
    assert_eq!((version.certificate.as_str(), version.number, version.jitter), ("a", 1, 999_999));
    assert_eq!(version.order_id.as_deref(), Some(order.id.as_str()));
    assert_eq!((version.issuer.as_str(), version.serial.as_str(), version.chain.as_str()), ("ca", "0a", "PEM"));
    assert_eq!(version.directory_url.as_deref(), Some("https://ca.test/directory"));
    assert_eq!(version.order_url.as_deref(), Some("https://ca.test/order/1"));
    assert_eq!((&version.profile, version.names.as_slice()), (&None, ["a".to_owned()].as_slice()));
    assert_eq!((version.not_before, version.not_after), (NOW, NOW.plus(MINUTE * 60)));
    assert_eq!((version.created_at, version.revoked_at, version.not_replaced), (NOW.plus(MINUTE), None, false));
    assert_eq!(*version.key(state).unwrap(), key);

    let certificate = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((certificate.version_id, certificate.not_after), (Some(id.clone()), Some(version.not_after)));
    assert_eq!((certificate.failures, certificate.retry_at), (0, Timestamp::EPOCH), "failures are forgotten");
    assert_eq!((certificate.last_error, certificate.last_error_at), (None, None));
    assert_eq!(state.orders("a", 1).await.unwrap()[0].state, OrderState::Done);
    let deliveries = state.deliveries(&id).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries.iter().all(|row| !row.stored && row.retry_at == Timestamp::EPOCH && row.failures == 0));
}

pub(super) async fn nothing_is_written_where_a_part_fails(state: &State) {
    enlist(state, &["a"]).await;
    let order = order(state, "a", b"key").await;
    execute(state, "ALTER TABLE delivery RENAME TO gone").await;
    let new = new_version("a", b"key", &[("disk", "a")]);
    state.add_version(&new, Some(&order), NOW).await.unwrap_err();
    execute(state, "ALTER TABLE gone RENAME TO delivery").await;
    assert!(state.versions("a").await.unwrap().is_empty());
    assert_eq!(state.open_order("a").await.unwrap().unwrap().id, order.id);
    assert_eq!(state.certificate("a").await.unwrap().unwrap().version_id, None);
    state.add_version(&new, Some(&order), NOW).await.unwrap();
    assert_eq!(state.versions("a").await.unwrap()[0].number, 1);
}

pub(super) async fn numbers_rise(state: &State) {
    enlist(state, &["a", "b"]).await;
    for (least, number) in [(1, 1), (1, 2), (7, 7), (3, 8)] {
        let mut new = new_version("a", b"key", &[]);
        new.number_at_least = least;
        let id = state.add_version(&new, None, NOW).await.unwrap();
        assert_eq!(state.version(&id).await.unwrap().unwrap().number, number);
        assert_eq!(state.certificate("a").await.unwrap().unwrap().version_id, Some(id));
    }
    let numbers: Vec<_> = state.versions("a").await.unwrap().iter().map(|version| version.number).collect();
    assert_eq!(numbers, [8, 7, 2, 1], "newest first");
    assert!(state.versions("b").await.unwrap().is_empty());
    assert!(state.version("no").await.unwrap().is_none());
}

pub(super) async fn adopted_ones_are_stored_already(state: &State) {
    enlist(state, &["a"]).await;
    let new = renewd::state::version::NewVersion { adopted: true, ..new_version("a", b"key", &[("disk", "a")]) };
    let id = state.add_version(&new, None, NOW).await.unwrap();
    let delivery = state.deliveries(&id).await.unwrap().remove(0);
    assert_eq!((delivery.stored, delivery.stored_at), (true, Some(NOW)));
    assert_eq!(state.version(&id).await.unwrap().unwrap().order_id, None);
}

pub(super) async fn revoked(state: &State) {
    for (name, replace) in [("a", true), ("b", false)] {
        let id = certified(state, name, &[]).await;
        state.version_revoked(&id, "superseded", replace, NOW.plus(MINUTE)).await.unwrap();
        let version = state.version(&id).await.unwrap().unwrap();
        assert_eq!((version.revoked_at, version.not_replaced), (Some(NOW.plus(MINUTE)), !replace));
        assert_eq!(version.revocation_reason.as_deref(), Some("superseded"));
    }
}

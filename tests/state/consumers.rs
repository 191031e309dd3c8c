//! What is owed to others: deliveries, deployments, TXT values.

use renewd::clock::Timestamp;
use renewd::state::deployment::DeploymentKey;
use renewd::state::txt::NewTxt;
use renewd::state::{DeploymentKind, State};

use super::place::{MINUTE, NOW, certified, new_version};

pub(super) async fn deliveries_stand_alone(state: &State) {
    let id = certified(state, "a", &[("disk", "a"), ("vault", "")]).await;
    let disk = async || state.deliveries(&id).await.unwrap().into_iter().find(|row| row.store == "disk").unwrap();
    state.delivery_failed(&disk().await, "full", NOW, MINUTE).await.unwrap();
    state.delivery_failed(&disk().await, "still full", NOW, MINUTE * 2).await.unwrap();
    let row = disk().await;
    assert_eq!((row.certificate.as_str(), row.version_id.as_str(), row.node.as_str()), ("a", id.as_str(), "a"));
    assert_eq!((row.failures, row.retry_at, row.error.as_deref()), (2, NOW.plus(MINUTE * 2), Some("still full")));
    let vault = state.deliveries(&id).await.unwrap().into_iter().find(|row| row.store == "vault").unwrap();
    assert_eq!((vault.failures, vault.error), (0, None), "one store's failure is no other's");

    state.delivered(&id, "disk", "a", NOW.plus(MINUTE)).await.unwrap();
    let row = disk().await;
    assert_eq!((row.stored, row.stored_at, row.failures, row.error), (true, Some(NOW.plus(MINUTE)), 0, None));
    let mut counts = state.count_deliveries().await.unwrap();
    counts.sort();
    assert_eq!(counts, [("disk".to_owned(), true, 1), ("vault".to_owned(), false, 1)]);
    state.redeliver(&id, "disk", "a").await.unwrap();
    assert!(!disk().await.stored);

    state.add_delivery(&id, "a", "third", "a").await.unwrap();
    state.delivered(&id, "third", "a", NOW).await.unwrap();
    state.add_delivery(&id, "a", "third", "a").await.unwrap();
    let third = state.deliveries(&id).await.unwrap().into_iter().find(|row| row.store == "third").unwrap();
    assert!(third.stored, "one that stands already stays");
}

pub(super) async fn rows_of_other_nodes_are_left_alone(state: &State) {
    let id = certified(state, "a", &[("disk", "a"), ("disk", "b"), ("vault", "")]).await;
    let places: Vec<_> =
        state.deliveries(&id).await.unwrap().into_iter().map(|row| format!("{}@{}", row.store, row.node)).collect();
    assert!(!places.contains(&"disk@b".to_owned()) && places.len() == 2, "{places:?}");
    for (store, node) in [("disk", "a"), ("disk", "b"), ("vault", "")] {
        state.delivered(&id, store, node, NOW).await.unwrap();
    }
    certified(state, "b", &[("disk", "a")]).await;
    let second = certified(state, "c", &[("disk", "a")]).await;
    state.delivered(&second, "disk", "a", NOW).await.unwrap();
    let (mut after, mut seen) = ((String::new(), String::new()), Vec::new());
    while let Some(row) = state.stored_deliveries((&after.0, &after.1), 1).await.unwrap().pop() {
        seen.push(format!("{} {}@{}", row.certificate, row.store, row.node));
        after = (row.certificate, row.store);
    }
    assert_eq!(seen, ["a disk@a", "a vault@", "c disk@a"]);
    // An older version is of no interest.
    state.add_version(&new_version("c", b"key", &[]), None, NOW).await.unwrap();
    assert_eq!(state.stored_deliveries(("b", ""), 9).await.unwrap().len(), 0);
}

pub(super) async fn deployments_are_gathered_by_command(state: &State) {
    let (a, b) = (certified(state, "a", &[]).await, certified(state, "b", &[]).await);
    let key = |version_id, kind, target| DeploymentKey { version_id, kind, target };
    let reload = |version_id| key(version_id, DeploymentKind::Command, "reload");
    for (version, name) in [(&b, "b"), (&a, "a")] {
        state.add_deployment(reload(version), name, NOW).await.unwrap();
    }
    state.add_deployment(reload(&a), "a", NOW.plus(MINUTE)).await.unwrap();
    state.add_deployment(key(&a, DeploymentKind::Verify, "reload"), "a", NOW).await.unwrap();
    state.add_deployment(key(&a, DeploymentKind::Command, "other"), "a", NOW).await.unwrap();
    let awaiting = state.deployments_awaiting("reload").await.unwrap();
    let names: Vec<_> = awaiting.iter().map(|row| (row.certificate.as_str(), row.due_since)).collect();
    assert_eq!(names, [("a", NOW), ("b", NOW)]);

    let both = [reload(&a), reload(&b)];
    state.deployments_failed(&both, "exit 1", NOW, MINUTE).await.unwrap();
    state.deployments_failed(&both[..1], "exit 2", NOW, MINUTE * 2).await.unwrap();
    let row = state.deployments_awaiting("reload").await.unwrap().remove(0);
    assert_eq!((row.failures, row.retry_at, row.error.as_deref()), (2, NOW.plus(MINUTE * 2), Some("exit 2")));
    assert_eq!((row.kind, row.target.as_str(), row.done), (DeploymentKind::Command, "reload", false));
    state.deployments_done(&both, NOW.plus(MINUTE)).await.unwrap();
    assert!(state.deployments_awaiting("reload").await.unwrap().is_empty());
    let rows = state.deployments(&a).await.unwrap();
    let done: Vec<_> = rows.iter().filter(|row| row.done).collect();
    assert_eq!((rows.len(), done.len()), (3, 1));
    assert_eq!((done[0].done_at, done[0].failures, &done[0].error), (Some(NOW.plus(MINUTE)), 0, &None));

    state.redeploy(&a, NOW.plus(MINUTE * 9)).await.unwrap();
    let rows = state.deployments(&a).await.unwrap();
    assert!(rows.iter().all(|row| !row.done && row.due_since == NOW.plus(MINUTE * 9)));
    assert!(state.deployments(&b).await.unwrap()[0].done);
}

pub(super) async fn txts_are_owed_until_withdrawn(state: &State) {
    let txt = |order_id, value| NewTxt {
        order_id,
        certificate: "a",
        instance: "main",
        zone: "a.test",
        name: "_acme-challenge.a.test",
        value,
        challenge_name: "_acme-challenge.www.test",
    };
    state.add_txts(&[txt("1", "x"), txt("1", "y"), txt("2", "x")], NOW).await.unwrap();
    let owed = state.owed_txts("a").await.unwrap();
    let pairs: Vec<_> = owed.iter().map(|row| (row.order_id.as_str(), row.value.as_str())).collect();
    assert_eq!(pairs, [("1", "x"), ("1", "y"), ("2", "x")]);
    assert_eq!((owed[0].instance.as_str(), owed[0].zone.as_str()), ("main", "a.test"));
    assert_eq!(owed[0].name, "_acme-challenge.a.test");
    assert_eq!(owed[0].challenge_name, "_acme-challenge.www.test");
    assert_eq!(state.count_owed_txts().await.unwrap(), 3);
    assert!(state.owed_txts("b").await.unwrap().is_empty());

    state.txt_withdrawal_failed(&owed[0].id, "down", NOW, MINUTE).await.unwrap();
    let row = state.owed_txts("a").await.unwrap().remove(0);
    assert_eq!((row.failures, row.retry_at, row.error.as_deref()), (1, NOW.plus(MINUTE), Some("down")));
    state.txts_withdrawn(&[owed[0].id.clone(), owed[2].id.clone()], NOW).await.unwrap();
    assert_eq!(state.owed_txts("a").await.unwrap().len(), 1);

    state.add_txts(&[txt("1", "x")], NOW).await.unwrap();
    let again = state.owed_txts("a").await.unwrap().remove(0);
    assert_eq!(again.id, owed[0].id, "the same row, owed again");
    assert_eq!((again.failures, again.retry_at, again.error), (0, Timestamp::EPOCH, None));
}

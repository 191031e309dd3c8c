//! Certificates: order, wishes, numbers.

use std::time::Duration;

use futures_util::FutureExt as _;
use renewd::clock::Timestamp;
use renewd::state::ObstacleKind;
use renewd::state::certificate::{Standing, Tally};
use renewd::state::{CertificateState, State};

use super::place::{MINUTE, NOW, certified, enlist, execute, new_version, order};

fn standing(state: CertificateState, look_again_at: Timestamp) -> Standing {
    Standing { state, problem: None, look_again_at, attempts_left: None, too_few: false }
}

async fn look_again_at(state: &State, name: &str) -> Timestamp {
    state.certificate(name).await.unwrap().unwrap().look_again_at
}

/// A human order would put `ab` first and take `-`, `.` and `_` for less than they are.
pub(super) async fn texts_compare_in_c_order(state: &State) {
    let names = ["*.z.test", "a-c.test", "a.b.test", "a.c.test", "a_a.test", "ab.test"];
    let mut shuffled = names;
    shuffled.reverse();
    enlist(state, &shuffled).await;
    let mut found = Vec::new();
    let mut after = String::new();
    while let Some(row) = state.certificates(&after, 2).await.unwrap().pop() {
        found.extend(state.certificates(&after, 2).await.unwrap().into_iter().map(|row| row.name));
        after = row.name;
    }
    assert_eq!(found, names);
    assert_eq!(state.due(NOW, 100).await.unwrap(), names);
    assert_eq!(state.certificates("a.", 1).await.unwrap()[0].name, "a.b.test");
}

pub(super) async fn what_is_due_comes_by_need_and_what_is_new_takes_turns(state: &State) {
    enlist(state, &["new", "newer", "late", "soon", "resting"]).await;
    let ends = [("late", 50), ("soon", 5), ("resting", 1)];
    for (name, minutes) in ends {
        let mut version = new_version(name, b"key", &[]);
        version.not_after = NOW.plus(MINUTE * minutes);
        state.add_version(&version, None, NOW).await.unwrap();
    }
    state.put_down("resting", NOW, &standing(CertificateState::Stored, NOW.plus(MINUTE))).await.unwrap();
    assert_eq!(state.due(NOW, 10).await.unwrap(), ["new", "soon", "newer", "late"]);
    assert_eq!(state.due(NOW, 2).await.unwrap(), ["new", "soon"]);
    assert_eq!(state.due(NOW.minus(Duration::from_millis(1)), 10).await.unwrap(), [""; 0]);
    assert_eq!(state.next_due(NOW).await.unwrap(), Some(NOW.plus(MINUTE)));
    assert_eq!(state.next_due(NOW.plus(MINUTE)).await.unwrap(), None);
    assert_eq!(state.due(NOW.plus(MINUTE), 10).await.unwrap(), ["new", "resting", "newer", "soon", "late"]);
    let expiries = state.expiries(2).await.unwrap();
    let expected = [("resting", 1), ("soon", 5)].map(|(name, minutes)| (name.to_owned(), NOW.plus(MINUTE * minutes)));
    assert_eq!(expiries, expected.into());
}

pub(super) async fn putting_down_never_hides_a_wish(state: &State) {
    enlist(state, &["a"]).await;
    let far = NOW.plus(MINUTE * 1000);
    let mut troubled = standing(CertificateState::Ordering, far);
    troubled.problem = Some("it rains".to_owned());
    state.put_down("a", NOW, &troubled).await.unwrap();
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.state, row.problem.as_deref()), (CertificateState::Ordering, Some("it rains")));
    assert_eq!(row.look_again_at, far);

    // Somebody asks in the very millisecond in which the certificate was due.
    let later = NOW.plus(MINUTE);
    for now in [later, later] {
        state.look_now("a", now).await.unwrap();
    }
    let seen = look_again_at(state, "a").await;
    assert!(seen <= later);
    state.look_now("a", seen).await.unwrap();
    state.put_down("a", seen, &standing(CertificateState::Stored, far)).await.unwrap();
    let row = state.certificate("a").await.unwrap().unwrap();
    assert!(row.look_again_at < seen, "the wish came after the look and stays");
    assert_eq!((row.state, row.problem), (CertificateState::Stored, None), "what was found out is kept all the same");
}

/// Whoever comes first, the certificate is due in the end.
pub(super) async fn wishes_and_putting_down_race(state: &State) {
    enlist(state, &["a"]).await;
    let far = NOW.plus(MINUTE * 1_000_000);
    for round in 1..=40 {
        let now = NOW.plus(MINUTE * round);
        state.look_now("a", now).await.unwrap();
        let seen = look_again_at(state, "a").await;
        let wish = state.look_now("a", now);
        let rest = standing(CertificateState::Stored, far);
        let down = state.put_down("a", seen, &rest);
        // `join` polls its first side first: each gets its chance.
        let (first, second) = if round % 2 == 0 {
            tokio::join!(wish, down)
        } else {
            let (down, wish) = tokio::join!(down, wish);
            (wish, down)
        };
        first.and(second).unwrap();
        assert_eq!(state.due(now, 1).await.unwrap(), ["a"], "round {round}");
    }
}

pub(super) async fn retired_and_back(state: &State) {
    let version = certified(state, "a", &[]).await;
    assert_eq!(state.definitions().await.unwrap(), [("a".to_owned(), "definition".to_owned(), false)]);
    let mut write = state.begin().await.unwrap();
    state.retire(&mut write, "a", NOW.plus(MINUTE)).await.unwrap();
    write.commit().await.unwrap();
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.state, row.retired_at), (CertificateState::Retired, Some(NOW.plus(MINUTE))));
    assert_eq!(row.look_again_at, NOW.plus(MINUTE), "its order is to be given up, its TXT values withdrawn");
    assert!(state.definitions().await.unwrap()[0].2);
    assert!(state.expiries(10).await.unwrap().is_empty());

    let mut write = state.begin().await.unwrap();
    state.enlist(&mut write, "a", "another", NOW.plus(MINUTE * 2)).await.unwrap();
    drop(write);
    assert!(state.certificate("a").await.unwrap().unwrap().retired_at.is_some(), "nothing is there before commit");
    let mut write = state.begin().await.unwrap();
    state.enlist(&mut write, "a", "another", NOW.plus(MINUTE * 2)).await.unwrap();
    write.commit().await.unwrap();
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.definition.as_str(), row.retired_at), ("another", None));
    assert_eq!((row.look_again_at, row.created_at), (NOW.plus(MINUTE * 2), NOW));
    assert_eq!(row.version_id, Some(version), "it goes on with the version that it has");
}

pub(super) async fn counted(state: &State) {
    assert_eq!(state.tally(NOW).await.unwrap(), Tally::default());
    certified(state, "good", &[]).await;
    certified(state, "gone", &[]).await;
    enlist(state, &["new", "failing"]).await;
    let failing = order(state, "failing", b"key").await;
    state.order_failed(&failing, ObstacleKind::Refused, "no", NOW, MINUTE).await.unwrap();
    let problem = Standing { problem: Some("no".into()), ..standing(CertificateState::Waiting, NOW) };
    state.put_down("failing", NOW, &problem).await.unwrap();
    let mut write = state.begin().await.unwrap();
    state.retire(&mut write, "gone", NOW).await.unwrap();
    write.commit().await.unwrap();
    let tally = Tally { managed: 3, troubled: 1, without: 2, failing: 1, expired: 0 };
    assert_eq!(state.tally(NOW).await.unwrap(), tally);
    let expired = Tally { without: 3, expired: 1, ..tally };
    assert_eq!(state.tally(NOW.plus(MINUTE * 60)).await.unwrap(), expired);
}

pub(super) async fn facts_are_noted(state: &State) {
    enlist(state, &["a"]).await;
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.state, row.inspected, row.failures), (CertificateState::Pending, false, 0));
    assert_eq!((row.created_at, row.look_again_at, row.retry_at), (NOW, NOW, Timestamp::EPOCH));
    assert!(state.certificate("b").await.unwrap().is_none());

    state.inspected("a").await.unwrap();
    let failing = order(state, "a", b"key").await;
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.state, row.inspected), (CertificateState::Ordering, true));
    assert_eq!((row.reason.as_deref(), row.decided_at), (Some("{}"), Some(NOW)));

    state.order_failed(&failing, ObstacleKind::Refused, "no", NOW, MINUTE).await.unwrap();
    state.forget_backoff("a").await.unwrap();
    let row = state.certificate("a").await.unwrap().unwrap();
    assert_eq!((row.retry_at, row.failures), (Timestamp::EPOCH, 1), "how often it failed is not forgotten");
}

pub(super) async fn what_is_in_trouble_is_tried_again(state: &State) {
    let version = certified(state, "a", &[("disk", "a")]).await;
    certified(state, "well", &[]).await;
    enlist(state, &["asks"]).await;
    let waiting = order(state, "asks", b"key").await;
    state
        .order_troubled(&waiting, ObstacleKind::Operator, "no", Some("publish a CNAME"), NOW, MINUTE * 9)
        .await
        .unwrap();
    let delivery = state.deliveries(&version).await.unwrap().remove(0);
    state.delivery_failed(&delivery, "full", NOW, MINUTE * 9).await.unwrap();
    let far = NOW.plus(MINUTE * 9);
    let problem = Standing { problem: Some("full".into()), ..standing(CertificateState::Issued, far) };
    state.put_down("a", NOW, &problem).await.unwrap();
    state.put_down("well", NOW, &standing(CertificateState::Stored, far)).await.unwrap();

    let later = NOW.plus(MINUTE);
    let woken = state.woken();
    tokio::pin!(woken);
    woken.as_mut().enable();
    state.retry_troubled(later).await.unwrap();
    assert!(woken.now_or_never().is_some(), "the loop is woken");
    assert_eq!(look_again_at(state, "a").await, later);
    assert_eq!(look_again_at(state, "well").await, far);
    assert_eq!(state.deliveries(&version).await.unwrap()[0].retry_at, Timestamp::EPOCH);
    assert_eq!(state.open_order("asks").await.unwrap().unwrap().next_step_at, later);
    assert_eq!(state.certificate("asks").await.unwrap().unwrap().failures, 1, "backoff at the CA stays");
}

pub(super) async fn the_highest_time_is_kept(state: &State) {
    state.ping().await.unwrap();
    assert_eq!(state.highest_time().await.unwrap(), None);
    for time in [NOW, NOW.plus(MINUTE)] {
        state.remember_time(time).await.unwrap();
        assert_eq!(state.highest_time().await.unwrap(), Some(time));
    }
    execute(state, "UPDATE meta SET value = 'no number' WHERE name = 'highest_time'").await;
    assert_eq!(state.highest_time().await.unwrap(), None, "a damaged one stops nothing");
}

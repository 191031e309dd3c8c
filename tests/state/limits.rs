//! What is taken of a CA's limits, and what is held back.

use std::time::Duration;

use renewd::config::{Limit, Limits};
use renewd::state::order::{Added, NewOrder};
use renewd::state::{Claim, ObstacleKind, SpentKind, State};

use super::place::{MINUTE, NOW, certified, enlist, new_order, private_key};

fn orders(most: u32) -> Claim {
    Claim::of(SpentKind::Order, String::new(), Some(Limit { most, within: MINUTE * 60 }))
}

async fn ask(state: &State, name: &str, claim: &Claim, after: u32) -> Added {
    let now = NOW.plus(MINUTE * after);
    state.add_order(&new_order(name, &private_key()), std::slice::from_ref(claim), now).await.unwrap()
}

pub(super) async fn a_limit_is_kept_and_says_until_when(state: &State) {
    enlist(state, &["a", "b", "c", "d"]).await;
    let claim = orders(2);
    assert!(matches!(ask(state, "a", &claim, 0).await, Added::Order(_)));
    assert!(matches!(ask(state, "b", &claim, 10).await, Added::Order(_)));
    let Added::Held(held) = ask(state, "c", &claim, 20).await else { panic!("the limit is broken") };
    assert_eq!(held.until, NOW.plus(MINUTE * 60));
    assert!(held.why.contains("2 per 1h new orders"), "{}", held.why);
    let Added::Held(later) = ask(state, "d", &claim, 20).await else { panic!("the limit is broken") };
    assert_eq!(later.until, NOW.plus(MINUTE * 70), "each has a time of its own");
    let obstacle = &state.obstacles("c").await.unwrap()[0];
    assert_eq!((obstacle.kind, obstacle.failures, obstacle.retry_at), (ObstacleKind::Held, 0, held.until));
    assert!(state.open_order("c").await.unwrap().is_none());
    assert!(matches!(ask(state, "c", &claim, 60).await, Added::Order(_)));
}

/// Of two kinds, one comes before the other, and both want more than there is.
pub(super) async fn a_quarter_is_kept_for_the_other_kind_and_all_is_taken(state: &State) {
    for number in 0..30 {
        enlist(state, &[&format!("new{number}")]).await;
        certified(state, &format!("old{number}"), &[]).await;
    }
    let claim = orders(8);
    let come = async |kind: &str, numbers: std::ops::Range<u32>, after: u32| {
        let mut ordered = 0;
        for number in numbers {
            ordered +=
                u32::from(matches!(ask(state, &format!("{kind}{number}"), &claim, after).await, Added::Order(_)));
        }
        ordered
    };
    assert_eq!((come("new", 0..10, 0).await, come("old", 0..3, 1).await), (8, 0), "nobody else waits");
    assert_eq!((come("new", 10..20, 61).await, come("old", 3..10, 62).await), (6, 2));
    assert_eq!((come("old", 10..20, 123).await, come("new", 20..30, 124).await), (6, 2));
}

pub(super) async fn an_order_counts_from_when_its_ca_has_made_it(state: &State) {
    enlist(state, &["a", "b"]).await;
    let claim = orders(1);
    let Added::Order(id) = ask(state, "a", &claim, 0).await else { panic!("there was room") };
    state.order_made(&id, "https://ca.test/", "https://ca.test/1", None, NOW.plus(MINUTE * 50)).await.unwrap();
    let Added::Held(held) = ask(state, "b", &claim, 61).await else { panic!("the CA has counted it at minute 50") };
    assert_eq!(held.until, NOW.plus(MINUTE * 110));
}

pub(super) async fn an_order_that_failed_gives_back_what_it_took_and_counts_as_a_failure(state: &State) {
    enlist(state, &["a"]).await;
    let limit = Some(Limit { most: 1, within: MINUTE * 60 });
    for kind in [SpentKind::Names, SpentKind::Advice] {
        let claim = Claim::of(kind, "a".to_owned(), limit);
        assert!(matches!(ask(state, "a", &claim, 0).await, Added::Order(_)));
        assert!(matches!(ask(state, "a", &claim, 1).await, Added::Held(_)));
        let order = state.open_order("a").await.unwrap().unwrap();
        state.order_failed(&order, ObstacleKind::Refused, "caa", NOW.plus(MINUTE), Duration::ZERO).await.unwrap();
        assert!(matches!(ask(state, "a", &claim, 2).await, Added::Order(_)), "{kind} was not given back");
        let order = state.open_order("a").await.unwrap().unwrap();
        state.order_abandoned(&order.id, "over", NOW).await.unwrap();
    }
    let failed = Claim::of(SpentKind::Failure, "a".to_owned(), limit);
    assert!(matches!(ask(state, "a", &failed, 3).await, Added::Held(_)));
}

pub(super) async fn who_waits_for_something_else_is_not_waited_for(state: &State) {
    const SHOP: [&str; 3] = ["a", "b", "c"];
    enlist(state, &SHOP).await;
    enlist(state, &["x", "y"]).await;
    let limit = Some(Limit { most: 1, within: MINUTE * 60 });
    let below = |domain: &str| Claim::of(SpentKind::Domain, domain.to_owned(), limit);
    for name in SHOP {
        ask(state, name, &below("shop.test"), 0).await;
    }
    for claim in [below("blog.test"), Claim::of(SpentKind::Names, "x".to_owned(), limit), orders(1)] {
        ask(state, "x", &claim, 1).await;
        let Added::Held(held) = ask(state, "y", &claim, 2).await else { panic!("the limit is broken") };
        assert_eq!(held.until, NOW.plus(MINUTE * 61), "{}", held.why);
    }
    let Added::Held(held) = ask(state, "b", &below("shop.test"), 3).await else { panic!("the limit is broken") };
    assert_eq!(held.until, NOW.plus(MINUTE * 120), "`c` waits for the same");
}

pub(super) async fn nothing_is_held_back_past_its_latest_time(state: &State) {
    enlist(state, &["a"]).await;
    let limit = Some(Limit { most: 1, within: MINUTE * 60 });
    let at_latest = Some(NOW.plus(MINUTE * 30));
    let claim = Claim { at_latest, ..Claim::of(SpentKind::Advice, "a".to_owned(), limit) };
    ask(state, "a", &claim, 0).await;
    let Added::Held(held) = ask(state, "a", &claim, 1).await else { panic!("the limit is broken") };
    assert_eq!(Some(held.until), at_latest);
    assert!(held.why.contains("its CA suggests to renew what it has only just issued"), "{}", held.why);
}

pub(super) async fn an_order_that_replaces_nothing_after_all_keeps_the_limits(state: &State) {
    enlist(state, &["a", "b"]).await;
    let limits =
        Limits { orders: Some(Limit { most: 1, within: MINUTE * 60 }), domain: None, names: None, failures: None };
    let mut came = Vec::new();
    for name in ["a", "b"] {
        let key = private_key();
        let exempt = NewOrder { replaces: Some("aki.serial"), ..new_order(name, &key) };
        state.add_order(&exempt, &[], NOW).await.unwrap();
        let order = state.open_order(name).await.unwrap().unwrap();
        came.push(state.order_replaces_nothing(&order, &limits, NOW).await.unwrap());
    }
    assert_eq!(came[0], None);
    assert_eq!(state.open_order("a").await.unwrap().unwrap().replaces, None, "it goes on");
    let held = came[1].as_ref().expect("there is room for one");
    assert_eq!(held.until, NOW.plus(MINUTE * 60));
    assert!(state.open_order("b").await.unwrap().is_none(), "it is given up");
    let obstacle = &state.obstacles("b").await.unwrap()[0];
    assert_eq!((obstacle.kind, obstacle.failures, obstacle.retry_at), (ObstacleKind::Held, 0, held.until));
}

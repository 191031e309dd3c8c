//! What is told, to whom, how often, and what became of it.

use std::time::Duration;

use providers::sinks::EventKind;
use renewd::clock::Timestamp;
use renewd::state::outbox::SinkSettings;
use renewd::state::{Alert, NewEvent, State};

use super::place::{MINUTE, NOW, certified};

const HOUR: Duration = Duration::from_secs(3600);

fn sink(name: &str, kinds: &[&str], patterns: &[&str]) -> SinkSettings {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    SinkSettings { name: name.to_owned(), kinds: owned(kinds), patterns: owned(patterns) }
}

fn failed(certificate: &str) -> Alert {
    Alert::new(certificate, NewEvent::new(EventKind::Failed, "no", "It failed.").about(certificate))
}

async fn due(state: &State, sink: &str, now: Timestamp) -> Vec<(EventKind, u32)> {
    let due = state.due_to(sink, now, 100).await.unwrap();
    due.iter().map(|due| (due.event.kind, due.event.times)).collect()
}

pub(super) async fn each_sink_gets_what_it_hears_of(state: &State) {
    state
        .reconcile_sinks(&[sink("all", &["failed", "test"], &[]), sink("few", &["failed"], &["*.b"])], false)
        .await
        .unwrap();
    state.alert(&failed("a"), NOW).await.unwrap();
    state.alert(&failed("x.b"), NOW).await.unwrap();
    state.tell(&NewEvent::new(EventKind::Issued, "a", "b").about("x.b"), NOW).await.unwrap();
    assert_eq!((due(state, "all", NOW).await.len(), due(state, "few", NOW).await.len()), (2, 1));

    state.reconcile_sinks(&[sink("few", &["failed"], &["*.b"])], false).await.unwrap();
    assert!(due(state, "all", NOW).await.is_empty(), "what is due to a sink that is gone is closed");
    let sinks = state.sinks().await.unwrap();
    assert_eq!(sinks.iter().map(|sink| (sink.name.as_str(), sink.due)).collect::<Vec<_>>(), [("few", 1)]);
}

pub(super) async fn what_fails_is_told_at_widening_intervals_until_it_is_well(state: &State) {
    state.reconcile_sinks(&[sink("all", &["failed", "recovered"], &[])], false).await.unwrap();
    for minutes in 0..60 * 48 {
        if minutes % 10 == 0 {
            state.alert(&failed("a"), NOW.plus(MINUTE * minutes)).await.unwrap();
        }
    }
    let end = NOW.plus(HOUR * 48);
    state.alert_stands(&failed("a"), end).await.unwrap();
    let told: Vec<u32> = due(state, "all", end).await.into_iter().map(|(_, times)| times).collect();
    assert_eq!(told, [1, 7, 31, 103, 247], "at once, after 1, 4 and 12 hours, then daily");
    state.recovered(&failed("a"), end).await.unwrap();
    state.recovered(&failed("a"), end).await.unwrap();
    assert_eq!(due(state, "all", end).await.last(), Some(&(EventKind::Recovered, 288)), "once");
    assert_eq!(due(state, "all", end).await.len(), 6);
    state.alert(&failed("a"), end).await.unwrap();
    assert_eq!(due(state, "all", end).await.last(), Some(&(EventKind::Failed, 1)), "anew");
}

pub(super) async fn a_receiver_s_failures_are_kept_apart_from_an_event_s(state: &State) {
    state.reconcile_sinks(&[sink("all", &["test"], &[])], false).await.unwrap();
    for _ in 0..2 {
        state.tell(&NewEvent::new(EventKind::Test, "a", "b"), NOW).await.unwrap();
    }
    let first = state.due_to("all", NOW, 1).await.unwrap().remove(0).event.id;
    state.not_notified("all", &first, "422", NOW, MINUTE).await.unwrap();
    assert_eq!(state.sinks_due().await.unwrap(), [("all".to_owned(), Timestamp::EPOCH)], "the other is due");
    assert_eq!(state.due_to("all", NOW, 9).await.unwrap().len(), 1);
    state.sink_failed("all", &first, "503", NOW, MINUTE * 2).await.unwrap();
    assert_eq!(state.sinks_due().await.unwrap(), [("all".to_owned(), NOW.plus(MINUTE * 2))]);
    assert_eq!(state.sink_failures("all").await.unwrap(), 1);
    let row = state.sinks().await.unwrap().remove(0);
    assert!(!row.is_in_trouble(NOW.plus(MINUTE * 15)) && row.is_in_trouble(NOW.plus(MINUTE * 16)));

    state.notified("all", &first, NOW.plus(MINUTE * 3)).await.unwrap();
    let second = state.due_to("all", NOW, 9).await.unwrap().remove(0).event.id;
    state.give_up("all", &second).await.unwrap();
    let row = state.sinks().await.unwrap().remove(0);
    assert_eq!((row.sent, row.failed, row.given_up, row.due, row.failing_since), (1, 2, 1, 0, None));

    state.tell(&NewEvent::new(EventKind::Test, "a", "b"), NOW).await.unwrap();
    state.sweep(NOW.plus(HOUR)).await.unwrap();
    assert_eq!(state.due_to("all", NOW, 9).await.unwrap().len(), 1, "what is due is not swept out");
}

pub(super) async fn an_end_that_nears_is_found_until_it_is_watched_no_more(state: &State) {
    certified(state, "a", &[]).await;
    let near = async |minutes: u32| state.nearing_end(NOW.plus(MINUTE * minutes), 9).await.unwrap().len();
    assert_eq!((near(44).await, near(45).await, near(99).await), (0, 1, 1), "of an hour the last quarter");
    let mut write = state.begin().await.unwrap();
    state.watch_end_no_more(&mut write, "a").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(near(45).await, 0);
    let mut write = state.begin().await.unwrap();
    state.watch_end(&mut write, "a").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(near(45).await, 1);
}

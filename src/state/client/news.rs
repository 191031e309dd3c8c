//! Telling of client certificates that were issued or renewed: of one by its name, of many that come together in one
//! event. What is to be told is counted in the transaction that makes it true, and told when nothing more has come for a
//! moment.

use std::collections::BTreeMap;
use std::time::Duration;

use providers::sinks::EventKind;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::ClientRow;
use super::certificate::IssuedClient;
use crate::clock::Timestamp;
use crate::state::outbox::{NewEvent, Run};
use crate::state::{Result, State, Write};

/// When nothing more has come for so long, it is told.
const QUIET: Duration = Duration::from_secs(10);

/// Nobody waits longer than this for the end of what comes.
const LONGEST: Duration = Duration::from_secs(600);

/// Rows of `meta` that count begin so; node, kind and CA follow.
const COUNTS: &str = "client_news";

/// What is to be told of a CA's client certificates, of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// How many.
    count: u64,
    /// Milliseconds since 1970: the first of them.
    since: i64,
    /// The last of them.
    last: i64,
    /// The identity's id of the first.
    client: String,
}

impl Count {
    fn more(before: Option<Self>, count: u64, client: &str, now: Timestamp) -> Self {
        let last = now.millis();
        match before {
            Some(before) => Self { count: before.count + count, last, ..before },
            None => Self { count, since: last, last, client: client.to_owned() },
        }
    }

    /// From then on it is told.
    fn due_at(&self) -> Timestamp {
        let quiet = Timestamp::from_millis(self.last).plus(QUIET);
        quiet.min(Timestamp::from_millis(self.since).plus(LONGEST))
    }
}

impl State {
    /// Counts what was issued, in an open transaction.
    pub(super) async fn note_client_news(
        &self,
        write: &mut Write,
        issued: &[&IssuedClient],
        now: Timestamp,
    ) -> Result<()> {
        let mut groups: BTreeMap<(EventKind, &str), (u64, &str)> = BTreeMap::new();
        for one in issued {
            let kind = if one.number == 1 { EventKind::Issued } else { EventKind::Renewed };
            groups.entry((kind, &one.ca)).or_insert((0, &one.client)).0 += 1;
        }
        for ((kind, ca), (count, client)) in groups {
            let name = format!("{COUNTS} {} {} {ca}", self.node(), kind.as_str());
            // Whoever counts at the same time waits here until we have committed.
            let before: String = sqlx::query_scalar(
                "INSERT INTO meta (name, value) VALUES ($1, '') \
                 ON CONFLICT (name) DO UPDATE SET value = meta.value RETURNING value",
            )
            .bind(&name)
            .fetch_one(&mut **write)
            .await?;
            let after = Count::more(serde_json::from_str(&before).ok(), count, client, now);
            sqlx::query("UPDATE meta SET value = $2 WHERE name = $1")
                .bind(&name)
                .bind(serde_json::to_string(&after).unwrap_or_default())
                .execute(&mut **write)
                .await?;
        }
        Ok(())
    }

    /// Queues an event for everything that this node counted and of which nothing more comes. Answers when the next is
    /// due; `None`: nothing is to be told.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tell_client_news(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let prefix = format!("{COUNTS} {}", self.node());
        let rows = sqlx::query("SELECT name, value FROM meta WHERE name > $1 AND name < $2")
            .bind(format!("{prefix} "))
            // `!` comes next after a blank.
            .bind(format!("{prefix}!"))
            .fetch_all(self.reader())
            .await?;
        let mut next: Option<Timestamp> = None;
        for row in &rows {
            let (name, value): (String, String) = (row.try_get("name")?, row.try_get("value")?);
            let Ok(count) = serde_json::from_str::<Count>(&value) else { continue };
            // A clock that was set back must not keep it for longer than meant.
            let due = count.due_at();
            if now < due && due.since(now) <= LONGEST {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            self.tell_count(&name, &value, &count, now).await?;
        }
        Ok(next)
    }

    async fn tell_count(&self, name: &str, value: &str, count: &Count, now: Timestamp) -> Result<()> {
        let mut words = name.rsplit(' ');
        let (ca, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let kind = if kind == EventKind::Issued.as_str() { EventKind::Issued } else { EventKind::Renewed };
        let client = self.client(&count.client).await?;
        let mut write = self.begin().await?;
        let taken = sqlx::query("DELETE FROM meta WHERE name = $1 AND value = $2").bind(name).bind(value);
        // More has come meanwhile: it is told later, with that.
        if taken.execute(&mut *write).await?.rows_affected() == 0 {
            return Ok(());
        }
        self.add_event(&mut write, &event(kind, ca, count.count, client.as_ref()), Run::ONCE, now).await?;
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }
}

/// One is told by its name, of many how many they are and which was the first.
fn event(kind: EventKind, ca: &str, count: u64, first: Option<&ClientRow>) -> NewEvent {
    let word = if kind == EventKind::Issued { "issued" } else { "renewed" };
    let called = first.map_or("one that is gone", |client| client.identifier.as_str());
    if count > 1 {
        let text = format!("`{ca}` has {word} {count} client certificates. The first of them is that of `{called}`.");
        return NewEvent::new(kind, format!("{count} client certificates of `{ca}` were {word}"), text).by(ca);
    }
    let current = first.and_then(|client| client.current.as_ref());
    let until = current.map(|current| format!(" and is valid until {}", current.not_after)).unwrap_or_default();
    let text = format!("The client certificate of `{called}` was {word} by `{ca}`{until}.");
    NewEvent {
        serial: current.map(|current| current.serial.clone()),
        not_after: current.map(|current| current.not_after),
        ..NewEvent::new(kind, format!("The client certificate of `{called}` was {word}"), text).by(ca)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_comes_together_is_told_together_and_not_too_late() {
        let first = Count::more(None, 1, "a", at(100));
        assert_eq!(first.due_at(), at(110));
        let more = Count::more(Some(first), 999, "b", at(105));
        assert_eq!((more.count, more.client.as_str(), more.due_at()), (1_000, "a", at(115)));
        let endless = Count::more(Some(more), 1, "c", at(695));
        assert_eq!(endless.due_at(), at(700));
    }
}

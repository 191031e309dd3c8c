//! The database: each body runs on SQLite and on a real PostgreSQL, whose own collation is not the C order.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "peers/peers.rs"]
mod peers;

mod state {
    mod accounts;
    mod authority;
    mod certificates;
    mod clients;
    mod consumers;
    mod jobs;
    mod limits;
    mod opening;
    mod orders;
    mod outbox;
    mod place;
    mod sealing;
    mod versions;
}

//! The database: what renewd remembers. One file a table.
//!
//! One source and one set of migrations serve SQLite (one daemon) and PostgreSQL (several nodes). On SQLite a file lock
//! beside the database refuses a second daemon.

pub mod account;
pub mod ca;
pub mod ca_entry;
pub mod ca_index;
pub mod ca_leaf;
pub mod ca_request;
pub mod ca_revocation;
pub mod certificate;
pub mod client;
mod collation;
pub mod crl;
pub mod delivery;
pub mod deployment;
pub mod error;
pub mod fuse;
pub mod job;
mod lock;
pub mod look;
pub mod meta;
pub mod obstacle;
pub mod ocsp_responder;
mod open;
pub mod order;
pub mod outbox;
pub mod registration;
pub mod renewal;
mod row;
pub mod spent;
pub mod txt;
pub mod version;

use std::sync::Arc;

use sqlx::{Any, AnyPool, Transaction};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub use account::AccountRow;
pub use ca::{CaCertificateRow, CaRow};
pub use ca_revocation::CaStatusRow;
pub use certificate::{CertificateRow, CertificateState};
pub use crl::{CrlName, CrlRow};
pub use delivery::DeliveryRow;
pub use deployment::{DeploymentKind, DeploymentRow};
pub use error::StateError;
pub use job::{JobKind, JobRow, JobState};
pub use look::Look;
pub use obstacle::{ObstacleKind, ObstacleRow};
pub use order::{OrderRow, OrderState};
pub use outbox::{Alert, NewEvent, News};
pub use renewal::{RenewalRow, RenewalWindow};
pub use spent::{Claim, Held, SpentKind};
pub use txt::TxtRow;
pub use version::VersionRow;

use crate::clock::Timestamp;
use crate::secret::Sealer;

/// What every function here answers.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// The kind of database behind a `State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file, one daemon.
    Sqlite,
    /// A server, several nodes.
    Postgres,
}

/// The open database. Cloning shares it.
#[derive(Debug, Clone)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    read: AnyPool,
    write: AnyPool,
    backend: Backend,
    sealer: Sealer,
    node: String,
    wake: Notify,
    wake_notify: Notify,
    wake_lists: Notify,
    lock: lock::Lock,
    fuse: fuse::Fuse,
}

/// A write transaction: nothing of it is there before `commit`.
pub type Write = Transaction<'static, Any>;

impl State {
    /// The name of this node, under which per-node rows are kept.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Seals and opens private keys.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Wakes the loop: there may be work.
    pub fn wake(&self) {
        self.0.wake.notify_waiters();
    }

    /// Waits for `wake`. Register (create the future and `enable` it) before reading what is due.
    pub fn woken(&self) -> Notified<'_> {
        self.0.wake.notified()
    }

    /// Wakes whoever sends notifications: there may be some.
    pub fn wake_notify(&self) {
        self.0.wake_notify.notify_waiters();
    }

    /// Waits for `wake_notify`. Register before reading what is due.
    pub fn woken_to_notify(&self) -> Notified<'_> {
        self.0.wake_notify.notified()
    }

    /// Wakes whoever publishes CRLs: a shard, a generation or a key came to be or went, or the config says otherwise.
    pub fn wake_lists(&self) {
        self.0.wake_lists.notify_one();
    }

    /// Waits for `wake_lists`, which is remembered until somebody waits.
    pub async fn woken_for_lists(&self) {
        self.0.wake_lists.notified().await;
    }

    /// Begins a write. On SQLite it takes the write lock at once, so that a later statement cannot fail for it.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn begin(&self) -> Result<Write> {
        let statement = match self.0.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        Ok(self.writer().begin_with(statement).await?)
    }

    /// Forgets orders, withdrawn TXT values, jobs and events that were over before `before`. Versions, and what is owed, stay.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sweep(&self, before: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        order::keep_counts(&mut write, before).await?;
        for statement in [
            "DELETE FROM txt WHERE withdrawn_at < $1",
            "DELETE FROM acme_order WHERE finished_at < $1",
            "DELETE FROM job WHERE finished_at < $1",
            "DELETE FROM spent WHERE at < $1",
        ] {
            sqlx::query(statement).bind(before.millis()).execute(&mut *write).await?;
        }
        outbox::sweep(&mut write, before).await?;
        write.commit().await?;
        Ok(())
    }

    /// Asks the database something trivial.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.reader()).await?;
        Ok(())
    }

    /// Returns when this daemon can no longer be sure to be the only one: the connection that holds PostgreSQL's lock is
    /// gone. On SQLite, where the kernel keeps the lock, never.
    pub async fn lock_lost(&self) -> StateError {
        self.0.lock.lost().await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.0.read.close().await;
        self.0.write.close().await;
    }

    /// The fuse before all writes, by which a simulation pulls the plug.
    #[must_use]
    pub fn fuse(&self) -> &fuse::Fuse {
        &self.0.fuse
    }

    fn reader(&self) -> &AnyPool {
        &self.0.read
    }

    /// Every write passes here: where a simulated crash is due, nothing is written any more.
    fn writer(&self) -> &AnyPool {
        self.0.fuse.pass(&self.0.write)
    }
}

/// A new id: UUIDv7, so that ids sort by time.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

//! A fuse before all writes: a simulation sets it, and from a chosen write on nothing is written any more, as if the
//! machine had stopped there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;

/// Writes that are still let through; negative: no limit.
#[derive(Debug)]
pub struct Fuse {
    left: AtomicI64,
    passed: AtomicU64,
    dead: OnceLock<AnyPool>,
}

impl Default for Fuse {
    fn default() -> Self {
        Self { left: AtomicI64::new(UNLIMITED), passed: AtomicU64::new(0), dead: OnceLock::new() }
    }
}

const UNLIMITED: i64 = -1;

impl Fuse {
    /// Lets `writes` more writes (a transaction is one) through, and none after them.
    pub fn set(&self, writes: u32) {
        self.left.store(i64::from(writes), Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.left.store(UNLIMITED, Ordering::SeqCst);
    }

    /// The plug was pulled: no write gets through.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// It was set, and not mended since.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.left.load(Ordering::SeqCst) != UNLIMITED
    }

    /// How many writes have got through.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// The pool that a write goes to: the true one, or one to which nothing ever connects.
    pub(super) fn pass<'a>(&'a self, pool: &'a AnyPool) -> &'a AnyPool {
        let spend = |left: i64| match left {
            UNLIMITED | 0 => None,
            left => Some(left - 1),
        };
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Err(0) => self.dead.get_or_init(dead_pool),
            _ => {
                self.passed.fetch_add(1, Ordering::SeqCst);
                pool
            }
        }
    }
}

/// A pool that is closed before anybody could use it.
fn dead_pool() -> AnyPool {
    sqlx::any::install_default_drivers();
    let options = "sqlite::memory:".parse().unwrap_or_else(|_| unreachable!("a constant of sqlx's own"));
    let pool = AnyPoolOptions::new().max_connections(1).connect_lazy_with(options);
    // The pool counts as closed as soon as the future exists: whoever asks it for a connection is refused at once.
    drop(pool.close());
    pool
}

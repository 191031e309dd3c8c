//! One writer at a time for each of many keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by key; a key that nobody holds nor waits for takes no room.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Locks {
    /// Waits until nobody else holds the lock of this key, in the order of asking. No part may contain a NUL.
    pub async fn lock(&self, key: &[&str]) -> OwnedMutexGuard<()> {
        let lock = self.of(key.join("\0"));
        lock.lock_owned().await
    }

    fn of(&self, key: String) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_other_keys_are_free() {
        let locks = Locks::default();
        let held = locks.lock(&["a", "b", "c"]).await;
        assert!(locks.lock(&["a", "b", "c"]).now_or_never().is_none());
        assert!(locks.lock(&["a", "b", "d"]).now_or_never().is_some());
        drop(held);
        assert!(locks.lock(&["a", "b", "c"]).now_or_never().is_some());
    }

    #[tokio::test]
    async fn keys_that_nobody_holds_take_no_room() {
        let locks = Locks::default();
        for number in 0..100 {
            drop(locks.lock(&["a", "b", &number.to_string()]).await);
        }
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}

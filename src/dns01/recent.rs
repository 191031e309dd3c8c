//! What was learnt lately, by name, for a moment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it is believed.
const FRESH: Duration = Duration::from_secs(60);

/// How many are remembered.
const MOST: usize = 4096;

/// Facts found lately. That nothing was found is for the caller not to keep.
#[derive(Debug)]
pub(super) struct Recent<T>(Mutex<HashMap<String, (Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// What is known of the name.
    pub(super) fn remembered(&self, name: &str) -> Option<T> {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.get(name).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, fact)| fact.clone())
    }

    /// Remembers this of the name.
    pub(super) fn remember(&self, name: &str, fact: T) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.len() >= MOST {
            facts.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if facts.len() >= MOST {
            facts.clear();
        }
        facts.insert(name.to_owned(), (Instant::now(), fact));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered_within_bounds() {
        let recent = Recent::default();
        for number in 0..=MOST {
            recent.remember(&number.to_string(), number);
        }
        assert_eq!(recent.remembered(&MOST.to_string()), Some(MOST));
        assert!(recent.0.lock().unwrap().len() <= MOST);
    }
}

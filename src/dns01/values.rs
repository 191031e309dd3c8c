//! How many values of ours a name holds, for hosts that hold only a few.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::{Dns01Error, Location};

/// The values presented and not withdrawn since the start of the process.
#[derive(Debug, Default)]
pub(super) struct Values(Mutex<HashMap<Location, HashSet<String>>>);

impl Values {
    /// Takes a place for the value at its name; the same value takes one place only. Says whether it is new there.
    pub(super) fn claim(&self, location: &Location, value: &str, limit: Option<usize>) -> Result<bool, Dns01Error> {
        let Some(limit) = limit else { return Ok(true) };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = held.entry(location.clone()).or_default();
        if values.len() >= limit && !values.contains(value) {
            return Err(Dns01Error::TooManyValues { name: location.name.clone(), limit });
        }
        Ok(values.insert(value.to_owned()))
    }

    /// Gives the value's place back.
    pub(super) fn release(&self, location: &Location, value: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(values) = held.get_mut(location) else { return };
        values.remove(value);
        if values.is_empty() {
            held.remove(location);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_as_many_values_as_its_host_allows() {
        let values = Values::default();
        let location =
            Location { instance: "main".into(), zone: "a.test".into(), name: "_acme-challenge.a.test".into() };
        assert!(values.claim(&location, "one", Some(2)).unwrap());
        assert!(values.claim(&location, "two", Some(2)).unwrap());
        assert!(!values.claim(&location, "two", Some(2)).unwrap());
        let refused = values.claim(&location, "three", Some(2)).unwrap_err();
        assert!(matches!(refused, Dns01Error::TooManyValues { limit: 2, .. }) && refused.is_temporary());
        values.release(&location, "one");
        assert!(values.claim(&location, "three", Some(2)).unwrap());
        values.release(&location, "two");
        values.release(&location, "three");
        assert!(values.0.lock().unwrap().is_empty());
    }
}

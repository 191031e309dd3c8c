//! `crl_validity` and `crl_refresh`: how often a private CA says what it has revoked.

use std::time::Duration;

use crate::config::read::{Section, Value};

/// From thisUpdate to nextUpdate, unless said: 7 days.
pub const VALIDITY: Duration = Duration::from_secs(7 * 86_400);

/// A list is made anew, unless said: daily.
pub const REFRESH: Duration = Duration::from_secs(86_400);

/// Verifiers fetch a list no more often than this, and a list that lapses while they do not turns everybody away.
const SHORTEST: Duration = Duration::from_secs(600);

/// Reads both.
pub(super) fn read(section: &mut Section<'_>) -> (Duration, Duration) {
    let validity = section.value("crl_validity");
    let length = validity.as_ref().and_then(Value::duration).unwrap_or(VALIDITY);
    if let Some(value) = validity.filter(|_| length < SHORTEST) {
        value.refuse(
            "`crl_validity` must be 10 minutes at least: verifiers keep lists for a while",
            "write a longer one",
        );
    }
    let refresh = section.value("crl_refresh");
    let pause = refresh.as_ref().and_then(Value::duration).unwrap_or(REFRESH.min(length / 2));
    if let Some(value) = refresh.filter(|_| pause.is_zero() || pause > length / 2) {
        value.refuse(
            "`crl_refresh` must be half of `crl_validity` at most: a list that fails once must not lapse",
            "write a shorter one, or a longer `crl_validity`",
        );
    }
    (length, pause)
}

//! What an order takes of its CA's limits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Reason;
use crate::clock::Timestamp;
use crate::config::{Limit, Limits};
use crate::state::spent::exact_set;
use crate::state::{Claim, SpentKind, VersionRow};

/// What a CA says of a certificate that has not lived for a third of its time is followed no more often than this: a CA
/// whose windows always lie in the past would have us go in circles. The first such answer is followed at once.
const ADVICE: Limit = Limit { most: 1, within: Duration::from_secs(6 * 3600) };

/// An order as far as limits are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'a> {
    /// What it is for.
    pub names: &'a [String],
    /// Who is asked.
    pub issuer: &'a str,
    /// Why.
    pub reason: &'a Reason,
    /// The certificate that there is.
    pub version: Option<&'a VersionRow>,
    /// It names the certificate that it replaces (RFC 9773, section 5): CAs exempt it from their limits.
    pub replaces: bool,
    /// The certificate's name, for what is counted for each.
    pub certificate: &'a str,
    /// When it is to be renewed by its lifetime, whatever its CA says.
    pub due_at: Timestamp,
}

/// What the order takes, and what must not be used up.
#[must_use]
pub fn claims(ordered: &Ordered<'_>, limits: &Limits, now: Timestamp) -> Vec<Claim> {
    let mut claims: Vec<_> = ordered.names.iter().map(|name| failure(name, limits)).collect();
    claims.extend(early_advice(ordered, now));
    if ordered.replaces {
        return claims;
    }
    claims.push(Claim::of(SpentKind::Names, exact_set(ordered.names), limits.names));
    if !renews(ordered) {
        let domain = |subject| Claim::of(SpentKind::Domain, subject, limits.domain);
        claims.extend(registered_domains(ordered.names).into_iter().map(domain));
    }
    // Last: what is held back by another limit has not waited for this one.
    claims.push(Claim::of(SpentKind::Order, String::new(), limits.orders));
    claims
}

fn failure(name: &str, limits: &Limits) -> Claim {
    Claim::of(SpentKind::Failure, name.to_owned(), limits.failures)
}

/// Following a CA that wants replaced what has not lived for a third of its time. The lifetime wins: it waits for no
/// longer than until that calls for a renewal.
fn early_advice(ordered: &Ordered<'_>, now: Timestamp) -> Option<Claim> {
    let version = ordered.version?;
    let third = version.not_before.plus(version.not_after.since(version.not_before) / 3);
    let early = matches!(ordered.reason, Reason::RenewalInfo { .. }) && now < third.min(ordered.due_at);
    let claim = Claim::of(SpentKind::Advice, ordered.certificate.to_owned(), Some(ADVICE));
    early.then_some(Claim { at_latest: Some(ordered.due_at), ..claim })
}

/// The same names from the same CA: a renewal, which counts for no domain.
fn renews(ordered: &Ordered<'_>) -> bool {
    ordered.version.is_some_and(|version| {
        version.issuer == ordered.issuer && exact_set(&version.names) == exact_set(ordered.names)
    })
}

/// By the public suffix list; an address stands for itself.
fn registered_domains(names: &[String]) -> BTreeSet<String> {
    let domain = |name: &String| {
        let name = name.trim_start_matches("*.");
        psl::domain_str(name).unwrap_or(name).to_owned()
    };
    names.iter().map(domain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// Of a certificate of 90 days, so many days after it was issued.
    fn found(reason: &Reason, issuer: &str, replaces: bool, day: u32) -> Vec<Claim> {
        let version = VersionRow::sample(&["www.example.co.uk"], START, START.plus(90 * DAY));
        let names = ["www.example.co.uk".to_owned()];
        let (certificate, due_at) = ("a", START.plus(60 * DAY));
        let ordered = Ordered { names: &names, issuer, reason, version: Some(&version), replaces, certificate, due_at };
        claims(&ordered, &Limits::LETS_ENCRYPT, START.plus(DAY * day))
    }

    fn kinds(reason: &Reason, issuer: &str, replaces: bool) -> Vec<(SpentKind, String)> {
        found(reason, issuer, replaces, 1).into_iter().map(|claim| (claim.kind, claim.subject)).collect()
    }

    fn advice() -> Reason {
        Reason::RenewalInfo { start: START, end: Timestamp::NEVER, explanation: None, outside: false }
    }

    #[test]
    fn a_renewal_counts_for_no_domain_and_a_replacement_for_nothing() {
        let expiring = Reason::Expiring { not_after: Timestamp::NEVER, outside: false };
        let failure = (SpentKind::Failure, "www.example.co.uk".to_owned());
        let names = (SpentKind::Names, "[\"www.example.co.uk\"]".to_owned());
        let order = (SpentKind::Order, String::new());
        assert_eq!(kinds(&expiring, "ca", false), [failure.clone(), names.clone(), order.clone()]);
        let domain = (SpentKind::Domain, "example.co.uk".to_owned());
        assert_eq!(kinds(&expiring, "other", false), [failure.clone(), names, domain, order]);
        assert_eq!(kinds(&expiring, "ca", true), std::slice::from_ref(&failure));
        assert_eq!(kinds(&advice(), "ca", true), [failure, (SpentKind::Advice, "a".to_owned())]);
    }

    #[test]
    fn only_what_is_young_is_counted_and_never_put_off_past_its_own_time() {
        let counted = |day| found(&advice(), "ca", true, day).into_iter().find(|claim| claim.kind == SpentKind::Advice);
        assert_eq!(counted(1).unwrap().at_latest, Some(START.plus(60 * DAY)));
        assert_eq!((counted(31), counted(61)), (None, None));
    }
}

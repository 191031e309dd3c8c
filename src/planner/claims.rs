//! What an order takes of its CA's limits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Reason;
use crate::config::{Limit, Limits};
use crate::state::spent::exact_set;
use crate::state::{Claim, SpentKind, VersionRow};

/// One certificate is renewed no more often than this because its CA suggests it: a CA whose windows always lie in the
/// past would have us go in circles.
const ADVICE: Limit = Limit { most: 4, within: Duration::from_secs(24 * 3600) };

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
}

/// What the order takes, and what must not be used up.
#[must_use]
pub fn claims(ordered: &Ordered<'_>, limits: &Limits) -> Vec<Claim> {
    let mut claims: Vec<_> = ordered.names.iter().map(|name| failure(name, limits)).collect();
    if matches!(ordered.reason, Reason::RenewalInfo { .. }) {
        let subject = ordered.certificate.to_owned();
        claims.push(Claim { kind: SpentKind::Advice, subject, limit: Some(ADVICE) });
    }
    if ordered.replaces {
        return claims;
    }
    claims.push(Claim { kind: SpentKind::Names, subject: exact_set(ordered.names), limit: limits.names });
    if !renews(ordered) {
        let domain = |subject| Claim { kind: SpentKind::Domain, subject, limit: limits.domain };
        claims.extend(registered_domains(ordered.names).into_iter().map(domain));
    }
    // Last: what is held back by another limit has not waited for this one.
    claims.push(Claim { kind: SpentKind::Order, subject: String::new(), limit: limits.orders });
    claims
}

fn failure(name: &str, limits: &Limits) -> Claim {
    Claim { kind: SpentKind::Failure, subject: name.to_owned(), limit: limits.failures }
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
    use crate::clock::Timestamp;

    fn kinds(reason: &Reason, issuer: &str, replaces: bool) -> Vec<(SpentKind, String)> {
        let version = VersionRow::sample(&["www.example.co.uk"], Timestamp::EPOCH, Timestamp::NEVER);
        let names = ["www.example.co.uk".to_owned()];
        let certificate = "a";
        let ordered = Ordered { names: &names, issuer, reason, version: Some(&version), replaces, certificate };
        let found = claims(&ordered, &Limits::LETS_ENCRYPT);
        found.into_iter().map(|claim| (claim.kind, claim.subject)).collect()
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
        let (start, end) = (Timestamp::EPOCH, Timestamp::NEVER);
        let advice = Reason::RenewalInfo { start, end, explanation: None, outside: false };
        assert_eq!(kinds(&advice, "ca", true), [failure, (SpentKind::Advice, "a".to_owned())]);
    }
}

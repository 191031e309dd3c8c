//! What a CA makes of the records.

use super::property::{Grant, parse};
use super::{Record, Relevant};

/// Properties that every CA understands, beside the two that permit.
const UNDERSTOOD: [&str; 4] = ["issue", "issuewild", "iodef", "issuemail"];

/// Who asks for a certificate, at which CA.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The names by which the CA knows itself in CAA records (`caaIdentities`, RFC 8555, section 7.1.1); empty: it does
    /// not say.
    pub ca_domains: &'a [String],
    /// The account's URL; `None`: it is not registered yet.
    pub account_url: Option<&'a str>,
    /// How the names are validated: `dns-01`.
    pub method: &'a str,
}

/// Whether a CA may issue. `at` is where the records stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may. `at` is `None` where no record says anything.
    Permitted {
        /// Where the records stand.
        at: Option<String>,
    },
    /// It must not.
    Forbidden {
        /// Where the records stand.
        at: String,
        /// What forbids it, and what the record would have to say.
        why: String,
    },
    /// Nobody but the CA can tell.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// Judges the relevant records as the CA would for a name, or for the wildcard below it.
#[must_use]
pub fn verdict(relevant: Option<&Relevant>, asker: &Asker<'_>, wildcard: bool) -> Verdict {
    let Some(Relevant { at, records }) = relevant else { return Verdict::Permitted { at: None } };
    let forbidden = |why: String| Verdict::Forbidden { at: at.clone(), why };
    if let Some(strange) = records.iter().find(|it| it.critical && !UNDERSTOOD.contains(&it.tag.as_str())) {
        return forbidden(format!("the property `{}` is critical, and CAs do not know it", shorten(&strange.tag)));
    }
    let (tag, values) = restrictions(records, wildcard);
    if values.is_empty() {
        return Verdict::Permitted { at: Some(at.clone()) };
    }
    let grants: Vec<Grant> = values.iter().filter_map(|value| parse(value)).collect();
    if grants.iter().all(|grant| grant.domain.is_none()) {
        let malformed = if grants.len() < values.len() { ", since a value cannot be read" } else { "" };
        return forbidden(format!("`{tag}` permits no CA at all{malformed}"));
    }
    if asker.ca_domains.is_empty() {
        let why =
            format!("there is `{tag}` at `{at}`, and the CA does not say under which name it looks for itself there");
        return Verdict::Unknown { why };
    }
    judge(at, tag, &grants, asker)
}

/// The property that counts, and its values: for a wildcard `issuewild` where there is any.
fn restrictions(records: &[Record], wildcard: bool) -> (&'static str, Vec<&str>) {
    let values = |tag: &str| -> Vec<&str> {
        records.iter().filter(|record| record.tag == tag).map(|record| record.value.as_str()).collect()
    };
    match values("issuewild") {
        wild if wildcard && !wild.is_empty() => ("issuewild", wild),
        _ => ("issue", values("issue")),
    }
}

fn judge(at: &str, tag: &str, grants: &[Grant], asker: &Asker<'_>) -> Verdict {
    let ours = |grant: &&Grant| grant.domain.as_ref().is_some_and(|domain| is_named(domain, asker));
    let mut objections = Vec::new();
    for grant in grants.iter().filter(ours) {
        match objection(grant, asker) {
            None => return Verdict::Permitted { at: Some(at.to_owned()) },
            Some(words) => objections.push(words),
        }
    }
    let why = if objections.is_empty() {
        let named: Vec<String> = grants.iter().filter_map(|grant| grant.domain.as_deref()).map(shorten).collect();
        format!("`{tag}` permits `{}` and not `{}`", named.join("`, `"), asker.ca_domains.join("`, `"))
    } else {
        format!("`{tag}` permits the CA, but {}", objections.join("; and "))
    };
    Verdict::Forbidden { at: at.to_owned(), why }
}

fn is_named(domain: &str, asker: &Asker<'_>) -> bool {
    asker.ca_domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
}

/// Why a grant to the CA is none to this account by this method (RFC 8657, sections 3 and 4).
fn objection(grant: &Grant, asker: &Asker<'_>) -> Option<String> {
    let accounts = grant.values("accounturi");
    match (accounts.as_slice(), asker.account_url) {
        ([], _) => {}
        ([one], Some(own)) if *one == own => {}
        ([one], Some(own)) => return Some(format!("for the account `{}` only, and ours is `{own}`", shorten(one))),
        ([one], None) => {
            return Some(format!("for the account `{}` only, and ours is not registered yet", shorten(one)));
        }
        _ => return Some("`accounturi` stands there more than once, which permits nobody".to_owned()),
    }
    let methods = grant.values("validationmethods");
    let listed = |list: &&str| list.split(',').any(|method| method.trim().eq_ignore_ascii_case(asker.method));
    let other = methods.iter().find(|list| !listed(list))?;
    Some(format!("by `{}` only, and renewd validates by `{}`", shorten(other), asker.method))
}

/// A stranger's words, fit for a terminal.
fn shorten(text: &str) -> String {
    providers::error::shorten(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca1.example.net/acct/1234";

    fn records(texts: &[(u8, &str, &str)]) -> Relevant {
        let record = |(flags, tag, value): &(u8, &str, &str)| Record {
            critical: flags & 128 != 0,
            tag: (*tag).to_owned(),
            value: (*value).to_owned(),
        };
        Relevant { at: "example.com".to_owned(), records: texts.iter().map(record).collect() }
    }

    fn judged(texts: &[(u8, &str, &str)], account_url: Option<&str>, wildcard: bool) -> Verdict {
        let domains = ["ca1.example.net".to_owned(), "ca-one.example.org".to_owned()];
        let asker = Asker { ca_domains: &domains, account_url, method: "dns-01" };
        verdict(Some(&records(texts)), &asker, wildcard)
    }

    fn permits(texts: &[(u8, &str, &str)]) -> bool {
        matches!(judged(texts, Some(ACCOUNT), false), Verdict::Permitted { .. })
    }

    fn why(texts: &[(u8, &str, &str)]) -> String {
        match judged(texts, Some(ACCOUNT), false) {
            Verdict::Forbidden { at, why } if at == "example.com" => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_records_everybody_may_issue() {
        let asker = Asker { ca_domains: &[], account_url: None, method: "dns-01" };
        assert_eq!(verdict(None, &asker, true), Verdict::Permitted { at: None });
        assert!(permits(&[(0, "iodef", "mailto:security@example.com")]));
    }

    #[test]
    fn any_of_the_ca_s_names_among_several_permits() {
        assert!(permits(&[(0, "issue", "ca2.example.org"), (0, "issue", "CA1.example.net")]));
        assert!(permits(&[(0, "issue", "ca-one.example.org; account=230123")]));
        assert!(permits(&[(0, "issue", ";"), (0, "issue", "ca1.example.net")]));
        assert_eq!(
            why(&[(0, "issue", "ca2.example.org")]),
            "`issue` permits `ca2.example.org` and not `ca1.example.net`, `ca-one.example.org`"
        );
    }

    #[test]
    fn nobody_may_issue_where_the_value_is_empty_or_malformed() {
        assert_eq!(why(&[(0, "issue", ";")]), "`issue` permits no CA at all");
        assert!(why(&[(0, "issue", "%%%%%")]).contains("cannot be read"));
        assert!(why(&[(0, "issue", "ca1.example.net; broken")]).contains("cannot be read"));
    }

    #[test]
    fn what_is_critical_and_unknown_forbids() {
        assert_eq!(
            why(&[(128, "tbs", "Unknown"), (0, "issue", "ca1.example.net")]),
            "the property `tbs` is critical, and CAs do not know it"
        );
        assert!(permits(&[(0, "tbs", "Unknown"), (128, "issue", "ca1.example.net")]));
    }

    #[test]
    fn issuewild_counts_for_wildcards_only_and_takes_the_place_of_issue() {
        let wild = [(0, "issue", "ca1.example.net"), (0, "issuewild", "ca2.example.org")];
        assert!(permits(&wild));
        assert!(matches!(judged(&wild, None, true), Verdict::Forbidden { why, .. } if why.starts_with("`issuewild`")));
        let inherited = [(0, "issue", "ca1.example.net")];
        assert!(matches!(judged(&inherited, None, true), Verdict::Permitted { .. }));
        assert!(permits(&[(0, "issuewild", ";")]));
    }

    #[test]
    fn an_account_is_permitted_by_its_own_url_alone() {
        let own = format!("ca1.example.net; accounturi={ACCOUNT}");
        assert!(permits(&[(0, "issue", &own)]));
        let other = [(0, "issue", "ca1.example.net; accounturi=https://ca1.example.net/acct/1")];
        assert!(why(&other).contains(ACCOUNT));
        assert!(permits(&[other[0], (0, "issue", &own)]));
        assert!(why(&[(0, "issue", &format!("{own}; accounturi={ACCOUNT}"))]).contains("more than once"));
        let Verdict::Forbidden { why, .. } = judged(&[(0, "issue", &own)], None, false) else { panic!() };
        assert!(why.contains("not registered yet"), "{why}");
    }

    #[test]
    fn methods_are_a_list() {
        assert!(permits(&[(0, "issue", "ca1.example.net; validationmethods=http-01,dns-01")]));
        assert!(why(&[(0, "issue", "ca1.example.net; validationmethods=http-01")]).contains("`http-01`"));
        assert!(!permits(&[(0, "issue", "ca1.example.net; validationmethods=")]));
    }

    #[test]
    fn a_ca_without_names_is_judged_only_where_nobody_is_permitted() {
        let asker = Asker { ca_domains: &[], account_url: None, method: "dns-01" };
        let named = records(&[(0, "issue", "ca1.example.net")]);
        assert!(matches!(verdict(Some(&named), &asker, false), Verdict::Unknown { .. }));
        let nobody = records(&[(0, "issue", ";")]);
        assert!(matches!(verdict(Some(&nobody), &asker, false), Verdict::Forbidden { .. }));
    }
}

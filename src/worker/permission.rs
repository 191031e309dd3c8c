//! Whether CAA lets an issuer certify what a certificate names.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};

use crate::config;
use crate::dns01::Dns01;
use crate::dns01::caa::{Asker, Memory, Relevant, Verdict, verdict};
use crate::identifier::{DnsName, Identifier};
use crate::issuer::Offers;

/// Names of one certificate asked about at a time.
const AT_A_TIME: usize = 8;

/// The challenge that renewd answers.
const METHOD: &str = "dns-01";

/// What CAA records say to one issuer about one certificate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Permission {
    /// Why it must not issue, or would refuse to, a line a name.
    pub(super) forbidden: Vec<String>,
    /// What only the CA can tell.
    pub(super) unknown: Vec<String>,
    /// Where the records stand that permit it; empty: there are none.
    pub(super) permitted_at: BTreeSet<String>,
}

/// Looks at every DNS name of the certificate.
pub(super) async fn permission(
    dns01: &Dns01,
    memory: &Memory,
    wanted: &config::Certificate,
    offers: &Offers,
    account_url: Option<&str>,
) -> Permission {
    let asker = Asker { ca_domains: &offers.caa_identities, account_url, method: METHOD };
    let mut looks = Vec::new();
    for name in wanted.names.iter().filter_map(Identifier::dns) {
        looks.push(look(dns01, memory, name));
    }
    let mut looks = stream::iter(looks).buffered(AT_A_TIME);
    let mut found = Permission::default();
    while let Some((name, relevant)) = looks.next().await {
        match relevant.map(|relevant| verdict(relevant.as_ref(), &asker, name.is_wildcard())) {
            Ok(Verdict::Permitted { at }) => found.permitted_at.extend(at),
            Ok(Verdict::Forbidden { at, why }) => found.forbidden.push(format!("`{name}`, by CAA at `{at}`: {why}")),
            Ok(Verdict::Unknown { why }) => found.unknown.push(format!("`{name}`: {why}")),
            Err(why) => {
                found.forbidden.push(format!("`{name}`: CAA could not be looked up, and CAs refuse then: {why}"));
            }
        }
    }
    found
}

async fn look<'n>(
    dns01: &Dns01,
    memory: &Memory,
    name: &'n DnsName,
) -> (&'n DnsName, Result<Option<Relevant>, String>) {
    (name, dns01.climb(name.base(), memory).await)
}

//! What the config says of a CA, and its certificates do not (yet) say.

use std::collections::BTreeSet;
use std::time::Duration;

use super::generation::ROOT;
use super::ocsp::signer::is_late;
use super::profile::{self, BACKDATED};
use super::purposes::Purposes;
use super::{CaError, constraints, outside};
use crate::clock::Timestamp;
use crate::config::ca::profile::DEFAULT;
use crate::config::{self, Config};
use crate::pki::leaf;
use crate::state::State;
use crate::state::ca::CaRow;
use crate::state::ocsp_responder::OcspResponderRow;

/// Whole seconds are written: no more than this is a difference of lifetimes.
const ROUNDING: Duration = Duration::from_secs(60);

/// Keys of `[ca.NAME]` that are not in force, and when they will be; without a key: what somebody has to see to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The CA's name.
    pub ca: String,
    /// The keys.
    pub keys: Vec<&'static str>,
    /// In words.
    pub consequence: String,
}

/// Holds the CAs of a config against those on record.
///
/// # Errors
/// Where the database fails or holds something damaged.
pub async fn pending(state: &State, config: &Config, now: Timestamp) -> Result<Vec<Pending>, CaError> {
    let mut all = Vec::new();
    for (name, wanted) in &config.cas {
        all.extend(root_wanted(state, name, now).await?);
        let Some(newest) = state.newest_ca(name).await? else { continue };
        all.extend(refused_profiles(config, name, wanted, &newest)?);
        // Somebody else decides what stands in what comes from outside.
        let (None, Some(root)) = (&newest.above, state.ca(name, ROOT).await?) else { continue };
        let rotated = of_issuing(wanted, &newest, &root)?;
        if !rotated.is_empty() {
            let consequence = format!("in force with `renewd ca rotate {name}`: an issuing certificate stays as it is");
            all.push(Pending { ca: name.clone(), keys: rotated, consequence });
        }
        let never = of_root(wanted, &root)?;
        if !never.is_empty() {
            let consequence = "for roots that are made anew: the one that there is stays as it is".to_owned();
            all.push(Pending { ca: name.clone(), keys: never, consequence });
        }
    }
    all.extend(orphans(state, config).await?);
    Ok(all)
}

/// Profiles that certificates of the config ask for, and that the CA's certificates are not for.
fn refused_profiles(
    config: &Config,
    name: &str,
    wanted: &config::Ca,
    newest: &CaRow,
) -> Result<Option<Pending>, CaError> {
    let asking = config.certificates.values().filter(|asking| asking.issuers.iter().any(|issuer| issuer == name));
    let profiles: BTreeSet<&str> =
        asking.map(|asking| asking.profile.as_ref().map_or(DEFAULT, |profile| profile.name())).collect();
    for certificate in newest.certificate.iter().chain(newest.above.iter().flatten()) {
        let Some(purposes) = Purposes::read(certificate)? else { continue };
        let known = profiles.iter().filter_map(|profile| Some((profile, wanted.profiles.get(*profile)?)));
        for (profile, rules) in known {
            if let Err(refused) = purposes.check(profile, &rules.purposes) {
                let (ca, consequence) = (name.to_owned(), format!("nothing is issued: {refused}"));
                return Ok(Some(Pending { ca, keys: vec!["profile"], consequence }));
            }
        }
    }
    Ok(None)
}

/// CAs that were taken out of the config and have clients that would renew themselves.
async fn orphans(state: &State, config: &Config) -> Result<Vec<Pending>, CaError> {
    let mut all = Vec::new();
    for ca in state.ca_names().await?.into_iter().filter(|name| !config.cas.contains_key(name)) {
        let count = state.self_renewing_clients(&ca).await?;
        if count > 0 {
            let consequence = format!(
                "it is not in the config, and clients that would renew themselves ({count}) are not renewed: put it back, \
                 or end that with `renewd client auto-renew ID --off`"
            );
            all.push(Pending { ca, keys: Vec::new(), consequence });
        }
    }
    Ok(all)
}

/// The root's key is elsewhere, and whoever answers OCSP in its place ends soon.
async fn root_wanted(state: &State, name: &str, now: Timestamp) -> Result<Option<Pending>, CaError> {
    let Some(root) = state.ca(name, ROOT).await?.filter(|row| row.key_uri.is_none() && !row.has_key()) else {
        return Ok(None);
    };
    let last = state.newest_signed_ocsp_responder(name, ROOT).await?;
    let ends_soon =
        |row: &OcspResponderRow| is_late(row.not_before, row.not_after, now) && row.not_after < root.not_after;
    Ok(last.filter(ends_soon).map(|row| Pending {
        ca: name.to_owned(),
        keys: Vec::new(),
        consequence: format!(
            "nobody answers OCSP for its issuing certificates after {}: bring the root's key back with `renewd ca root \
             restore {name}`, then it may be forgotten for another year",
            row.not_after
        ),
    }))
}

fn of_issuing(wanted: &config::Ca, row: &CaRow, root: &CaRow) -> Result<Vec<&'static str>, CaError> {
    let Some(certificate) = &row.certificate else { return Ok(Vec::new()) };
    let parsed = leaf::parse(certificate)?;
    let end = row.not_before.plus(BACKDATED + wanted.issuing_lifetime).min(root.not_after);
    let differs = [
        ("subject", parsed.subject().as_raw() != profile::issuing_subject(wanted, row.generation)?),
        ("key", row.key_type != wanted.key.as_str()),
        ("pkcs11", row.key_uri.is_some() != wanted.token.is_some()),
        ("issuing_lifetime", !is_about(end, row.not_after)),
        ("name_constraints", !holds_constraints(certificate, wanted)?),
        ("crl_shard_size", row.shard_size != wanted.crl_shard_size),
    ];
    Ok(those(&differs))
}

fn of_root(wanted: &config::Ca, row: &CaRow) -> Result<Vec<&'static str>, CaError> {
    let Some(certificate) = &row.certificate else { return Ok(Vec::new()) };
    let end = row.not_before.plus(BACKDATED + wanted.lifetime);
    let length = outside::path_length(&leaf::parse(certificate)?);
    let differs =
        [("lifetime", !is_about(end, row.not_after)), ("path_length", length != wanted.path_length.map(u32::from))];
    Ok(those(&differs))
}

fn those(differs: &[(&'static str, bool)]) -> Vec<&'static str> {
    differs.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

fn is_about(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= ROUNDING
}

/// The extension stands in the certificate, octet by octet; where none is wanted, none does.
fn holds_constraints(certificate: &[u8], wanted: &config::Ca) -> Result<bool, CaError> {
    Ok(match constraints::extension(&wanted.name_constraints) {
        Some(extension) => {
            let der = extension.to_der();
            certificate.windows(der.len()).any(|part| part == der)
        }
        None => leaf::parse(certificate)?.name_constraints().ok().flatten().is_none(),
    })
}

//! Noticing that a secret was replaced while the config that refers to it stayed the same.

use aws_lc_rs::digest::{Context, SHA256};
use secrecy::ExposeSecret as _;

use crate::config::{Config, DnsKind, Notify};
use crate::secret::SecretRef;

/// SHA-256 over what the references of accounts, DNS instances and sinks lead to; one that cannot be read counts as such.
pub(super) fn fingerprint(config: &Config) -> [u8; 32] {
    let accounts = config.accounts.values().filter_map(|account| account.eab.as_ref()).map(|eab| &eab.hmac_key);
    let instances = config.dns.values().filter_map(|instance| of_provider(&instance.kind));
    let mut context = Context::new(&SHA256);
    let sinks = config.notify.values().flat_map(Notify::secrets);
    for reference in accounts.chain(instances).chain(sinks) {
        match reference.read() {
            Ok(secret) => {
                context.update(&(secret.expose_secret().len() as u64).to_be_bytes());
                context.update(secret.expose_secret().as_bytes());
            }
            Err(_) => context.update(&u64::MAX.to_be_bytes()),
        }
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

fn of_provider(kind: &DnsKind) -> Option<&SecretRef> {
    match kind {
        DnsKind::Rfc2136 { tsig_secret, .. } => Some(tsig_secret),
        DnsKind::Cloudflare { api_token, .. } => Some(api_token),
        DnsKind::Route53 { secret_access_key, .. } => secret_access_key.as_ref(),
        DnsKind::PowerDns { api_key, .. } => Some(api_key),
        DnsKind::AcmeDns { credentials, .. } => credentials.as_ref().map(|credentials| &credentials.password),
        DnsKind::Exec { .. } => None,
    }
}

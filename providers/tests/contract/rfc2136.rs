//! `rfc2136` against BIND.

use async_trait::async_trait;
use providers::Error;
use providers::dns::rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm};
use providers::dns::{DnsProvider, TxtRecord};
use secrecy::SecretString;

use super::dns::{Host, Values, Zone, holds};
use crate::peers::bind::Bind;

#[async_trait]
impl Zone for Bind {
    async fn txt(&self, name: &str) -> Vec<String> {
        Bind::txt(self, name)
    }

    async fn put(&self, name: &str, value: &str) {
        self.nsupdate(&format!("update add {name}. 60 TXT \"{value}\""));
    }
}

#[tokio::test]
async fn the_contract_holds_with_sha256() {
    let bind = Bind::start(&["zone.test"]);
    contract(&bind, sha256(&bind), sha512(&bind)).await;
}

#[tokio::test]
async fn the_contract_holds_with_sha512() {
    let bind = Bind::start(&["zone.test"]);
    contract(&bind, sha512(&bind), sha256(&bind)).await;
}

async fn contract(bind: &Bind, settings: Rfc2136Settings, other: Rfc2136Settings) {
    let stranger = provider(Rfc2136Settings { tsig_secret: other.tsig_secret, ..settings.clone() });
    let provider = provider(settings);
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: bind,
        origin: "zone.test",
        values: Values::Text,
        knows_its_zones: true,
    };
    holds(&host).await;
}

#[tokio::test]
async fn an_unknown_key_and_another_algorithm_are_unauthorized() {
    let bind = Bind::start(&["zone.test"]);
    let unknown = Rfc2136Settings { tsig_key: "nobody".to_owned(), ..sha256(&bind) };
    let other = Rfc2136Settings { tsig_algorithm: TsigAlgorithm::HmacSha512, ..sha256(&bind) };
    for settings in [unknown, other] {
        let answer = provider(settings).append_txt(&record("zone.test"), None).await;
        assert!(matches!(answer, Err(Error::Unauthorized { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_zone_that_takes_no_updates_is_unauthorized() {
    let bind = Bind::start(&["zone.test"]);
    // The root zone of this server names no key.
    let root = TxtRecord { zone: String::new(), ..record("elsewhere") };
    let answer = provider(sha256(&bind)).append_txt(&root, None).await;
    assert!(matches!(answer, Err(Error::Unauthorized { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let mut bind = Bind::start(&["zone.test"]);
    bind.stop();
    let answer = provider(sha256(&bind)).append_txt(&record("zone.test"), None).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

fn record(zone: &str) -> TxtRecord {
    let name = format!("_acme-challenge.{zone}");
    TxtRecord { zone: zone.to_owned(), name, value: "value".to_owned(), ttl: 60 }
}

fn provider(settings: Rfc2136Settings) -> Rfc2136 {
    Rfc2136::new(settings).expect("the settings are good")
}

fn sha256(bind: &Bind) -> Rfc2136Settings {
    Rfc2136Settings {
        server: bind.address().to_string(),
        tsig_key: bind.tsig_key().to_owned(),
        tsig_algorithm: TsigAlgorithm::HmacSha256,
        tsig_secret: SecretString::from(bind.tsig_secret()),
    }
}

fn sha512(bind: &Bind) -> Rfc2136Settings {
    Rfc2136Settings {
        server: bind.address().to_string(),
        tsig_key: bind.tsig_sha512_key().to_owned(),
        tsig_algorithm: TsigAlgorithm::HmacSha512,
        tsig_secret: SecretString::from(bind.tsig_sha512_secret()),
    }
}

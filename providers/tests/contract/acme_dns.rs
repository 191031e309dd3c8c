//! `acme-dns` against a fake as strict as the server's public API documentation.

use async_trait::async_trait;
use providers::Error;
use providers::dns::acme_dns::{AcmeDns, AcmeDnsCredentials, AcmeDnsSettings};
use providers::dns::{DnsProvider, TxtRecord};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::server::AcmeDnsServer;
use super::dns::{Host, Values, Zone, holds};

#[path = "../../../tests/peers/fakes/acme_dns.rs"]
mod server;

#[tokio::test]
async fn the_contract_holds() {
    let server = AcmeDnsServer::start().await;
    let provider = provider(&server, None);
    let known = registered(&provider).await;
    let wrong = AcmeDnsCredentials { password: SecretString::from("x".repeat(40)), ..known };
    let stranger = self::provider(&server, Some(wrong));
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: &server,
        origin: "zone.test",
        values: Values::Challenge,
        // Every name leads to the same zone there.
        knows_its_zones: false,
    };
    holds(&host).await;
}

#[tokio::test]
async fn fixed_credentials_serve_every_name_and_hold_two_values() {
    let server = AcmeDnsServer::start().await;
    let known = registered(&provider(&server, None)).await;
    let subdomain = known.subdomain.clone();
    let provider = provider(&server, Some(known));
    for word in ["first", "second", "third"] {
        provider.append_txt(&record(&format!("{word:_<43}")), None).await.expect("append");
    }
    let held: Vec<String> = server.names().accounts[&subdomain].values.iter().cloned().collect();
    assert_eq!(held, ["second", "third"].map(|word| format!("{word:_<43}")));
    assert_eq!(provider.capabilities().values_per_name, Some(held.len()));
}

#[tokio::test]
async fn a_value_that_is_no_challenge_is_rejected_in_the_server_s_words() {
    let server = AcmeDnsServer::start().await;
    let provider = provider(&server, None);
    let registration = provider.register("_acme-challenge.zone.test").await.expect("register");
    let answer = provider.append_txt(&record("too short"), registration.as_ref()).await;
    assert_eq!(answer, Err(Error::rejected("400 Bad Request: bad_txt")));
}

fn provider(server: &AcmeDnsServer, credentials: Option<AcmeDnsCredentials>) -> AcmeDns {
    let settings = AcmeDnsSettings { api_url: server.api_url(), credentials };
    AcmeDns::new(settings).expect("the settings are good")
}

/// The credentials of a new registration, as an operator would write them down.
async fn registered(provider: &AcmeDns) -> AcmeDnsCredentials {
    let registration = provider.register("_acme-challenge.zone.test").await.expect("register");
    let registration = registration.expect("this host has registrations");
    let secret: Value = serde_json::from_str(registration.secret.expose_secret()).expect("the secret is JSON");
    let field = |name: &str| secret[name].as_str().expect("a text").to_owned();
    let (username, subdomain) = (field("username"), field("subdomain"));
    AcmeDnsCredentials { username, password: SecretString::from(field("password")), subdomain }
}

fn record(value: &str) -> TxtRecord {
    let name = "_acme-challenge.zone.test".to_owned();
    TxtRecord { zone: "zone.test".to_owned(), name, value: value.to_owned(), ttl: 60 }
}

#[async_trait]
impl Zone for AcmeDnsServer {
    async fn txt(&self, name: &str) -> Vec<String> {
        let names = self.names();
        let account = &names.accounts[&names.aliases[name]];
        let mut values: Vec<String> = account.values.iter().cloned().collect();
        values.sort();
        // The same record twice is once in an answer.
        values.dedup();
        values
    }

    async fn put(&self, name: &str, value: &str) {
        let mut names = self.names();
        let subdomain = names.aliases[name].clone();
        names.accounts.get_mut(&subdomain).expect("registered").push(value);
    }

    async fn alias(&self, name: &str, target: &str) {
        let subdomain = target.strip_suffix(".auth.example.net").expect("the server's own zone");
        self.names().aliases.insert(name.to_owned(), subdomain.to_owned());
    }
}

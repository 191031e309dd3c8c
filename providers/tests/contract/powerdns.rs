//! `powerdns` against the real server.

use async_trait::async_trait;
use providers::Error;
use providers::dns::powerdns::{PowerDns, PowerDnsSettings};
use providers::dns::{DnsProvider, TxtRecord};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::dns::{Host, Values, Zone, holds};
use crate::peers::powerdns::PowerDns as Server;

#[async_trait]
impl Zone for Server {
    async fn txt(&self, name: &str) -> Vec<String> {
        Server::txt(self, name)
    }

    async fn put(&self, name: &str, value: &str) {
        let records = Server::txt(self, name).into_iter().chain([value.to_owned()]);
        let records =
            records.map(|value| json!({"content": format!("\"{value}\""), "disabled": false})).collect::<Vec<_>>();
        replace(self, name, &records);
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let server = Server::start(&["zone.test"]);
    let provider = provider(&server, server.api_key());
    let stranger = self::provider(&server, "wrong");
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: &server,
        origin: "zone.test",
        values: Values::Text,
        knows_its_zones: true,
    };
    holds(&host).await;
}

#[tokio::test]
async fn time_to_live_and_disabled_values_of_others_stay() {
    let server = Server::start(&["zone.test"]);
    let provider = provider(&server, server.api_key());
    let foreign = json!([{"content": "\"foreign\"", "disabled": false}, {"content": "\"disabled\"", "disabled": true}]);
    replace(&server, "a.zone.test", foreign.as_array().expect("an array"));
    let before = set(&server, "a.zone.test");
    let record =
        TxtRecord { zone: "zone.test".to_owned(), name: "a.zone.test".to_owned(), value: "ours".to_owned(), ttl: 60 };
    provider.append_txt(&record, None).await.expect("append");
    let during = set(&server, "a.zone.test");
    assert_eq!(during["ttl"], before["ttl"]);
    assert_eq!(during["records"].as_array().map(Vec::len), Some(3), "{during}");
    provider.delete_txt(&record, None).await.expect("delete");
    assert_eq!(set(&server, "a.zone.test"), before);
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let mut server = Server::start(&["zone.test"]);
    server.stop();
    let record =
        TxtRecord { zone: "zone.test".to_owned(), name: "a.zone.test".to_owned(), value: "ours".to_owned(), ttl: 60 };
    let answer = provider(&server, server.api_key()).append_txt(&record, None).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

fn provider(server: &Server, api_key: &str) -> PowerDns {
    let api_key = SecretString::from(api_key);
    let settings = PowerDnsSettings { api_url: server.api_url(), api_key, server_id: "localhost".to_owned() };
    PowerDns::new(settings).expect("the settings are good")
}

fn replace(server: &Server, name: &str, records: &[Value]) {
    let name = format!("{name}.");
    let set = json!({"name": name, "type": "TXT", "ttl": 3600, "changetype": "REPLACE", "records": records});
    let body = json!({"rrsets": [set]}).to_string();
    server.request("PATCH", "/zones/zone.test.", &body).expect("the foreign values are taken");
}

/// The TXT set at this name, as the API shows it.
fn set(server: &Server, name: &str) -> Value {
    let zone = server.request("GET", "/zones/zone.test.", "").expect("the zone can be read");
    let zone: Value = serde_json::from_str(&zone).expect("the zone is JSON");
    let sets = zone["rrsets"].as_array().expect("a zone has sets");
    let name = format!("{name}.");
    let found = sets.iter().find(|set| set["name"] == name.as_str() && set["type"] == "TXT");
    let mut set = found.unwrap_or_else(|| panic!("no TXT at `{name}`: {zone}")).clone();
    set["records"].as_array_mut().expect("a set has records").sort_by_key(Value::to_string);
    set
}

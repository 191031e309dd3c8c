//! `cloudflare` against a fake as strict as the public API documentation.

use async_trait::async_trait;
use providers::Error;
use providers::dns::cloudflare::{Cloudflare, CloudflareSettings};
use providers::dns::{DnsProvider, TxtRecord};
use serde_json::json;

use self::server::{CloudflareServer, TOKEN, meaning};
use super::dns::{Host, Values, Zone, holds};

#[path = "../../../tests/peers/fakes/cloudflare.rs"]
mod server;

#[async_trait]
impl Zone for CloudflareServer {
    async fn txt(&self, name: &str) -> Vec<String> {
        self.cloud().contents(name).iter().map(|content| meaning(content)).collect()
    }

    /// Without quotes, as older records stand there.
    async fn put(&self, name: &str, value: &str) {
        let mut cloud = self.cloud();
        let zone_id = cloud.zone_id("zone.test");
        cloud.add(&zone_id, json!({"type": "TXT", "name": name, "content": value, "ttl": 1}));
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let server = server(&[("zone.test", "pending"), ("zone.test", "active"), ("other.test", "active")]).await;
    contract_holds_at(&server).await;
}

#[tokio::test]
async fn the_contract_holds_in_a_pending_zone() {
    contract_holds_at(&server(&[("zone.test", "pending")]).await).await;
}

async fn contract_holds_at(server: &CloudflareServer) {
    let provider = provider(server, TOKEN);
    let stranger = self::provider(server, "a-wrong-token");
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: server,
        origin: "zone.test",
        values: Values::Text,
        knows_its_zones: true,
    };
    holds(&host).await;
    assert_eq!(server.cloud().complaints, [""; 0]);
}

#[tokio::test]
async fn every_page_is_read() {
    let many: Vec<(&str, &str)> =
        std::iter::repeat_n(("zone.test", "moved"), 60).chain([("zone.test", "active")]).collect();
    let server = server(&many).await;
    for number in 0..250 {
        server.put("_x.zone.test", &format!("foreign-{number}")).await;
    }
    let provider = provider(&server, TOKEN);
    provider.append_txt(&record("ours"), None).await.expect("append");
    provider.append_txt(&record("foreign-249"), None).await.expect("it is there, on the last page");
    provider.delete_txt(&record("ours"), None).await.expect("delete");
    assert_eq!(server.txt("_x.zone.test").await.len(), 250);
    assert_eq!(server.cloud().complaints, [""; 0]);
}

#[tokio::test]
async fn a_zone_is_looked_up_once_and_again_when_it_was_made_anew() {
    let server = server(&[("zone.test", "active")]).await;
    let provider = provider(&server, TOKEN);
    for value in ["one", "two"] {
        provider.append_txt(&record(value), None).await.expect("append");
    }
    let lookups = |server: &CloudflareServer| {
        server.cloud().requests.iter().filter(|request| request.contains("/zones?")).count()
    };
    assert_eq!(lookups(&server), 1);
    let old = server.cloud().zone_id("zone.test");
    server.cloud().remove_zone(&old);
    server.cloud().add_zone("zone.test", "active");
    let missing = Err(Error::ZoneNotFound { zone: "zone.test".to_owned() });
    assert_eq!(provider.append_txt(&record("three"), None).await, missing);
    provider.append_txt(&record("three"), None).await.expect("the new zone is found");
    assert_eq!(server.txt("_x.zone.test").await, ["three"]);
}

#[tokio::test]
async fn both_spellings_of_a_value_are_deleted() {
    let server = server(&[("zone.test", "active")]).await;
    server.put("_x.zone.test", "ours").await;
    server.put("_x.zone.test", "\"ou\" \"rs\"").await;
    server.put("_x.zone.test", "theirs").await;
    provider(&server, TOKEN).delete_txt(&record("ours"), None).await.expect("delete");
    assert_eq!(server.txt("_x.zone.test").await, ["theirs"]);
}

#[tokio::test]
async fn refusals_are_sorted() {
    let server = server(&[("zone.test", "active")]).await;
    let refusals = [
        (
            429,
            r#"{"success":false,"errors":[{"code":971,"message":"slow down"}]}"#,
            "rate limited: status 429; code 971: slow down",
        ),
        (503, "<html>no</html>", "unavailable: status 503"),
        (401, "", "the credentials were refused: status 401"),
        (200, r#"{"success":false,"errors":[{"code":99999,"message":"no"}]}"#, "rejected: status 200; code 99999: no"),
        (200, "<html>", "unavailable: an answer that cannot be read: expected value at line 1 column 1"),
        (
            400,
            r#"{"errors":[{"code":6003,"message":"bad"}]}"#,
            "the credentials were refused: status 400; code 6003: bad",
        ),
    ];
    for (status, body, told) in refusals {
        server.cloud().refusals.push((status, body.to_owned()));
        let error = provider(&server, TOKEN).append_txt(&record("ours"), None).await.expect_err("a refusal");
        assert_eq!(error.to_string(), told);
    }
}

#[tokio::test]
async fn a_record_that_is_refused_and_not_there_is_rejected() {
    let server = server(&[("zone.test", "active")]).await;
    let provider = provider(&server, TOKEN);
    provider.append_txt(&record("first"), None).await.expect("the zone is known from here on");
    server.cloud().refusals.push((400, r#"{"errors":[{"code":81045,"message":"quota exceeded"}]}"#.to_owned()));
    let error = provider.append_txt(&record("second"), None).await.expect_err("a refusal");
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let server = server(&[]).await;
    let provider = provider(&server, TOKEN);
    drop(server);
    let error = provider.append_txt(&record("ours"), None).await.expect_err("nobody is there");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(!error.to_string().contains(TOKEN));
}

async fn server(zones: &[(&str, &str)]) -> CloudflareServer {
    let server = CloudflareServer::start().await;
    for (name, status) in zones {
        server.cloud().add_zone(name, status);
    }
    server
}

fn provider(server: &CloudflareServer, token: &str) -> Cloudflare {
    let settings = CloudflareSettings { api_token: token.into(), api_url: Some(server.api_url()) };
    Cloudflare::new(settings).expect("the settings are good")
}

fn record(value: &str) -> TxtRecord {
    let name = "_x.zone.test".to_owned();
    TxtRecord { zone: "zone.test".to_owned(), name, value: value.to_owned(), ttl: 60 }
}

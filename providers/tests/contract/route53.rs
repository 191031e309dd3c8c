//! `route53` against moto, and against a server of a few canned answers for what moto never says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, HostedZoneConfig, ResourceRecord, ResourceRecordSet, RrType, Vpc, VpcRegion,
};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use providers::Error;
use providers::dns::route53::{Route53, Route53Settings};
use providers::dns::txt::{Escapes, quote_as, unquote_as};
use providers::dns::{DnsProvider, TxtRecord};
use tokio::task::JoinSet;

use super::dns::{Host, Values, Zone, holds};
use crate::peers::moto::Moto;

#[tokio::test]
async fn the_contract_holds() {
    let moto = Moto::start();
    let amazon = Amazon::with_zone(&moto.endpoint()).await;
    let provider = Route53::new(settings(&moto.endpoint())).expect("the settings are good");
    let host = Host {
        provider: &provider,
        // moto checks no signature.
        stranger: None,
        zone: &amazon,
        origin: "zone.test",
        values: Values::Text,
        knows_its_zones: true,
    };
    holds(&host).await;
}

#[tokio::test]
async fn what_others_wrote_stays_byte_for_byte_and_keeps_its_ttl() {
    let moto = Moto::start();
    let amazon = Amazon::with_zone(&moto.endpoint()).await;
    let provider = Route53::new(settings(&moto.endpoint())).expect("the settings are good");
    let foreign = r#""spl" "it \145scaped""#;
    amazon.upsert("_x.zone.test", 3600, vec![foreign.to_owned()]).await;
    provider.append_txt(&record("ours"), None).await.expect("append");
    let set = amazon.set("_x.zone.test").await.expect("a set");
    assert_eq!((set.ttl, amazon.values("_x.zone.test").await), (Some(3600), vec![foreign.into(), "\"ours\"".into()]));
    provider.delete_txt(&record("ours"), None).await.expect("delete");
    assert_eq!(amazon.values("_x.zone.test").await, [foreign]);
    provider.delete_txt(&record("split escaped"), None).await.expect("delete");
    assert_eq!(amazon.set("_x.zone.test").await, None);
}

#[tokio::test]
async fn a_private_zone_is_passed_over_and_of_two_public_ones_the_setting_decides() {
    let moto = Moto::start();
    let amazon = Amazon::with_zone(&moto.endpoint()).await;
    amazon.add_zone("zone.test", true).await;
    let provider = Route53::new(settings(&moto.endpoint())).expect("the settings are good");
    provider.append_txt(&record("ours"), None).await.expect("append");
    assert_eq!(amazon.values("_x.zone.test").await, ["\"ours\""]);

    let second = amazon.add_zone("zone.test", false).await;
    let unsure = Route53::new(settings(&moto.endpoint())).expect("the settings are good");
    let error = unsure.append_txt(&record("second"), None).await.expect_err("which one?");
    assert!(matches!(&error, Error::Rejected { detail } if detail.contains("hosted_zone_id")), "{error}");

    let told = Route53Settings { hosted_zone_id: Some(second.clone()), ..settings(&moto.endpoint()) };
    Route53::new(told).expect("good").append_txt(&record("second"), None).await.expect("append");
    assert_eq!(Amazon { zone_id: second, ..amazon }.values("_x.zone.test").await, ["\"second\""]);
}

#[tokio::test]
async fn a_set_that_changed_meanwhile_is_read_again() {
    let server = Canned::start([
        (200, zones()),
        (200, set(&["\"first\""])),
        (400, refused_batch("the values provided do not match the current values")),
        (200, set(&["\"first\"", "\"second\""])),
        (200, changed()),
    ])
    .await;
    server.provider().append_txt(&record("ours"), None).await.expect("append");
    let bodies = server.bodies();
    let batch = bodies.last().expect("a batch");
    let (delete, create) = batch.split_once("<Action>CREATE</Action>").expect("the new set is created");
    assert!(delete.contains("<Action>DELETE</Action>"), "{batch}");
    for (part, holds_ours) in [(delete, false), (create, true)] {
        assert!(part.contains("first") && part.contains("second"), "{batch}");
        assert_eq!(part.contains("ours"), holds_ours, "{batch}");
    }
}

#[tokio::test]
async fn a_change_that_is_refused_without_a_race_is_rejected_in_amazon_s_words() {
    let server = Canned::start([
        (200, zones()),
        (200, set(&["\"first\""])),
        (400, error("InvalidChangeBatch", "a CNAME is there")),
        (200, set(&["\"first\""])),
        (400, refused_batch("a CNAME is there")),
    ])
    .await;
    let error = server.provider().append_txt(&record("ours"), None).await.expect_err("a refusal");
    assert!(matches!(&error, Error::Rejected { detail } if detail.contains("a CNAME is there")), "{error}");
}

#[tokio::test]
async fn a_set_that_changes_all_the_time_is_given_up_for_now() {
    let mut answers = vec![(200, zones())];
    for number in 0..5 {
        answers.extend([(200, set(&[&format!("\"{number}\"")])), (400, error("InvalidChangeBatch", "no match"))]);
    }
    let error = Canned::start(answers).await.provider().append_txt(&record("ours"), None).await.expect_err("a refusal");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn refusals_are_sorted() {
    let told = async |status: u16, code: &str| {
        // The SDK tries again what passes by itself.
        let answers = std::iter::repeat_n((status, error(code, "words")), 3);
        let error = Canned::start(answers).await.provider().append_txt(&record("ours"), None).await;
        error.expect_err("a refusal").to_string()
    };
    assert_eq!(told(403, "AccessDenied").await, "the credentials were refused: AccessDenied (status 403): words");
    assert_eq!(told(400, "InvalidInput").await, "rejected: InvalidInput (status 400): words");
    assert_eq!(told(400, "Throttling").await, "rate limited: Throttling (status 400): words");
    assert_eq!(told(503, "ServiceUnavailable").await, "unavailable: ServiceUnavailable (status 503): words");
}

#[tokio::test]
async fn a_zone_that_may_not_be_listed_is_taken_from_the_settings_and_forgotten_when_gone() {
    let server =
        Canned::start([(403, error("AccessDenied", "no list")), (404, error("NoSuchHostedZone", "gone"))]).await;
    let told = Route53Settings { hosted_zone_id: Some("/hostedzone/Z7".to_owned()), ..settings(&server.endpoint()) };
    let provider = Route53::new(told).expect("the settings are good");
    let missing = Err(Error::ZoneNotFound { zone: "zone.test".to_owned() });
    assert_eq!(provider.append_txt(&record("ours"), None).await, missing);
    assert!(server.paths()[1].starts_with("/2013-04-01/hostedzone/Z7/rrset?"), "{:?}", server.paths());
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let server = Canned::start([]).await;
    let provider = server.provider();
    drop(server);
    let answer = tokio::time::timeout(Duration::from_secs(60), provider.append_txt(&record("ours"), None)).await;
    let error = answer.expect("an end").expect_err("nobody is there");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

fn settings(endpoint: &str) -> Route53Settings {
    Route53Settings {
        region: Some("us-east-1".to_owned()),
        access_key_id: Some("AKIDEXAMPLE".to_owned()),
        secret_access_key: Some("secret".into()),
        endpoint_url: Some(endpoint.to_owned()),
        ..Route53Settings::default()
    }
}

fn record(value: &str) -> TxtRecord {
    let name = "_x.zone.test".to_owned();
    TxtRecord { zone: "zone.test".to_owned(), name, value: value.to_owned(), ttl: 60 }
}

/// Looks past the provider, with a client of its own.
struct Amazon {
    client: Client,
    zone_id: String,
}

impl Amazon {
    async fn with_zone(endpoint: &str) -> Self {
        let config = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .endpoint_url(endpoint);
        let mut amazon = Self { client: Client::from_conf(config.build()), zone_id: String::new() };
        amazon.add_zone("other.test", false).await;
        amazon.zone_id = amazon.add_zone("zone.test", false).await;
        amazon
    }

    async fn add_zone(&self, name: &str, private: bool) -> String {
        let number = self.client.list_hosted_zones().send().await.expect("a list").hosted_zones.len();
        let create = self.client.create_hosted_zone().name(name).caller_reference(number.to_string());
        let vpc = private.then(|| Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::UsEast1).build());
        let config = HostedZoneConfig::builder().private_zone(private).build();
        let made = create.set_vpc(vpc).hosted_zone_config(config).send().await.expect("a zone");
        let id = made.hosted_zone.expect("a zone").id;
        id.trim_start_matches("/hostedzone/").to_owned()
    }

    async fn set(&self, name: &str) -> Option<ResourceRecordSet> {
        let list = self.client.list_resource_record_sets().hosted_zone_id(&self.zone_id).send().await.expect("a list");
        assert!(!list.is_truncated, "the tests make few records");
        let name = format!("{name}.");
        list.resource_record_sets.into_iter().find(|set| set.name == name && set.r#type == RrType::Txt)
    }

    async fn values(&self, name: &str) -> Vec<String> {
        let set = self.set(name).await;
        let records = set.iter().flat_map(|set| set.resource_records());
        records.map(|record| record.value.clone()).collect()
    }

    async fn upsert(&self, name: &str, ttl: i64, values: Vec<String>) {
        let record = |value| ResourceRecord::builder().value(value).build().expect("a record");
        let set = ResourceRecordSet::builder().name(format!("{name}.")).r#type(RrType::Txt).ttl(ttl);
        let set = set.set_resource_records(Some(values.into_iter().map(record).collect())).build().expect("a set");
        let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(set).build().expect("a change");
        let batch = ChangeBatch::builder().changes(change).build().expect("a batch");
        let change = self.client.change_resource_record_sets().hosted_zone_id(&self.zone_id).change_batch(batch);
        change.send().await.expect("the values are taken");
    }
}

#[async_trait]
impl Zone for Amazon {
    async fn txt(&self, name: &str) -> Vec<String> {
        let values = self.values(name).await;
        let text = |value: &String| String::from_utf8(unquote_as(value, Escapes::Octal)).expect("the tests use UTF-8");
        values.iter().map(text).collect()
    }

    async fn put(&self, name: &str, value: &str) {
        let mut values = self.values(name).await;
        values.push(quote_as(value, Escapes::Octal));
        self.upsert(name, 300, values).await;
    }
}

/// A server that gives these answers, one a request.
struct Canned {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<(u16, String)>,
    paths: Vec<String>,
    bodies: Vec<String>,
}

impl Canned {
    async fn start(answers: impl IntoIterator<Item = (u16, String)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script = Script { answers: answers.into_iter().collect(), ..Script::default() };
        let script = Arc::new(Mutex::new(script));
        let app = Router::new().fallback(canned).with_state(script.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.expect("the server goes on") });
        Self { address, script, _tasks: tasks }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn provider(&self) -> Route53 {
        Route53::new(settings(&self.endpoint())).expect("the settings are good")
    }

    fn paths(&self) -> Vec<String> {
        self.script.lock().expect("no handler panicked").paths.clone()
    }

    fn bodies(&self) -> Vec<String> {
        self.script.lock().expect("no handler panicked").bodies.clone()
    }
}

async fn canned(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let path = request.uri().to_string();
    let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.expect("a short body");
    let mut script = script.lock().expect("no handler panicked");
    script.paths.push(path);
    script.bodies.push(String::from_utf8_lossy(&body).into_owned());
    let (status, answer) = script.answers.pop_front().unwrap_or((418, "nothing is left to say".to_owned()));
    (StatusCode::from_u16(status).expect("a status"), answer).into_response()
}

const NAMESPACE: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

fn zones() -> String {
    format!(
        "<ListHostedZonesByNameResponse {NAMESPACE}><HostedZones><HostedZone><Id>/hostedzone/Z1</Id>\
         <Name>zone.test.</Name><CallerReference>r</CallerReference></HostedZone></HostedZones>\
         <IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>"
    )
}

fn set(values: &[&str]) -> String {
    let record = |value: &&str| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>");
    let records: String = values.iter().map(record).collect();
    format!(
        "<ListResourceRecordSetsResponse {NAMESPACE}><ResourceRecordSets><ResourceRecordSet><Name>_x.zone.test.</Name>\
         <Type>TXT</Type><TTL>60</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>\
         </ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>300</MaxItems></ListResourceRecordSetsResponse>"
    )
}

fn changed() -> String {
    format!(
        "<ChangeResourceRecordSetsResponse {NAMESPACE}><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>\
         <SubmittedAt>2024-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>"
    )
}

/// The form that Route 53 keeps for this error alone.
fn refused_batch(message: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<InvalidChangeBatch {NAMESPACE}><Messages><Message>{message}</Message></Messages>\
         <RequestId>1</RequestId></InvalidChangeBatch>"
    )
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    )
}

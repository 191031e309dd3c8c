//! The limit: the requests of one order and nothing else. No database, no files, no look whether the TXT is there.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{
    Account, BodyWrapper, BytesResponse, ChallengeType, Error, HttpClient, Identifier, NewAccount, NewOrder, Order,
    OrderStatus,
};
use providers::dns::rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm};
use providers::dns::{DnsProvider as _, TxtRecord};
use renewd::pki::csr::csr;
use renewd::pki::key::{KeyType, PrivateKey};

use crate::peers::bind::Bind;
use crate::peers::pebble::Pebble;

/// Between two looks at the order.
const PAUSE: Duration = Duration::from_millis(2);

/// An account at Pebble and a hand on BIND.
pub struct Bare {
    account: Account,
    dns: Rfc2136,
    zone: String,
}

impl Bare {
    /// Registers the account.
    pub async fn new(pebble: &Pebble, bind: &Bind, zone: &str) -> Self {
        let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
        let http = Box::new(Http::new(pebble.tls_root()));
        let builder = Account::builder_with_http(http);
        let (account, _) = builder.create(&new, pebble.directory_url(), None).await.expect("an account is made");
        let settings = Rfc2136Settings {
            server: bind.address().to_string(),
            tsig_key: bind.tsig_key().to_owned(),
            tsig_algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret: bind.tsig_secret().to_owned().into(),
        };
        Self { account, dns: Rfc2136::new(settings).expect("the settings are good"), zone: zone.to_owned() }
    }

    /// The time from a new key to the chain.
    ///
    /// # Panics
    /// When the CA refuses.
    pub async fn obtain(&self, name: &str) -> Duration {
        let started = Instant::now();
        let key = PrivateKey::generate(KeyType::default()).expect("a key can be made");
        let names = [Identifier::Dns(name.to_owned())];
        let mut order = self.account.new_order(&NewOrder::new(&names)).await.expect("an order is made");
        let record = self.authorize(&mut order, name).await;
        until(&mut order, OrderStatus::Ready).await;
        let names = [renewd::identifier::Identifier::parse(name).expect("it is a name")];
        order.finalize_csr(&csr(&key, &names).expect("a request can be made")).await.expect("it is finalized");
        until(&mut order, OrderStatus::Valid).await;
        let chain = order.certificate().await.expect("it is downloaded");
        let took = started.elapsed();
        assert!(chain.is_some_and(|chain| chain.contains("BEGIN CERTIFICATE")));
        self.dns.delete_txt(&record, None).await.expect("it is withdrawn");
        took
    }

    async fn authorize(&self, order: &mut Order, name: &str) -> TxtRecord {
        let mut authorizations = order.authorizations();
        let mut handle = authorizations.next().await.expect("there is one").expect("it can be had");
        let mut challenge = handle.challenge(ChallengeType::Dns01).expect("dns-01 is offered");
        let value = challenge.key_authorization().dns_value();
        let record = TxtRecord { zone: self.zone.clone(), name: format!("_acme-challenge.{name}"), value, ttl: 60 };
        self.dns.append_txt(&record, None).await.expect("it is presented");
        challenge.set_ready().await.expect("the CA is told");
        record
    }
}

async fn until(order: &mut Order, status: OrderStatus) {
    loop {
        let found = order.refresh().await.expect("the order can be had").status;
        if found == status {
            return;
        }
        assert!(found != OrderStatus::Invalid, "the order failed");
        tokio::time::sleep(PAUSE).await;
    }
}

#[derive(Clone)]
struct Http(reqwest::Client);

impl Http {
    fn new(root: &Path) -> Self {
        let pem = std::fs::read(root).expect("the root can be read");
        let roots = reqwest::Certificate::from_pem_bundle(&pem).expect("the root is PEM");
        Self(reqwest::Client::builder().tls_certs_only(roots).build().expect("a client can be made"))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let http = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_else(|never: Infallible| match never {}).to_bytes();
            let sent = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send();
            let answer = sent.await.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(http::Response::<reqwest::Body>::from(answer).into())
        })
    }
}

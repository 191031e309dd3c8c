//! Accounts, orders, authorizations, certificates and renewal information (RFC 8555, section 7; RFC 9773).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::jws::Signed;
use super::{Book, Endpoint, Reply};

pub(super) struct Account {
    pub(super) jwk: Value,
    pub(super) contact: Value,
    pub(super) status: &'static str,
}

pub(super) struct Order {
    account: usize,
    names: Vec<String>,
    profile: Option<String>,
    replaces: Option<String>,
    /// One for each name.
    authorized: Vec<bool>,
    expires: String,
    /// The chains: PEM of each certificate, leaf first.
    certificate: Option<Vec<Vec<String>>>,
}

impl Order {
    fn status(&self) -> &'static str {
        match (&self.certificate, self.authorized.iter().all(|valid| *valid)) {
            (Some(_), _) => "valid",
            (None, true) => "ready",
            (None, false) => "pending",
        }
    }
}

fn refuse(status: u16, kind: &str, detail: &str) -> Reply {
    Reply::problem(status, kind, detail)
}

fn no_such_thing() -> Reply {
    refuse(404, "malformed", "no such resource")
}

impl Book {
    pub(super) fn resource(&mut self, endpoint: Endpoint, rest: &str, signed: Option<Signed>) -> Result<Reply, Reply> {
        let Some(signed) = signed else {
            return match endpoint {
                Endpoint::Directory => Ok(Reply::json(&self.directory())),
                Endpoint::RenewalInfo => self.renewal_info(rest),
                _ => Ok(Reply { status: 200, headers: Vec::new(), body: String::new() }),
            };
        };
        match (endpoint, signed.account) {
            (Endpoint::NewAccount, _) => self.new_account(&signed),
            (Endpoint::Account, Some(account)) => self.account(account, rest, &signed.payload),
            (Endpoint::NewOrder, Some(account)) => self.new_order(account, &signed.payload),
            (Endpoint::Order, Some(account)) => self.order(rest, account).map(|number| self.show_order(number)),
            (Endpoint::Authorization, Some(account)) => self.authorization(rest, account),
            (Endpoint::Challenge, Some(account)) => self.challenge(rest, account, &signed.payload),
            (Endpoint::Finalize, Some(account)) => self.finalize(rest, account, &signed.payload),
            (Endpoint::Certificate, Some(account)) => self.certificate(rest, account),
            (Endpoint::Revoke, _) => Ok(Reply { status: 200, headers: Vec::new(), body: String::new() }),
            _ => Err(no_such_thing()),
        }
    }

    fn directory(&self) -> Value {
        let profiles: serde_json::Map<_, _> =
            self.script.profiles.iter().map(|(name, words)| ((*name).to_owned(), Value::from(*words))).collect();
        let mut directory = json!({
            "newNonce": self.url("/nonce"), "newAccount": self.url("/accounts"), "newOrder": self.url("/orders"),
            "revokeCert": self.url("/revoke"),
            "meta": {
                "profiles": profiles, "caaIdentities": ["fake.example"], "website": "https://fake.example/",
                "externalAccountRequired": self.script.eab.is_some(),
            },
        });
        if let Some(terms) = self.script.terms {
            directory["meta"]["termsOfService"] = terms.into();
        }
        if self.script.renewal_info {
            directory["renewalInfo"] = self.url("/renewal-info").into();
        }
        directory
    }

    fn new_account(&mut self, signed: &Signed) -> Result<Reply, Reply> {
        let payload = &signed.payload;
        if let Some(number) = self.accounts.iter().position(|account| account.jwk == signed.jwk) {
            return Ok(self.show_account(number, 200));
        }
        if payload["onlyReturnExisting"] == true {
            return Err(refuse(400, "accountDoesNotExist", "no such account"));
        }
        if self.script.terms.is_some() && payload["termsOfServiceAgreed"] != true {
            return Err(refuse(403, "userActionRequired", "agree to the terms"));
        }
        if self.script.eab.is_some() {
            match payload.get("externalAccountBinding") {
                None => return Err(refuse(403, "externalAccountRequired", "customers only")),
                Some(_) if !self.accounts.is_empty() => {
                    return Err(refuse(403, "unauthorized", "the key of the binding was used already"));
                }
                Some(binding) if !self.binds(binding, &signed.jwk) => {
                    return Err(refuse(403, "unauthorized", "the binding does not verify"));
                }
                Some(_) => {}
            }
        }
        let contact = payload.get("contact").cloned().unwrap_or_else(|| json!([]));
        self.accounts.push(Account { jwk: signed.jwk.clone(), contact, status: "valid" });
        Ok(self.show_account(self.accounts.len() - 1, 201))
    }

    fn account(&mut self, account: usize, rest: &str, payload: &Value) -> Result<Reply, Reply> {
        if rest != account.to_string() {
            return Err(refuse(403, "unauthorized", "another's account"));
        }
        if let Some(contact) = payload.get("contact") {
            self.accounts[account].contact = contact.clone();
        }
        Ok(self.show_account(account, 200))
    }

    fn show_account(&self, number: usize, status: u16) -> Reply {
        let account = &self.accounts[number];
        let reply = Reply::json(&json!({ "status": account.status, "contact": account.contact }));
        Reply { status, ..reply }.with("location", &self.url(&format!("/account/{number}")))
    }

    fn new_order(&mut self, account: usize, payload: &Value) -> Result<Reply, Reply> {
        let read = |identifier: &Value| {
            (identifier["type"] == "dns").then(|| identifier["value"].as_str())?.map(str::to_owned)
        };
        let identifiers = payload["identifiers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Option<Vec<String>> = identifiers.iter().map(read).collect();
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            return Err(self.complain(400, "an order without names"));
        };
        let text = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        let (profile, replaces) = (text("profile"), text("replaces"));
        if profile.as_deref().is_some_and(|wanted| self.script.profiles.iter().all(|(name, _)| *name != wanted)) {
            return Err(refuse(400, "invalidProfile", "no such profile"));
        }
        let limited =
            self.script.few_names.filter(|(name, most)| profile.as_deref() == Some(name) && names.len() > *most);
        if let Some((_, most)) = limited {
            return Err(refuse(400, "malformed", &format!("Order cannot contain more than {most} identifiers")));
        }
        if let Some(id) = &replaces {
            if !self.issued.contains(id) {
                return Err(refuse(404, "malformed", "what is to be replaced is not known"));
            }
            if !self.replaced.insert(id.clone()) {
                return Err(refuse(409, "alreadyReplaced", "an order replaces it already"));
            }
        }
        let authorized = vec![self.script.ready; names.len()];
        let expires = (OffsetDateTime::now_utc() + Duration::hours(8)).format(&Rfc3339).expect("a time");
        self.orders.push(Order { account, names, profile, replaces, authorized, expires, certificate: None });
        let number = self.orders.len() - 1;
        let reply = Reply { status: 201, ..self.show_order(number) };
        Ok(reply.with("location", &self.url(&format!("/order/{number}"))))
    }

    fn order(&self, rest: &str, account: usize) -> Result<usize, Reply> {
        let number: usize = rest.parse().map_err(|_| no_such_thing())?;
        match self.orders.get(number) {
            Some(order) if order.account == account => Ok(number),
            Some(_) => Err(refuse(403, "unauthorized", "another's order")),
            None => Err(no_such_thing()),
        }
    }

    fn show_order(&self, number: usize) -> Reply {
        let order = &self.orders[number];
        let identifiers: Vec<_> = order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        let authorizations: Vec<_> =
            (0..order.names.len()).map(|index| self.url(&format!("/authorization/{number}-{index}"))).collect();
        let mut document = json!({
            "status": order.status(), "expires": order.expires, "identifiers": identifiers,
            "authorizations": authorizations, "finalize": self.url(&format!("/finalize/{number}")),
        });
        for (key, value) in [("profile", &order.profile), ("replaces", &order.replaces)] {
            if let Some(value) = value {
                document[key] = value.as_str().into();
            }
        }
        if order.certificate.is_some() {
            document["certificate"] = self.url(&format!("/certificate/{number}")).into();
        }
        Reply::json(&document)
    }

    fn part(&self, rest: &str, account: usize) -> Result<(usize, usize), Reply> {
        let (number, index) = rest.split_once('-').ok_or_else(no_such_thing)?;
        let number = self.order(number, account)?;
        let index = index.parse().ok().filter(|index| *index < self.orders[number].names.len());
        Ok((number, index.ok_or_else(no_such_thing)?))
    }

    fn show_challenge(&self, number: usize, index: usize) -> Value {
        let status = if self.orders[number].authorized[index] { "valid" } else { "pending" };
        let url = self.url(&format!("/challenge/{number}-{index}"));
        json!({ "type": "dns-01", "url": url, "token": format!("token-{number}-{index}-abcdefghijklmnopq"), "status": status })
    }

    fn authorization(&self, rest: &str, account: usize) -> Result<Reply, Reply> {
        let (number, index) = self.part(rest, account)?;
        let order = &self.orders[number];
        let name = &order.names[index];
        let status = if order.authorized[index] { "valid" } else { "pending" };
        let mut document = json!({
            "status": status, "identifier": { "type": "dns", "value": name.trim_start_matches("*.") },
            "challenges": [self.show_challenge(number, index)], "expires": order.expires,
        });
        if name.starts_with("*.") {
            document["wildcard"] = true.into();
        }
        Ok(Reply::json(&document))
    }

    fn challenge(&mut self, rest: &str, account: usize, payload: &Value) -> Result<Reply, Reply> {
        let (number, index) = self.part(rest, account)?;
        if *payload != json!({}) {
            return Err(self.complain(400, "an answer to a challenge is an empty object"));
        }
        self.orders[number].authorized[index] = true;
        let up = self.url(&format!("/authorization/{number}-{index}"));
        Ok(Reply::json(&self.show_challenge(number, index)).with("link", &format!("<{up}>;rel=\"up\"")))
    }

    fn finalize(&mut self, rest: &str, account: usize, payload: &Value) -> Result<Reply, Reply> {
        let number = self.order(rest, account)?;
        if self.orders[number].status() != "ready" {
            return Err(refuse(403, "orderNotReady", "the order is not ready"));
        }
        let csr = payload["csr"].as_str().and_then(|csr| URL_SAFE_NO_PAD.decode(csr).ok()).unwrap_or_default();
        match self.signing.sign(&csr, &self.orders[number].names) {
            Ok(issued) => {
                self.issued.insert(issued.cert_id);
                self.orders[number].certificate = Some(issued.chains);
                Ok(self.show_order(number).with("location", &self.url(&format!("/order/{number}"))))
            }
            Err(what) => {
                self.complaints.push(what.clone());
                Err(refuse(400, "badCSR", &what))
            }
        }
    }

    fn certificate(&mut self, rest: &str, account: usize) -> Result<Reply, Reply> {
        let (order, chain) = rest.split_once('/').unwrap_or((rest, "0"));
        let number = self.order(order, account)?;
        let chains = self.orders[number].certificate.as_ref().ok_or_else(no_such_thing)?;
        let chain: usize = chain.parse().map_err(|_| no_such_thing())?;
        let mut certificates = chains.get(chain).ok_or_else(no_such_thing)?.clone();
        let others = (0..chains.len()).filter(|other| *other != chain);
        let links: Vec<_> = others
            .map(|other| format!("<{}>;rel=\"alternate\"", self.url(&format!("/certificate/{number}/{other}"))))
            .collect();
        for edit in &mut self.chain_edits {
            edit(&mut certificates);
        }
        let kind = ("content-type".to_owned(), "application/pem-certificate-chain".to_owned());
        let reply = Reply { status: 200, headers: vec![kind], body: certificates.concat() };
        Ok(links.iter().fold(reply, |reply, link| reply.with("link", link)))
    }

    fn renewal_info(&self, rest: &str) -> Result<Reply, Reply> {
        if !self.issued.contains(rest) {
            return Err(refuse(404, "malformed", "no such certificate"));
        }
        let window = json!({ "start": "2030-01-02T04:00:00Z", "end": "2030-01-03T04:00:00Z" });
        Ok(Reply::json(&json!({ "suggestedWindow": window })))
    }
}

//! acme-dns: a small name server for challenge names only, to which the real names lead by CNAME.
//!
//! Each registration is one name there that keeps the last two values; an older one falls out when a third comes, so
//! there is nothing to delete. A value sent twice in a row takes both places: send each once where that can be known.

use std::fmt;

use async_trait::async_trait;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Capabilities, DnsProvider, Registration, TxtRecord};
use crate::Error;
use crate::http::{self, Client};

/// How many values one registration keeps.
const VALUES: usize = 2;

/// Where the API is and, if need be, how to log in.
#[derive(Debug, Clone)]
pub struct AcmeDnsSettings {
    /// Where `register` and `update` are: `https://auth.example.net`.
    pub api_url: String,
    /// One registration for every name. Without it each name gets its own from `register`.
    pub credentials: Option<AcmeDnsCredentials>,
}

/// A registration as the host hands it out.
#[derive(Debug, Clone)]
pub struct AcmeDnsCredentials {
    /// A UUID.
    pub username: String,
    /// Forty characters.
    pub password: SecretString,
    /// The first label of the name that the CNAME leads to, a UUID.
    pub subdomain: String,
}

/// One acme-dns server.
pub struct AcmeDns {
    client: Client,
    base: Url,
    credentials: Option<AcmeDnsCredentials>,
}

impl AcmeDns {
    /// A provider for the server; nothing is asked yet.
    ///
    /// # Errors
    /// `Rejected` where `api_url` is no http or https URL.
    pub fn new(settings: AcmeDnsSettings) -> Result<Self, Error> {
        let base = http::base(&settings.api_url)?;
        Ok(Self { client: Client::new()?, base, credentials: settings.credentials })
    }

    /// The fixed credentials, or those of this name's registration.
    fn credentials(&self, registration: Option<&Registration>) -> Result<AcmeDnsCredentials, Error> {
        match (&self.credentials, registration) {
            (Some(credentials), _) => Ok(credentials.clone()),
            (None, Some(registration)) => Account::open(&registration.secret),
            (None, None) => Err(Error::Unauthorized { detail: "the name is not registered".to_owned() }),
        }
    }
}

impl fmt::Debug for AcmeDns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AcmeDns({})", self.base)
    }
}

#[async_trait]
impl DnsProvider for AcmeDns {
    fn capabilities(&self) -> Capabilities {
        let registers = self.credentials.is_none();
        Capabilities { delete: false, atomic_append: true, values_per_name: Some(VALUES), registers }
    }

    async fn append_txt(&self, record: &TxtRecord, registration: Option<&Registration>) -> Result<(), Error> {
        let credentials = self.credentials(registration)?;
        let username = SecretString::from(credentials.username);
        let update = Update { subdomain: &credentials.subdomain, txt: &record.value };
        let request = self.client.request(Method::POST, http::join(&self.base, &["update"]));
        let request = request.secret_header("X-Api-User", &username)?;
        request.secret_header("X-Api-Key", &credentials.password)?.json(&update).send().await?.done()
    }

    /// Does nothing: the host overwrites old values by itself.
    async fn delete_txt(&self, _: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        Ok(())
    }

    async fn register(&self, _: &str) -> Result<Option<Registration>, Error> {
        if self.credentials.is_some() {
            return Ok(None);
        }
        let request = self.client.request(Method::POST, http::join(&self.base, &["register"]));
        let registered: Registered = request.send().await?.json()?;
        registered.into_registration().map(Some)
    }
}

#[derive(Serialize)]
struct Update<'a> {
    subdomain: &'a str,
    txt: &'a str,
}

/// The answer to `register`.
#[derive(Deserialize)]
struct Registered {
    fulldomain: String,
    #[serde(flatten)]
    account: Account,
}

impl Registered {
    fn into_registration(self) -> Result<Registration, Error> {
        let target = self.fulldomain.trim_end_matches('.').to_ascii_lowercase();
        if target.is_empty() {
            return Err(Error::rejected("the registration names no `fulldomain`"));
        }
        Ok(Registration { target, secret: self.account.seal()? })
    }
}

/// What the caller keeps of a registration, as JSON.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Account {
    username: String,
    password: String,
    subdomain: String,
}

impl Account {
    fn seal(&self) -> Result<SecretString, Error> {
        let json = serde_json::to_string(self).map_err(|_| Error::rejected("the registration is no JSON"))?;
        Ok(SecretString::from(json))
    }

    fn open(sealed: &SecretString) -> Result<AcmeDnsCredentials, Error> {
        let damaged = |_| Error::Unauthorized { detail: "the registration kept for this name is damaged".to_owned() };
        let account: Self = serde_json::from_str(sealed.expose_secret()).map_err(damaged)?;
        Ok(AcmeDnsCredentials {
            username: account.username.clone(),
            password: SecretString::from(account.password.as_str()),
            subdomain: account.subdomain.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(credentials: Option<AcmeDnsCredentials>) -> AcmeDns {
        AcmeDns::new(AcmeDnsSettings { api_url: "http://127.0.0.1:1".to_owned(), credentials }).unwrap()
    }

    #[test]
    fn a_registration_survives_being_kept() {
        let answer = r#"{"allowfrom":[],"fulldomain":"D420C923.auth.Example.net","password":"canary",
                         "subdomain":"d420c923","username":"c36f50e8"}"#;
        let registered: Registered = serde_json::from_str(answer).unwrap();
        let registration = registered.into_registration().unwrap();
        assert_eq!(registration.target, "d420c923.auth.example.net");
        assert!(!format!("{registration:?}").contains("canary"));
        let credentials = provider(None).credentials(Some(&registration)).unwrap();
        assert_eq!((credentials.username.as_str(), credentials.subdomain.as_str()), ("c36f50e8", "d420c923"));
        assert_eq!(credentials.password.expose_secret(), "canary");
    }

    #[test]
    fn what_is_not_registered_is_refused_without_a_call() {
        assert!(matches!(provider(None).credentials(None), Err(Error::Unauthorized { .. })));
        let damaged = Registration { target: "x.test".to_owned(), secret: "canary".to_owned().into() };
        let error = provider(None).credentials(Some(&damaged)).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[tokio::test]
    async fn fixed_credentials_come_first_and_nothing_is_registered() {
        let password = SecretString::from("canary");
        let credentials = AcmeDnsCredentials { username: "u".to_owned(), password, subdomain: "s".to_owned() };
        let provider = provider(Some(credentials));
        assert!(!provider.capabilities().registers);
        assert!(provider.register("_acme-challenge.zone.test").await.unwrap().is_none());
        assert_eq!(provider.credentials(None).unwrap().subdomain, "s");
        assert!(!format!("{provider:?}").contains("canary"));
    }
}

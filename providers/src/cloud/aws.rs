//! Amazon Web Services: logging in, and sorting what an AWS service answers.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::error::{chain, shorten};

/// Where there is no region: the one of the services that have none, as Route 53.
const ANY_REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(30);

/// How to log in. Without keys the SDK looks by itself: environment, profiles, roles, the machine's own identity.
#[derive(Debug, Clone)]
pub(crate) struct LogIn {
    region: Option<String>,
    profile: Option<String>,
    keys: Option<Keys>,
    endpoint_url: Option<String>,
}

#[derive(Debug, Clone)]
struct Keys {
    access_key_id: String,
    secret_access_key: SecretString,
}

impl LogIn {
    /// From a region or the SDK's choice, a profile or the SDK's choice.
    pub(crate) fn new(region: Option<String>, profile: Option<String>) -> Self {
        Self { region, profile, keys: None, endpoint_url: None }
    }

    /// With these keys in place of what the SDK finds: both, or neither.
    pub(crate) fn with_keys(self, id: Option<String>, secret: Option<SecretString>) -> Result<Self, Error> {
        let keys = match (id, secret) {
            (Some(access_key_id), Some(secret_access_key)) => Some(Keys { access_key_id, secret_access_key }),
            (None, None) => None,
            _ => return Err(Error::rejected("`access_key_id` and `secret_access_key` go together: one is missing")),
        };
        Ok(Self { keys, ..self })
    }

    /// At another address than Amazon's.
    pub(crate) fn at(self, endpoint_url: Option<String>) -> Result<Self, Error> {
        if let Some(url) = &endpoint_url {
            let scheme = url.parse::<http::Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned));
            if !matches!(scheme.as_deref(), Some("http" | "https")) {
                return Err(Error::rejected("`endpoint_url` is not an http or https address"));
            }
        }
        Ok(Self { endpoint_url, ..self })
    }

    /// What every client of an AWS service is made from. Reads the SDK's files, and asks the machine's metadata
    /// service where nothing else says the region.
    pub(crate) async fn load(&self) -> SdkConfig {
        let config = self.loader().load().await;
        match config.region() {
            Some(_) => config,
            None => config.into_builder().region(Region::new(ANY_REGION)).build(),
        }
    }

    fn loader(&self) -> ConfigLoader {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(TIMEOUT);
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts.build());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(keys) = &self.keys {
            loader = loader.credentials_provider(keys.credentials());
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        self.with_region(loader)
    }

    /// With keys of our own nothing about the machine matters: its metadata service is not asked.
    fn with_region(&self, loader: ConfigLoader) -> ConfigLoader {
        match &self.region {
            Some(region) => loader.region(Region::new(region.clone())),
            None if self.keys.is_some() && self.profile.is_none() => {
                let environment = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
                loader.region(environment.or_else(ANY_REGION))
            }
            None => loader,
        }
    }
}

impl Keys {
    fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, self.secret_access_key.expose_secret(), None, None, "renewd")
    }
}

/// Sorts a failed call by what the caller does next.
pub(crate) fn sorted<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => answered(service.err(), service.raw()),
        SdkError::ResponseError(_) | SdkError::TimeoutError(_) => Error::unavailable(error),
        _ => unsent(error),
    }
}

/// Codes that say: these credentials will not do.
const UNAUTHORIZED: [&str; 13] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// Codes that say: too much at once.
const THROTTLED: [&str; 8] = [
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];

fn answered(error: &impl ProvideErrorMetadata, response: &HttpResponse) -> Error {
    let (code, status) = (error.code().unwrap_or("no code"), response.status().as_u16());
    let detail = shorten(&format!("{code} (status {status}): {}", error.message().unwrap_or("no message")));
    match status {
        _ if THROTTLED.contains(&code) => Error::RateLimited { retry_after: retry_after(response), detail },
        _ if UNAUTHORIZED.contains(&code) => Error::Unauthorized { detail },
        429 => Error::RateLimited { retry_after: retry_after(response), detail },
        401 | 403 => Error::Unauthorized { detail },
        500.. => Error::Unavailable { detail },
        _ => Error::Rejected { detail },
    }
}

fn retry_after(response: &HttpResponse) -> Option<Duration> {
    response.headers().get("retry-after")?.trim().parse().ok().map(Duration::from_secs)
}

/// There was no call: no credentials were found, or nobody was reached.
fn unsent(error: &(dyn std::error::Error + 'static)) -> Error {
    let detail = shorten(&chain(error));
    match credentials_are_missing(error) || UNAUTHORIZED.iter().any(|code| detail.contains(code)) {
        true => Error::Unauthorized { detail },
        false => Error::Unavailable { detail },
    }
}

/// Whether the SDK looked for credentials and found none, or found what cannot be used. Trouble on the way to them
/// (an STS that does not answer) passes by itself.
fn credentials_are_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<CredentialsError>()).any(|error| {
        matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_route53::operation::list_hosted_zones_by_name::ListHostedZonesByNameError;

    use super::*;

    fn told(status: u16, code: &str) -> Error {
        let metadata = ErrorMetadata::builder().code(code).message("words").build();
        let mut response = HttpResponse::new(status.try_into().unwrap(), "".into());
        response.headers_mut().insert("retry-after", "7");
        sorted(&SdkError::service_error(ListHostedZonesByNameError::generic(metadata), response))
    }

    fn unreached(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        sorted(&SdkError::<ListHostedZonesByNameError, _>::dispatch_failure(ConnectorError::other(error.into(), None)))
    }

    #[test]
    fn answers_are_sorted_by_what_comes_next() {
        let detail = |status: u16, code: &str| format!("{code} (status {status}): words");
        for (status, code) in
            [(403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (400, "ExpiredToken"), (403, "New")]
        {
            assert_eq!(told(status, code), Error::Unauthorized { detail: detail(status, code) });
        }
        let seven = Some(Duration::from_secs(7));
        for (status, code) in [(400, "Throttling"), (400, "PriorRequestNotComplete"), (429, "New"), (503, "SlowDown")] {
            assert_eq!(told(status, code), Error::RateLimited { retry_after: seven, detail: detail(status, code) });
        }
        assert_eq!(told(503, "ServiceUnavailable"), Error::Unavailable { detail: detail(503, "ServiceUnavailable") });
        assert_eq!(told(400, "InvalidInput"), Error::Rejected { detail: detail(400, "InvalidInput") });
    }

    #[test]
    fn missing_credentials_are_no_outage() {
        assert!(matches!(unreached(CredentialsError::not_loaded("none")), Error::Unauthorized { .. }));
        assert!(matches!(unreached(CredentialsError::invalid_configuration("loop")), Error::Unauthorized { .. }));
        let role = CredentialsError::provider_error("AccessDenied: may not assume");
        assert!(matches!(unreached(role), Error::Unauthorized { .. }));
        assert!(matches!(unreached(CredentialsError::provider_error("sts is away")), Error::Unavailable { .. }));
        assert!(matches!(unreached("connection refused"), Error::Unavailable { .. }));
    }

    #[test]
    fn half_a_key_and_odd_addresses_are_refused() {
        let log_in = || LogIn::new(None, None);
        assert!(log_in().with_keys(Some("id".into()), None).is_err());
        assert!(log_in().with_keys(None, Some("canary".into())).is_err());
        assert!(log_in().at(Some("127.0.0.1:5000".into())).is_err());
        let whole = log_in().with_keys(Some("id".into()), Some("canary".into())).unwrap();
        let whole = whole.at(Some("http://127.0.0.1:5000".into())).unwrap();
        assert!(!format!("{whole:?}").contains("canary"));
    }

    #[tokio::test]
    async fn settings_reach_the_sdk() {
        let log_in = LogIn::new(Some("eu-central-1".into()), None)
            .with_keys(Some("id".into()), Some("secret".into()))
            .and_then(|log_in| log_in.at(Some("http://127.0.0.1:1".into())))
            .unwrap();
        let config = log_in.load().await;
        assert_eq!(config.region().map(Region::as_ref), Some("eu-central-1"));
        assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:1"));
        assert_eq!(config.timeout_config().and_then(TimeoutConfig::operation_timeout), Some(TIMEOUT));
    }
}

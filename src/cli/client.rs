//! Asking the daemon on its local socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;

/// As long as an answer is waited for: a reload may have much to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Speaks to one daemon.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody listens, or we may not ask.
    NoDaemon {
        /// Where.
        socket: PathBuf,
        /// Why.
        error: anyhow::Error,
    },
    /// The daemon says no.
    Refused(Value),
    /// The answer cannot be understood.
    Strange(anyhow::Error),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoDaemon { socket, error } => Self::NoDaemon { socket, error },
            Unanswered::Refused(problem) => Self::Refused { problem },
            Unanswered::Strange(error) => Self::NotDone(error),
        }
    }
}

impl Client {
    /// A client of the daemon at `socket`.
    pub(super) fn new(socket: &Path) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            .timeout(PATIENCE)
            .build()
            .context("cannot set up a client of the daemon")?;
        Ok(Self { http, socket: socket.to_owned() })
    }

    /// Asks for something to look at.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unanswered> {
        self.send(self.http.get(url(path))).await
    }

    /// Asks for something to be done.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Unanswered> {
        self.send(self.http.post(url(path)).json(body)).await
    }

    /// The same, for what takes longer.
    pub(super) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<T, Unanswered> {
        self.send(self.http.post(url(path)).json(body).timeout(patience)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Unanswered> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| Unanswered::Strange(error.into()))?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the daemon's answer is strange")
                .map_err(Unanswered::Strange);
        }
        match serde_json::from_slice(&body) {
            Ok(problem @ Value::Object(_)) => Err(Unanswered::Refused(problem)),
            _ => Err(Unanswered::Strange(anyhow::anyhow!("the daemon answers {status}"))),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Unanswered {
        if error.is_timeout() && !error.is_connect() {
            return Unanswered::Strange(anyhow::anyhow!("the daemon does not answer within {} s", PATIENCE.as_secs()));
        }
        // What the kernel says is worth telling, the layers above it are not.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Unanswered::NoDaemon { socket: self.socket.clone(), error: anyhow::anyhow!("{cause}") }
    }
}

/// The host's name is of no meaning on a socket of this machine.
fn url(path: &str) -> String {
    format!("http://localhost{path}")
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte);
    name.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_in_their_segment() {
        assert_eq!(super::segment("*.example.com"), "*.example.com");
        assert_eq!(super::segment("../a?b c"), "..%2Fa%3Fb%20c");
    }
}

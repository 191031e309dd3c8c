//! HTTP for tests, through `curl`: a client that shares no code with the product.

use std::path::Path;
use std::process::Command;

use super::programs;

/// One request.
pub struct Request {
    url: String,
    curl: Command,
    body: String,
}

/// Begins a GET.
pub fn get(url: &str) -> Request {
    request("GET", url)
}

/// Begins a request with this method.
pub fn request(method: &str, url: &str) -> Request {
    let mut curl = Command::new(programs::find("curl"));
    // `-q` keeps a `.curlrc` out.
    curl.args(["-q", "--silent", "--show-error", "--fail-with-body", "--max-time", "20", "--noproxy", "*"]);
    curl.args(["--request", method]);
    Request { url: url.to_owned(), curl, body: String::new() }
}

impl Request {
    /// Trusts this root only (a PEM file).
    pub fn root(mut self, root: &Path) -> Self {
        self.curl.arg("--cacert").arg(root);
        self
    }

    /// Adds a header, as `Accept: text/plain`.
    pub fn header(mut self, line: &str) -> Self {
        self.curl.args(["--header", line]);
        self
    }

    /// Sends this body.
    pub fn body(mut self, text: &str) -> Self {
        self.curl.args(["--data-binary", "@-"]);
        self.body = text.to_owned();
        self
    }

    /// Sends the request: the body of a 2xx answer, or what went wrong, with the body.
    pub fn send(mut self) -> Result<String, String> {
        let output = programs::run(self.curl.arg(&self.url), &self.body);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(printed),
            false => Err(format!("{}: {}{printed}", self.url, String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Sends the request, which must succeed, and returns the body.
    ///
    /// # Panics
    /// When it fails.
    pub fn must(self) -> String {
        self.send().unwrap_or_else(|error| panic!("{error}"))
    }
}

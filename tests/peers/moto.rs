//! moto: Amazon's APIs, Route 53 among them. It checks no signature: any key does.

use std::process::Command;

use super::folder::Folder;
use super::process::{Process, insist};
use super::{curl, ports, programs};

/// Names the service that is meant; no signature is checked.
const AUTHORIZATION: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=tests/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=00";

/// A running server, empty when it starts.
pub struct Moto {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Moto {
    /// Starts a server.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start() -> Self {
        insist("moto", || {
            let mut moto = Moto { folder: Folder::new("moto"), port: ports::tcp(), process: None };
            moto.run()?;
            Ok(moto)
        })
    }

    /// The endpoint URL of all services.
    pub fn endpoint(&self) -> String {
        format!("http://{}", ports::loopback(self.port))
    }

    /// Makes a hosted zone of Route 53; returns its id, without `/hostedzone/`.
    pub fn hosted_zone(&self, name: &str) -> String {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}.</Name>\
             <CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
        );
        let answer = self.route53("POST", "/hostedzone").body(&body).must();
        let id = between(&answer, "<Id>", "</Id>").next().expect("an answer has the id of the zone");
        id.trim_start_matches("/hostedzone/").to_owned()
    }

    /// Every TXT record of a hosted zone, as name and value, sorted.
    pub fn all_txt(&self, zone_id: &str) -> Vec<(String, String)> {
        let answer = self.route53("GET", &format!("/hostedzone/{zone_id}/rrset")).must();
        let sets = between(&answer, "<ResourceRecordSet>", "</ResourceRecordSet>");
        let mut found: Vec<_> = sets.filter(|set| set.contains("<Type>TXT</Type>")).flat_map(values).collect();
        found.sort();
        found
    }

    /// The TXT values at exactly this name, sorted.
    pub fn txt(&self, zone_id: &str, name: &str) -> Vec<String> {
        self.all_txt(zone_id).into_iter().filter(|(owner, _)| owner == name).map(|(_, value)| value).collect()
    }

    /// Begins a request to Route 53, below `/2013-04-01`.
    pub fn route53(&self, method: &str, path: &str) -> curl::Request {
        let url = format!("{}/2013-04-01{path}", self.endpoint());
        curl::request(method, &url).header(AUTHORIZATION).header("Content-Type: text/xml")
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> String {
        self.folder.printed()
    }

    /// The process id of the running server.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the server, and with it all that it knew.
    pub fn stop(&mut self) {
        self.process = None;
    }

    fn run(&mut self) -> Result<(), String> {
        let mut python = Command::new(programs::venv_python());
        python.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &self.port.to_string()]);
        python.env("PYTHONUNBUFFERED", "1");
        let mut process = Process::spawn(&mut python, &self.folder.log());
        // It says so once the port is its own.
        let listens = || self.log().contains("Running on http");
        process
            .wait_until(|| listens() && curl::get(&format!("{}/moto-api/data.json", self.endpoint())).send().is_ok())?;
        self.process = Some(process);
        Ok(())
    }
}

fn values(set: &str) -> Vec<(String, String)> {
    let name = between(set, "<Name>", "</Name>").next().unwrap_or_default().trim_end_matches('.');
    let values = between(set, "<Value>", "</Value>");
    let plain = |value: &str| value.replace("&quot;", "\"").trim_matches('"').to_owned();
    values.map(|value| (name.to_owned(), plain(value))).collect()
}

fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split(end).next())
}

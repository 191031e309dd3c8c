//! The PowerDNS Authoritative Server with its HTTP API.

use std::net::SocketAddr;
use std::process::Command;

use super::folder::{Folder, random_word};
use super::process::{Process, can_be_restarted, insist};
use super::{curl, dig, ports, programs};

/// What Debian's package of the back-end ships: the tables of an empty database.
const SCHEMAS: [&str; 2] =
    ["/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql", "/usr/share/doc/pdns/schema.sqlite3.sql"];
/// Makes the database: its file and the schema's file are the arguments.
const MAKE_DATABASE: &str =
    "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())\n";

/// A server with native zones, kept in SQLite.
pub struct PowerDns {
    folder: Folder,
    key: String,
    dns: u16,
    api: u16,
    process: Option<Process>,
}

can_be_restarted!(PowerDns, "PowerDNS");

impl PowerDns {
    /// Starts a server for these zones (names without the last dot).
    ///
    /// # Panics
    /// When it does not come up, with its log, or refuses a zone.
    pub fn start(zones: &[&str]) -> Self {
        let server = insist("PowerDNS", Self::attempt);
        for zone in zones {
            let body = format!(r#"{{"name": "{zone}.", "kind": "Native", "nameservers": ["ns.{zone}."]}}"#);
            server.request("POST", "/zones", &body).unwrap_or_else(|error| panic!("zone `{zone}`: {error}"));
        }
        server
    }

    /// The root of the API, as `http://127.0.0.1:8081`.
    pub fn api_url(&self) -> String {
        format!("http://{}", ports::loopback(self.api))
    }

    /// The key of the API.
    pub fn api_key(&self) -> &str {
        &self.key
    }

    /// The address of the name server, for UDP and TCP.
    pub fn dns_address(&self) -> SocketAddr {
        ports::loopback(self.dns)
    }

    /// The TXT values at exactly this name, as its name server answers, sorted.
    pub fn txt(&self, name: &str) -> Vec<String> {
        dig::txt(self.dns_address(), name)
    }

    /// Every TXT record of the zone, as name and value, by zone transfer, sorted.
    pub fn all_txt(&self, zone: &str) -> Vec<(String, String)> {
        dig::all_txt(self.dns_address(), zone)
    }

    /// Sends a request to the API, below `/api/v1/servers/localhost`; the answer's body, or what went wrong.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<String, String> {
        let request = curl::request(method, &format!("{}/api/v1/servers/localhost{path}", self.api_url()));
        let request = request.header(&format!("X-API-Key: {}", self.key)).header("Content-Type: application/json");
        request.body(body).send()
    }

    fn attempt() -> Result<Self, String> {
        let folder = Folder::new("pdns");
        let (dns, api) = (ports::udp_and_tcp(), ports::tcp());
        let mut server = PowerDns { folder, key: random_word(), dns, api, process: None };
        server.configure();
        server.run()?;
        Ok(server)
    }

    fn configure(&self) {
        let folder = self.folder.path();
        let schema = SCHEMAS.iter().find(|path| std::path::Path::new(path).is_file());
        let schema = schema.expect("the schema of pdns-backend-sqlite3 is missing: run tests/run, which installs it");
        let mut python = Command::new(programs::find("python3"));
        programs::must(python.args(["-c", MAKE_DATABASE]).arg(folder.join("database")).arg(schema), "");
        let text = format!(
            "launch=gsqlite3\ngsqlite3-database={folder}/database\ngsqlite3-pragma-synchronous=0\n\
             local-address=127.0.0.1\nlocal-port={}\nserver-id={id}\nsocket-dir={folder}\nsecurity-poll-suffix=\n\
             webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={}\nwebserver-allow-from=127.0.0.1\n\
             api=yes\napi-key={}\ndisable-axfr=no\nallow-axfr-ips=127.0.0.1\n\
             cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n",
            self.dns,
            self.api,
            self.api_key(),
            folder = folder.display(),
            id = self.folder.id(),
        );
        self.folder.write("pdns.conf", &text);
    }

    fn run(&mut self) -> Result<(), String> {
        let folder = self.folder.path();
        let mut pdns = Command::new(programs::find("pdns_server"));
        pdns.current_dir(folder).args(["--daemon=no", "--guardian=no", "--disable-syslog=yes"]);
        pdns.arg(format!("--config-dir={}", folder.display()));
        let mut process = Process::spawn(&mut pdns, &self.folder.log());
        let (address, id) = (self.dns_address(), Some(self.folder.id()));
        process.wait_until(|| dig::identity(address, true) == id && self.request("GET", "", "").is_ok())?;
        self.process = Some(process);
        Ok(())
    }
}

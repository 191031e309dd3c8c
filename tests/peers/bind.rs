//! BIND: zones that take signed updates (RFC 2136, RFC 8945).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::folder::{Folder, random};
use super::process::{Process, can_be_restarted, insist};
use super::{dig, ports, programs};

/// The name server of these zones, for updates with either of two keys.
///
/// Each zone begins with SOA, NS `ns.<zone>` and its address 127.0.0.1. A root zone delegates them, so that the server
/// may stand in for a recursive resolver: asked for recursion it follows CNAMEs from zone to zone, and names elsewhere do
/// not exist, rather than being refused. It never asks another server.
pub struct Bind {
    folder: Folder,
    port: u16,
    sha256: Key,
    sha512: Key,
    process: Option<Process>,
}

struct Key {
    name: &'static str,
    algorithm: &'static str,
    secret: String,
}

can_be_restarted!(Bind, "BIND");

impl Bind {
    /// Starts a server for these zones (names without the last dot).
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(zones: &[&str]) -> Self {
        Self::start_signed(zones, &[])
    }

    /// The same; those of the zones that are among `signed` have keys and signatures, and no DS record in their parent.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start_signed(zones: &[&str], signed: &[&str]) -> Self {
        insist("BIND", || Self::attempt(zones, signed))
    }

    /// The DS records that fit a signed zone's keys, as lines of a master file; none before it is signed.
    pub fn ds(&self, zone: &str) -> Vec<String> {
        let keys = dig::answer(self.address(), zone, "DNSKEY").into_iter().filter(|record| record.kind == "DNSKEY");
        let lines: String = keys.map(|key| format!("{zone}. 1 IN DNSKEY {}\n", key.data)).collect();
        let mut fingerprints = Command::new(programs::find("dnssec-dsfromkey"));
        let output = programs::run(fingerprints.args(["-2", "-f", "-", zone]), &lines);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter_map(|line| Some(line.split_once(" DS ")?.1.to_owned())).collect()
    }

    /// The address of the server, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// The name of the key for `hmac-sha256`.
    pub fn tsig_key(&self) -> &str {
        self.sha256.name
    }

    /// The secret of the key for `hmac-sha256`, base64.
    pub fn tsig_secret(&self) -> &str {
        &self.sha256.secret
    }

    /// The name of the key for `hmac-sha512`.
    pub fn tsig_sha512_key(&self) -> &str {
        self.sha512.name
    }

    /// The secret of the key for `hmac-sha512`, base64.
    pub fn tsig_sha512_secret(&self) -> &str {
        &self.sha512.secret
    }

    /// The TXT values at exactly this name, sorted.
    pub fn txt(&self, name: &str) -> Vec<String> {
        dig::txt(self.address(), name)
    }

    /// Every TXT record of the zone, as name and value, sorted.
    pub fn all_txt(&self, zone: &str) -> Vec<(String, String)> {
        dig::all_txt(self.address(), zone)
    }

    /// Changes zones with lines of `nsupdate` (`update add …`), signed and sent in one message.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn nsupdate(&self, script: &str) {
        let input = format!("server {} {}\n{script}\nsend\n", self.address().ip(), self.port);
        let mut nsupdate = Command::new(programs::find("nsupdate"));
        programs::must(nsupdate.arg("-v").arg("-k").arg(self.folder.file("update.key")), &input);
    }

    fn attempt(zones: &[&str], signed: &[&str]) -> Result<Self, String> {
        let folder = Folder::new("bind");
        let mut bind = Bind {
            folder,
            port: ports::udp_and_tcp(),
            sha256: Key { name: "renewd-sha256", algorithm: "hmac-sha256", secret: STANDARD.encode(random(32)) },
            sha512: Key { name: "renewd-sha512", algorithm: "hmac-sha512", secret: STANDARD.encode(random(64)) },
            process: None,
        };
        bind.configure(zones, signed);
        bind.run()?;
        Ok(bind)
    }

    fn configure(&self, zones: &[&str], signed: &[&str]) {
        self.folder.write("named.conf", &self.configuration(zones, signed));
        self.folder.write("update.key", &self.sha256.clause());
        self.folder.write("root.zone", &root(zones));
        for zone in zones {
            self.folder.write(&format!("{zone}.zone"), &apex(zone));
        }
    }

    fn configuration(&self, zones: &[&str], signed: &[&str]) -> String {
        let folder = self.folder.path().display();
        let mut text = format!(
            "options {{\n directory \"{folder}\";\n pid-file \"{folder}/named.pid\";\n \
             session-keyfile \"{folder}/session.key\";\n managed-keys-directory \"{folder}\";\n \
             listen-on port {} {{ 127.0.0.1; }};\n listen-on-v6 {{ none; }};\n server-id \"{}\";\n \
             recursion yes;\n allow-recursion {{ 127.0.0.1; }};\n \
             minimal-responses no;\n dnssec-validation no;\n notify no;\n empty-zones-enable no;\n \
             allow-transfer {{ 127.0.0.1; }};\n allow-query {{ 127.0.0.1; }};\n}};\ncontrols {{ }};\n{}{}\
             zone \".\" {{ type primary; file \"root.zone\"; }};\n",
            self.port,
            self.folder.id(),
            self.sha256.clause(),
            self.sha512.clause(),
        );
        let keys = format!("key {}; key {};", self.sha256.name, self.sha512.name);
        for zone in zones {
            let policy = if signed.contains(zone) { "dnssec-policy default; " } else { "" };
            let _ = writeln!(
                text,
                "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; {policy}allow-update {{ {keys} }}; }};"
            );
        }
        text
    }

    fn run(&mut self) -> Result<(), String> {
        let mut named = Command::new(programs::find("named"));
        named.current_dir(self.folder.path()).args(["-g", "-n", "1", "-c"]).arg(self.folder.file("named.conf"));
        let process = Process::spawn(&mut named, &self.folder.log());
        // When the port is another's, `named` runs on without it.
        let mut process = process.hopeless_when(&["address in use", "interface ignored"]);
        let (address, id) = (self.address(), Some(self.folder.id()));
        process.wait_until(|| dig::identity(address, true) == id && dig::identity(address, false) == id)?;
        self.process = Some(process);
        Ok(())
    }
}

impl Key {
    fn clause(&self) -> String {
        format!("key \"{}\" {{ algorithm {}; secret \"{}\"; }};\n", self.name, self.algorithm, self.secret)
    }
}

/// The root zone: it delegates each zone that lies in no other zone of the server.
fn root(zones: &[&str]) -> String {
    let mut text = "$TTL 1\n. IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 1\n\
                    . IN NS ns.invalid.\nns.invalid. IN A 127.0.0.1\n"
        .to_owned();
    let inside = |zone: &str| zones.iter().any(|other| zone.ends_with(&format!(".{other}")));
    for zone in zones.iter().filter(|zone| !inside(zone)) {
        let _ = writeln!(text, "{zone}. IN NS ns.{zone}.\nns.{zone}. IN A 127.0.0.1");
    }
    text
}

fn apex(zone: &str) -> String {
    format!(
        "$ORIGIN {zone}.\n$TTL 1\n@ IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 1\n\
         @ IN NS ns.{zone}.\nns IN A 127.0.0.1\n"
    )
}

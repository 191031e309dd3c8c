//! A resolver that remembers what it was told, also that something is not there: BIND in front of another server.

use std::net::SocketAddr;
use std::process::Command;

use super::folder::Folder;
use super::process::{Process, insist};
use super::{dig, ports, programs};

/// The resolver of some zones; it ends when dropped.
pub struct Cache {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Cache {
    /// Starts a resolver that asks `upstream` for what lies in these zones, or below these top-level domains.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(zones: &[&str], upstream: SocketAddr) -> Self {
        insist("the resolver", || Self::attempt(zones, upstream))
    }

    /// The address of the server, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    fn attempt(zones: &[&str], upstream: SocketAddr) -> Result<Self, String> {
        let mut cache = Cache { folder: Folder::new("cache"), port: ports::udp_and_tcp(), process: None };
        cache.folder.write("named.conf", &cache.configuration(zones, upstream));
        let mut named = Command::new(programs::find("named"));
        named.current_dir(cache.folder.path()).args(["-g", "-n", "1", "-c"]).arg(cache.folder.file("named.conf"));
        let process = Process::spawn(&mut named, &cache.folder.log());
        let mut process = process.hopeless_when(&["address in use", "interface ignored"]);
        let (address, id) = (cache.address(), Some(cache.folder.id()));
        process.wait_until(|| dig::identity(address, true) == id && dig::identity(address, false) == id)?;
        cache.process = Some(process);
        Ok(cache)
    }

    fn configuration(&self, zones: &[&str], upstream: SocketAddr) -> String {
        let folder = self.folder.path().display();
        let options = format!(
            "options {{\n directory \"{folder}\";\n pid-file \"{folder}/named.pid\";\n \
             session-keyfile \"{folder}/session.key\";\n managed-keys-directory \"{folder}\";\n \
             listen-on port {} {{ 127.0.0.1; }};\n listen-on-v6 {{ none; }};\n server-id \"{}\";\n \
             recursion yes;\n allow-recursion {{ 127.0.0.1; }};\n allow-query {{ 127.0.0.1; }};\n \
             dnssec-validation no;\n empty-zones-enable no;\n}};\ncontrols {{ }};\n",
            self.port,
            self.folder.id(),
        );
        let forwarder = format!("{} port {}", upstream.ip(), upstream.port());
        let zone = |zone: &&str| {
            format!("zone \"{zone}\" {{ type forward; forward only; forwarders {{ {forwarder}; }}; }};\n")
        };
        options + &zones.iter().map(zone).collect::<String>()
    }
}

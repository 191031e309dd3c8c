//! `openssl s_server`: TLS as odd as a test wants it.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::issued::Issued;
use crate::peers::folder::Folder;
use crate::peers::process::{Process, insist};
use crate::peers::{ports, programs};

/// A running server, ended when dropped.
pub struct SServer {
    port: u16,
    _process: Process,
}

impl SServer {
    /// Starts a server of this certificate, with its chain, and further arguments.
    pub fn start(issued: &Issued, arguments: &[&str]) -> Self {
        insist("openssl s_server", || {
            let (folder, port) = (Folder::new("s-server"), ports::tcp());
            let mut openssl = Command::new(programs::find("openssl"));
            openssl.args(["s_server", "-www", "-accept", &ports::loopback(port).to_string()]);
            openssl.arg("-cert").arg(issued.certificate_file()).arg("-key").arg(issued.key_file());
            openssl.arg("-cert_chain").arg(issued.chain_file()).args(arguments);
            let mut process = Process::spawn(&mut openssl, &folder.log());
            process.wait_until(|| folder.printed().contains("ACCEPT") && listens(port))?;
            Ok(Self { port, _process: process })
        })
    }

    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(ports::loopback(port)).is_ok()
}

//! A mail server that offers STARTTLS (RFC 3207): aiosmtpd. It takes every mail and keeps none.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::folder::Folder;
use super::process::{Process, insist};
use super::{ports, programs};

/// Arguments: port, certificate, key. SIGHUP makes it read both files again.
const SERVER: &str = r#"
import asyncio, signal, ssl, sys
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP

port, certificate, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

def reload():
    context.load_cert_chain(certificate, key)
    print("reloaded", flush=True)

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    server = await loop.create_server(lambda: SMTP(Sink(), tls_context=context, loop=loop), "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

/// A running server.
pub struct Smtp {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Smtp {
    /// Starts a server with this certificate and key (PEM files).
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(certificate: &Path, key: &Path) -> Self {
        insist("aiosmtpd", || {
            let mut smtp = Smtp { folder: Folder::new("smtp"), port: ports::tcp(), process: None };
            let mut python = Command::new(programs::venv_python());
            python.args(["-c", SERVER, &smtp.port.to_string()]).arg(certificate).arg(key);
            let mut process = Process::spawn(&mut python, &smtp.folder.log());
            process.wait_until(|| smtp.folder.printed().contains("listening"))?;
            smtp.process = Some(process);
            Ok(smtp)
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// Makes it read its files again; the next connection meets what they hold, a moment later.
    pub fn reload(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::HUP);
        }
    }

    /// The process id of the running server.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process = None;
    }
}

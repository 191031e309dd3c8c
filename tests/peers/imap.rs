//! The beginning of IMAP, for STARTTLS (RFC 9051, section 6.2.1): greeting, CAPABILITY, STARTTLS, LOGOUT.
//!
//! Not a mail server: no small one is at hand. It refuses every other command before and after TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::folder::Folder;
use super::process::{Process, insist};
use super::{ports, programs};

/// Arguments: port, certificate, key. Each connection reads both files anew.
const SERVER: &str = r#"
import socketserver, ssl, sys

port, certificate, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.secure = False
        self.send("* OK [CAPABILITY " + self.capabilities() + "] ready")
        while self.command():
            pass

    def capabilities(self):
        return "IMAP4rev1" if self.secure else "IMAP4rev1 STARTTLS LOGINDISABLED"

    def send(self, line):
        self.request.sendall(line.encode() + b"\r\n")

    def line(self):
        text = b""
        while not text.endswith(b"\r\n"):
            byte = self.request.recv(1)
            if not byte or len(text) > 1000:
                return None
            text += byte
        return text.decode("ascii", "replace").strip()

    def command(self):
        line = self.line()
        if line is None:
            return False
        tag, _, verb = line.partition(" ")
        verb = verb.upper()
        if verb == "CAPABILITY":
            self.send("* CAPABILITY " + self.capabilities())
            self.send(tag + " OK done")
        elif verb == "STARTTLS" and not self.secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.send(tag + " OK begin TLS")
            try:
                self.request = context.wrap_socket(self.request, server_side=True)
            except OSError as error:
                print("handshake:", error, flush=True)
                return False
            self.secure = True
        elif verb == "LOGOUT":
            self.send("* BYE")
            self.send(tag + " OK done")
            return False
        else:
            self.send(tag + " BAD not here")
        return True

    def finish(self):
        self.request.close()

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

with Server(("127.0.0.1", port), Session) as server:
    print("listening", flush=True)
    server.serve_forever()
"#;

/// A running server.
pub struct Imap {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Imap {
    /// Starts a server with this certificate and key (PEM files), which it reads anew for each connection.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(certificate: &Path, key: &Path) -> Self {
        insist("IMAP", || {
            let mut imap = Imap { folder: Folder::new("imap"), port: ports::tcp(), process: None };
            let mut python = Command::new(programs::find("python3"));
            python.args(["-c", SERVER, &imap.port.to_string()]).arg(certificate).arg(key);
            let mut process = Process::spawn(&mut python, &imap.folder.log());
            process.wait_until(|| imap.folder.printed().contains("listening"))?;
            imap.process = Some(process);
            Ok(imap)
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
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

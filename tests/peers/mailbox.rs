//! A mail server that keeps what it gets: aiosmtpd, with STARTTLS (RFC 3207) and a login that it insists on (RFC 4954).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::folder::Folder;
use super::process::{Process, insist};
use super::{ports, programs};

/// Arguments: port, certificate, key, folder, user, password.
const SERVER: &str = r#"
import asyncio, os, ssl, sys, uuid
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

port, certificate, key, folder, user, password = int(sys.argv[1]), *sys.argv[2:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

class Keep:
    count = 0
    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        name = os.path.join(folder, f"{Keep.count:04}-{uuid.uuid4().hex}.eml")
        with open(name + ".new", "wb") as out:
            out.write(b"To-Envelope: " + ",".join(envelope.rcpt_tos).encode() + b"\r\n" + envelope.content)
        os.rename(name + ".new", name)
        return "250 kept"

def login(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=right)

async def main():
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Keep(), tls_context=context, require_starttls=True, authenticator=login,
                        auth_required=True, auth_require_tls=True, loop=loop)
    server = await loop.create_server(make, "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

/// A running server, its mails in a folder.
pub struct Mailbox {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Mailbox {
    /// Starts a server with this certificate and key (PEM files) and this login.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(certificate: &Path, key: &Path, (user, password): (&str, &str)) -> Self {
        insist("aiosmtpd", || {
            let mut mailbox = Mailbox { folder: Folder::new("mailbox"), port: ports::tcp(), process: None };
            let mails = mailbox.folder.file("mails");
            std::fs::create_dir(&mails).map_err(|error| error.to_string())?;
            let mut python = Command::new(programs::venv_python());
            python.args(["-c", SERVER, &mailbox.port.to_string()]).arg(certificate).arg(key).arg(mails);
            let mut process = Process::spawn(python.args([user, password]), &mailbox.folder.log());
            process.wait_until(|| mailbox.folder.printed().contains("listening"))?;
            mailbox.process = Some(process);
            Ok(mailbox)
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// The mails, in the order in which they came.
    pub fn mails(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.file("mails")).expect("the folder is there");
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "eml"));
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).expect("a mail is text")).collect()
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process = None;
    }
}

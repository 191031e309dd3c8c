//! Recursive resolvers: for everything but the TXT itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::exchange::{Question, Security, ask};
use super::{Dns01Error, name};

/// A resolver has to ask others first.
const PATIENCE: Duration = Duration::from_secs(4);

/// The EDNS option in which a resolver says why it failed (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// The resolvers of the config, else the system's. Nothing is cached here.
#[derive(Debug)]
pub(super) struct Recursive {
    servers: Vec<SocketAddr>,
    /// Where to begin: the resolver that answered last.
    last: AtomicUsize,
}

impl Recursive {
    /// These resolvers; where there are none, the system's, read anew for each question: they change with the network.
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, last: AtomicUsize::new(0) }
    }

    /// The first answer that says what is there or that nothing is.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, Dns01Error> {
        self.ask_for(name, kind, Security::Unasked).await
    }

    /// The same, with signatures where they are wanted.
    pub(super) async fn ask_for(
        &self,
        name: &Name,
        kind: RecordType,
        security: Security,
    ) -> Result<Message, Dns01Error> {
        let question = Question { name: name.clone(), kind, recursion: true, security, patience: PATIENCE };
        let servers = self.servers().map_err(|detail| silence(&question, detail))?;
        let first = self.last.load(Ordering::Relaxed);
        let mut refusals = Vec::new();
        for index in (0..servers.len()).map(|step| (first + step) % servers.len()) {
            match ask_one(servers[index], &question).await {
                Ok(answer) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(refusal) => refusals.push(format!("{}: {refusal}", servers[index])),
            }
        }
        Err(silence(&question, refusals.join("; ")))
    }

    fn servers(&self) -> Result<Vec<SocketAddr>, String> {
        if !self.servers.is_empty() {
            return Ok(self.servers.clone());
        }
        let (system, _) = read_system_conf().map_err(|error| format!("the system names no resolver ({error})"))?;
        Ok(system.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
    }
}

async fn ask_one(server: SocketAddr, question: &Question) -> Result<Message, String> {
    let answer = ask(server, question).await.map_err(|error| error.to_string())?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => Err(format!("{}{}", code.to_str(), reason(&answer))),
    }
}

/// Why a resolver failed, where it says (RFC 8914): its words, else the number.
fn reason(answer: &Message) -> String {
    let options = answer.edns.as_ref().and_then(|edns| edns.option(EdnsCode::from(EXTENDED_ERROR)));
    let Some(EdnsOption::Unknown(_, data)) = options else { return String::new() };
    match (data.get(..2), data.get(2..)) {
        (Some(code), Some([])) => format!(" (extended error {})", u16::from_be_bytes([code[0], code[1]])),
        (Some(_), Some(words)) => format!(" ({})", providers::error::shorten(&String::from_utf8_lossy(words))),
        _ => String::new(),
    }
}

fn silence(question: &Question, detail: String) -> Dns01Error {
    Dns01Error::Resolver { name: name::text(&question.name), kind: question.kind.to_string(), detail }
}

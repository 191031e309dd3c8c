//! The limit of an HTTP answer: a bare hyper server that gives the same bytes to everybody, whatever is asked.

#![allow(clippy::disallowed_methods, reason = "a server of a benchmark is no daemon")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::peers::folder::Folder;
use crate::peers::ports;
use crate::peers::process::Process;

/// The word on this program's command line that makes it such a server.
const WORD: &str = "--bare-hyper";

/// Such a server, as a process of its own.
pub struct Bare {
    process: Process,
    _folder: Folder,
    address: SocketAddr,
}

impl Bare {
    /// Starts one by these words of a launcher: it answers with this head (header lines) and this body.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(launcher: &[&str], head: &str, body: &[u8]) -> Self {
        let folder = Folder::new("bare-hyper");
        let (address, answer) = (ports::loopback(ports::tcp()), folder.file("answer"));
        std::fs::write(&answer, [head.as_bytes(), b"\n\n", body].concat()).expect("a file can be written");
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(launcher.first().map_or(program.as_os_str(), |word| word.as_ref()));
        if let Some((_, words)) = launcher.split_first() {
            command.args(words).arg(&program);
        }
        command.arg(WORD).arg(address.to_string()).arg(&answer);
        let mut process = Process::spawn(&mut command, &folder.log());
        let up = process.wait_until(|| std::net::TcpStream::connect(address).is_ok());
        up.unwrap_or_else(|error| panic!("the bare server does not come up: {error}"));
        Self { process, _folder: folder, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Serves for good where this program was started to do that.
pub fn serve_if_asked() {
    let words: Vec<String> = std::env::args().collect();
    let [_, word, address, answer] = words.as_slice() else { return };
    if word == WORD {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        runtime.block_on(serve(address.parse().expect("an address"), answer.as_ref()));
    }
}

async fn serve(address: SocketAddr, answer: &Path) {
    let (head, body) = read(answer);
    let listener = TcpListener::bind(address).await.expect("the address is free");
    loop {
        let (stream, _) = listener.accept().await.expect("connections come in");
        let (head, body) = (head.clone(), body.clone());
        tokio::spawn(async move { drop(connection(stream, head, body).await) });
    }
}

async fn connection(stream: TcpStream, head: HeaderMap, body: Bytes) -> hyper::Result<()> {
    stream.set_nodelay(true).expect("TCP has no delay");
    let service = service_fn(|_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.headers_mut() = head.clone();
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
}

fn read(answer: &Path) -> (HeaderMap, Bytes) {
    let octets = Bytes::from(std::fs::read(answer).expect("the answer can be read"));
    let end = octets.windows(2).position(|two| two == b"\n\n").expect("a head ends");
    let head = std::str::from_utf8(&octets[..end]).expect("a head is text");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header has a name");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    (head.lines().map(header).collect(), octets.slice(end + 2..))
}

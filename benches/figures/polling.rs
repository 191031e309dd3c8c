//! Load by a client that never sleeps: what a server can do where waking its client costs it nothing.
//!
//! A client that waits must be woken for each answer. On a virtual machine that is an interrupt which the hypervisor
//! delivers for the *server*, and costs it more than an answer does.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::usage;
use crate::wrk::{Load, Server, Yield};

/// The word on this program's command line that makes it such a client.
const WORD: &str = "--polling-load";
/// Connections that it keeps.
const CONNECTIONS: usize = 32;

/// What a server gives such a client over so many seconds.
///
/// # Panics
/// When an answer is not 200, or a connection breaks.
pub fn put_on(launcher: &[&str], load: &Load, server: Server, seconds: u32) -> Yield {
    let program = std::env::current_exe().expect("this program has a path");
    let (first, words) = launcher.split_first().expect("a launcher is a program");
    let mut command = Command::new(first);
    command.args(words).arg(program).arg(WORD).arg(server.address.to_string()).arg(seconds.to_string());
    let before = usage::spent(server.process);
    let said = crate::peers::programs::must(command.arg(load.paths()), "");
    let spent = usage::spent(server.process).saturating_sub(before);
    let count: f64 = said.trim().parse().expect("it says a number");
    Yield { rate: count / f64::from(seconds), a_core_second: count / spent.as_secs_f64() }
}

/// Asks for a while where this program was started to do that, and ends.
pub fn ask_if_asked() {
    let words: Vec<String> = std::env::args().collect();
    let [_, word, address, seconds, paths] = words.as_slice() else { return };
    if word == WORD {
        let lasts = Duration::from_secs(seconds.parse().expect("seconds"));
        let count = ask(address.parse().expect("an address"), lasts, paths.as_ref());
        writeln!(std::io::stdout(), "{count}").expect("somebody reads");
        std::process::exit(0);
    }
}

fn ask(address: SocketAddr, lasts: Duration, paths: &Path) -> u64 {
    let text = std::fs::read_to_string(paths).expect("the paths can be read");
    let requests: Vec<String> =
        text.lines().map(|path| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).collect();
    let mut requests = requests.iter().cycle();
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::open(address)).collect();
    let (end, mut count) = (Instant::now() + lasts, 0);
    while Instant::now() < end {
        for connection in &mut connections {
            if connection.is_answered() {
                connection.send(requests.next().expect("there is a path"));
                count += 1;
            }
        }
    }
    count - CONNECTIONS as u64
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    waits: bool,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("TCP has no delay");
        stream.set_nonblocking(true).expect("a stream need not block");
        Self { stream, received: Vec::new(), waits: false }
    }

    fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).expect("a request fits");
        self.waits = true;
    }

    /// Nothing is waited for.
    fn is_answered(&mut self) -> bool {
        if !self.waits {
            return true;
        }
        let mut octets = [0; 8192];
        match self.stream.read(&mut octets) {
            Ok(0) => panic!("the connection was closed"),
            Ok(length) => self.received.extend_from_slice(&octets[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        }
        if whole(&self.received) {
            self.received.clear();
            self.waits = false;
        }
        !self.waits
    }
}

/// The head is there, and so many octets behind it as it says.
fn whole(received: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    assert!(received.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&received[..end]));
    let at = received.windows(LENGTH.len()).position(|name| name == LENGTH).expect("a length is said") + LENGTH.len();
    let digits = received[at..].iter().take_while(|octet| octet.is_ascii_digit());
    received.len() == end + 4 + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

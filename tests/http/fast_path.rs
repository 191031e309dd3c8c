//! OCSP on one connection, beside other requests: the fast path and the HTTP library say the same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

use super::app::TestApp;
use super::query::{Hash, Issuer, nonce, request};
use super::{PATIENCE, free_port, listen};
use renewd::http::Listeners;

/// A daemon's listener, and a request that it knows the answer to.
struct Served {
    _app: TestApp,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// An OCSPRequest about a certificate that is good.
    plain: Vec<u8>,
    /// The same, with a nonce.
    fresh: Vec<u8>,
}

/// What came back, its head in lines.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Served {
    async fn start() -> Self {
        let app = TestApp::new().await;
        let chain = app.issue().await;
        let here = listen(free_port(), false);
        app.configure(|config| config.http.listen = vec![here]);
        let mut listeners = Listeners::new(app.app.clone());
        listeners.open().await;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(listeners.run(stopped));
        let (leaf, issuer) = chain.split_at(chain.rfind("-----BEGIN").unwrap());
        let (_, leaf) = x509_parser::pem::parse_x509_pem(leaf.as_bytes()).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf.contents).unwrap();
        let ids = [Issuer::of(issuer).cert_id(Hash::Sha1, &leaf.serial.to_bytes_be())];
        let (plain, fresh) = (request(&ids, &[]), request(&ids, &[nonce(b"12345678")]));
        Self { _app: app, address: here.address, stop, tasks, plain, fresh }
    }

    fn get(&self, headers: &str) -> Vec<u8> {
        let path = STANDARD.encode(&self.plain);
        format!("GET /ocsp/internal/{path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes()
    }

    fn post(&self, der: &[u8], headers: &str) -> Vec<u8> {
        let length = der.len();
        let head = format!("POST /ocsp/internal HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n");
        [head.as_bytes(), der].concat()
    }

    /// Sends these octets on one connection, piece by piece, and reads so many answers.
    async fn ask(&self, pieces: Vec<Vec<u8>>, answers: usize) -> Vec<Answer> {
        let address = self.address;
        let asking = spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(&piece).unwrap();
                std::thread::yield_now();
            }
            (0..answers).map(|_| Answer::read(&mut stream)).collect()
        });
        asking.await.unwrap()
    }

    async fn ask_one(&self, octets: Vec<u8>) -> Answer {
        self.ask(vec![octets], 1).await.remove(0)
    }
}

impl Answer {
    fn read(stream: &mut TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            head.push(octet[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let status = lines.next().unwrap();
        // What the library says of the connection, and the second in which it was asked, may differ.
        let mut headers: Vec<_> = lines.filter(|line| !line.starts_with("connection:")).collect();
        headers.sort();
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        Self { status, headers, body }
    }

    fn without_times(mut self) -> Self {
        self.headers.retain(|line| !line.starts_with("date:") && !line.starts_with("cache-control: max-age"));
        self
    }

    fn has(&self, line: &str) -> bool {
        self.headers.iter().any(|it| it == line)
    }
}

#[tokio::test]
async fn the_fast_path_and_the_library_say_the_same() {
    let served = Served::start().await;
    // The first request finds no responder yet, and so goes to the library in any case.
    served.ask_one(served.get("")).await;
    let pairs = [
        (served.get(""), served.get("Connection: close\r\n")),
        (served.post(&served.plain, ""), served.post(&served.plain, "Connection: close\r\n")),
        (served.post(b"nonsense", ""), served.post(b"nonsense", "Connection: close\r\n")),
    ];
    for (fast, slow) in pairs {
        let (fast, slow) = (served.ask_one(fast).await, served.ask_one(slow).await);
        assert_eq!(fast.status, "HTTP/1.1 200 OK");
        assert!(fast.headers.iter().any(|line| line.starts_with("date: ")), "{fast:?}");
        assert_eq!(fast.without_times(), slow.without_times());
    }
    let fresh = served.ask_one(served.post(&served.fresh, "")).await;
    assert!(fresh.has("cache-control: no-store") && fresh.body.windows(8).any(|eight| eight == b"12345678"));
}

#[tokio::test]
async fn requests_of_all_kinds_are_answered_in_their_order() {
    let served = Served::start().await;
    served.ask_one(served.get("")).await;
    let live = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let all = [served.get(""), served.post(&served.fresh, ""), served.get(""), live, served.get(""), served.get("")];
    let octet_by_octet = all.concat().chunks(1).map(<[u8]>::to_vec).collect();
    for pieces in [vec![all.concat()], all.to_vec(), octet_by_octet] {
        let answers = served.ask(pieces, all.len()).await;
        let is_ocsp = |answer: &Answer| answer.has("content-type: application/ocsp-response");
        let kinds: Vec<_> = answers.iter().map(is_ocsp).collect();
        assert_eq!(kinds, [true, true, true, false, true, true], "{answers:#?}");
        assert!(answers.iter().all(|answer| answer.status == "HTTP/1.1 200 OK"));
        assert_eq!(answers[0].body, answers[5].body);
    }
}

#[tokio::test]
async fn many_requests_at_once_get_as_many_answers() {
    let served = Served::start().await;
    served.ask_one(served.get("")).await;
    let answers = served.ask(vec![served.get("").repeat(300)], 300).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_daemon_up() {
    let mut served = Served::start().await;
    served.ask_one(served.get("")).await;
    let (address, get) = (served.address, served.get(""));
    let idle = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&get).unwrap();
        Answer::read(&mut stream);
        stream
    });
    let mut idle = idle.await.unwrap();
    served.stop.send(true).unwrap();
    let stopped = async { while served.tasks.join_next().await.is_some() {} };
    assert!(tokio::time::timeout(Duration::from_secs(5), stopped).await.is_ok(), "an idle connection is waited on");
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
}

#[tokio::test]
async fn a_request_that_comes_octet_by_octet_for_ever_is_not_waited_for() {
    let served = Served::start().await;
    let address = served.address;
    let sending = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(b"GET /ocsp/internal/").unwrap();
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let is_closed = match stream.write_all(b"A").and_then(|()| stream.read(&mut [0])) {
                Ok(octets) => octets == 0,
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            if is_closed {
                return true;
            }
        }
        false
    });
    assert!(sending.await.unwrap(), "the connection was kept");
}

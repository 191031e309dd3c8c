//! Load over HTTP/1.1 with keep-alive: by `wrk` as much as can be had, and by threads of our own at a given pace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::peers::folder::Folder;
use crate::peers::programs;
use crate::usage;

/// Connections that `wrk` keeps.
const CONNECTIONS: &str = "32";
/// Connections of the paced load, each with a thread of its own.
const PACED: u32 = 16;

/// Requests are made when it starts: while it measures, it only sends and counts.
const SCRIPT: &str = "\
local requests, at = {}, 0
function init(arguments)
  for path in io.lines(arguments[1]) do requests[#requests + 1] = wrk.format('GET', path) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
";

/// A server under load.
#[derive(Clone, Copy)]
pub struct Server {
    /// The process id.
    pub process: u32,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a server gave.
#[derive(Clone, Copy)]
pub struct Yield {
    /// Answers a second.
    pub rate: f64,
    /// Answers a second of its own time on a processor: the rate where nothing else wants that.
    pub a_core_second: f64,
}

/// Paths to be asked for, one after another, in a file of one line each.
pub struct Load {
    folder: Folder,
    paths: PathBuf,
}

impl Load {
    /// These paths.
    pub fn new(paths: &[String]) -> Self {
        let folder = Folder::new("load");
        folder.write("load.lua", SCRIPT);
        let paths = folder.write("paths", &paths.join("\n"));
        Self { folder, paths }
    }

    /// The file of the paths.
    pub fn paths(&self) -> &Path {
        &self.paths
    }

    /// What a server gives over so many seconds.
    ///
    /// # Panics
    /// When an answer is not 200, or a connection breaks.
    pub fn put_on(&self, launcher: &[&str], server: Server, seconds: u32) -> Yield {
        let wrk = programs::find("wrk");
        let mut command = Command::new(launcher.first().map_or_else(|| wrk.clone(), |program| programs::find(program)));
        if let Some((_, words)) = launcher.split_first() {
            command.args(words).arg(wrk);
        }
        command.args(["-t1", "-c", CONNECTIONS, "-d", &format!("{seconds}s"), "-s"]).arg(self.folder.file("load.lua"));
        command.arg(format!("http://{}", server.address)).arg("--").arg(&self.paths);
        let before = usage::spent(server.process);
        let said = programs::must(&mut command, "");
        let spent = usage::spent(server.process).saturating_sub(before);
        assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
        let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
        let count = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse::<f64>().ok());
        let (rate, count) = rate.zip(count).unwrap_or_else(|| panic!("wrk says no rate: {said}"));
        Yield { rate, a_core_second: count / spent.as_secs_f64() }
    }
}

/// Sends so many requests a second for a while, whether or not earlier ones are answered: the time from when each was
/// to be sent to its answer, sorted.
///
/// # Panics
/// When an answer is not 200.
pub fn paced(address: SocketAddr, paths: &[String], a_second: u32, lasts: Duration) -> Vec<Duration> {
    let pause = Duration::from_secs(1) * PACED / a_second;
    let start = Instant::now() + Duration::from_millis(100);
    let mut all = Vec::new();
    scope(|threads| {
        let workers: Vec<_> = (0..PACED)
            .map(|number| {
                let mine = paths.iter().skip(number as usize).step_by(PACED as usize).cycle();
                let start = start + pause * number / PACED;
                threads.spawn(move || one_connection(address, mine, start, pause, lasts))
            })
            .collect();
        all = workers.into_iter().flat_map(|worker| worker.join().expect("a connection holds")).collect();
    });
    all.sort();
    all
}

fn one_connection<'a>(
    address: SocketAddr,
    paths: impl Iterator<Item = &'a String>,
    start: Instant,
    pause: Duration,
    lasts: Duration,
) -> Vec<Duration> {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("TCP has no delay");
    let mut reader = BufReader::new(stream.try_clone().expect("a stream can be cloned"));
    let (mut stream, mut took, mut due) = (stream, Vec::new(), start);
    for path in paths {
        if due > start + lasts {
            break;
        }
        sleep(due.saturating_duration_since(Instant::now()));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request is sent");
        read_answer(&mut reader);
        took.push(due.elapsed());
        due += pause;
    }
    took
}

fn read_answer(reader: &mut BufReader<TcpStream>) {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).expect("an answer comes");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("an answer has a head");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    reader.read_exact(&mut vec![0; length]).expect("an answer has a body");
}

/// The value below which this share of a sorted list is.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}

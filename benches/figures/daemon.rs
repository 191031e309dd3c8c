//! The real binary as a daemon, as `cargo bench` has built it.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::peers::folder::Folder;
use crate::peers::ports;
use crate::peers::process::Process;

/// The binary.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_renewd");

/// Nothing here takes longer, unless it is broken.
const DEADLINE: Duration = Duration::from_secs(180);

/// A folder with a config, and the address that the daemon of this config listens on.
pub struct Home {
    folder: Folder,
    address: SocketAddr,
}

impl Home {
    /// A folder with `[http]` and nothing else in its config.
    pub fn new() -> Self {
        Self { folder: Folder::new("renewd-bench"), address: ports::loopback(ports::tcp()) }
    }

    /// Writes the config: these lines below `[http]`.
    pub fn configure(&self, text: &str) {
        self.folder.write("config.toml", &format!("[http]\nlisten = [\"http://{}\"]\n{text}", self.address));
    }

    /// The config's path.
    pub fn config(&self) -> PathBuf {
        self.folder.file("config.toml")
    }

    /// A path in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text)
    }

    /// How many certificates the directory store holds.
    pub fn stored(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(self.file("renewd-state/certificates")) else { return 0 };
        entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink())).count()
    }

    /// Starts the daemon.
    pub fn start(&self) -> Daemon {
        self.start_by(&[])
    }

    /// Starts the daemon by these words of a launcher, such as `taskset`.
    pub fn start_by(&self, launcher: &[&str]) -> Daemon {
        let started = Instant::now();
        let mut renewd = Command::new(launcher.first().unwrap_or(&PROGRAM));
        if let Some((_, words)) = launcher.split_first() {
            renewd.args(words).arg(PROGRAM);
        }
        renewd.arg("run").arg("--config").arg(self.config());
        let process = Process::spawn(&mut renewd, &self.folder.log());
        Daemon { process, started, address: self.address }
    }
}

/// A running daemon; it ends when dropped.
pub struct Daemon {
    process: Process,
    started: Instant,
    address: SocketAddr,
}

impl Daemon {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The answer to a GET of this path, head and all.
    ///
    /// # Panics
    /// When it is not 200.
    pub fn answer(&self, path: &str) -> Vec<u8> {
        let answer = get(self.address, path).filter(|answer| answer.starts_with(b"HTTP/1.1 200"));
        answer.unwrap_or_else(|| panic!("`{path}` is not answered; the log:\n{}", self.process.log()))
    }

    /// Time since the daemon was spawned.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until a GET of this path is answered with 200: how long after the daemon was spawned that was.
    ///
    /// # Panics
    /// When that does not come, with the daemon's log.
    pub fn answers(&self, path: &str) -> Duration {
        self.wait(|| get(self.address, path).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")), path)
    }

    /// Waits until `done` holds: how long after the daemon was spawned that was.
    ///
    /// # Panics
    /// When that does not come, with the daemon's log.
    pub fn wait(&self, done: impl FnMut() -> bool, what: &str) -> Duration {
        let came = self.wait_at_most(DEADLINE, done);
        came.unwrap_or_else(|| panic!("`{what}` does not come; the log:\n{}", self.process.log()))
    }

    /// Waits until `done` holds: how long after the daemon was spawned that was; none when `limit` is over before.
    pub fn wait_at_most(&self, limit: Duration, mut done: impl FnMut() -> bool) -> Option<Duration> {
        let since = Instant::now();
        while !done() {
            if since.elapsed() > limit {
                return None;
            }
            sleep(Duration::from_millis(1));
        }
        Some(self.age())
    }

    /// Has it read its config again.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }
}

/// The time from the start of the program to the end of `renewd --version`: a program that does nothing.
pub fn bare_start() -> Duration {
    let started = Instant::now();
    let output = Command::new(PROGRAM).arg("--version").output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    started.elapsed()
}

/// The config at this path.
///
/// # Panics
/// When the config is refused.
pub fn config_of(path: &Path) -> renewd::config::Config {
    renewd::config::load(path).unwrap_or_else(|report| panic!("{report}")).config
}

fn get(address: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

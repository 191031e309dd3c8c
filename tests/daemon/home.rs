//! The folder of one daemon: its config, its secrets, its state.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::peers::bind::Bind;
use crate::peers::folder::Folder;
use crate::peers::pebble::Pebble;

/// A folder of its own and a port for HTTP; gone when dropped.
pub struct Home {
    folder: Folder,
    port: u16,
}

impl Home {
    /// A folder without a config.
    pub fn new() -> Self {
        Home { folder: Folder::new("renewd"), port: quiet_port() }
    }

    /// A folder whose config is this text below `head`.
    pub fn with(text: &str) -> Self {
        let home = Home::new();
        home.save(&format!("{}{text}", home.head()));
        home
    }

    /// The path of something in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.file("config.toml")
    }

    /// The state directory of `head`.
    pub fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// The folder of a certificate in the directory store of `STORE`.
    pub fn stored(&self, certificate: &str) -> PathBuf {
        self.file("certificates").join(certificate)
    }

    /// A file of a certificate in that store.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(&self, certificate: &str, file: &str) -> String {
        let path = self.stored(certificate).join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"))
    }

    /// The port for HTTP on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text)
    }

    /// Writes a secret that only its owner may read, and returns its path.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        path
    }

    /// Saves the config as editors do: beside it first, then in its place.
    pub fn save(&self, text: &str) {
        let beside = self.write(".config.toml.new", text);
        std::fs::rename(beside, self.config()).expect("a file can be renamed");
    }

    /// What every config here begins with: where the state is, and the listener.
    pub fn head(&self) -> String {
        format!("[state]\ndirectory = \"state\"\n\n[http]\nlisten = [\"http://127.0.0.1:{}\"]\n\n", self.port)
    }

    /// A config with the account `pebble`, the DNS instance `main` for these zones of BIND, and the store `disk`. `extra`
    /// comes last: certificates and whatever else there is to say.
    pub fn acme_config(&self, bind: &Bind, zones: &[&str], pebble: &Pebble, extra: &str) -> String {
        let mut text = self.head();
        text += &resolver(bind.address());
        text += &self.account(pebble);
        text += &self.rfc2136("main", zones, bind);
        text + STORE + extra
    }

    /// The account `pebble`. Pebble 2.10 now and then hangs for good in newOrder when many orders come at once: four at a
    /// time are several, and few enough.
    pub fn account(&self, pebble: &Pebble) -> String {
        format!(
            "[account.pebble]\ndirectory = \"{}\"\ntrusted_roots = \"{}\"\nagree_to_terms = true\n\
             parallel_orders = 4\n\n",
            pebble.directory_url(),
            pebble.tls_root().display(),
        )
    }

    /// A DNS instance for these zones of BIND, signed with the key for `hmac-sha256`.
    pub fn rfc2136(&self, instance: &str, zones: &[&str], bind: &Bind) -> String {
        self.secret("tsig.key", bind.tsig_secret());
        let settings = format!(
            "server = \"{}\"\ntsig_key = \"{}\"\ntsig_secret = {{ file = \"tsig.key\" }}\n",
            bind.address(),
            bind.tsig_key()
        );
        dns(instance, zones, "rfc2136", &settings)
    }

    /// The same with the key for `hmac-sha512`.
    pub fn rfc2136_sha512(&self, instance: &str, zones: &[&str], bind: &Bind) -> String {
        self.secret("tsig-sha512.key", bind.tsig_sha512_secret());
        let settings = format!(
            "server = \"{}\"\ntsig_key = \"{}\"\ntsig_algorithm = \"hmac-sha512\"\n\
             tsig_secret = {{ file = \"tsig-sha512.key\" }}\n",
            bind.address(),
            bind.tsig_sha512_key()
        );
        dns(instance, zones, "rfc2136", &settings)
    }
}

/// The store `disk` in the folder `certificates` beside the config.
pub const STORE: &str = "[store.disk.directory]\npath = \"certificates\"\n\n";

/// `[resolver]` for a name server that plays all parts.
pub fn resolver(server: std::net::SocketAddr) -> String {
    format!("[resolver]\nservers = [\"{server}\"]\nauthoritative_port = {}\n\n", server.port())
}

/// A DNS instance: its zones, its provider, and the lines of that.
pub fn dns(instance: &str, zones: &[&str], provider: &str, settings: &str) -> String {
    format!("[dns.{instance}]\nzones = {}\n[dns.{instance}.{provider}]\n{settings}\n", list(zones))
}

/// `[certificate.NAME]` with these names and further lines.
pub fn certificate(name: &str, names: &[&str], more: &str) -> String {
    format!("[certificate.\"{name}\"]\nnames = {}\n{more}\n", list(names))
}

/// A list of texts in TOML.
pub fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let mut text = String::from("[");
    for item in texts {
        let _ = write!(text, "\"{}\", ", item.as_ref());
    }
    text.trim_end_matches(", ").to_owned() + "]"
}

/// A port below those that the system gives to whoever asks for any: nobody takes it between this moment and its use, nor
/// while a daemon is being started again.
fn quiet_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let number = std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + u16::try_from(number % 18_000).expect("it fits");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free")
}

//! nginx: serves certificates, and takes new ones when told to reload.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use super::certificates::self_signed;
use super::folder::Folder;
use super::process::{Process, insist};
use super::{ports, programs};

/// One name, served with a certificate.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name that clients ask for.
    pub name: String,
    /// The PEM file with certificate and chain.
    pub certificate: PathBuf,
    /// The PEM file with the private key.
    pub key: PathBuf,
}

/// A running server; all its sites share one port.
///
/// The files of a site need not exist when it starts: until the first reload that finds them, a self-signed placeholder
/// is served in their place.
pub struct Nginx {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Site {
    /// A site whose files are `fullchain.pem` and `privkey.pem` in this folder.
    pub fn from_folder(name: &str, folder: &Path) -> Self {
        Site { name: name.to_owned(), certificate: folder.join("fullchain.pem"), key: folder.join("privkey.pem") }
    }

    fn block(&self, port: u16, certificate: &Path, key: &Path) -> String {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; server_name {name}; ssl_certificate {certificate}; \
             ssl_certificate_key {key}; location / {{ return 200 \"{name}\\n\"; }} }}\n",
            name = self.name,
            certificate = certificate.display(),
            key = key.display(),
        )
    }
}

impl Nginx {
    /// Starts a server of these sites.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(sites: &[Site]) -> Self {
        insist("nginx", || Self::attempt(|nginx| nginx.write_sites(sites)))
    }

    /// Starts a server with these `server` blocks, made from the port to listen on. Their files must exist.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start_with(blocks: impl Fn(u16) -> String) -> Self {
        insist("nginx", || {
            Self::attempt(|nginx| {
                nginx.write_reload("");
                nginx.folder.write("sites.conf", &blocks(nginx.port));
            })
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// The command that makes it read configuration and certificates again, as a deploy command would.
    pub fn reload_command(&self) -> Vec<String> {
        vec!["/bin/sh".to_owned(), self.folder.file("reload").display().to_string()]
    }

    /// Runs the reload command. Old workers take connections for another moment: a client may still meet the old
    /// certificate, even after another met the new one.
    ///
    /// # Panics
    /// When it fails.
    pub fn reload(&self) {
        let command = self.reload_command();
        programs::must(Command::new(&command[0]).args(&command[1..]), "");
    }

    /// How many reloads it has begun.
    pub fn reloads(&self) -> usize {
        self.log().lines().filter(|line| line.contains("signal 1 (SIGHUP) received") && line.contains("reconf")).count()
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> String {
        self.folder.printed()
    }

    /// The process id of the running server.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process = None;
    }

    fn attempt(configure: impl Fn(&Self)) -> Result<Self, String> {
        let mut nginx = Nginx { folder: Folder::new("nginx"), port: ports::tcp(), process: None };
        nginx.folder.write("nginx.conf", &nginx.configuration());
        configure(&nginx);
        nginx.run()?;
        Ok(nginx)
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        // Workers of a root's nginx would be nobody's, who may not read the folder.
        let user = if geteuid().is_root() { "user root;\n" } else { "" };
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = kinds.map(|kind| format!("{kind}_temp_path {folder}/{kind};\n")).concat();
        format!(
            "{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr notice;\n\
             events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\nserver_names_hash_bucket_size 512;\n\
             {folders}include {folder}/sites.conf;\n}}\n"
        )
    }

    /// Each site has two forms: with its own files, and with the placeholder's; the file in force includes one of them,
    /// and the reload command puts the first in force when its files are there.
    fn write_sites(&self, sites: &[Site]) {
        let placeholder = self_signed(&["placeholder.invalid"]);
        let certificate = self.folder.write("placeholder.pem", &placeholder.certificate);
        let key = self.folder.write("placeholder-key.pem", &placeholder.key);
        let folder = self.folder.path().display();
        let (mut includes, mut choices) = (String::new(), String::new());
        for (number, site) in sites.iter().enumerate() {
            let own = self.folder.write(&format!("{number}.own"), &site.block(self.port, &site.certificate, &site.key));
            let standing_in = site.block(self.port, &certificate, &key);
            self.folder.write(&format!("{number}.placeholder"), &standing_in);
            let found = site.certificate.exists() && site.key.exists();
            let text = if found { format!("include {};\n", own.display()) } else { standing_in };
            self.folder.write(&format!("{number}.conf"), &text);
            let _ = writeln!(includes, "include {folder}/{number}.conf;");
            let _ = writeln!(
                choices,
                "if [ -e '{}' ] && [ -e '{}' ]; then echo 'include {};' >'{folder}/{number}.conf'; fi",
                site.certificate.display(),
                site.key.display(),
                own.display(),
            );
        }
        self.folder.write("sites.conf", &includes);
        self.write_reload(&choices);
    }

    fn write_reload(&self, choices: &str) {
        let nginx = programs::find("nginx");
        let folder = self.folder.path().display();
        let script =
            format!("set -e\n{choices}exec '{}' -p '{folder}' -c '{folder}/nginx.conf' -s reload\n", nginx.display());
        self.folder.write("reload", &script);
    }

    fn run(&mut self) -> Result<(), String> {
        let mut nginx = Command::new(programs::find("nginx"));
        nginx.arg("-p").arg(self.folder.path()).arg("-c").arg(self.folder.file("nginx.conf"));
        let mut process = Process::spawn(&mut nginx, &self.folder.log());
        // It starts workers once the port is its own.
        let listens = || self.log().contains("start worker process");
        process.wait_until(|| listens() && TcpStream::connect(self.address()).is_ok())?;
        self.process = Some(process);
        Ok(())
    }
}

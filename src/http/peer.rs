//! Who asks: an address on the network, or a user of this machine on the local socket.

use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use http::{HeaderMap, HeaderName};
use tokio::net::UnixListener;

/// Headers by which proxies say for whom they ask.
const FORWARDED: [HeaderName; 5] = [
    http::header::FORWARDED,
    http::header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Whether the request was made on this machine for nobody else.
pub(super) fn is_local(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let forwarded = FORWARDED.iter().any(|name| headers.contains_key(name));
    !forwarded && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// The user at the other end of the local socket, as the kernel tells (`SO_PEERCRED`).
#[derive(Debug, Clone)]
pub(super) struct LocalUser(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for LocalUser {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

impl LocalUser {
    /// The user's name, else the number.
    pub(super) fn name(&self) -> String {
        let Some(uid) = self.0 else { return "somebody on the local socket".to_owned() };
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        user_name(&users, uid).unwrap_or_else(|| format!("user {uid}"))
    }
}

/// The name of a user in the text of `/etc/passwd`.
fn user_name(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(user_name(users, 1000).as_deref(), Some("alice"));
        assert_eq!(user_name(users, 1), None);
    }

    #[test]
    fn a_proxy_on_this_machine_asks_for_others() {
        let loopback: SocketAddr = "[::ffff:127.0.0.1]:9".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert!(is_local(Some(loopback), &headers));
        assert!(!is_local(Some("192.0.2.1:9".parse().unwrap()), &headers));
        assert!(!is_local(None, &headers));
        headers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        assert!(!is_local(Some(loopback), &headers));
    }
}

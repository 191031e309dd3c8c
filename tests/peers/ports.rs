//! Ports that nobody listens on at this moment.
//!
//! Another process may take a port between the question and its use: whoever starts a server asks again, and checks
//! that the server that answers is its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A port of loopback that is free for TCP.
pub fn tcp() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free TCP port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A port of loopback that is free for both UDP and TCP.
pub fn udp_and_tcp() -> u16 {
    for _ in 0..100 {
        let port = tcp();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if tcp.is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of loopback is free for both UDP and TCP")
}

/// The address of a port on loopback.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
